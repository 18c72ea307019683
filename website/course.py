"""The assignments as students get them: without model answers, hidden tests and marking schemes."""

from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.preprocessors import ClearHiddenTests, ClearMarkScheme, ClearOutput, ClearSolutions
from traitlets.config import PyFileConfigLoader

from .notebooks import notebook_body
from .page import Page, first_heading, markdown_page
from .repository import ROOT

COURSE = ROOT / "notebooks" / "course"
ORDER = ("views", "patches", "regions", "priors", "training", "experiment", "project")
STEPS = (ClearSolutions, ClearOutput, ClearHiddenTests, ClearMarkScheme)
"""What nbgrader takes out of an assignment before students get it."""


def course_pages() -> list[Page]:
    """What students read first, the assignments, and the lecturers' page."""
    students = markdown_page("notebooks/course/STUDENTS.md", "course/index.html", "Course")
    lecturers = markdown_page("notebooks/course/README.md", "course/lecturers.html", "Course")
    found = {path.stem: path for path in COURSE.glob("source/*/*.ipynb")}
    ordered = sorted(found, key=lambda name: (name not in ORDER, (*ORDER, name).index(name)))
    return [students, *(_assignment_page(found[name]) for name in ordered), lecturers]


def students_version(path: Path) -> NotebookNode:
    """An assignment as nbgrader releases it, with the settings of the course."""
    config = PyFileConfigLoader(str(COURSE / "nbgrader_config.py")).load_config()
    notebook = nbformat.read(path, as_version=4)
    for step in STEPS:
        notebook, _ = step(config=config).preprocess(notebook, {})
    return notebook


def _assignment_page(path: Path) -> Page:
    notebook = students_version(path)
    title = first_heading(notebook.cells[0].source)
    source = path.relative_to(ROOT).as_posix()
    return Page(f"course/{path.stem}.html", title, "Course", notebook_body(notebook), source)
