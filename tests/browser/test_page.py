"""The explorer without a kernel, in a real browser, from a file."""

import json

import numpy as np
import pytest
import torch

from ldr_lib import TwoBranchNet, explore
from ldr_lib.explore.packing import downsample

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def scene():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    blocks = np.kron(rng.integers(60, 255, (6, 16, 16, 3)), np.ones((1, 12, 12, 1))).astype(
        np.uint8
    )
    blocks[:, :6] = 0
    return explore.embed_scene(TwoBranchNet(3, n_clusters=5).eval(), blocks)


def click(page, image, row, column, side=96, move=False):
    box = page.locator("canvas[role=application]").nth(image).bounding_box()
    at = (
        box["x"] + (column + 0.5) / side * box["width"],
        box["y"] + (row + 0.5) / side * box["height"],
    )
    (page.mouse.move if move else page.mouse.click)(*at)


def similarity(page):
    return np.array(
        page.evaluate(
            "Array.from(document.querySelector('.ldr-explorer').explorer.similarity() ?? [])"
        )
    )


def test_hovering_and_clicking_show_the_similarity_of_the_float_embeddings(page, scene, tmp_path):
    path = explore.write_page(scene, tmp_path / "explorer.html", side=100)
    assert path.stat().st_size < 5_000_000
    page.route(
        "http*://**",
        lambda route: pytest.fail(f"the page asks the network for {route.request.url}"),
    )
    page.goto(path.as_uri())
    page.locator("canvas[role=application]").first.wait_for()
    small = downsample(scene, 100)
    assert small.inside.shape == (6, 96, 96) and similarity(page).size == 0
    click(page, 2, 60, 31, move=True)
    shown = similarity(page).reshape(small.inside.shape)
    expected = small.embeddings @ small.embeddings[2, 60, 31]
    assert np.corrcoef(shown[small.inside], expected[small.inside])[0, 1] > 0.99
    assert shown[2, 60, 31] == shown.max() >= 253 and (shown[~small.inside] == 0).all()
    page.mouse.move(5, 5)
    assert similarity(page).size == 0
    click(page, 2, 60, 31)
    page.get_by_role("button", name="dissimilar").click()
    click(page, 4, 20, 70)
    asked = [explore.Point(2, 60, 31), explore.Point(4, 20, 70, False)]
    assert np.abs(similarity(page) - small.similarity(asked).ravel().astype(int)).max() <= 4
    took = page.evaluate(
        """() => {
            const started = performance.now();
            const explorer = document.querySelector(".ldr-explorer").explorer;
            const point = { image: 1, row: 50, column: 50, similar: true };
            for (let i = 0; i < 10; i++) explorer.setPoints([point]);
            return (performance.now() - started) / 10;
        }"""
    )
    assert took < 300


def test_a_page_is_usable_by_keyboard_and_speaks_in_sentences(page, scene, tmp_path):
    page.goto(explore.write_page(scene, tmp_path / "explorer.html", side=100).as_uri())
    message = page.locator(".ldr-message")
    first = page.locator("canvas[role=application]").first
    first.focus()
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert page.evaluate("document.querySelector('.ldr-explorer').explorer.state.points") == [
        {"image": 0, "row": 58, "column": 49, "similar": True}
    ]
    for _ in range(6):
        page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("Enter")
    assert "outside the field of view" in message.inner_text()
    page.get_by_label("what is shown").select_option("segmentation")
    before = page.locator("figcaption").first.inner_text()
    page.get_by_label("threshold").fill("0.95")
    assert page.locator("figcaption").first.inner_text() != before
    page.get_by_label("what is shown").select_option("cluster 3")
    share = np.mean(downsample(scene, 100).clusters[0][downsample(scene, 100).inside[0]] == 3)
    assert page.locator("figcaption").first.inner_text() == f"image 1: {100 * share:.1f} %"
    downloads = []
    page.on("download", lambda download: downloads.append(download))
    page.get_by_text("save masks").click()
    for _ in range(100):
        if len(downloads) == 7:
            break
        page.wait_for_timeout(100)
    names = {download.suggested_filename for download in downloads}
    assert names == {"points.json", *(f"image_{i}_mask.png" for i in range(1, 7))}
    points = next(
        download for download in downloads if download.suggested_filename == "points.json"
    )
    assert json.loads(points.path().read_text(encoding="utf-8"))["threshold"] == 0.95
    page.get_by_text("clear").click()
    page.get_by_role("button", name="dissimilar").click()
    click(page, 0, 50, 50)
    assert "First choose" in message.inner_text()
