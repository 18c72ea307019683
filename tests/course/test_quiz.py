"""Quizzes: right answers are computed, exports hold the same questions, students get no answers."""

import json
import math
import re
import sys
import zipfile
from html import unescape
from xml.etree import ElementTree

import nbformat
import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml
from conftest import ROOT
from sklearn.metrics import average_precision_score, roc_auc_score

from ldr_lib import TwoBranchNet, losses, metrics, runs
from ldr_lib.data.errors import DataError
from ldr_lib.teaching import quiz as student

sys.path.insert(0, str(ROOT / "notebooks" / "course" / "material"))

import questions as source  # noqa: E402
from gift import gift  # noqa: E402
from qti import QTI, item, write_qti  # noqa: E402

QUIZZES = source.read_questions()
ALL = [question for quiz in QUIZZES.values() for question in quiz]


def record(name):
    return json.loads((ROOT / "figures" / name / "record.json").read_text(encoding="utf-8"))


NAMES = {
    "math": math,
    "np": np,
    "torch": torch,
    "F": F,
    "losses": losses,
    "metrics": metrics,
    "runs": runs,
    "record": record,
    "roc_auc_score": roc_auc_score,
    "average_precision_score": average_precision_score,
    "TwoBranchNet": TwoBranchNet,
}


def test_quiz_has_ten_questions_for_each_notebook():
    notebooks = {path.name.split("_")[0] for path in (ROOT / "notebooks").glob("0*.ipynb")}
    assert QUIZZES.keys() == notebooks
    assert all(len(quiz) == 10 for quiz in QUIZZES.values())
    assert all(
        question.id.startswith(f"{name}-") for name, quiz in QUIZZES.items() for question in quiz
    )


@pytest.mark.parametrize("question", [q for q in ALL if q.check], ids=lambda question: question.id)
def test_quiz_answers_that_can_be_computed_are_right(question):
    found = eval(question.check, dict(NAMES))  # noqa: S307 our own file
    if question.kind == "number":
        assert round(float(found), question.digits) == question.right[0]
    else:
        assert bool(found) is True


def test_quiz_numbers_are_all_computed():
    assert all(question.check for question in ALL if question.kind == "number")


def test_quiz_cannot_be_passed_by_looking_at_the_options():
    one = [question for question in ALL if question.kind == "one"]
    longest = [max(question.options, key=len) in question.right for question in one]
    assert sum(longest) < 0.4 * len(one)
    for position in range(3):
        assert sum(question.options[position] in question.right for question in one) < 0.5 * len(
            one
        )


def plain(text):
    """A GIFT text as a learning platform reads it."""
    return re.sub(r"\\([\\~=#{}:])", r"\1", text)


TEX = re.compile(r"\\\((.+?)\\\)")


def words(html):
    """What a page shows of a text, formulas between dollars."""
    text = unescape(re.sub(r"</?\w+>", "", html)).replace("*", "")
    return " ".join(TEX.sub(r"$\1$", text).split())


def read_gift(text):
    """Questions of a GIFT file: id to question, answers with their shares, general feedback."""
    found = {}
    for block in re.split(r"\n\n+", text.strip())[1:]:
        name, ask, body = re.fullmatch(r"::(.*?)::\[html\](.*) \{\n(.*)\n\}", block, re.S).groups()
        answers, why = [], ""
        for line in body.splitlines():
            line = line.strip()
            if line.startswith("####"):
                why = plain(line[4:])
            elif line[0] == "#":
                answers.append(tuple(map(float, line[1:].split(":"))))
            else:
                sign, share, option = re.fullmatch(r"([=~])(?:%(-?[\d.]+)%)?(.*)", line).groups()
                right = float(share) > 0 if share else sign == "="
                assert not re.search(r"(?<!\\)(?:\\\\)*[~=#{}:]", option), "not escaped"
                answers.append((unescape(plain(option)), right))
        found[plain(name)] = plain(ask), answers, why
    return found


@pytest.mark.parametrize("notebook", QUIZZES)
def test_quiz_in_gift_holds_the_same_questions(notebook):
    text = gift(notebook, QUIZZES[notebook])
    assert text.startswith(f"$CATEGORY: local representations/{notebook}\n")
    found = read_gift(text)
    assert list(found) == [question.id for question in QUIZZES[notebook]]
    for question in QUIZZES[notebook]:
        ask, answers, why = found[question.id]
        for html, markdown in ((ask, question.ask), (why, question.why)):
            assert words(html) == " ".join(markdown.replace("*", "").split())
            assert TEX.findall(unescape(html)) == re.findall(r"\$(.+?)\$", markdown)
        if question.kind == "number":
            assert answers == [(question.right[0], question.tolerance)]
        else:
            assert answers == [(one, one in question.right) for one in question.options]


def test_quiz_in_gift_escapes_what_has_a_meaning_there():
    entry = dict(
        id="x-1", ask="Is {a} = b: ~c # 5\\n?", right="a = {1} < 2", wrong=["~b"], why="a: $\\nu$"
    )
    question = source._question(entry, "a question")
    ask, answers, why = read_gift(gift("x", [question]))["x-1"]
    assert words(ask) == entry["ask"] and words(why) == entry["why"] and "\\(\\nu\\)" in why
    assert sorted(answers) == [("a = {1} < 2", True), ("~b", False)]


TAG = f"{{{QTI}}}"


