"""A quiz in a notebook: it says at once whether an answer is right, and then why."""

import json
import math
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import ipywidgets as widgets
from nbconvert.filters import markdown2html

from ..data.checks import number
from ..data.errors import one_of
from .sealing import unseal

STORED = Path(__file__).with_name("quiz.json")
"""Questions by notebook; `make quiz` writes them from notebooks/course/material/questions.yaml."""
WAYS = {"one": "Choose one.", "many": "Tick all that apply.", "number": ""}
"""Kind of question to what its reader is asked to do."""


@cache
def quiz_questions() -> dict[str, list[dict]]:
    """All questions by notebook, without their answers.

    A question has "id", "ask" (Markdown), "kind" ("one", "many" or "number"), "options", "digits"
    (of a number) and "sealed", the reason, which opens with the right answer.
    """
    return json.loads(STORED.read_text(encoding="utf-8"))


def answer_key(question: dict, answer: str | float | Iterable[str]) -> str:
    """An answer in the form that opens the reason of a question.

    Args:
        question: One of `quiz_questions`.
        answer: An option, several options in any order, or a number.

    Returns:
        Question and answer as one text.

    Raises:
        ValueError: The answer is no option of the question, or no number.
    """
    if question["kind"] == "number":
        value = round(float(number(answer, "the answer")), question["digits"])
        given = f"{value + 0.0:.{question['digits']}f}"  # + 0.0: minus zero is zero
    else:
        chosen = [answer] if isinstance(answer, str) else list(answer)
        for option in chosen:
            one_of(option, question["options"], f"option of {question['id']}")
        given = "\n".join(sorted(chosen))
    return f"{question['id']}: {given}"


def reason(question: dict, answer: str | float | Iterable[str]) -> str | None:
    """Why an answer is right, or None where it is not.

    Args:
        question: One of `quiz_questions`.
        answer: As in `answer_key`.

    Raises:
        ValueError: As in `answer_key`.
    """
    return unseal(question["sealed"], answer_key(question, answer))


class Quiz(widgets.VBox):
    """The ten questions of a notebook, with immediate feedback.

    Without a running kernel the questions and their options are shown as text.

    Args:
        notebook: Number of the notebook, for example "02".

    Raises:
        ValueError: There is no quiz of this notebook; the message lists those that there are.

    Example:
        >>> len(Quiz("00").children) - 1
        10
    """

    def __init__(self, notebook: str):
        self.questions = quiz_questions()[one_of(notebook, quiz_questions(), "quiz")]
        self.total = widgets.HTML()
        self.cards = [
            _Card(position, question, self._count)
            for position, question in enumerate(self.questions, 1)
        ]
        super().__init__([*self.cards, self.total])
        self.add_class("ldr-quiz")
        self._count()

    def _count(self) -> None:
        solved = sum(card.solved for card in self.cards)
        first = sum(card.solved and card.tries == 1 for card in self.cards)
        self.total.value = (
            f"<b>{solved} of {len(self.cards)} right, {first} of them at the first try.</b>"
        )

    def _repr_mimebundle_(self, **kwargs):
        data = super()._repr_mimebundle_(**kwargs)
        text = as_text(self.questions)
        return data | {"text/markdown": text, "text/plain": text}


class _Card(widgets.VBox):
    """One question: what is asked, the options, a button, and what it says.

    Args:
        position: Of the question, from 1.
        question: One of `quiz_questions`.
        answered: Called after every try.
    """

    def __init__(self, position: int, question: dict, answered):
        self.question, self.answered = question, answered
        self.tries, self.solved = 0, False
        words = f"**{position}.** {question['ask']} {WAYS[question['kind']]}"
        self.said = widgets.HTMLMath()
        self.button = widgets.Button(description="Check")
        self.button.on_click(lambda _: self.check())
        wide = widgets.Layout(width="auto")
        if question["kind"] == "number":
            self.field = widgets.Text(placeholder="a number", layout=widgets.Layout(width="10em"))
            inputs = [self.field]
        elif question["kind"] == "one":
            self.field = widgets.RadioButtons(options=question["options"], index=None, layout=wide)
            inputs = [self.field]
        else:
            inputs = self.boxes = [
                widgets.Checkbox(description=option, indent=False, layout=wide)
                for option in question["options"]
            ]
        super().__init__([widgets.HTMLMath(markdown2html(words)), *inputs, self.button, self.said])

    def answer(self) -> str | float | list[str] | None:
        """What the reader has chosen; None where that is nothing, or no number where one is asked
        for.
        """
        if self.question["kind"] == "many":
            return [box.description for box in self.boxes if box.value] or None
        if self.question["kind"] == "one":
            return self.field.value
        try:
            value = float(self.field.value.strip().replace(",", "."))
        except ValueError:
            return None
        return value if math.isfinite(value) else None

    def check(self) -> None:
        """Says whether the answer is right, and if so, why."""
        answer = self.answer()
        if answer is None:
            number = self.question["kind"] == "number"
            self.said.value = f"{'Write a number' if number else 'Choose an answer'} first."
            return
        if not self.solved:
            self.tries += 1
        why = reason(self.question, answer)
        self.solved = self.solved or why is not None
        words = f"**Right.** {why}" if why is not None else "**Not yet.** Try again."
        self.said.value = markdown2html(words)
        self.answered()


def as_text(questions: list[dict]) -> str:
    """Questions and their options as Markdown, without answers.

    Args:
        questions: A quiz of `quiz_questions`.
    """
    parts = []
    for position, question in enumerate(questions, 1):
        options = "".join(f"\n   - {option}" for option in question["options"])
        words = f"{position}. {question['ask']} {WAYS[question['kind']]}".rstrip()
        parts.append(f"{words}\n{options}")
    return "\n\n".join(parts)
