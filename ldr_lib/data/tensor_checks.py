"""Checks of tensors, which look at no value, so that they cost nothing; and of devices."""

import torch

from .checks import number, shown

HOTTEST = 1e6
"""The largest temperature: beyond it all similarities count the same."""
OF_ANY_TYPE = {"targets", "partners", "hidden"}
"""Arguments that may be bool or whole numbers; all others are floats."""


def require(dims: str, **tensors: torch.Tensor) -> None:
    """Makes sure that tensors have as many dimensions as `dims` has letters, one shape, and lie on
    one device.

    Args:
        dims: A letter for each dimension, for example "BCHW".
        tensors: By the names of the arguments.

    Raises:
        ValueError: They have not.

    Example:
        >>> require("ND", anchors=torch.rand(2, 3), positives=torch.rand(2, 4))
        Traceback (most recent call last):
        ValueError: anchors and positives must be of one shape, not (2, 3) and (2, 4)
    """
    for name, value in tensors.items():
        fits = isinstance(value, torch.Tensor) and value.ndim == len(dims) and value.numel() > 0
        fits = fits and value.layout == torch.strided and not value.is_complex()
        if not fits or name not in OF_ANY_TYPE and not value.is_floating_point():
            kind = "tensor" if name in OF_ANY_TYPE else "tensor of floats"
            raise ValueError(f"{name} must be a {kind} ({', '.join(dims)}), not {shown(value)}")
    if len({value.shape for value in tensors.values()}) > 1:
        shapes = " and ".join(str(tuple(value.shape)) for value in tensors.values())
        raise ValueError(f"{' and '.join(tensors)} must be of one shape, not {shapes}")
    _require_one("device", "move them with .to(device)", tensors)


def bools(value: torch.Tensor | None, name: str, like: torch.Tensor) -> torch.Tensor:
    """A tensor of bools of the shape of another, for example which patches count.

    Args:
        value: Of that shape, None for all true.
        name: Of the argument, for the message.
        like: The tensor of that shape.

    Returns:
        Bools on the device of `like`.

    Raises:
        ValueError: It is of another shape or type, or lies elsewhere.

    Example:
        >>> bools(None, "counted", torch.rand(2))
        tensor([True, True])
    """
    if value is None:
        return torch.ones(like.shape, dtype=torch.bool, device=like.device)
    fits = isinstance(value, torch.Tensor) and value.dtype == torch.bool
    if not fits or value.shape != like.shape or value.device != like.device:
        raise ValueError(
            f"{name} must be a tensor of bools {tuple(like.shape)} on {like.device}, "
            f"not {shown(value)}"
        )
    return value


def require_one_type(**tensors: torch.Tensor) -> None:
    """Makes sure that tensors that are multiplied with each other are of one type, on one device.

    Args:
        tensors: By the names of the arguments.

    Raises:
        ValueError: They are not.

    Example:
        >>> require_one_type(queries=torch.rand(2), keys=torch.rand(2).double())
        Traceback (most recent call last):
        ValueError: queries and keys must be of one dtype, not torch.float32 and torch.float64: \
bring them to one with .float()
    """
    _require_one("dtype", "bring them to one with .float()", tensors)
    _require_one("device", "move them with .to(device)", tensors)


def require_default_type(**tensors: torch.Tensor) -> None:
    """Makes sure that tensors are of the type in which torch makes new floats, usually float32,
    because such floats are computed with them.

    Args:
        tensors: By the names of the arguments.

    Raises:
        ValueError: They are not.

    Example:
        >>> require_default_type(x=torch.rand(2).double())
        Traceback (most recent call last):
        ValueError: x must be a tensor of torch.float32, not torch.float64; convert it with .float()
    """
    expected = torch.get_default_dtype()
    for name, value in tensors.items():
        if value.dtype != expected:
            raise ValueError(
                f"{name} must be a tensor of {expected}, not {value.dtype}; "
                "convert it with .float()"
            )


def _require_one(what: str, advice: str, tensors: dict[str, torch.Tensor]) -> None:
    found = {name: getattr(value, what) for name, value in tensors.items()}
    if len(set(found.values())) > 1:
        raise ValueError(
            f"{' and '.join(found)} must be of one {what}, not "
            f"{' and '.join(map(str, found.values()))}: {advice}"
        )


def require_temperature(temperature: float | torch.Tensor) -> None:
    """Makes sure that a temperature is a number above 0; the value of a learned one is not looked
    at.

    Args:
        temperature: A number, or a tensor of one.

    Raises:
        ValueError: It is none, or not above 0.
    """
    if not isinstance(temperature, torch.Tensor):
        number(temperature, "temperature", 0, HOTTEST, above=True)
    elif temperature.numel() != 1 or not temperature.is_floating_point():
        raise ValueError(f"temperature must be one number above 0, not {shown(temperature)}")


def torch_device(device: torch.device | str) -> torch.device:
    """A device that can be computed on.

    Args:
        device: A device, or a name that torch knows.

    Raises:
        ValueError: There is none of this name here.

    Example:
        >>> torch_device("gpu")
        Traceback (most recent call last):
        ValueError: device "gpu" is not available here; use "auto" or "cpu"
    """
    if not isinstance(device, torch.device | str):
        raise ValueError(f'device must be a name such as "cpu", not {shown(device)}')
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f'device "{device}" is not available here; use "auto" or "cpu"') from error
    return found
