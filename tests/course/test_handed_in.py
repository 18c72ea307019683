"""What students hand in by accident is graded, or named with what would help."""

import copy
import json
import sys

import nbformat
import pytest
from conftest import ROOT
from stored import cells

sys.path.insert(0, str(ROOT / "notebooks" / "course" / "grading"))

import handed_in  # noqa: E402
import restore  # noqa: E402
from grade import name_of, plain  # noqa: E402

NAMES = [cell.metadata["nbgrader"]["grade_id"] for cell in cells("patches")]


def submission():
    return copy.deepcopy(cells("patches"))


def about(found, name):
    return next(cell for cell in found if name_of(cell) == name)


def test_a_submission_with_its_cells_in_place_stays_as_it_is():
    handed = submission()
    assert restore.restored(handed, cells("patches")) == cells("patches")


@pytest.mark.parametrize("name", NAMES)
def test_a_deleted_cell_comes_back_empty_at_its_place(name):
    handed = [cell for cell in submission() if name_of(cell) != name]
    found = restore.restored(handed, cells("patches"))
    assert [name_of(cell) for cell in found] == NAMES
    assert restore.GONE in about(found, name).source
    assert about(found, name).cell_type == about(cells("patches"), name).cell_type


@pytest.mark.parametrize("name", NAMES)
def test_of_a_copied_cell_the_last_one_counts(name):
    handed = submission()
    place = NAMES.index(name)
    first = copy.deepcopy(handed[place])
    first.source = "tried"
    found = restore.restored([*handed[:place], first, *handed[place:]], cells("patches"))
    assert [name_of(cell) for cell in found if name_of(cell)] == NAMES
    assert about(found, name).source == about(cells("patches"), name).source
    assert found[place].source == "tried" and "nbgrader" not in found[place].metadata


@pytest.mark.parametrize(
    "change",
    [
        {"points": 1000},
        {"schema_version": 1},
        {"schema_version": 99},
        {"grade": True, "solution": True, "locked": False, "task": True},
        {"cell_type": "raw"},
    ],
    ids=str,
)
def test_what_a_notebook_says_of_its_cells_does_not_matter(change):
    handed = submission()
    for cell in handed:
        cell.metadata["nbgrader"].update(change)
    assert restore.restored(handed, cells("patches")) == cells("patches")


@pytest.mark.parametrize("lost", [None, "nothing", {}, {"grade_id": ["a"]}, {"grade_id": "mine"}])
def test_cells_that_lost_their_names_are_the_students_own(lost):
    handed = submission()
    for cell in handed:
        cell.metadata["nbgrader"] = lost
    found = restore.restored(handed, cells("patches"))
    assert sorted(filter(None, map(name_of, found))) == sorted(NAMES)
    assert [cell.source for cell in found[len(NAMES) :]] == [c.source for c in cells("patches")]
    assert not any(name_of(cell) for cell in found[len(NAMES) :])


def test_metadata_of_editors_stay():
    handed = submission()
    handed[0].metadata |= {"jp-MarkdownHeadingCollapsed": True, "tags": ["x"]}
    (first, *_) = restore.restored(handed, cells("patches"))
    assert first.metadata["tags"] == ["x"] and name_of(first) == NAMES[0]


def test_a_line_that_begins_with_a_percent_sign_may_be_a_part_of_an_answer():
    assert plain("x = (7\n    % 4)") == "x = (7\n    % 4)"
    assert plain("%%time\n!pip install x\nx = 1\n  %timeit x").strip() == "x = 1"
    assert plain("x = 1\r\ny = 2") == "x = 1\r\ny = 2"


@pytest.fixture
def course(tmp_path):
    for folder in ("source/views", "source/mix", "release/views"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def hand_in(course, student, content=None, name="views.ipynb"):
    folder = course / "submitted" / student / "views"
    folder.mkdir(parents=True, exist_ok=True)
    if content is not None:
        (folder / name).write_bytes(content)


NOTEBOOK = json.dumps(nbformat.v4.new_notebook()).encode()


@pytest.mark.parametrize(
    "content, name, why",
    [
        (NOTEBOOK, "views.ipynb", None),
        (NOTEBOOK.replace(b" ", b"\r\n"), "views.ipynb", None),
        (None, "", "there is no views.ipynb"),
        (NOTEBOOK, "views (1).ipynb", "there is no views.ipynb, rename views (1).ipynb"),
        (b"", "views.ipynb", "the file is empty"),
        (b"{this is no notebook", "views.ipynb", "hand it in again"),
        (b"[]", "views.ipynb", "hand it in again"),
        (b"{}", "views.ipynb", "hand it in again"),
        (b"PK\x03\x04", "views.ipynb", "hand it in again"),
        (b"\xef\xbb\xbf" + NOTEBOOK, "views.ipynb", "plain UTF-8"),
        (NOTEBOOK.decode().encode("utf-16"), "views.ipynb", "plain UTF-8"),
    ],
    ids=range(11),
)
def test_a_submission_that_cannot_be_read_is_named_with_what_helps(course, content, name, why):
    hand_in(course, "Müller Jörg", content, name)
    hand_in(course, "ada", NOTEBOOK)
    handed_in.expect(course, "views")
    found = handed_in.unreadable(course, "views")
    assert found.keys() == ({"Müller Jörg"} if why else set())
    assert why is None or why in found["Müller Jörg"]
    assert not handed_in.unreadable(course, "views", "ada")


@pytest.mark.parametrize(
    "text, wrong",
    [("2026-11-20 12:00:00 UTC", False), ("", False), ("yesterday", True), ("9" * 40, True)],
)
def test_a_time_of_handing_in_has_to_be_one(course, text, wrong):
    hand_in(course, "ada", NOTEBOOK)
    hand_in(course, "ada", text.encode(), "timestamp.txt")
    found = handed_in.unreadable(course, "views")
    assert bool(found) == wrong
    assert not wrong or "timestamp.txt" in found["ada"] and text in found["ada"]


@pytest.mark.parametrize(
    "assignment, student, handed, said",
    [
        ("other", "", ["ada"], "no assignment 'other': known are mix, views"),
        ("mix", "", ["ada"], "nbgrader generate_assignment mix"),
        ("views", "", [], "nothing is handed in"),
        ("views", "bela", ["ada"], "submitted/bela/views/views.ipynb"),
        ("views", "", ["ada", "Müller, Jörg"], "rename the folders of 'Müller, Jörg'"),
        ("views", "", ["jan [2]"], "rename the folders of 'jan [2]'"),
    ],
)
def test_grading_says_what_has_to_be_done_first(course, assignment, student, handed, said):
    for name in handed:
        hand_in(course, name, NOTEBOOK)
    with pytest.raises(SystemExit) as stopped:
        handed_in.expect(course, assignment, student)
    assert said in str(stopped.value) and "\n" not in str(stopped.value)
