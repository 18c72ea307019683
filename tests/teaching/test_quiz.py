"""The quiz in a notebook says at once what is right, and gives nothing away before."""

import pytest

from ldr_lib.teaching import Quiz, quiz
from ldr_lib.teaching.sealing import seal, unseal


@pytest.fixture
def questions(monkeypatch):
    """A quiz of one question of each kind."""
    made = [
        dict(id="x-1", ask="Which?", kind="one", options=["a", "b"], digits=None, right="b"),
        dict(
            id="x-2",
            ask="All?",
            kind="many",
            options=["a", "b", "c"],
            digits=None,
            right=["c", "a"],
        ),
        dict(id="x-3", ask="How much is $x$?", kind="number", options=[], digits=2, right=0.25),
    ]
    for one in made:
        one["sealed"] = seal(f"Because of {one['id']}.", quiz.answer_key(one, one.pop("right")))
    monkeypatch.setattr(quiz, "quiz_questions", lambda: {"x": made})
    return made


def test_a_text_opens_with_its_key_only():
    sealed = seal("Größe 0.5 – because", "question: a")
    assert unseal(sealed, "question: a") == "Größe 0.5 – because"
    assert unseal(sealed, "question: b") is None and "because" not in sealed


def test_one_option_is_checked(questions):
    card = Quiz("x").cards[0]
    card.check()
    assert "Choose an answer first" in card.said.value and card.tries == 0
    card.field.value = "a"
    card.button.click()
    assert "Not yet" in card.said.value and not card.solved and "Because" not in card.said.value
    card.field.value = "b"
    card.button.click()
    assert "Right." in card.said.value and "Because of x-1" in card.said.value and card.solved


def test_all_options_that_apply_have_to_be_ticked(questions):
    card = Quiz("x").cards[1]
    for ticked, solved in (
        ((True, False, False), False),
        ((True, True, True), False),
        ((True, False, True), True),
    ):
        for box, value in zip(card.boxes, ticked):
            box.value = value
        card.check()
        assert card.solved == solved


@pytest.mark.parametrize(
    "value, right", [(0.25, True), (0.2549, True), (0.246, True), (0.26, False), (-0.25, False)]
)
def test_numbers_are_rounded_before_they_are_compared(questions, value, right):
    card = Quiz("x").cards[2]
    card.field.value = str(value)
    card.check()
    assert card.solved == right and card.tries == 1


@pytest.mark.parametrize("value", ["", "a lot", "nan", "inf", "1e999"])
def test_what_is_no_number_is_no_try(questions, value):
    card = Quiz("x").cards[2]
    card.field.value = value
    card.check()
    assert "Write a number first" in card.said.value and card.tries == 0


def test_a_decimal_comma_is_understood(questions):
    card = Quiz("x").cards[2]
    card.field.value = " 0,25 "
    card.check()
    assert card.solved


def test_first_tries_are_counted(questions):
    whole = Quiz("x")
    first, _, third = whole.cards
    first.field.value = "a"
    first.check()
    first.field.value = "b"
    first.check()
    third.field.value = "0.25"
    third.check()
    assert "2 of 3 right, 1 of them at the first try" in whole.total.value
    first.field.value = "a"  # looking at another option later takes nothing away
    first.check()
    assert "2 of 3 right, 1 of them" in whole.total.value


def test_without_a_kernel_the_questions_are_text_without_answers(questions):
    data = Quiz("x")._repr_mimebundle_()
    text = data["text/markdown"]
    for one in questions:
        assert one["ask"] in text and all(f"- {option}" in text for option in one["options"])
        assert f"Because of {one['id']}" not in text and one["sealed"] not in text


def test_minus_zero_is_zero():
    one = dict(id="x", kind="number", digits=0, options=[])
    assert quiz.answer_key(one, -0.2) == quiz.answer_key(one, 0) == "x: 0"


def test_what_is_no_answer_is_named(questions):
    with pytest.raises(ValueError, match='unknown option of x-1 "z"; known are a, b'):
        quiz.answer_key(questions[0], "z")
    with pytest.raises(ValueError, match="the answer"):
        quiz.answer_key(questions[2], "a lot")
    with pytest.raises(ValueError, match='unknown quiz "99"; known are x'):
        Quiz("99")


def test_each_committed_quiz_can_be_shown():
    for notebook, stored in quiz.quiz_questions().items():
        assert len(Quiz(notebook).cards) == len(stored) == 10
