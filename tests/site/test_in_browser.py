"""The site from a file address in a real browser: accessibility, keyboard, search, formulas."""

import numpy as np
import pytest

from website.repository import HERE

pytestmark = [pytest.mark.browser, pytest.mark.slow]
AXE = HERE / "node_modules" / "axe-core" / "axe.min.js"
KINDS = ["index", "notebooks/00_quickstart", "explorer/fundus", "results/ledger"]
KINDS += ["course/patches", "api/teaching"]
"""A page of each kind."""
MORE = ["glossary", "notebooks/02_two_branch_training", "course/index", "files/claims.yaml"]


@pytest.fixture
def visit(page, site):
    """Opens a page of the site; a request to a network fails the test."""
    page.route("http*://**", lambda route: pytest.fail(f"asks the network: {route.request.url}"))

    def open_page(name, theme="light", width=1400):
        page.emulate_media(color_scheme=theme)
        page.set_viewport_size({"width": width, "height": 900})
        page.goto((site / f"{name}.html").as_uri())
        return page

    return open_page


@pytest.mark.parametrize(
    "theme, width, names", [("light", 1400, KINDS + MORE), ("dark", 390, KINDS)]
)
def test_axe_finds_nothing(visit, theme, width, names):
    source = AXE.read_text(encoding="utf-8")
    found = []
    for name in names:
        page = visit(name, theme, width)
        page.evaluate(source)
        for fault in page.evaluate("axe.run({ preload: false })")["violations"]:
            where = [node["target"] for node in fault["nodes"]][:3]
            found.append((name, fault["impact"], fault["id"], len(fault["nodes"]), where))
        overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0, f"{name} is {overflow} pixels wider than the window"
    assert not found, found


def test_search_by_keyboard(visit):
    page = visit("notebooks/01_data_loading")
    page.keyboard.press("/")
    page.keyboard.type("hungarian matching")
    first = page.locator(".found li a").first
    first.wait_for()
    assert "glossary.html#hungarian-matching" in first.get_attribute("href")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/glossary.html#hungarian-matching")
    page.keyboard.press("/")
    page.keyboard.type("xqzzzw")
    page.get_by_text("Nothing found").wait_for()
    page.keyboard.press("Escape")
    assert page.locator(".found").is_hidden()


def test_menu_and_theme(visit):
    page = visit("index", width=390)
    menu = page.get_by_role("button", name="Menu")
    assert page.locator("nav").is_hidden()
    menu.click()
    page.locator("nav").get_by_role("link", name="02 Two-branch training").click()
    page.wait_for_url("**/02_two_branch_training.html")
    page.get_by_role("button", name="Use dark colours").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_formulas_are_drawn(visit):
    page = visit("notebooks/02_two_branch_training")
    page.wait_for_function("document.querySelectorAll('mjx-container svg').length > 20")
    assert not page.locator("mjx-merror").count()
    assert "\\frac" not in page.locator("main .prose").all_inner_texts()[0]


def test_explorer_answers_a_click(visit):
    page = visit("explorer/chest")
    canvas = page.locator("canvas[role=application]").first
    canvas.click()
    similarity = page.evaluate(
        "Array.from(document.querySelector('.ldr-explorer').explorer.similarity() ?? [])"
    )
    assert np.max(similarity) >= 250 and len(set(similarity)) > 50
