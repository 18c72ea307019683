"""Quizzes in GIFT, the text format of Moodle."""

import re

from questions import Question


def gift(notebook: str, quiz: list[Question]) -> str:
    """A quiz as the text of a GIFT file."""
    blocks = [f"$CATEGORY: local representations/{notebook}", *map(_question, quiz)]
    return "\n\n".join(blocks) + "\n"


def _question(question: Question) -> str:
    if question.kind == "number":
        (value,) = question.right
        answers = [f"\t#{value:.{question.digits}f}:{question.tolerance:g}"]
    elif question.kind == "one":
        answers = [f"\t{_sign(question, one)}{_escape(one)}" for one in question.options]
    else:
        share = 100 / len(question.right)
        answers = [
            f"\t~%{share if one in question.right else -100:.5g}%{_escape(one)}"
            for one in question.options
        ]
    body = "\n".join([*answers, f"\t####{_escape(_formulas(question.why))}"])
    ask = _escape(_formulas(question.ask))
    return f"::{_escape(question.id)}::[markdown]{ask} {{\n{body}\n}}"


def _sign(question: Question, option: str) -> str:
    return "=" if option in question.right else "~"


def _escape(text: str) -> str:
    return re.sub(r"([\\~=#{}:])", r"\\\1", text)


def _formulas(text: str) -> str:
    r"""$...$ as \(...\), which platforms typeset."""
    return re.sub(r"\$(.+?)\$", r"\\(\1\\)", text)
