"""Solutions: those of the exercises run behind their notebook, those of assignments are whole."""

import sys

import nbformat
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "notebooks" / "course" / "material"))

from solutions import code_of, exercises_of, solved_assignment, with_solutions, write_solutions  # noqa: E402

NOTEBOOKS = sorted((ROOT / "notebooks").glob("0*.ipynb"))
WITH_CODE = [path for path in NOTEBOOKS if any(map(code_of, exercises_of(nbformat.read(path, 4))))]


def test_every_exercise_is_found():
    for path in NOTEBOOKS:
        notebook = nbformat.read(path, 4)
        folded = sum(cell.source.count("<summary>Solution") for cell in notebook.cells)
        assert len(exercises_of(notebook)) == folded >= 2, path.name


def test_code_of_an_exercise_runs_in_order():
    block = "```python\n{}\n```\n".format
    solution = f"<details><summary>Solution</summary>\n\n{block('solve()')}\n</details>"
    assert code_of(f"1. Do it.\n\n{solution}") == ["solve()\n"]
    assert code_of(f"1. Given\n\n{block('x = 1')}{solution}") == ["x = 1\n", "solve()\n"]
    asked = f"1. Given\n\n{block('x = 1')} to pass\n\n{block('assert x')}{solution}"
    assert code_of(asked) == ["x = 1\n", "solve()\n", "assert x\n"]


@pytest.mark.slow
@pytest.mark.parametrize("path", WITH_CODE, ids=lambda path: path.stem)
def test_code_of_the_solutions_runs_behind_its_notebook(path, tmp_path, monkeypatch):
    from nbclient import NotebookClient

    monkeypatch.setenv("LDR_TIER", "smoke")
    monkeypatch.setenv("LDR_RUNS", str(tmp_path))
    notebook = with_solutions(path)
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=300, resources=resources).execute()


def test_solved_assignments_hold_answers_rubrics_and_hidden_tests():
    for path in sorted((ROOT / "notebooks" / "course" / "source").glob("*/*.ipynb")):
        source, solved = nbformat.read(path, 4), solved_assignment(path)
        text = "\n".join(cell.source for cell in solved.cells)
        assert "### BEGIN" not in text and "### END" not in text and "Rubric" in text
        kept = sum(len(cell.source.split()) for cell in source.cells)
        markers = sum(cell.source.count("### ") for cell in source.cells)
        assert kept - 4 * markers <= len(text.split()) < kept
        for cell in solved.cells:
            if cell.cell_type == "code":
                compile(cell.source, path.stem, "exec")


def test_all_solutions_are_written(tmp_path):
    names = {path.name for path in write_solutions(tmp_path)}
    assert names >= {path.name for path in NOTEBOOKS} | {"views.ipynb", "project.ipynb"}
    assert len(names) == len(NOTEBOOKS) + 7
    assert {path.name for path in tmp_path.iterdir()} == names
