"""What nbgrader runs instead of its own execution of notebooks.

nbgrader runs a submission and its tests in one program, where the submission can change the tests.
Here the submission runs behind a wall, and the tests run in the lecturer's program, with functions
that ask the submission for values. Marks are decided where the submission cannot reach.
"""

import ast
import contextlib
import io
import json
import os
import re
import traceback
import types
from collections.abc import Collection
from pathlib import Path

import nbformat
import wall
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import is_grade, is_solution
from student import Answer, Student
from traitlets import Dict, Integer, Unicode

EXTRA = "cell {}"
"""Name of a cell that the student added."""


class Grade(NbGraderPreprocessor):
    """Runs the student's cells behind a wall and the source's tests here; writes their outputs.

    The tests come from the course's source folder, whatever the submission holds.
    """

    course = Unicode("", help="Folder of the course.").tag(config=True)
    timeout = Integer(120, help="Longest time of a cell or a call in seconds.").tag(config=True)
    longer = Dict({}, help="Assignment to its own longest time.").tag(config=True)

    def preprocess(self, nb, resources):
        about = resources["nbgrader"]
        course = Path(self.course or ".")
        source = nbformat.read(
            course / "source" / about["assignment"] / f"{about['notebook']}.ipynb", 4
        )
        kind = wall.choose()
        if kind == "none":
            self.log.warning(wall.UNPROTECTED)
        seconds = self.longer.get(about["assignment"], self.timeout)
        recorded = grade(nb, source.cells, secret(course), seconds, kind)
        keep(course / "records" / about["assignment"] / f"{about['student']}.json", recorded)
        return nb, resources


def grade(nb, source: list, seed: int, seconds: float, kind: str) -> dict:
    """Grades a submission in place: every code cell gets its outputs.

    Args:
        nb: The submitted notebook.
        source: Cells of the assignment's source.
        seed: Secret number that hidden tests may draw inputs from.
        seconds: Longest time of a cell or a call.
        kind: Name of the wall.

    Returns:
        What the tests recorded, for the leaderboard.
    """
    fixed = {name_of(cell): cell for cell in source if cell.cell_type == "code" and locked(cell)}
    tests = {name: cell for name, cell in fixed.items() if is_grade(cell)}
    texts = {name_of(cell) for cell in source if cell.cell_type == "markdown" and locked(cell)}
    cells = {name: cell.source for name, cell in fixed.items() if name not in tests}
    for i, cell in enumerate(nb.cells):
        if cell.cell_type == "code" and name_of(cell) not in fixed:
            cells[name_of(cell) or EXTRA.format(i)] = plain(cell.source)
    answers = [name_of(cell) for cell in source if is_solution(cell) and not is_grade(cell)]
    by_person = {name_of(cell) for cell in source if is_solution(cell) and is_grade(cell)}
    written = "\n\n".join(text for name, text in cells.items() if name not in fixed)
    recorded = {}
    with Student(cells, seconds, kind, by_person) as student:
        scope = types.ModuleType("tests").__dict__
        for name, cell in fixed.items():
            if name not in tests:
                exec(compile(cell.source, name, "exec"), scope)  # noqa: S102 the source's own
        scope |= {name: Answer(student, name, parsed(written)) for name in answers}
        scope |= {"secret": seed, "record": recorded.update}
        said = {name: outcome(cell.source, name, scope) for name, cell in tests.items()}
        shown = dict(student.outputs)
    for i, cell in enumerate(nb.cells):
        if cell.cell_type == "code":
            name = name_of(cell) or EXTRA.format(i)
            cell.outputs = said[name] if name in said else outputs(shown.get(name))
            cell.execution_count = None
        elif name_of(cell) not in texts:
            cell.source = harmless(cell.source, cell.get("attachments", {}))
            cell.metadata.pop("raw_mimetype", None)
    return recorded


def name_of(cell) -> str | None:
    """nbgrader's name of a cell; None for one that the student added."""
    return cell.metadata.get("nbgrader", {}).get("grade_id")


def locked(cell) -> bool:
    """Whether the cell is the source's own, not the student's."""
    return bool(cell.metadata.get("nbgrader", {}).get("locked"))


def plain(source: str) -> str:
    """A cell without shell commands and magics, which have no place in an answer. A program has
    none: there, a line that begins with % goes on with the line before.
    """
    return source if _is_program(source) else re.sub(r"^\s*[%!].*$", "", source, flags=re.M)


def parsed(source: str) -> str:
    """The text if it is a program, else the parts of it that are one."""
    kept = []
    for part in source.split("\n\n\n") if not _is_program(source) else [source]:
        kept += [part] if _is_program(part) else []
    return "\n".join(kept)


def _is_program(source: str) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def outcome(source: str, name: str, scope: dict) -> list:
    """Outputs of a test: what it printed, and its error if it failed."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(source, name, "exec"), scope)  # noqa: S102 the source's own
        found = []
    except Exception as error:  # noqa: BLE001 a test fails in whatever way it does
        text = traceback.format_exception_only(error)
        found = [
            nbformat.v4.new_output(
                "error", ename=type(error).__name__, evalue=str(error), traceback=text
            )
        ]
    return [*_stream(printed.getvalue()), *found]


def _stream(text: str) -> list:
    return [nbformat.v4.new_output("stream", name="stdout", text=text)] if text else []


def outputs(shown: dict | None) -> list:
    """Outputs of a student's cell: texts and pictures, nothing that a page would run."""
    if shown is None:
        return []
    found = _stream(shown["printed"])
    for picture in shown["pictures"]:
        data = {"image/png": re.sub(r"[^A-Za-z0-9+/=]", "", picture)}
        found.append(nbformat.v4.new_output("display_data", data=data))
    if shown["error"]:
        found.append(
            nbformat.v4.new_output("error", ename="Error", evalue="", traceback=[shown["error"]])
        )
    return found


def harmless(text: str, attached: Collection[str] = ()) -> str:
    """A student's text, of which a page shows the words and runs nothing: no tags, and no links but
    to pictures that are attached.
    """
    pictures = "|".join(re.escape(f"(attachment:{name})") for name in attached) or "(?!)"
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(rf"\](?!(?:{pictures}))(?=[:(])", "]\u200b", text)


def secret(course: Path) -> int:
    """The course's secret number, made when it is first needed; only the lecturer can read it."""
    path = course / "secret.txt"
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(str(int.from_bytes(os.urandom(7), "big")))
    return int(path.read_text(encoding="utf-8"))


def keep(path: Path, recorded: dict) -> None:
    """Writes what tests recorded; an empty record says that the submission was graded."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(recorded), encoding="utf-8")
