"""The course in nbgrader itself: release, ten submissions, autograde, feedback, export."""

import nbformat
import pytest
from rehearse import ASSIGNMENTS, grade, marks, release, submit

from ldr_lib import DataError
from ldr_lib.teaching import leaderboard


@pytest.mark.slow
def test_course_of_ten_students_is_graded_as_it_should(tmp_path):
    folder = tmp_path / "course"
    release(folder, ("regions", "project"))
    student = (folder / "release" / "regions" / "regions.ipynb").read_text()
    assert (
        "SOLUTION" not in student
        and "HIDDEN" not in student
        and "einsum('ndp" in student
        and "write your answer here" in student
    )
    submit(folder, "regions")
    grade(folder, "regions", timeout=20)
    scores = {
        name: score
        for (name, assignment), score in marks(folder).items()
        if assignment == "regions"
    }
    assert scores["ada"] == scores["bela"] == 13
    assert scores["carl"] == 0
    assert scores["dora"] == scores["emil"] == scores["finn"] == 9
    assert scores["gina"] == scores["hugo"] == scores["iris"] == scores["jan"] == 9, (
        "an endless loop or a crash costs its own cell only"
    )
    assert len(list((folder / "feedback").glob("*/regions/regions.html"))) == 10
    outputs = str(
        nbformat.read(folder / "autograded" / "dora" / "regions" / "regions.ipynb", 4).cells
    )
    assert "The mean is not brought back to length one" in outputs
    with pytest.raises(DataError, match="no graded submission of project"):
        leaderboard(folder)
    assert {path.parent.name for path in folder.glob("source/*/*.ipynb")} == set(ASSIGNMENTS)
