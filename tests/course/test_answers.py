"""Every assignment: the solution gets all marks, the untouched version none, wrong answers lose
theirs, odd right ones keep them.
"""

import re
import time
import types

import matplotlib.pyplot as plt
import nbformat
import pytest
from answers import RIGHT, WRONG
from conftest import ROOT

SOURCE = ROOT / "notebooks" / "course" / "source"
ASSIGNMENTS = ("views", "patches", "regions", "priors", "project")
SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION.*?### END SOLUTION", re.S | re.M)


def cells(assignment):
    return nbformat.read(SOURCE / assignment / f"{assignment}.ipynb", 4).cells


def grade(assignment, answers=None, untouched=False):
    """Runs an assignment with other answers; points of each test, and what the failed ones said."""
    name, points, said = f"course_{assignment}", {}, {}
    module = types.ModuleType(name)
    for cell in cells(assignment):
        about = cell.metadata["nbgrader"]
        if cell.cell_type != "code":
            continue
        source = (answers or {}).get(about["grade_id"], cell.source)
        if about["solution"] and untouched:
            source = SOLUTION.sub(r"\1raise NotImplementedError()", source)
        try:
            exec(compile(source, about["grade_id"], "exec"), module.__dict__)  # noqa: S102
            failed = None
        except Exception as error:  # noqa: BLE001 a student's cell may fail in any way
            failed = error
        if about["grade"] and not about["solution"]:
            points[about["grade_id"]] = 0 if failed else about["points"]
            said[about["grade_id"]] = str(failed or "")
        elif failed and not about["solution"]:
            raise failed
    plt.close("all")
    return points, said


@pytest.fixture(scope="module")
def full():
    return {
        name: {
            c.metadata["nbgrader"]["grade_id"]: c.metadata["nbgrader"]["points"]
            for c in cells(name)
            if c.metadata["nbgrader"]["grade"] and not c.metadata["nbgrader"]["solution"]
        }
        for name in ASSIGNMENTS
    }


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_course_solutions_get_all_marks_in_time(assignment, full):
    started = time.perf_counter()
    points, said = grade(assignment)
    assert points == full[assignment], said
    assert time.perf_counter() - started < 120


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_course_untouched_versions_get_none_and_do_not_crash(assignment, full):
    points, _ = grade(assignment, untouched=True)
    assert points == dict.fromkeys(full[assignment], 0)


@pytest.mark.parametrize(
    "assignment, cell, name, code, lost",
    [pytest.param(*one, id=f"{one[0]}: {one[2]}") for one in WRONG],
)
def test_course_wrong_answers_lose_the_marks_they_should(assignment, cell, name, code, lost, full):
    points, said = grade(assignment, {cell: code})
    assert {test for test, value in points.items() if value == 0} == set(lost)
    assert all(said[test] for test in lost)


@pytest.mark.parametrize(
    "assignment, cell, name, code", [pytest.param(*one, id=f"{one[0]}: {one[2]}") for one in RIGHT]
)
def test_course_right_answers_written_differently_keep_their_marks(
    assignment, cell, name, code, full
):
    points, said = grade(assignment, {cell: code})
    assert points == full[assignment], said


def test_course_has_six_wrong_answers_for_each_assignment():
    for assignment in ASSIGNMENTS:
        assert sum(one[0] == assignment for one in WRONG) >= (6 if assignment != "project" else 3)
        assert any(one[0] == assignment for one in RIGHT)


def test_course_messages_teach():
    said = grade(
        "patches",
        {
            "probabilities": "def probabilities(z, temperature=0.1):\n    return (z @ "
            "z.detach().T / temperature).masked_fill(torch.eye(len(z), dtype=torch.bool), "
            "-torch.inf).softmax(0)"
        },
    )[1]
    assert "the softmax runs over the wrong axis" in said["probabilities_test"]
    said = grade("regions", {"area_loss": "def area_loss(a):\n    return torch.zeros(())"})[1]
    assert "The areas are ignored" in said["area_loss_test"]
    said = grade(
        "views",
        {
            "patch_grid": "from ldr_lib.losses import patch_grid as kit\ndef patch_grid(v, "
            "grid):\n    return kit(v, grid)"
        },
    )[1]
    assert "write it out from the equation" in said["patch_grid_test"]


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_course_answers_are_functions_one_can_import(assignment, tmp_path, monkeypatch):
    parts = [
        c.source
        for c in cells(assignment)
        if c.cell_type == "code" and not c.metadata["nbgrader"]["grade"]
    ]
    (tmp_path / f"answers_{assignment}.py").write_text("\n\n".join(parts))
    monkeypatch.syspath_prepend(tmp_path)
    module = __import__(f"answers_{assignment}")
    named = [
        c.metadata["nbgrader"]["grade_id"]
        for c in cells(assignment)
        if c.metadata["nbgrader"]["solution"] and not c.metadata["nbgrader"]["grade"]
    ]
    assert named and all(callable(getattr(module, name)) for name in named)


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_course_sources_keep_the_form_that_nbgrader_wants(assignment):
    found = cells(assignment)
    ids = [cell.metadata["nbgrader"]["grade_id"] for cell in found]
    assert len(set(ids)) == len(ids) and all(
        cell.metadata["nbgrader"]["schema_version"] == 3 for cell in found
    )
    by_hand = [
        cell
        for cell in found
        if cell.metadata["nbgrader"]["grade"] and cell.metadata["nbgrader"]["solution"]
    ]
    assert by_hand and sum("Rubric" in cell.source for cell in found) == len(by_hand)
    assert all(
        "BEGIN SOLUTION" in cell.source for cell in found if cell.metadata["nbgrader"]["solution"]
    )
    assert all(
        "Hint" in cell.source
        for cell in found
        if cell.metadata["nbgrader"]["grade_id"].endswith("_task")
        and "graded by a person" not in cell.source
    )
    assert not any(cell.get("outputs") for cell in found)
