"""Checks accept right answers in any form, and say what is wrong with everything else."""

import numpy as np
import pytest
import torch

from ldr_lib.teaching import check, check_value, example, gradient, own_work, stored_values
from ldr_lib.teaching.checks import _failed


class Equal:
    def __eq__(self, other):
        return True

    __hash__ = None


class Arraylike:
    def __array__(self, *_, **__):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "got, expected",
    [
        (1, 1.0),
        (True, 1),
        ([1, 2], np.array([1.0, 2.0])),
        (torch.ones(2, dtype=torch.bfloat16), [1, 1]),
        (torch.ones(2, dtype=torch.float16), [1, 1]),
        (torch.ones(2, requires_grad=True), [1, 1]),
        (torch.ones(2, 3).T, np.ones((3, 2))),
        (np.zeros((0, 3)), np.zeros((0, 3))),
        (np.float32(0.5), 0.5),
        ((1, 2), [1, 2]),
        (np.array([True, False]), [1, 0]),
    ],
    ids=repr,
)
def test_check_accepts_a_right_answer_in_any_form(got, expected):
    check("it", got, expected)


@pytest.mark.parametrize(
    "got, said",
    [
        (None, "returns nothing yet"),
        ("1.0", "not the text '1.0'"),
        (b"1", "not the text"),
        (["1.0"], "a number or tensor is expected"),
        ([None], "a number or tensor is expected"),
        ([[1], [1, 2]], "a number or tensor is expected, not list"),
        ({"a": 1}, "not dict"),
        ({1.0}, "not set"),
        (object(), "not object"),
        (Equal(), "not Equal"),
        (Arraylike(), "not Arraylike"),
        (1j, "not complex"),
        (torch.ones((), dtype=torch.complex64), "a real number is expected"),
        (check, "not the function itself"),
        (torch.Tensor, "not the function itself"),
        (np.datetime64("2020-01-01"), "a number or tensor is expected"),
        (torch.ones(1, device="meta"), "a number or tensor is expected, not Tensor"),
        ([], r"has shape \(0,\), and \(\) is expected. It is empty"),
        (torch.zeros(0, 3), "It is empty"),
        ([1.0], r"has shape \(1,\), and \(\) is expected"),
        (float("nan"), "not finite"),
        (float("inf"), "not finite"),
        (torch.tensor(torch.inf, dtype=torch.bfloat16), "not finite"),
        (10**400, "a number or tensor is expected"),
        (2.0, "it: 2 instead of 1$"),
        (0.5, "it: 0.5 instead of 1. This is half of it."),
    ],
    ids=lambda value: str(value)[:40],
)
def test_check_says_what_is_wrong(got, said):
    with pytest.raises(AssertionError, match=said):
        check("it", got, 1.0, {"This is half of it.": 0.5, "Of another shape.": [1, 2]})


def test_check_says_where_arrays_differ_most():
    with pytest.raises(
        AssertionError, match=r"^it: 0.2 instead of 0.5 at \[0, 1\], where it .* 1.55"
    ):
        check("it", [[1.0, 0.2], [2.0, 3.0]], [[1.1, 0.5], [2.0, 3.0]])


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, np.float16])
def test_check_says_that_a_type_keeps_too_few_digits(kind):
    values = np.linspace(0.1, 0.3, 5)
    got = values.astype(kind) if kind is np.float16 else torch.tensor(values, dtype=kind)
    with pytest.raises(AssertionError, match=r"[0-9]\. The answer .*float16, which .* use float32"):
        check("it", got, values, tolerance=1e-6)
    with pytest.raises(AssertionError) as caught:
        check("it", got, 2 * values, {"This is half of it.": np.asarray(got.tolist())})
    assert str(caught.value).endswith("This is half of it.")


def test_check_value_counts_an_empty_answer_as_no_try():
    task = "patches: mixup_target"
    _failed.clear()
    for _ in range(2):
        with pytest.raises(AssertionError, match="returns nothing yet") as caught:
            check_value(task, None)
        assert "Hint" not in str(caught.value)
    with pytest.raises(AssertionError, match="Hint 1"):
        check_value(task, "something")


def test_check_value_opens_one_hint_more_with_each_failed_try():
    task = "patches: mixup_target"
    _failed.clear()
    hints = stored_values()[task]["hints"]
    said = []
    for _ in range(3):
        with pytest.raises(AssertionError) as caught:
            check_value(task, torch.zeros(2, 3, 2, 2))
        said.append(str(caught.value))
    assert hints[0] in said[0] and hints[1] not in said[0]
    assert all(hint in said[1] and hint in said[2] for hint in hints)
    check_value(task, stored_values()[task]["value"])
    with pytest.raises(ValueError, match="patches: mixup_target"):
        check_value("patches: nothing", 1)


def test_example_is_the_same_everywhere_and_of_unit_length():
    values = example(3, 4, 2)
    torch.testing.assert_close(values.norm(dim=1), torch.ones(3, 2))
    torch.testing.assert_close(
        example(2, 2, unit=False), torch.tensor([[1.0, -0.128844], [-0.966798, 0.377978]])
    )
    assert not torch.equal(example(3, 4), example(3, 4, turn=2.3))


def test_gradient_looks_at_one_input_and_one_element():
    a, b = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 5.0])
    assert gradient(torch.mul, a, b, of=1).tolist() == [1.0, 4.0]
    assert gradient(torch.mul, a, b, of=0, at=(1,)).tolist() == [0.0, 5.0]
    assert gradient(lambda x, y: y, a, b).tolist() == [0.0, 0.0]
    assert gradient(lambda x, y: (x * y).detach(), a, b).tolist() == [0.0, 0.0]
    with pytest.raises(AssertionError, match="a tensor is expected, not float"):
        gradient(lambda x, y: 1.0, a, b)


class Text:
    """An answer of which only the text is known, as grading has it."""

    def __init__(self, name, source):
        self.__name__, self.source = name, source


COPIES = {
    "by name": "from ldr_lib.losses import patch_grid as kit\ndef f(v):\n    return kit(v, 4)",
    "by module": "import ldr_lib.losses\ndef f(v):\n    return ldr_lib.losses.patch_grid(v, 4)",
    "by another name": "import ldr_lib.losses as l\ndef f(v):\n    return l.patch_grid(v, 4)",
    "inside": "def f(v):\n    from ldr_lib import losses\n    return losses.patch_grid(v, 4)",
    "through a helper": "from ldr_lib.losses import patch_grid as kit\ndef g(v):\n"
    "    return kit(v, 4)\ndef f(v):\n    return g(v)",
}
OWN = {
    "torch": "import torch\nimport torch.nn.functional as F\ndef f(v):\n    return F.relu(v)",
    "another function": "from ldr_lib.losses import patch_grid\ndef g(v):\n"
    "    return patch_grid(v, 4)\ndef f(v):\n    return v",
    "no program": "def f(v:\n    return (",
}


@pytest.mark.parametrize("name", COPIES)
def test_own_work_refuses_the_librarys_version(name):
    with pytest.raises(AssertionError, match="of ldr_lib: write it out from the equation"):
        own_work(Text("f", COPIES[name]))


@pytest.mark.parametrize("name", OWN)
def test_own_work_accepts_everything_else(name):
    own_work(Text("f", OWN[name]))


def test_own_work_reads_functions_of_this_session_too():
    scope = {}
    exec(COPIES["by name"], scope)  # noqa: S102
    with pytest.raises(AssertionError, match="calls kit of ldr_lib"):
        own_work(scope["f"])
    exec(OWN["torch"], scope)  # noqa: S102
    own_work(scope["f"])
