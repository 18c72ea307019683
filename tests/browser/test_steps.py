"""The explorer's slider over training steps in a real browser: a tiny training, watched."""

import json
import os

import numpy as np
import pytest

from ldr_lib import Settings, open_dataset, prepare, train
from ldr_lib.explore import Steps, embed_steps, snapshots, write_page
from ldr_lib.explore.network_page import network_page

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SHOTS = os.environ.get("LDR_SCREENSHOTS")
EXPLORER = "document.querySelector('.ldr-explorer').explorer"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder of a training on simulated photographs, with its snapshots."""
    folder = tmp_path_factory.mktemp("trained")
    settings = Settings.for_tier("smoke", "fundus", seed=0)
    images = prepare(open_dataset("simulated_fundus", split="train"), settings.image_size)
    train(images, settings, folder, device="cpu", snapshots=[0, 2, 4, 6, 10])
    return folder


@pytest.fixture
def opened(page, trained, tmp_path, monkeypatch):
    """The page, as the command line makes it, and the same scenes in Python."""
    monkeypatch.setenv("LDR_TIER", "smoke")
    path = network_page(tmp_path / "steps.html", trained, dataset="simulated_fundus", limit=3)
    images = prepare(open_dataset("simulated_fundus", split="test"), 64)
    nets = snapshots(trained, "cpu")
    page.route("http*://**", lambda route: pytest.fail(f"asked for {route.request.url}"))
    page.goto(path.as_uri())
    page.get_by_label("training step").wait_for()
    return page, embed_steps(nets, images, 3)


def similarity(page):
    return np.array(page.evaluate(f"Array.from({EXPLORER}.similarity() ?? [])"))


def press_canvas(page, *keys):
    page.locator("canvas[role=application]").first.focus()
    for key in keys:
        page.keyboard.press(key)


def test_all_that_is_shown_follows_the_slider(opened):
    page, steps = opened
    slider, message = page.get_by_label("training step"), page.locator(".ldr-message")
    numbers = list(steps.embeddings)
    assert (
        numbers[0] == 0
        and len(numbers) >= 4
        and slider.get_attribute("max") == str(len(numbers) - 1)
    )
    assert slider.get_attribute("aria-valuetext") == f"step 0 of {numbers[-1]}"
    press_canvas(page, "ArrowDown", "Enter")
    (point,) = page.evaluate(f"{EXPLORER}.state.points")
    maps, captions, pictures = [], [], []
    slider.focus()
    for notch, step in enumerate(numbers):
        if notch:
            page.keyboard.press("ArrowRight")
        scene = steps.scene(step)
        vector = scene.embeddings[point["image"], point["row"], point["column"]]
        inside, cosine = scene.inside, scene.embeddings @ vector
        shown = similarity(page).reshape(inside.shape) / 127.5 - 1
        spread = scene.embeddings[inside].std(0).mean()
        assert np.abs(shown - cosine)[inside].mean() < 0.02 + spread / 10
        assert np.corrcoef(shown[inside], cosine[inside])[0, 1] > 0.9
        assert message.inner_text().startswith(f"At step {step}: 1 point;")
        assert slider.get_attribute("aria-valuetext") == f"step {step} of {numbers[-1]}"
        page.get_by_label("what is shown").select_option("cluster 1")
        share = np.mean(scene.clusters[0][inside[0]] == 1)
        text = page.locator("figcaption").first.inner_text()
        assert text.endswith(f": {100 * share:.1f} %")
        page.get_by_label("what is shown").select_option("similarity")
        maps.append(shown)
        captions.append(page.locator("figcaption").first.inner_text())
        pictures.append(page.evaluate("document.querySelector('canvas[role]').toDataURL()"))
        slider.focus()
    changed = [(before != after).any() for before, after in zip(maps, maps[1:])]
    assert changed == [True, True, False, True]  # the start from k-means moves clusters alone
    assert len(set(pictures)) > 1  # where all pixels are alike, all are of one colour
    page.keyboard.press("Home")
    assert np.array_equal(similarity(page).reshape(maps[0].shape) / 127.5 - 1, maps[0])
    page.keyboard.press("End")
    assert page.locator("figcaption").first.inner_text() == captions[-1]


def test_colours_are_those_of_one_scale_until_they_are_stretched(opened):
    page, _ = opened
    press_canvas(page, "Enter")
    legend = page.locator(".ldr-legend")
    page.get_by_label("training step").press("End")
    assert legend.inner_text().split() == ["0.00", "1.00"]
    stretch = page.get_by_role("button", name="stretch colours")
    assert stretch.get_attribute("aria-pressed") == "false"
    before = page.evaluate("document.querySelector('canvas[role]').toDataURL()")
    stretch.press("Enter")
    assert stretch.get_attribute("aria-pressed") == "true"
    assert legend.inner_text().split() != ["0.00", "1.00"]
    assert page.evaluate("document.querySelector('canvas[role]').toDataURL()") != before


def test_hovering_and_saving_know_the_step(opened):
    page, steps = opened
    page.get_by_label("training step").press("End")
    box = page.locator("canvas[role=application]").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    scene = steps.scene(max(steps.embeddings))
    shown = similarity(page).reshape(scene.inside.shape)
    assert shown[0, 32, 32] >= 250
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    downloads = []
    page.on("download", lambda download: downloads.append(download))
    page.get_by_text("save masks").click()
    for _ in range(100):
        if len(downloads) == 4:
            break
        page.wait_for_timeout(100)
    points = next(one for one in downloads if one.suggested_filename == "points.json")
    assert json.loads(points.path().read_text(encoding="utf-8"))["step"] == max(steps.embeddings)
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/steps.png")


def test_a_page_of_many_steps_stays_small_and_says_how(tmp_path):
    rng = np.random.default_rng(0)
    shown = rng.integers(0, 255, (4, 256, 256, 3), dtype=np.uint8)
    vectors = rng.normal(size=(4, 256, 256, 32)).astype(np.float16)
    clusters = rng.integers(0, 16, (4, 256, 256)).astype(np.uint16)
    many = Steps(
        list("abcd"),
        shown // 64 * 64,
        np.ones((4, 256, 256), bool),
        {10**n: vectors for n in range(12)},
        {10**n: clusters for n in range(12)},
        16,
    )
    path = write_page(many, tmp_path / "many.html")
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_size < 6_700_000 and "are kept at 64 x 64 pixels" in text
