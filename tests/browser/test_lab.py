"""Notebook 03 in JupyterLab in a real browser: run it, click on a vessel, see the map change and
peak there.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from conftest import REAL_DATA, ROOT

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SHOTS = os.environ.get("LDR_SCREENSHOTS")
LENGTH = "(document.querySelector('.ldr-explorer').explorer.similarity()?.length ?? 0)"
SIMILARITY = "Array.from(document.querySelector('.ldr-explorer').explorer.similarity() ?? [])"


@pytest.fixture
def lab(tmp_path):
    """Opens a copy of a notebook in a JupyterLab of its own; parameters are written into its
    cell.
    """
    servers = []

    def serve(page, name, **parameters):
        text = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
        cell = next(
            cell for cell in text["cells"] if "parameters" in cell["metadata"].get("tags", [])
        )
        cell["source"] = [
            "".join(cell["source"]),
            *(f"\n{key} = {value!r}" for key, value in parameters.items()),
        ]
        (tmp_path / f"{name}.ipynb").write_text(json.dumps(text), encoding="utf-8")
        for plugin, choice in {
            "notebook-extension/tracker": '{"windowingMode": "none"}',
            "apputils-extension/notification": '{"fetchNews": "false"}',
        }.items():
            settings = tmp_path / "settings" / "@jupyterlab" / f"{plugin}.jupyterlab-settings"
            settings.parent.mkdir(parents=True)
            settings.write_text(choice, encoding="utf-8")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options = (
            "--no-browser",
            "--allow-root",
            f"--ServerApp.port={port}",
            "--IdentityProvider.token=t",
            f"--ServerApp.root_dir={tmp_path}",
        )
        environment = os.environ | {
            "JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings"),
            "PYTHONPATH": str(ROOT),
        }
        with open(tmp_path / "lab.log", "w", encoding="utf-8") as log:
            command = [sys.executable, "-m", "jupyterlab", "--expose-app-in-browser", *options]
            servers.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))
        address = f"http://127.0.0.1:{port}"
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/api/status?token=t", timeout=1).close()
                break
            except OSError:
                time.sleep(0.5)
        page.goto(f"{address}/lab/tree/{name}.ipynb?token=t")
        page.wait_for_function(
            "window.jupyterapp?.shell.currentWidget?.context?.isReady", timeout=120_000
        )
        page.wait_for_selector(".jp-Notebook", timeout=60_000)
        page.wait_for_function(
            "window.jupyterapp.shell.currentWidget.sessionContext"
            "?.session?.kernel?.status === 'idle'",
            timeout=120_000,
        )
        page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")

    yield serve
    for server in servers:
        server.terminate()
        server.wait(30)


def explore(page, lab, folder, **parameters):
    lab(page, "03_embedding_visualization", out_dir=str(folder), **parameters)
    first = page.locator(".ldr-explorer canvas[role=application]").first
    first.wait_for(timeout=600_000)
    page.wait_for_function(f"{LENGTH} > 0")
    first.scroll_into_view_if_needed()
    return first


def click_and_measure(page, canvas, side, row, column):
    """Clicks a pixel of the first image.

    Returns:
        The similarity that is shown then, and the milliseconds until it was shown.
    """
    page.get_by_role("button", name="clear").first.click()
    page.wait_for_function(f"{LENGTH} === 0")
    page.evaluate(
        """() => {
            const root = document.querySelector('.ldr-explorer');
            const canvas = root.querySelector('canvas[role=application]');
            window.clicked = window.took = 0;
            canvas.addEventListener('click', () => window.clicked = performance.now(), true);
            const look = () => {
                if (window.clicked && root.explorer.similarity())
                    window.took = performance.now() - window.clicked;
                else requestAnimationFrame(look);
            };
            requestAnimationFrame(look);
        }"""
    )
    box = canvas.bounding_box()
    canvas.click(
        position={
            "x": (column + 0.5) / side * box["width"],
            "y": (row + 0.5) / side * box["height"],
        }
    )
    page.wait_for_function("window.took > 0")
    return np.array(page.evaluate(SIMILARITY)).reshape(-1, side, side), page.evaluate("window.took")


def vessel_pixel(folder):
    """The pixel in the middle of a vessel that the notebook has chosen by rule."""
    return json.loads((folder / "record.json").read_text(encoding="utf-8"))["metrics"]["chosen"]


def screenshot(page, name):
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        page.locator(".ldr-explorer").first.screenshot(path=str(Path(SHOTS) / f"{name}.png"))


def test_a_click_on_a_vessel_changes_the_map_and_peaks_there(page, lab, tmp_path, monkeypatch):
    monkeypatch.setenv("LDR_TIER", "smoke")
    canvas = explore(page, lab, tmp_path / "run")
    page.wait_for_function(
        "!document.querySelector('.jp-Notebook').innerText.includes('[*]')",
        timeout=600_000,
        polling=1000,
    )
    before, displayed = np.array(page.evaluate(SIMILARITY)), canvas.screenshot()
    chosen = vessel_pixel(tmp_path / "run")
    after, _ = click_and_measure(page, canvas, 64, chosen["row"] + 3, chosen["column"])
    assert (after.ravel() != before).any() and canvas.screenshot() != displayed
    assert after[0, chosen["row"] + 3, chosen["column"]] == after.max() >= 253
    outside = np.argwhere(after[0] == 0)[0]
    box = canvas.bounding_box()
    canvas.click(
        position={
            "x": (outside[1] + 0.5) / 64 * box["width"],
            "y": (outside[0] + 0.5) / 64 * box["height"],
        }
    )
    assert "outside the field of view" in page.locator(".ldr-message").first.inner_text()
    page.get_by_role("button", name="save masks").first.click()
    page.get_by_text(re.compile(r"masks and points\.json were saved")).wait_for()
    assert not page.locator(".jp-OutputArea-output[data-mime-type*=error]").count()


@pytest.mark.skipif(
    not SHOTS,
    reason="screenshots of real images are taken when LDR_SCREENSHOTS names a folder for them",
)
@pytest.mark.parametrize("dataset", ["chase_db1", "kermany"])
def test_screenshots_of_real_images(page, lab, tmp_path, dataset):
    canvas = explore(
        page, lab, tmp_path / "run", dataset=dataset, data_dir=str(REAL_DATA), tier="class"
    )
    page.wait_for_function(
        "!document.querySelector('.jp-Notebook').innerText.includes('[*]')",
        timeout=600_000,
        polling=1000,
    )
    chosen, side = (
        vessel_pixel(tmp_path / "run"),
        json.loads((tmp_path / "run" / "record.json").read_text(encoding="utf-8"))["metrics"][
            "side"
        ],
    )
    _, took = click_and_measure(page, canvas, side, chosen["row"], chosen["column"])
    print(f"{dataset}: from click to map {took:.0f} ms")
    screenshot(page, f"{dataset}_similarity")
    page.get_by_label("what is shown").first.select_option("segmentation")
    screenshot(page, f"{dataset}_segmentation")
    page.get_by_label("what is shown").first.select_option("cluster 0")
    screenshot(page, f"{dataset}_cluster")
    shutil.copy(tmp_path / "run" / "explorer.html", Path(SHOTS) / f"{dataset}.html")
    assert took > 0