def score(root, response):
    """What a platform's response processing gives for a response: a list of values."""
    right = [value.text for value in root.find(f"{TAG}responseDeclaration").iter(f"{TAG}value")]
    condition = root.find(f"{TAG}responseProcessing/{TAG}responseCondition")
    test = condition.find(f"{TAG}responseIf")[0]
    if test.tag == f"{TAG}equal":
        below, above = map(float, test.get("tolerance").split())
        met = float(right[0]) - below <= float(response[0]) <= float(right[0]) + above
    else:
        assert test.tag == f"{TAG}match"
        met = sorted(right) == sorted(response)
    branch = condition.find(f"{TAG}responseIf" if met else f"{TAG}responseElse")
    return float(branch.find(f"{TAG}setOutcomeValue/{TAG}baseValue").text)


@pytest.mark.parametrize("question", ALL, ids=lambda question: question.id)
def test_quiz_in_qti_scores_right_answers_and_no_others(question):
    root = ElementTree.fromstring(item(question))
    if question.kind == "number":
        (value,) = question.right
        assert score(root, [value]) == 1 and score(root, [value + 0.4 * question.tolerance]) == 1
        assert score(root, [value + 3 * question.tolerance]) == 0
    else:
        names = {one.text: one.get("identifier") for one in root.iter(f"{TAG}simpleChoice")}
        assert set(names) == {*question.right, *question.wrong}
        assert score(root, [names[one] for one in question.right]) == 1
        assert all(score(root, [names[one]]) == 0 for one in question.wrong)
        most = root.find(f".//{TAG}choiceInteraction").get("maxChoices")
        assert most == ("0" if question.kind == "many" else "1")
    assert "$" not in "".join(root.itertext())  # formulas are MathML


def test_quiz_package_lists_its_files(tmp_path):
    path = write_qti("02", QUIZZES["02"], tmp_path / "quiz.zip")
    with zipfile.ZipFile(path) as package:
        names = set(package.namelist())
        manifest = ElementTree.fromstring(package.read("imsmanifest.xml"))
        test = ElementTree.fromstring(package.read("test.xml"))
    space = "{http://www.imsglobal.org/xsd/imscp_v1p1}"
    resources = list(manifest.iter(f"{space}resource"))
    listed = {resource.find(f"{space}file").get("href") for resource in resources}
    assert listed == names - {"imsmanifest.xml"} and len(listed) == 11
    assert {one.get("href") for one in test.iter(f"{TAG}assessmentItemRef")} == listed - {
        "test.xml"
    }
    known = {resource.get("identifier") for resource in resources}
    assert {one.get("identifierref") for one in manifest.iter(f"{space}dependency")} < known


def test_quiz_package_is_the_same_at_every_export(tmp_path):
    first, second = (write_qti("00", QUIZZES["00"], tmp_path / name) for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()


def test_students_get_the_questions_and_no_answers():
    stored = student.quiz_questions()
    assert stored.keys() == QUIZZES.keys()
    text = student.STORED.read_text(encoding="utf-8")
    for notebook, quiz in QUIZZES.items():
        for question, shown in zip(quiz, stored[notebook]):
            assert shown.keys() == {"id", "ask", "kind", "options", "digits", "sealed"}
            told = shown["ask"], shown["kind"], shown["options"], shown["digits"]
            assert told == (question.ask, question.kind, question.options, question.digits)
            assert question.why not in text
            right = list(question.right)
            assert (
                student.reason(shown, right[0] if question.digits is not None else right)
                == question.why
            )
            for wrong in question.wrong:
                assert student.reason(shown, wrong) is None


def test_practice_notebook_shows_the_present_questions():
    from practice import NOTEBOOK, practice_notebook

    made = practice_notebook(student.quiz_questions())
    kept = nbformat.read(NOTEBOOK, 4)
    assert nbformat.writes(made) == nbformat.writes(kept)


def test_questions_are_plain_where_they_have_to_be():
    for question in ALL:
        assert not any(re.search(r"[$`*\\]", option) for option in question.options), question.id
        assert "`" not in question.ask + question.why  # GIFT and QTI show no code


@pytest.mark.parametrize(
    "change, said",
    [
        (dict(ask=""), "lacks ask"),
        (dict(why=None), "lacks why"),
        (dict(right=None), "texts of one line"),
        (dict(wrong=[]), "a right option and a list of wrong ones"),
        (dict(wrong="b"), "a right option and a list of wrong ones"),
        (dict(wrong=["a"]), "the same option twice"),
        (dict(wrong=[5]), "quote 5"),
        (dict(digits=2), "must be a number and wrong be left out"),
        (dict(digits=-1, right=1, wrong=[]), "from 0 to 9"),
        (dict(colour="red"), "unknown key colour"),
    ],
)
def test_mistakes_in_the_file_of_questions_are_named(tmp_path, change, said):
    entry = dict(id="x-1", ask="What?", right="a", wrong=["b"], why="So.") | change
    path = tmp_path / "questions.yaml"
    path.write_text(yaml.safe_dump({"x": [entry]}), encoding="utf-8")
    with pytest.raises(DataError, match=said) as found:
        source.read_questions(path)
    assert "question 1 of x (x-1)" in str(found.value)


@pytest.mark.parametrize(
    "text, said",
    [("x: [", "cannot be read"), ("- 1", "must map the number"), ("x: [1]", "must have the keys")],
)
def test_files_of_other_form_are_refused(tmp_path, text, said):
    path = tmp_path / "questions.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=said):
        source.read_questions(path)


def test_two_questions_of_one_name_are_refused(tmp_path):
    entry = dict(id="x-1", ask="What?", right="a", wrong=["b"], why="So.")
    path = tmp_path / "questions.yaml"
    path.write_text(yaml.safe_dump({"x": [entry, entry]}), encoding="utf-8")
    with pytest.raises(DataError, match="more than one question is called x-1"):
        source.read_questions(path)
