"""The notebook in which students answer the quizzes, with the questions as text for those who have
no kernel.
"""

import json
from pathlib import Path

from nbformat import NotebookNode, v4

from ldr_lib.teaching.quiz import as_text

COURSE = Path(__file__).resolve().parents[1]
NOTEBOOK = COURSE / "students" / "quiz.ipynb"
HEAD = """# Quiz: ten questions for each notebook

Answer, press *Check*, and read why. You may try as often as you like; only the line at the end
counts first tries. Nothing is stored or sent.

Run the first cell, and then the cell of the notebook that you have read. Without a running kernel
you see the questions as text."""


def practice_notebook(quizzes: dict[str, list[dict]]) -> NotebookNode:
    """The notebook of all quizzes.

    Args:
        quizzes: Notebook to its questions, as students get them.
    """
    cells = [v4.new_markdown_cell(HEAD), _run("from ldr_lib.teaching import Quiz", 1)]
    for count, (notebook, questions) in enumerate(quizzes.items(), 2):
        text = as_text(questions)
        shown = {"text/markdown": text, "text/plain": text}
        output = v4.new_output("execute_result", shown, execution_count=count)
        cells += [
            v4.new_markdown_cell(f"## {_title(notebook)}"),
            _run(f'Quiz("{notebook}")', count, output),
        ]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number:02d}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def _run(source: str, count: int, *outputs: NotebookNode) -> NotebookNode:
    return v4.new_code_cell(source, execution_count=count, outputs=list(outputs))


def _title(number: str) -> str:
    """A notebook's number and name, as its first line gives them."""
    (path,) = COURSE.parent.glob(f"{number}_*.ipynb")
    first = json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"]
    return "".join(first).splitlines()[0].removeprefix("# ").partition(":")[0]
