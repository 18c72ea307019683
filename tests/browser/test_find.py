"""The explorer's mode "find this point" in a real browser: the page without a kernel finds what the
kernel finds.
"""

import os

import numpy as np
import pytest
import torch
from scipy import ndimage

from ldr_lib import TwoBranchNet
from ldr_lib.explore import Point, Scene, Steps, embed_scene, write_page
from ldr_lib.explore.find import Finder
from ldr_lib.explore.packing import downsample

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SHOTS = os.environ.get("LDR_SCREENSHOTS")
SETTLED = "document.querySelector('.ldr-explorer')?.explorer"
FOUND = f"{SETTLED}.state.found"


def textures(n, height, width):
    """Photographs of a lit disc with coarse random texture, the same landmark in all but the
    last.
    """
    rng = np.random.default_rng(0)
    coarse = rng.integers(60, 200, (n, height // 8, width // 8, 3))
    images = np.kron(coarse, np.ones((1, 8, 8, 1))).astype(np.uint8)
    rows, columns = np.mgrid[:height, :width]
    for i, image in enumerate(images[:-1]):
        at = np.hypot(rows - height / 3 - 9 * i, columns - width / 2 + 5 * i)
        image[at < height / 12] = (250, 240, 90)
    images[:, np.hypot(rows - height / 2, columns - width / 2) > 0.47 * min(height, width)] = 0
    return images


def clicked(page, image, row, column, height, width):
    box = page.locator("canvas[role=application]").nth(image).bounding_box()
    x = box["x"] + (column + 0.5) / width * box["width"]
    page.mouse.click(x, box["y"] + (row + 0.5) / height * box["height"])


@pytest.mark.parametrize("height, width, side", [(96, 96, 96), (256, 192, 128), (144, 160, 40)])
def test_the_page_finds_what_the_kernel_finds(page, tmp_path, height, width, side):
    torch.manual_seed(0)
    scene = embed_scene(TwoBranchNet(3, n_clusters=4).eval(), textures(4, height, width))
    small = downsample(scene, side)
    page.goto(write_page(scene, tmp_path / "page.html", side=side).as_uri())
    page.get_by_role("button", name="find this point").click()
    assert "Choose a point" in page.locator(".ldr-message").inner_text()
    rows, columns = small.inside.shape[1:]
    cell = page.evaluate("JSON.parse(document.getElementById('scene').textContent).find.cell")
    assert (cell == 2) == (side == 128)
    points = [
        Point(0, rows // 3, columns // 2),
        Point(1, (height // 3 + 9) * rows // height, (width // 2 - 5) * columns // width),
        Point(2, rows // 2, columns // 2, False),
    ]
    for n in (1, 2, 3):
        point = points[n - 1]
        if not point.similar:
            page.get_by_role("button", name="dissimilar").click()
        clicked(page, point.image, point.row, point.column, rows, columns)
        here, there = page.evaluate(FOUND), Finder(small).find(points[:n])
        assert len(here) == len(there) == 4
        for own, expected in zip(here, there):
            assert abs(own["row"] - expected["row"]) <= cell
            assert abs(own["column"] - expected["column"]) <= cell
            assert own["score"] == pytest.approx(expected["score"], abs=0.01)
            assert own["found"] == expected["found"]
            assert own["distinctive"] == expected["distinctive"]
    assert here[0]["found"]
    captions = page.locator("figcaption").all_inner_texts()
    for caption, place in zip(captions, here):
        words = "found" if place["found"] else "not in this image"
        assert f", {words} (score {place['score']:.2f})" in caption
    page.get_by_role("button", name="find this point").click()
    assert page.evaluate(FOUND) == []


def test_a_point_that_is_not_there_is_not_found(page, tmp_path):
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(2, 64, 64, 8)).astype(np.float32) + 2
    vectors[0, 20:30, 30:40] = rng.normal(size=8) * 3
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    shown = rng.integers(90, 160, (2, 64, 64, 3)).astype(np.uint8)
    scene = Scene(["one", "two"], shown, np.ones((2, 64, 64), bool), vectors, None, 0)
    page.goto(write_page(scene, tmp_path / "page.html").as_uri())
    button = page.get_by_role("button", name="find this point")
    assert button.get_attribute("aria-pressed") == "false"
    before = page.evaluate("document.querySelectorAll('canvas[role]')[1].toDataURL()")
    clicked(page, 0, 25, 35, 64, 64)
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    captions = page.locator("figcaption").all_inner_texts()
    assert ", found (score 1.00)" in captions[0] and "not in this image" in captions[1]
    expected = Finder(scene).find([Point(0, 25, 35)])
    assert [place["found"] for place in expected] == [True, False]
    assert page.evaluate("document.querySelectorAll('canvas[role]')[1].toDataURL()") != before
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/find.png")
    button.click()
    assert not any("score" in text for text in page.locator("figcaption").all_inner_texts())


def test_a_point_on_a_flat_area_is_called_not_distinctive(page, tmp_path):
    rng = np.random.default_rng(1)
    vectors = ndimage.gaussian_filter(rng.normal(size=(1, 64, 64, 16)), (0, 4, 4, 0))
    vectors[0, 44:] = vectors[0, 50, 50]
    vectors[0, 6:27, 38:59] = vectors[0, 6:27, 10:31]  # one other place looks the same
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    shown = rng.integers(90, 160, (1, 64, 64, 3)).astype(np.uint8)
    vectors = vectors.astype(np.float32)
    scene = Scene(["one"], shown, np.ones((1, 64, 64), bool), vectors, None, 0)
    page.goto(write_page(scene, tmp_path / "page.html").as_uri())
    message = page.locator(".ldr-message")
    clicked(page, 0, 54, 20, 64, 64)
    assert "1 point;" in message.inner_text() and "distinctive" not in message.inner_text()
    find = page.get_by_role("button", name="find this point")
    find.click()
    assert "Nothing is distinctive at this point" in message.inner_text()
    page.get_by_role("button", name="clear").click()
    assert "Choose a point" in message.inner_text()
    clicked(page, 0, 16, 20, 64, 64)
    assert "1 point;" in message.inner_text() and "distinctive" not in message.inner_text()


def test_the_place_follows_the_training_step(page, tmp_path):
    rng = np.random.default_rng(2)
    shown = rng.integers(90, 160, (2, 64, 64, 3)).astype(np.uint8)
    early, late = (rng.normal(size=(2, 64, 64, 6)).astype(np.float16) for _ in range(2))
    late[1, 40:56, 8:24] = late[0, 20:36, 30:46]
    steps = Steps(["a", "b"], shown, np.ones((2, 64, 64), bool), {0: early, 500: late}, None, 0)
    page.goto(write_page(steps, tmp_path / "page.html").as_uri())
    page.get_by_role("button", name="find this point").click()
    clicked(page, 0, 28, 38, 64, 64)
    first = page.evaluate(FOUND)
    page.get_by_label("training step").press("ArrowRight")
    second = page.evaluate(FOUND)
    assert first != second and second[1]["found"]
    assert (second[1]["row"], second[1]["column"]) == pytest.approx((48, 16), abs=1)
    expected = Finder(steps.scene(500)).find([Point(0, 28, 38)])[1]
    assert second[1]["score"] == pytest.approx(expected["score"], abs=0.02)
