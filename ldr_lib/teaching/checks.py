"""What assignments check answers with: every message says what a wrong answer looks like."""

import ast
import inspect
import json
import math
import textwrap
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch

from ..data.checks import flag, instance, number, several, shown, whole
from ..data.errors import one_of

STORED = Path(__file__).with_name("values.json")
"""Task to its stored value, the values that known mistakes give, and hints."""
MOST_VALUES = 10**8
"""Of an example."""
_failed = Counter()
"""Task to the number of tries that failed in this session; decides which hint opens."""


def check(what: str, got, expected, mistakes: dict | None = None, tolerance: float = 1e-4) -> None:
    """Holds an answer against the right one, and against those that known mistakes lead to.

    Args:
        what: What is checked, for the message.
        got: The student's number, array or tensor.
        expected: The right one.
        mistakes: Explanation to the value that this mistake gives.
        tolerance: Largest absolute difference.

    Raises:
        AssertionError: They differ; says how, and what it looks like if a known mistake explains
            it.

    Example:
        >>> check("half of it", 0.5, 0.5)
        >>> check("half of it", 0.25, 0.5, {"This is a quarter.": 0.25})
        Traceback (most recent call last):
        AssertionError: half of it: 0.25 instead of 0.5. This is a quarter.
    """
    tolerance = number(tolerance, "tolerance", 0)
    mistakes = {} if mistakes is None else instance(mistakes, dict, "mistakes", "a dictionary")
    answer, right = _numbers(what, got), _numbers(what, expected)
    assert answer.shape == right.shape, (
        f"{what}: has shape {answer.shape}, and {right.shape} is expected"
        + (". It is empty." if answer.size == 0 else "")
    )
    assert np.isfinite(answer).all(), (
        f"{what}: holds values that are not finite. Is something divided by zero, or the "
        "logarithm of zero taken?"
    )
    if _near(answer, right, tolerance):
        return
    difference = f"{what}: {_difference(answer, right)}"
    for explanation, wrong in mistakes.items():
        if _near(answer, _numbers(what, wrong), tolerance):
            raise AssertionError(f"{difference}. {explanation}")
    raise AssertionError(difference + _coarse(got))


def _coarse(value) -> str:
    """What to say of a wrong value if its type keeps too few digits for a comparison."""
    kind = str(getattr(value, "dtype", "")).removeprefix("torch.")
    few = kind in ("float16", "bfloat16")
    return f". The answer is {kind}, which keeps two or three digits: use float32." if few else ""


def _numbers(what: str, value) -> np.ndarray:
    """A value as an array of double precision; an AssertionError that teaches where it is none."""
    name = type(value).__name__
    assert value is not None, f"{what}: the function returns nothing yet. Does it end with return?"
    assert not callable(value) or torch.is_tensor(value), (
        f"{what}: a number or tensor is expected, not the function itself. Are parentheses missing?"
    )
    assert not isinstance(value, (str, bytes)), (
        f"{what}: a number or tensor is expected, not the text {value!r:.40}"
    )
    try:
        if torch.is_tensor(value):
            assert not value.is_complex(), f"{what}: a real number is expected, not a complex one"
            return value.detach().cpu().to(torch.float64).numpy()
        array = np.asarray(value)
        assert array.dtype.kind not in "USOcmM", (
            f"{what}: a number or tensor is expected, not {name} of {array.dtype}"
        )
        return array.astype(np.float64)
    except (TypeError, ValueError, RuntimeError, NotImplementedError) as error:
        raise AssertionError(f"{what}: a number or tensor is expected, not {name}") from error


def _near(answer: np.ndarray, other: np.ndarray, tolerance: float) -> bool:
    return answer.shape == other.shape and bool((np.abs(answer - other) <= tolerance).all())


def _difference(answer: np.ndarray, right: np.ndarray) -> str:
    """Answer and right one where they differ most, and the means of arrays."""
    at = np.unravel_index(np.abs(answer - right).argmax(), right.shape)
    said = f"{answer[at]:.4g} instead of {right[at]:.4g}"
    if right.size == 1:
        return said
    means = f"its mean is {answer.mean():.4g} instead of {right.mean():.4g}"
    return f"{said} at {[int(i) for i in at]}, where it differs most; {means}"


def check_value(task: str, got, tolerance: float = 1e-3) -> None:
    """Holds an answer against the value that is stored for a task.

    The value belongs to the inputs that the test cell shows. A try that fails opens a hint, the
    next failed one the next hint; an answer that returns nothing is no try.

    Args:
        task: Assignment and task, for example "patches: probabilities".
        got: The student's number, array or tensor.
        tolerance: Largest absolute difference.

    Raises:
        ValueError: Unknown task.
        AssertionError: As in `check`.
    """
    stored = stored_values()[one_of(task, stored_values(), "task")]
    try:
        check(task, got, stored["value"], stored["mistakes"], tolerance)
    except AssertionError as error:
        _failed[task] += got is not None
        hints = stored["hints"][: _failed[task]]
        shown = "".join(f"\nHint {i}: {hint}" for i, hint in enumerate(hints, 1))
        raise AssertionError(f"{error}{shown}") from None


@cache
def stored_values() -> dict[str, dict]:
    """All stored values, by task: "value", "mistakes" (explanation to value) and "hints"."""
    return json.loads(STORED.read_text(encoding="utf-8"))


