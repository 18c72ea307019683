"""Every assignment: the solution gets all marks, the untouched version none, wrong answers lose
theirs, odd right ones keep them, and what students can see gives no marks away.
"""

import ast
import json
import re
import time
import types

import matplotlib.pyplot as plt
import pytest
from answers import ASSIGNMENTS, RIGHT, WRONG
from library_copies import COPIES, MARKS
from stored import MISTAKES, cells, stored, visible

from ldr_lib.teaching.checks import STORED, stored_values

SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION.*?### END SOLUTION", re.S | re.M)
SECRET = 20261128
SLOW = {"learn_test": "learn"}
"""Tests that take seconds and look at one answer only; they are left out where others change."""


@pytest.fixture(scope="module", autouse=True)
def short_trainings():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LDR_TIER", "smoke")
        yield


def about(cell):
    return cell.metadata["nbgrader"]


def grade(assignment, answers=None, untouched=False, hidden=True):
    """Runs an assignment with other answers; points of each test, and what the failed ones said."""
    points, said = {}, {}
    module = types.ModuleType(f"course_{assignment}")
    module.__dict__.update(secret=SECRET, record=dict)
    for cell in cells(assignment):
        if cell.cell_type != "code":
            continue
        name, solved = about(cell)["grade_id"], about(cell)["solution"]
        is_test = about(cell)["grade"] and not solved
        source = (answers or {}).get(name, cell.source)
        if about(cell)["solution"] and untouched:
            source = SOLUTION.sub(r"\1raise NotImplementedError()", source)
        if answers and about(cell)["solution"] and about(cell)["grade"]:
            continue  # plots are made once, by the solution
        if answers and SLOW.get(name, name) not in (name, *answers):
            points[name], said[name] = about(cell)["points"], "left out"
            continue
        try:
            source = source if hidden or not is_test else visible(source)
            exec(compile(source, name, "exec"), module.__dict__)  # noqa: S102
            failed = None
        except Exception as error:  # noqa: BLE001 a student's cell may fail in any way
            failed = error
        if is_test:
            points[name] = 0 if failed else about(cell)["points"]
            said[name] = str(failed or "")
        elif failed and not about(cell)["solution"]:
            raise failed
    plt.close("all")
    return points, said


