"""Quiz and sliders in JupyterLab in a real browser: an answer is judged at once, a moved slider
shows another picture, nothing shows an error.
"""

import os
import shutil
import sys
from pathlib import Path

import pytest
from conftest import ROOT

sys.path.insert(0, str(Path(__file__).parent))

from test_lab import lab  # noqa: E402, F401 a fixture

from ldr_lib.teaching import quiz  # noqa: E402

pytestmark = [pytest.mark.browser, pytest.mark.slow]
STUDENTS = ROOT / "notebooks" / "course" / "students"
SHOTS = os.environ.get("LDR_SCREENSHOTS")


def finished(page):
    page.wait_for_function(
        "!document.querySelector('.jp-Notebook').innerText.includes('[*]')",
        timeout=600_000,
        polling=1000,
    )
    assert not page.locator(".jp-OutputArea-output[data-mime-type*=error]").count()


def screenshot(part, name):
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        part.screenshot(path=str(Path(SHOTS) / f"{name}.png"))


def test_sliders_and_quiz(page, lab, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setenv("LDR_TIER", "smoke")
    monkeypatch.setenv("LDR_RUNS", str(tmp_path / "runs"))
    (tmp_path / "course" / "students").mkdir(parents=True)
    shutil.copy(STUDENTS / "quiz.ipynb", tmp_path)
    lab(page, "course/students/sliders", tier="smoke")
    page.locator(".ldr-sliders").nth(3).wait_for(timeout=600_000)
    finished(page)
    for number in range(4):
        sliders = page.locator(".ldr-sliders").nth(number)
        sliders.scroll_into_view_if_needed()
        picture = sliders.locator("img")
        before = picture.get_attribute("src")
        handle = sliders.locator(".noUi-handle").first
        handle.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function(  # the picture may be another element after the move
            "([part, before]) => part.querySelector('img')?.src !== before"
            " && part.querySelector('img')?.complete",
            arg=[sliders.element_handle(), before],
        )
        page.wait_for_function(
            "part => part.querySelector('img')?.naturalWidth > 300", arg=sliders.element_handle()
        )
        screenshot(sliders, f"sliders_{number + 1}")

    page.evaluate(
        "void window.jupyterapp.commands.execute('docmanager:open', {path: 'quiz.ipynb'})"
    )
    page.wait_for_function(
        "window.jupyterapp.shell.currentWidget.sessionContext?.session?.kernel?.status === 'idle'"
        " && window.jupyterapp.shell.currentWidget.title.label === 'quiz.ipynb'",
        timeout=120_000,
    )
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    shown = page.locator(".ldr-quiz")
    shown.nth(7).wait_for(timeout=300_000, state="attached")
    first, (question, *_) = shown.first, quiz.quiz_questions()["00"]
    options = {option: quiz.reason(question, option) for option in question["options"]}
    wrong = next(option for option, why in options.items() if why is None)
    right = next(option for option, why in options.items() if why is not None)
    for option, said in ((wrong, "Not yet"), (right, "Right.")):
        first.get_by_text(option, exact=True).click()
        first.get_by_role("button", name="Check").first.click()
        first.get_by_text(said).first.wait_for()
    assert options[right] in first.inner_text() and "1 of 10 right, 0 of them" in first.inner_text()
    screenshot(first, "quiz")
    finished(page)
