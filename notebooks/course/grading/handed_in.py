"""What lies in a course's folder `submitted`, looked at before nbgrader stops at it."""

from pathlib import Path

import nbformat
from dateutil import parser as dates

SPECIAL = ',*?[]"'
"""Characters that nbgrader does not find in a student's name, or that break `grades.csv`."""


def students(course: Path, assignment: str, student: str = "") -> list[str]:
    """Who has a folder for the assignment; with a student's name only this one."""
    found = (path.parent.name for path in course.glob(f"submitted/*/{assignment}"))
    return sorted(name for name in found if not student or name == student)


def expect(course: Path, assignment: str, student: str = "") -> None:
    """Says what has to be done before an assignment can be graded.

    Raises:
        SystemExit: There is no such assignment, it was never released, nothing is handed in, or a
            student is named so that the grades would not be found again.
    """
    known = sorted(path.name for path in course.glob("source/*") if path.is_dir())
    if assignment not in known:
        raise SystemExit(f"there is no assignment {assignment!r}: known are {', '.join(known)}")
    if not (course / "release" / assignment).is_dir():
        raise SystemExit(
            f"{assignment} was never released: run `nbgrader generate_assignment {assignment} "
            f"--create` in {course} first"
        )
    found = students(course, assignment, student)
    if not found:
        place = f"{course}/submitted/{student or '<student>'}/{assignment}/{assignment}.ipynb"
        raise SystemExit(f"{assignment}: nothing is handed in; a notebook is expected as {place}")
    odd = [name for name in found if set(name) & set(SPECIAL)]
    if odd:
        raise SystemExit(
            f"rename the folders of {' and '.join(map(repr, odd))} in {course}/submitted: "
            f"students' names hold none of {' '.join(SPECIAL)} here"
        )


def unreadable(course: Path, assignment: str, student: str = "") -> dict[str, str]:
    """Students whose submission cannot be graded, and what would help."""
    found = {}
    for name in students(course, assignment, student):
        if why := trouble(course / "submitted" / name / assignment, assignment):
            found[name] = why
    return found


def trouble(folder: Path, assignment: str) -> str | None:
    """What is wrong with the files of one submission; None where nothing is."""
    path = folder / f"{assignment}.ipynb"
    others = sorted(other.name for other in folder.glob("*.ipynb") if other != path)
    if not path.is_file():
        return f"there is no {path.name}" + (f", rename {' or '.join(others)}" if others else "")
    try:
        nbformat.read(path, 4).cells  # noqa: B018 a file may be JSON and no notebook
    except Exception:  # noqa: BLE001 a file may be broken in any way
        return f"{path.name} is no notebook: {_looks_like(path)}"
    when = folder / "timestamp.txt"
    try:
        if when.exists() and (text := when.read_text(encoding="utf-8").strip()):
            dates.parse(text)
    except (ValueError, OverflowError):
        return f"timestamp.txt holds no time: write it as 2026-11-20 12:00:00 UTC (not {text!r})"
    return None


def _looks_like(path: Path) -> str:
    start = path.read_bytes()[:4]
    if start.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return "an editor saved it with a mark at its beginning, save it as plain UTF-8"
    if not start:
        return "the file is empty, ask the student for it again"
    return "ask the student to save it in JupyterLab and to hand it in again"
