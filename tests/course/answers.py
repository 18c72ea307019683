"""Answers that a student might plausibly give, wrong ones with the tests they must fail, and right
ones written differently: one file of `answers/` for each assignment.
"""

from pathlib import Path

import yaml

ASSIGNMENTS = ("views", "patches", "regions", "priors", "training", "experiment", "project")


def _answers(assignment: str) -> dict[str, list[dict]]:
    path = Path(__file__).parent / "answers" / f"{assignment}.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))


ANSWERS = {assignment: _answers(assignment) for assignment in ASSIGNMENTS}
WRONG = [
    (assignment, one["task"], one["what"], one["code"], one["fails"])
    for assignment, answers in ANSWERS.items()
    for one in answers["wrong"]
]
"""Assignment, task, what is wrong, the program, and the tests that it must fail."""
RIGHT = [
    (assignment, one["task"], one["what"], one["code"])
    for assignment, answers in ANSWERS.items()
    for one in answers["right"]
]
"""Assignment, task, what is different, and the program."""
