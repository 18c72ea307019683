"""Slides, quizzes and solutions for lecturers: `python notebooks/course/material slides FOLDER`."""

import json
import sys
from pathlib import Path

import nbformat
from decks import DECKS, write_deck
from gift import gift
from practice import NOTEBOOK, practice_notebook
from qti import write_qti
from questions import Question, read_questions
from solutions import write_solutions

from ldr_lib.data.errors import DataError
from ldr_lib.teaching import quiz as student
from ldr_lib.teaching.sealing import seal


def slides(folder: Path) -> None:
    """Writes one deck for each notebook."""
    for source in sorted(DECKS.glob("*.md")):
        print(write_deck(source, folder / f"{source.stem}.html"))


def quiz(folder: Path) -> None:
    """Writes the quizzes for learning platforms, and with sealed answers for students."""
    quizzes = read_questions()
    folder.mkdir(parents=True, exist_ok=True)
    for notebook, questions in quizzes.items():
        text = folder / f"quiz_{notebook}.gift"
        text.write_text(gift(notebook, questions), encoding="utf-8")
        print(text)
        print(write_qti(notebook, questions, folder / f"quiz_{notebook}.zip"))
    sealed = {name: list(map(seal_question, questions)) for name, questions in quizzes.items()}
    student.STORED.write_text(
        json.dumps(sealed, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    nbformat.write(practice_notebook(sealed), NOTEBOOK)
    print(student.STORED, NOTEBOOK, sep="\n")


def seal_question(question: Question) -> dict:
    """A question as students get it: its reason opens with the right answer."""
    shown = {
        "id": question.id,
        "ask": question.ask,
        "kind": question.kind,
        "options": question.options,
        "digits": question.digits,
    }
    right = question.right if question.digits is None else question.right[0]
    return shown | {"sealed": seal(question.why, student.answer_key(shown, right))}


def solutions(folder: Path) -> None:
    """Writes the solutions of all exercises and assignments."""
    for path in write_solutions(folder):
        print(path)


COMMANDS = {"slides": slides, "quiz": quiz, "solutions": solutions}


def main() -> None:
    if len(sys.argv) != 3 or sys.argv[1] not in COMMANDS:
        names = "|".join(COMMANDS)
        raise SystemExit(f"usage: python notebooks/course/material {names} FOLDER")
    try:
        COMMANDS[sys.argv[1]](Path(sys.argv[2]))
    except DataError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
