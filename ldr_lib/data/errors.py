"""What is raised when images, masks, folders or names cannot be used."""

from collections.abc import Iterable


class DataError(Exception):
    """Something is wrong with the images, masks or folders that were given; the message says what,
    where and what to do.
    """


def one_of(value: str, known: Iterable[str], what: str) -> str:
    """Returns a name if it is a known one.

    Args:
        value: The name that was given.
        known: All names that there are.
        what: What the names stand for, for the message.

    Raises:
        ValueError: The name is not known; the message lists those that are.

    Example:
        >>> one_of("disk", ["vessel", "disc"], "structure")
        Traceback (most recent call last):
        ValueError: unknown structure "disk"; known are vessel, disc
    """
    known = list(known)
    if value not in known:
        raise ValueError(f'unknown {what} "{value}"; known are {", ".join(map(str, known))}')
    return value
