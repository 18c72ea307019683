r"""Quizzes in GIFT, the text format of Moodle.

Texts are HTML: Moodle's Markdown takes the backslashes of `\(...\)` and the underscores of formulas
for its own signs, and shows no formulas then.
"""

import re
from html import escape

from markup import to_html
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
        answers = [f"\t{_sign(question, one)}{_plain(one)}" for one in question.options]
    else:
        share = 100 / len(question.right)
        answers = [
            f"\t~%{share if one in question.right else -100:.5g}%{_plain(one)}"
            for one in question.options
        ]
    body = "\n".join([*answers, f"\t####{_html(question.why)}"])
    return f"::{_escape(question.id)}::[html]{_html(question.ask)} {{\n{body}\n}}"


def _sign(question: Question, option: str) -> str:
    return "=" if option in question.right else "~"


def _plain(text: str) -> str:
    return _escape(escape(text, quote=False))


def _html(markdown: str) -> str:
    html = to_html(markdown, _as_tex)
    return _escape(re.sub(r"\s*\n\s*", " ", html.strip()))  # an empty line would end the question


def _as_tex(formula: str, display: str) -> str:
    r"""A formula between \( and \), which platforms typeset."""
    return rf"\({escape(formula, quote=False)}\)"


def _escape(text: str) -> str:
    return re.sub(r"([\\~=#{}:])", r"\\\1", text)
