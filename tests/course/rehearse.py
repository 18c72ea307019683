"""A course from release to grades with a class of ten: `python tests/course/rehearse.py FOLDER`
does what a lecturer does.
"""

import csv
import importlib.util
import shutil
import sys
from pathlib import Path

import nbformat
from answers import ASSIGNMENTS, RIGHT, WRONG

COURSE = Path(__file__).resolve().parents[2] / "notebooks" / "course"
sys.path.insert(0, str(COURSE / "grading"))

import wall  # noqa: E402
from kit import write_kit  # noqa: E402

about = importlib.util.spec_from_file_location("grade_all", COURSE / "grading" / "__main__.py")
grade_all = importlib.util.module_from_spec(about)
about.loader.exec_module(grade_all)

WALL = wall.works("namespace")
EVIL_PAGE = """
<script>document.title = "mine"</script><img src=x onerror="alert(1)">
[link](javascript:alert(2)) [other](JavaScript:alert(3)) [third](java&#115;cript:alert(4))
"""


def nbgrader(folder: Path, *arguments: str) -> str:
    """Runs an nbgrader command in the course's folder and returns what it said."""
    done = grade_all.nbgrader(folder, *arguments)
    if done.returncode:
        raise SystemExit(f"nbgrader {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def release(folder: Path, assignments: tuple[str, ...] = ASSIGNMENTS) -> None:
    """Copies the course and builds what students get."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(COURSE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for assignment in assignments:
        nbgrader(folder, "generate_assignment", assignment, "--create", "--force")


def solution(assignment: str) -> dict[str, str]:
    """The model answers by cell."""
    cells = nbformat.read(COURSE / "source" / assignment / f"{assignment}.ipynb", 4).cells
    return {
        cell.metadata["nbgrader"]["grade_id"]: cell.source
        for cell in cells
        if cell.metadata["nbgrader"]["solution"]
    }


def submissions(assignment: str) -> dict[str, dict[str, str]]:
    """Ten students and what each writes into the cells; the others keep the model answer,
    "untouched" writes nothing.
    """
    right, first = solution(assignment), next(one for one in WRONG if one[0] == assignment)
    name = first[1]
    head = next(line for line in right[name].splitlines() if line.startswith("def "))
    wrong = [one for one in WRONG if one[0] == assignment][:3]
    other = next(one for one in RIGHT if one[0] == assignment)
    students = {"ada": {}, "bela": {other[1]: other[3]}, "carl": None}
    students |= {student: {one[1]: one[3]} for student, one in zip(("dora", "emil", "finn"), wrong)}
    students |= {
        "gina": {name: f"{head}\n    while True:\n        pass"},
        "hugo": {name: f"{head}\n    return 1 / 0"},
        "iris": {name: f"{head}\n    return {head.split('(')[0].removeprefix('def ')}("},
        "jan": {name: f"{head}\n    raise SystemExit"},
    }
    return {student: None if own is None else right | own for student, own in students.items()}


def submit(folder: Path, assignment: str, students: tuple[str, ...] = ()) -> None:
    """Writes the submissions of these students, or of all ten, from the released version."""
    for student, answers in submissions(assignment).items():
        if students and student not in students:
            continue
        notebook = nbformat.read(folder / "release" / assignment / f"{assignment}.ipynb", 4)
        for cell in notebook.cells:
            about = cell.metadata["nbgrader"]
            if answers and about["solution"]:
                cell.source = answers[about["grade_id"]]
        hand_in(folder, student, assignment, notebook)


def hand_in(folder: Path, student: str, assignment: str, notebook) -> None:
    """Puts a notebook where nbgrader collects it; a text is written as it is."""
    target = folder / "submitted" / student / assignment / f"{assignment}.ipynb"
    target.parent.mkdir(parents=True, exist_ok=True)
    text = notebook if isinstance(notebook, str) else nbformat.writes(notebook)
    target.write_text(text, encoding="utf-8")


def mallory(folder: Path, assignment: str):
    """A submission without tests, whose marks are raised, whose page runs a script."""
    notebook = nbformat.read(folder / "release" / assignment / f"{assignment}.ipynb", 4)
    notebook.cells = [
        cell
        for cell in notebook.cells
        if not cell.metadata["nbgrader"]["locked"] or "setup" in cell.id
    ]
    for cell in notebook.cells:
        if cell.metadata["nbgrader"]["grade"]:
            cell.metadata["nbgrader"]["points"] = 1000
            cell.source = EVIL_PAGE if cell.cell_type == "markdown" else cell.source
    raw = nbformat.v4.new_raw_cell(EVIL_PAGE, metadata={"raw_mimetype": "text/html"})
    notebook.cells.append(raw)
    return notebook


def strange(folder: Path, assignment: str) -> str:
    """A right submission as other editors and hurried students leave it: Windows' ends of lines,
    a copied answer, a deleted question, a deleted plot and a schema that nbgrader does not know.
    """
    submit(folder, assignment, ("ada",))
    path = folder / "submitted" / "ada" / assignment / f"{assignment}.ipynb"
    cells = nbformat.read(path, 4).cells
    answer = next(i for i, cell in enumerate(cells) if cell.metadata["nbgrader"]["solution"])
    first = nbformat.v4.new_code_cell("1 / 0", metadata=cells[answer].metadata)
    cells = [*cells[: answer - 1], first, *cells[answer:]]
    plot = next(
        c for c in cells if c.metadata["nbgrader"]["solution"] and c.metadata["nbgrader"]["grade"]
    )
    cells.remove(plot)
    for cell in cells:
        cell.metadata["nbgrader"] = cell.metadata["nbgrader"] | {"schema_version": 99}
        cell.metadata["tags"] = ["x"]
        cell.source = cell.source.replace("\n", "\r\n")
    return nbformat.writes(nbformat.v4.new_notebook(cells=cells)).replace("\n", "\r\n")


def grade(folder: Path, assignment: str, timeout: int) -> dict[str, str]:
    """Grades all submissions and writes the feedback pages; names those that cannot be read."""
    unread = grade_all.autograde(folder, assignment, f"--Grade.timeout={timeout}")
    nbgrader(folder, "generate_feedback", assignment, "--force")
    return unread


def marks(folder: Path) -> dict[tuple[str, str], float]:
    """Exports the grades and reads them: (student, assignment) to the sum of what was graded by
    machine.
    """
    nbgrader(folder, "export")
    with open(folder / "grades.csv", newline="", encoding="utf-8") as file:
        return {
            (row["student_id"], row["assignment"]): float(row["score"])
            for row in csv.DictReader(file)
        }


def main() -> None:
    from ldr_lib.teaching import leaderboard

    folder = Path(sys.argv[1])
    release(folder)
    print(f"students' kit: {write_kit(folder / 'release', folder / 'kit')}")
    for assignment in ("patches", "project"):
        submit(folder, assignment)
        grade(folder, assignment, timeout=30 if assignment == "patches" else 120)
        print(f"{assignment}: graded, feedback in {folder / 'feedback'}")
    for (student, assignment), score in marks(folder).items():
        if assignment in ("patches", "project"):
            print(f"{student:5s} {assignment:8s} {score:4.0f}")
    print(leaderboard(folder))


if __name__ == "__main__":
    main()