def example(*shape: int, turn: float = 1.7, unit: bool = True) -> torch.Tensor:
    """Inputs for check values, the same on every computer: cosines, not random numbers.

    Args:
        shape: Shape of the tensor.
        turn: Radians from one value to the next; another turn gives other inputs.
        unit: Scale to unit vectors along dimension 1.

    Returns:
        Tensor of single precision.

    Raises:
        ValueError: There is no such shape.

    Example:
        >>> example(2, 3).norm(dim=1)
        tensor([1., 1.])
    """
    shape = [whole(side, "each of shape", 1, 10**6) for side in shape]
    turn, unit = number(turn, "turn"), flag(unit, "unit")
    if math.prod(shape) > MOST_VALUES or unit and len(shape) < 2:
        raise ValueError(
            f"shape must hold at most {MOST_VALUES} values, and for unit vectors two sides or "
            f"more, not {tuple(shape)}"
        )
    values = torch.arange(math.prod(shape), dtype=torch.float64).mul(turn).cos().reshape(shape)
    return (torch.nn.functional.normalize(values, dim=1) if unit else values).float()


def gradient(function: Callable, *inputs, of: int = 0, at: tuple[int, ...] = ()) -> torch.Tensor:
    """How a function's result changes with one of its inputs.

    Args:
        function: Takes tensors and returns one.
        inputs: What it is called with.
        of: Which input the gradient is taken with respect to, from 0.
        at: Indices of the element of the result that is looked at; without it, all elements
            count, weighted by 1, 2, 3 and so on, so that no two of them can cancel.

    Returns:
        Gradient of the shape of that input; zeros where nothing depends on it.

    Raises:
        ValueError: There is no function, no such input or no such element.
        AssertionError: The function returns no tensor.

    Example:
        >>> gradient(lambda x: x**2, torch.tensor([1.0, 3.0]), at=(1,))
        tensor([0., 6.])
    """
    if hasattr(function, "gradient"):  # an answer that runs in another process
        return function.gradient(*inputs, of=of, at=list(at))
    if not callable(function):
        raise ValueError(f"function must be a function, not {shown(function)}")
    instance(at, (tuple, list), "at", "a list of indices")
    inputs, of = list(several(inputs, "inputs", "tensors")), whole(of, "of", 0, len(inputs) - 1)
    if not torch.is_tensor(inputs[of]) or not inputs[of].is_floating_point():
        raise ValueError(f"input {of} must be a tensor of floats, not {shown(inputs[of])}")
    leaf = inputs[of] = inputs[of].detach().clone().requires_grad_()
    result = function(*inputs)
    assert torch.is_tensor(result), f"a tensor is expected, not {type(result).__name__}"
    if not result.requires_grad:
        return torch.zeros_like(leaf)
    weights = torch.arange(1, result.numel() + 1).to(result).reshape(result.shape)
    looked_at = result[_place(at, result)] if len(at) else (result * weights).sum()
    (found,) = torch.autograd.grad(looked_at, leaf, allow_unused=True)
    return torch.zeros_like(leaf) if found is None else found


def _place(at, result: torch.Tensor) -> tuple[int, ...]:
    """Indices of an element of a result."""
    if len(at) != result.ndim:
        raise ValueError(f"at must be {result.ndim} indices, one for each dimension, not {at}")
    return tuple(whole(i, "each of at", 0, n - 1) for i, n in zip(at, result.shape))


def own_work(function: Callable) -> None:
    """Makes sure that an answer is written out and does not call this package.

    Args:
        function: The answer, or an object whose `source` is the text of all answers.

    Raises:
        AssertionError: It does.
        ValueError: It is no function.
    """
    source, name = getattr(function, "source", None), getattr(function, "__name__", "")
    if not name or source is None and not hasattr(function, "__code__"):
        raise ValueError(f"function must be one that you wrote, not {shown(function)}")
    used = _used_by(function) if source is None else _used_in(source, name)
    assert not used, f"{name} calls {used[0]} of ldr_lib: write it out from the equation"


def _used_by(function: Callable) -> list[str]:
    """Names of this package that a function of this session reads."""
    found = []
    for name in _names(function.__code__):
        used = function.__globals__.get(name)
        home = getattr(used, "__module__", None) or getattr(used, "__name__", "")
        if name == "ldr_lib" or str(home).startswith("ldr_lib"):
            found.append(name)
    return found


def _names(code) -> set[str]:
    inner = (_names(one) for one in code.co_consts if inspect.iscode(one))
    return set(code.co_names).union(*inner)


def _used_in(source: str, function: str) -> list[str]:
    """Names of this package that a function, or what it calls, reads in a program's text."""
    try:
        tree = ast.parse(textwrap.dedent(source))
    except SyntaxError:
        return []
    bodies, own = {}, set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            bodies[node.name] = node
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ldr_lib"):
            own |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            own |= {
                alias.asname or alias.name.split(".")[0]
                for alias in node.names
                if alias.name.split(".")[0] == "ldr_lib"
            }
    reached, waiting = set(), [function]
    while waiting:
        name = waiting.pop()
        if name in bodies and name not in reached:
            reached.add(name)
            waiting += [node.id for node in ast.walk(bodies[name]) if isinstance(node, ast.Name)]
    read = {
        node.id for name in reached for node in ast.walk(bodies[name]) if isinstance(node, ast.Name)
    }
    inside = {
        (node.module or "")
        for name in reached
        for node in ast.walk(bodies[name])
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ldr_lib")
    }
    return sorted((read & own) | inside)
