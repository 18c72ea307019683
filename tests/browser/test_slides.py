"""Slides in a real browser, from files, without a network: nothing is cut off, figures and formulas
are there, keys turn the pages.
"""

import os
import sys
from pathlib import Path

import pytest
from conftest import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.slow]
sys.path.insert(0, str(ROOT / "notebooks" / "course" / "material"))

from decks import DECKS, slides_of, write_deck  # noqa: E402

SHOTS = os.environ.get("LDR_SCREENSHOTS")
MEASURE = """() => {
    const slide = Reveal.getCurrentSlide(), scale = Reveal.getScale();
    const inside = slide.getBoundingClientRect();
    const parts = [...slide.querySelectorAll(":scope > :not(aside), img")];
    const boxes = parts.map(part => part.getBoundingClientRect());
    return {
        bottom: Math.max(...boxes.map(box => (box.bottom - inside.top) / scale)),
        right: Math.max(...boxes.map(box => (box.right - inside.left) / scale)),
        wide: Math.max(0, ...[...slide.querySelectorAll('math, table, pre')].map(
            part => part.scrollWidth - (part.tagName == 'PRE' ? part.clientWidth : 1280))),
        figures: [...slide.querySelectorAll('img')].map(img => [
            img.naturalWidth, img.getBoundingClientRect().height / scale]),
        formulas: [...slide.querySelectorAll('math')].map(
            part => part.getBoundingClientRect().width / scale),
    };
}"""


@pytest.mark.parametrize("source", sorted(DECKS.glob("*.md")), ids=lambda path: path.stem)
def test_every_slide_fits_the_screen(page, source, tmp_path):
    deck = write_deck(source, tmp_path / "deck.html")
    page.set_viewport_size({"width": 1280, "height": 720})
    page.route("http*://**", lambda route: pytest.fail(f"the slides ask for {route.request.url}"))
    page.goto(deck.as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    n = len(slides_of(source))
    assert page.evaluate("Reveal.getTotalSlides()") == n
    for number in range(n):
        assert page.evaluate("Reveal.getIndices().h") == number
        found = page.evaluate(MEASURE)
        where = f"{source.stem}, slide {number + 1}: {found}"
        assert found["bottom"] <= 721 and found["right"] <= 1281 and found["wide"] <= 0, where
        assert all(width > 100 and height >= 170 for width, height in found["figures"]), where
        assert all(4 < width <= 1280 for width in found["formulas"]), where
        if SHOTS:
            Path(SHOTS).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=f"{SHOTS}/slides_{source.stem}_{number + 1:02d}.png")
        page.keyboard.press("ArrowRight")
