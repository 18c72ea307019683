"""The explorer's mode "find this point" in a real browser."""

import os

import numpy as np
import pytest

from ldr_lib.explore import Scene, write_page

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SHOTS = os.environ.get("LDR_SCREENSHOTS")
OPEN = """
() => {
  window.asked = [];
  window.mine = similarityExplorer(document.getElementById('explorer'), {...scene, points: []},
    (points) => window.mine?.update(points.length ? similarityTo(points) : null, points),
    {onfinding: (value) => { asked.push(value); mine.showFound(value, value ? found : []); }});
}
"""


@pytest.fixture
def opened(page, tmp_path):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(2, 48, 48, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    shown = rng.integers(90, 160, (2, 48, 48, 3)).astype(np.uint8)
    scene = Scene(["one", "two"], shown, np.ones((2, 48, 48), bool), vectors, None, 0)
    page.goto(write_page(scene, tmp_path / "page.html").as_uri())
    return page


def test_the_page_without_a_kernel_does_not_offer_it(opened):
    assert opened.get_by_role("button", name="find this point").count() == 0


def test_found_places_are_marked_and_said(opened):
    opened.evaluate(
        "window.found = [{row: 10, column: 12, score: 1, found: true}, "
        "{row: 30, column: 40, score: 0.4, found: false}]"
    )
    opened.evaluate(OPEN)
    button = opened.get_by_role("button", name="find this point")
    assert button.get_attribute("aria-pressed") == "false"
    before = opened.evaluate("document.querySelectorAll('canvas')[1].toDataURL()")
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    assert opened.evaluate("asked") == [True]
    captions = opened.locator("figcaption").all_inner_texts()
    assert "one, found (score 1.00)" in captions[0]
    assert "two, not in this image (score 0.40)" in captions[1]
    assert opened.evaluate("document.querySelectorAll('canvas')[1].toDataURL()") != before
    if SHOTS:
        opened.screenshot(path=f"{SHOTS}/find.png")
    button.click()
    assert opened.locator("figcaption").all_inner_texts() == ["one", "two"]
