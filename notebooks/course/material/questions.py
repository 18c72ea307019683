"""The questions of all quizzes, read from `questions.yaml` and checked."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import yaml

from ldr_lib.data.errors import DataError

FILE = Path(__file__).with_name("questions.yaml")
NAMES = {"id", "ask", "right", "wrong", "digits", "why", "check"}


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        id: Its name, which begins with the number of the notebook.
        ask: What is asked, Markdown.
        right: The right options, or the right number as the only item.
        wrong: The wrong options; none where a number is asked for.
        digits: Decimals to which a number is rounded before it is compared; None for options.
        why: The reason, Markdown.
        check: Expression that a test evaluates; empty where nothing can be computed.
    """

    id: str
    ask: str
    right: tuple
    wrong: tuple[str, ...]
    digits: int | None
    why: str
    check: str
    several: bool

    @property
    def kind(self) -> str:
        """ "number", "many" (tick all that apply) or "one" of several options."""
        return "number" if self.digits is not None else "many" if self.several else "one"

    @property
    def options(self) -> list[str]:
        """Right and wrong options in an order that tells nothing, the same in every export."""
        if self.kind == "number":
            return []
        return sorted(
            (*self.right, *self.wrong),
            key=lambda option: hashlib.sha256(f"{self.id} {option}".encode()).digest(),
        )

    @property
    def tolerance(self) -> float:
        """How far a number may be from the right one: half of its last digit."""
        return 0.5 * 10**-self.digits


def read_questions(path: Path = FILE) -> dict[str, list[Question]]:
    """All questions by notebook.

    Raises:
        DataError: The file cannot be read, or a question makes no sense; it is named.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"{path.name} cannot be read: {error}") from error
    if not isinstance(content, dict) or not all(isinstance(v, list) for v in content.values()):
        raise DataError(f"{path.name} must map the number of each notebook to a list of questions")
    quizzes = {
        str(notebook): [
            _question(entry, f"question {position} of {notebook}")
            for position, entry in enumerate(entries, 1)
        ]
        for notebook, entries in content.items()
    }
    names = [question.id for quiz in quizzes.values() for question in quiz]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path.name}: more than one question is called {', '.join(twice)}")
    return quizzes


def _question(entry: dict, where: str) -> Question:
    if not isinstance(entry, dict):
        raise DataError(f"{where} must have the keys {', '.join(sorted(NAMES))}, not {entry!r:.60}")
    where = f"{where} ({entry.get('id', 'without id')})"
    for name in ("id", "ask", "why"):
        if not isinstance(entry.get(name), str) or not entry[name].strip():
            raise DataError(f"{where} lacks {name}, or it is no text (quote it)")
    if entry.keys() - NAMES:
        raise DataError(f"{where}: unknown key {', '.join(map(str, sorted(entry.keys() - NAMES)))}")
    right, wrong, digits = entry.get("right"), entry.get("wrong", []), entry.get("digits")
    several = isinstance(right, list)
    if digits is not None:
        if isinstance(right, bool) or not isinstance(right, (int, float)) or wrong:
            raise DataError(f"{where} has digits, so right must be a number and wrong be left out")
        if isinstance(digits, bool) or not isinstance(digits, int) or not 0 <= digits <= 9:
            raise DataError(f"{where}: digits must be a whole number from 0 to 9, not {digits!r}")
        right = [float(right)]
    else:
        right = right if several else [right]
        if not isinstance(wrong, list) or not right or not wrong:
            raise DataError(f"{where} needs a right option and a list of wrong ones")
        for option in (*right, *wrong):
            if not isinstance(option, str) or not option.strip() or "\n" in option:
                raise DataError(f"{where}: options must be texts of one line (quote {option!r})")
        if len({*right, *wrong}) < len(right) + len(wrong):
            raise DataError(f"{where} has the same option twice")
    texts = (str(entry.get(name, "")) for name in ("ask", "why", "check"))
    ask, why, check = (" ".join(text.split()) for text in texts)  # on one line each
    return Question(entry["id"], ask, tuple(right), tuple(wrong), digits, why, check, several)