@pytest.fixture(scope="module")
def full():
    return {
        name: {
            about(cell)["grade_id"]: about(cell)["points"]
            for cell in cells(name)
            if about(cell)["grade"] and not about(cell)["solution"]
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
    assert {test for test, value in points.items() if value == 0} == set(lost), said
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
        assert sum(one[0] == assignment for one in WRONG) >= (6 if assignment != "project" else 5)
        assert any(one[0] == assignment for one in RIGHT)


def copied(assignment):
    """What can be copied without understanding: every function looks its stored value up."""
    return {
        task.split(": ")[1]: (
            f"from ldr_lib.teaching import stored_values\n"
            f"def {task.split(': ')[1]}(*inputs, **named):\n"
            f"    value = stored_values()[{task!r}]['value']\n"
            f"    return torch.tensor(value) if 'torch' in globals() else np.array(value)"
        )
        for task, entry in stored_values().items()
        if task.startswith(f"{assignment}: ") and "hints" in entry
    } | {
        "learn": "def learn(start, images, steps, rate=1e-3):\n"
        "    net = begin(start)\n"
        "    losses = [float(patch_discrimination(*vectors(net, two_views(images, i)))) "
        "for i in range(steps)]\n"
        "    return losses, net.state_dict()",
        "diagnose": "def diagnose():\n"
        "    return dict(zip('ABCDE', ['healthy', 'collapse', 'rate too high', 'rate too low', "
        "'wrong partners']))",
        "segment": "def segment(image, label, inside, others):\n    return darkest(others)",
    }


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_course_copies_of_what_is_visible_score_under_half(assignment, full):
    points, _ = grade(assignment, copied(assignment))
    assert sum(points.values()) < sum(full[assignment].values()) / 2, points


@pytest.mark.parametrize("assignment", COPIES)
def test_course_copies_of_the_library_score_under_half(assignment, full):
    points, said = grade(assignment, COPIES[assignment])
    assert sum(points.values()) == MARKS[assignment] < sum(full[assignment].values()) / 2, said


def bare(text):
    """A text without spaces, quotes and comments, in which expressions can be looked for."""
    return re.sub(r"#.*|[\s'\"`]", "", text)


def said_to_students(assignment):
    """All that students get to read: texts, setup, tests without their hidden part, hints."""
    seen = []
    for cell in cells(assignment):
        seen.append(visible(SOLUTION.sub("", cell.source)))
    if assignment in {task.split(":")[0] for task in stored_values()}:
        seen += [
            text
            for task, entry in stored_values().items()
            if task.startswith(assignment)
            for text in (*entry.get("hints", ()), *entry.get("mistakes", ()))
        ]
    return seen


def expressions(source):
    """The parts of a model answer that would be worth copying: those of seven nodes or more."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.expr) and sum(1 for _ in ast.walk(node)) >= 12:
            yield bare(ast.unparse(node))


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_course_shows_no_part_of_an_answer(assignment):
    seen = said_to_students(assignment)
    code = []
    for text in seen:
        try:
            code.append(bare(ast.unparse(ast.parse(text))))
        except SyntaxError:
            code.append(bare(text))
    for cell in cells(assignment):
        if not about(cell)["solution"] or cell.cell_type != "code" or about(cell)["grade"]:
            continue
        shown = [part for part in expressions(cell.source) for text in code if part in text]
        assert not shown, f"{about(cell)['grade_id']}: students can read {shown}"


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_course_shows_no_model_answer_and_no_rubric_to_students(assignment):
    seen = " ".join(" ".join(said_to_students(assignment)).split())
    assert "ubric" not in seen and "nearly the answer" not in seen and "<summary>" not in seen
    for cell in cells(assignment):
        if about(cell)["solution"] and cell.cell_type == "markdown":
            words = cell.source.split()
            runs = [" ".join(words[i : i + 6]) for i in range(1, len(words) - 6)]
            assert not [run for run in runs if run in seen]


def test_course_stored_values_are_those_of_the_answers_and_of_the_mistakes():
    kept = json.loads(STORED.read_text(encoding="utf-8"))
    for assignment in ASSIGNMENTS:
        for task, entry in stored(assignment).items():
            for part in ("value", "mistakes"):
                old, new = kept[task][part], entry[part]
                assert json.dumps(old) == json.dumps(new) or near(old, new), task
            assert kept[task]["hints"] == entry["hints"]
    assert MISTAKES.keys() <= kept.keys()


def near(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(near(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(near, one, other))
    return one == pytest.approx(other, abs=2e-5)


def test_course_messages_teach():
    def said_by(assignment, name, code):
        return grade(assignment, {name: code}, hidden=False)[1][f"{name}_test"]

    said = said_by(
        "patches",
        "probabilities",
        "def probabilities(z, temperature=0.1):\n"
        "    return (z @ z.detach().T / torch.as_tensor(temperature).reshape(-1, 1))"
        ".masked_fill(torch.eye(len(z), dtype=torch.bool), -torch.inf).softmax(0)",
    )
    assert "the softmax runs over the wrong axis" in said
    said = said_by("regions", "area_loss", "def area_loss(a, wanted):\n    return 0 * a.sum()")
    assert "The areas are ignored" in said
    said = said_by(
        "views",
        "patch_grid",
        "from ldr_lib.losses import patch_grid as kit\ndef patch_grid(v, inside, grid):\n"
        "    return kit(v, grid)",
    )
    assert "write it out from the equation" in said


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_course_answers_are_functions_of_their_cells_name(assignment):
    named = [
        cell
        for cell in cells(assignment)
        if about(cell)["solution"] and not about(cell)["grade"] and cell.cell_type == "code"
    ]
    for cell in named:
        defined = [node.name for node in ast.parse(cell.source).body]
        assert defined == [about(cell)["grade_id"]]
    assert named


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_course_sources_keep_the_form_that_nbgrader_wants(assignment):
    found = cells(assignment)
    ids = [about(cell)["grade_id"] for cell in found]
    assert len(set(ids)) == len(ids) and all(about(cell)["schema_version"] == 3 for cell in found)
    by_hand = [cell for cell in found if about(cell)["grade"] and about(cell)["solution"]]
    assert by_hand and all("Rubric" in cell.source for cell in by_hand)
    assert all("BEGIN SOLUTION" in cell.source for cell in found if about(cell)["solution"])
    assert not any(cell.get("outputs") for cell in found)
