"""The course in nbgrader itself: release, submissions, autograde, feedback, export."""

import json
import re
import sys

import nbformat
import pytest
from rehearse import (
    ASSIGNMENTS,
    COURSE,
    WALL,
    grade,
    grade_all,
    hand_in,
    mallory,
    marks,
    release,
    strange,
    submit,
    write_kit,
)

from ldr_lib import DataError
from ldr_lib.teaching import leaderboard

needs_wall = pytest.mark.skipif(not WALL, reason="needs Linux with unshare and setpriv allowed")


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    folder = tmp_path_factory.mktemp("class") / "course"
    release(folder, ("patches",))
    return folder


@needs_wall
@pytest.mark.slow
def test_course_of_a_class_is_graded_as_it_should(course):
    submit(course, "patches", ("ada", "carl", "dora", "gina"))
    hand_in(course, "mallory", "patches", mallory(course, "patches"))
    hand_in(course, "vera", "patches", "{this is no notebook")
    hand_in(course, "Jürgen von Ö", "patches", strange(course, "patches"))
    assert list(grade(course, "patches", timeout=20)) == ["vera"]
    scores = {name: score for (name, one), score in marks(course).items() if one == "patches"}
    assert scores["ada"] == scores["Jürgen von Ö"] == 14
    assert scores["carl"] == scores["mallory"] == scores.get("vera", 0) == 0
    assert scores["dora"] == 10 and scores["gina"] == 4, "costs the cells that call it only"
    pages = {
        path.parts[-3]: path.read_text(encoding="utf-8")
        for path in course.glob("feedback/*/patches/patches.html")
    }
    assert pages.keys() == {"ada", "carl", "dora", "gina", "mallory", "Jürgen von Ö"}
    assert "the softmax runs over the wrong axis" in pages["dora"]
    runs = re.findall(r"<script>document|<img src=x|href=.?java[^>]*script", pages["mallory"], re.I)
    assert "document.title" in pages["mallory"] and not runs
    outputs = str(nbformat.read(course / "autograded" / "gina" / "patches" / "patches.ipynb", 4))
    assert "did not end within 20 seconds" in outputs


@needs_wall
@pytest.mark.slow
def test_a_second_submission_is_graded_alone(course):
    submit(course, "patches", ("carl",))
    others = {path: path.stat().st_mtime_ns for path in course.glob("autograded/ada/*/*.ipynb")}
    submit(course, "patches", ("ada",))
    second = course / "submitted" / "ada" / "patches" / "patches.ipynb"
    second.replace(course / "submitted" / "carl" / "patches" / "patches.ipynb")
    assert not grade_all.autograde(course, "patches", "--Grade.timeout=20", student="carl")
    assert marks(course)["carl", "patches"] == 14
    assert others == {path: path.stat().st_mtime_ns for path in others}


def test_leaderboard_reads_records_and_nothing_else(tmp_path):
    with pytest.raises(DataError, match="no graded submission of project"):
        leaderboard(tmp_path)
    records = tmp_path / "records" / "project"
    records.mkdir(parents=True)
    entry = {"Dice": 0.5, "low": 0.4, "high": 0.6, "gain": 0.9}
    (records / "ada.json").write_text(json.dumps(entry), encoding="utf-8")
    (records / "bela.json").write_text(json.dumps(entry | {"Dice": 0.55}), encoding="utf-8")
    (records / "carl.json").write_text("{}", encoding="utf-8")
    (records / "dora.json").write_text("{not JSON", encoding="utf-8")
    (records / "emil.json").write_text(json.dumps([1]), encoding="utf-8")
    for student in ("ada", "finn"):
        (tmp_path / "submitted" / student / "project").mkdir(parents=True)
    shouted = nbformat.v4.new_output("stream", text="leaderboard: 1.0")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(outputs=[shouted])])
    printed = tmp_path / "autograded" / "finn" / "project"
    printed.mkdir(parents=True)
    nbformat.write(notebook, printed / "project.ipynb")
    table = leaderboard(tmp_path)
    assert table["student"].tolist()[:2] == ["bela", "ada"]
    assert table["Dice"].isna().sum() == 4 and set(table["student"][2:]) == {
        "carl",
        "dora",
        "emil",
        "finn",
    }


def dead_links(folder):
    """Links of pages and notebooks to files that are not there."""
    found = []
    for path in (*folder.rglob("*.md"), *folder.rglob("*.ipynb")):
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".ipynb":
            cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"]
            text = "\n".join("".join(cell["source"]) for cell in cells)
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
            if not re.match(r"\w+:", link) and not (path.parent / link).exists():
                found.append((path.name, link))
    return found


@pytest.mark.slow
def test_kit_holds_what_students_need_and_no_answers(course, tmp_path):
    archive = write_kit(course / "release", tmp_path / "kit")
    kit = tmp_path / "kit"
    assert archive.stat().st_size > 1e6
    for name in ("STUDENTS.md", "pyproject.toml", "constraints.txt", "ldr_lib/teaching/checks.py"):
        assert (kit / name).is_file()
    assert (kit / "assignments" / "patches" / "patches.ipynb").is_file()
    assert len(list((kit / "notebooks").glob("*.ipynb"))) >= 7
    students = ("course/students/quiz.ipynb", "course/students/sliders.ipynb")
    for name in (*students, "GLOSSARY.md", "claims.yaml"):
        assert (kit / "notebooks" / name).is_file()
    names = {path.name for path in kit.rglob("*")}
    assert not names & {"questions.yaml", "material", "slides"}
    assert not names & {"tests", "source", "grading", "answers.py", "attacks.py", "instructor"}
    markers = ("BEGIN " + "SOLUTION", "BEGIN " + "HIDDEN", "Rubric")
    for path in kit.rglob("*"):
        if path.suffix in (".ipynb", ".md", ".py", ".json"):
            text = path.read_text(encoding="utf-8", errors="replace")
            assert not [marker for marker in markers if marker in text], path
    assert not dead_links(kit)
    student = (kit / "assignments" / "patches" / "patches.ipynb").read_text(encoding="utf-8")
    assert "write your answer here" in student and "Write your answer here" in student


def test_course_names_its_assignments_everywhere():
    assert {path.parent.name for path in COURSE.glob("source/*/*.ipynb")} == set(ASSIGNMENTS)
    page = (COURSE / "README.md").read_text(encoding="utf-8")
    for assignment in ASSIGNMENTS:
        assert f"(source/{assignment}/{assignment}.ipynb)" in page
        notebook = nbformat.read(COURSE / "source" / assignment / f"{assignment}.ipynb", 4)
        points = {"machine": 0, "person": 0}
        for cell in notebook.cells:
            about = cell.metadata["nbgrader"]
            if about["grade"]:
                points["person" if about["solution"] else "machine"] += about["points"]
        row = next(line for line in page.splitlines() if f"(source/{assignment}/" in line)
        assert f"| {points['machine']} | {points['person']} |" in row, row


def test_grade_says_how_it_is_called():
    import subprocess

    for arguments, said in ((["/nowhere"], "make grade"), (["/nowhere", "views"], "is no course")):
        done = subprocess.run(
            [sys.executable, str(COURSE / "grading"), *arguments],
            capture_output=True,
            encoding="utf-8",
        )
        assert done.returncode and said in done.stderr
