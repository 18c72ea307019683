"""Solutions for lecturers: every assignment with its model answers, and every notebook followed by
the solutions of its exercises as cells to run.
"""

import re
from pathlib import Path

import nbformat

COURSE = Path(__file__).resolve().parents[1]
NOTEBOOKS = COURSE.parent
EXERCISE = re.compile(r"^(?=\d+\. )", re.M)
CODE = re.compile(r"^```python\n(.*?)^```", re.S | re.M)
FOLDED = re.compile(r"<details>.*?</details>", re.S)
MARKER = re.compile(r"^[ \t]*### (?:BEGIN|END) (?:SOLUTION|HIDDEN TESTS)[ \t]*\n?", re.M)


def exercises_of(notebook) -> list[str]:
    """The exercises of a notebook, Markdown, each with its folded solution."""
    for cell in notebook.cells:
        _, heading, text = cell.source.partition(" Exercises\n")
        if cell.cell_type == "markdown" and heading:
            text = re.split(r"^## ", text, flags=re.M)[0]
            return [part for part in EXERCISE.split(text) if part.strip()]
    return []


def code_of(exercise: str) -> list[str]:
    """The code of an exercise in the order in which it runs.

    What the question gives comes first, then the solution. If the question gives more than one
    block, its last one tests the solution and comes after it.
    """
    solution = "".join(FOLDED.findall(exercise))
    given, solved = CODE.findall(FOLDED.sub("", exercise)), CODE.findall(solution)
    last = given[1:][-1:]
    return [*given[: len(given) - len(last)], *solved, *last]


def with_solutions(path: Path):
    """A notebook, followed by its exercises and the code of their solutions as cells to run."""
    notebook = nbformat.read(path, 4)
    new = nbformat.v4
    notebook.cells.append(new.new_markdown_cell("# Solutions of the exercises"))
    for exercise in exercises_of(notebook):
        text = FOLDED.sub("", CODE.sub("", exercise)).strip()
        words = "".join(FOLDED.findall(CODE.sub("", exercise)))
        words = re.sub(r"</?details>|<summary>.*?</summary>", "", words).strip()
        notebook.cells.append(new.new_markdown_cell(f"{text}\n\n**Solution.** {words}"))
        notebook.cells += [new.new_code_cell(code.rstrip()) for code in code_of(exercise)]
    return notebook


def solved_assignment(path: Path):
    """An assignment with its model answers, rubrics and hidden tests."""
    notebook = nbformat.read(path, 4)
    for cell in notebook.cells:
        cell.source = MARKER.sub("", cell.source).rstrip()
    return notebook


def write_solutions(folder: Path) -> list[Path]:
    """Writes all solutions as notebooks.

    Args:
        folder: Where they are written.

    Returns:
        The notebooks; "00_quickstart.ipynb" holds exercises, "views.ipynb" an assignment.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = {path.name: with_solutions(path) for path in sorted(NOTEBOOKS.glob("0*.ipynb"))}
    made |= {path.name: solved_assignment(path) for path in sorted(COURSE.glob("source/*/*.ipynb"))}
    for name, notebook in made.items():
        nbformat.write(notebook, folder / name)
    return [folder / name for name in made]
