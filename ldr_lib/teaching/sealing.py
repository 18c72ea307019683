"""Texts that open with the right answer: reading a file of questions gives no answer away."""

import base64
import hashlib

_MARK = b"right "
"""Every text starts with it, so that a wrong key is noticed."""


def seal(text: str, key: str) -> str:
    """A text that `unseal` opens with the same key.

    This keeps answers from being read by accident. Whoever tries all options finds them.

    Args:
        text: Any text.
        key: Question and answer.

    Returns:
        Letters and digits.

    Example:
        >>> unseal(seal("because", "question 1: yes"), "question 1: yes")
        'because'
    """
    return base64.b85encode(_mixed(_MARK + text.encode("utf-8"), key)).decode("ascii")


def unseal(sealed: str, key: str) -> str | None:
    """The text that was sealed, or None where the key is another one.

    Args:
        sealed: What `seal` returned.
        key: Question and answer.

    Example:
        >>> unseal(seal("because", "question 1: yes"), "question 1: no") is None
        True
    """
    opened = _mixed(base64.b85decode(sealed), key)
    return opened[len(_MARK) :].decode("utf-8") if opened.startswith(_MARK) else None


def _mixed(data: bytes, key: str) -> bytes:
    """Data combined with a stream of bytes that belongs to the key; twice gives the data."""
    stream = hashlib.shake_256(key.encode("utf-8")).digest(len(data))
    return bytes(one ^ other for one, other in zip(data, stream))
