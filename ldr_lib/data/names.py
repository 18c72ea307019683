"""Names of files and folders made from whatever a user calls things."""

import hashlib
import re
import unicodedata
from pathlib import PurePath

PLAIN_LENGTH, SLUG_LENGTH, LABEL_LENGTH = 80, 60, 200
_PLAIN = re.compile(r"[A-Za-z0-9.+_-]+")
_MADE = re.compile(r"[A-Za-z0-9.+_=,~-]+")
_RESERVED = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{port}{n}" for port in ("com", "lpt") for n in "123456789"),
}


def safe_name(value) -> str:
    """One part of a file's name for any value. Different values have different names.

    Args:
        value: A text, path, number, truth value, None, or anything else with a stable `repr`.

    Returns:
        Plain values as they are: 1 to 80 of the characters A-Z a-z 0-9 . + - and _, no dot at
        either end, no name that Windows reserves. All others as at most 60 readable characters,
        `~`, and ten hexadecimal digits of a hash of value and type. A text that looks like a
        number, truth value or None is no plain value.

    Example:
        >>> safe_name("chase_db1"), safe_name(0.5), safe_name("../../x"), safe_name("1")
        ('chase_db1', '0.5', 'x~de17cfa737', '1~5560bcc6f3')
    """
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()  # a number of numpy or torch is a number
    if isinstance(value, PurePath):
        value = str(value)
    if isinstance(value, str):
        return _shortened(value) if _reads_as_number(value) else safe_text(value)
    text = str(value)
    is_simple = value is None or isinstance(value, bool | int | float)
    return text if is_simple and _is_plain(text) else _shortened(text, value)


def safe_text(text: str) -> str:
    """As `safe_name`, for what is always a text, such as the name of an image: "1" is plain."""
    return text if _is_plain(text) else _shortened(text)


def label_of(parameters: dict) -> str:
    """One name for a set of parameters.

    Args:
        parameters: Name to value.

    Returns:
        `name=value` for each parameter, sorted by name and joined by commas; at most 200
        characters, of which the last ten are a hash where the whole would be longer.

    Example:
        >>> label_of({"seed": 0, "dataset": "hrf"})
        'dataset=hrf,seed=0'
    """
    parts = [f"{safe_text(name)}={safe_name(parameters[name])}" for name in sorted(parameters)]
    whole = ",".join(parts)
    return whole if len(whole) <= LABEL_LENGTH else f"{whole[: LABEL_LENGTH - 11]}~{_hash(whole)}"


def safe_label(text: str) -> str:
    """A name that the functions of this module made, as it is; any other text as `safe_text`."""
    made = len(text) <= LABEL_LENGTH and _MADE.fullmatch(text) and _may_be_a_file(text)
    return text if made else safe_text(text)


def numbered(names: list[str], mark: str = " ", ignore_case: bool = False) -> list[str]:
    """Adds a number to names that came before. No number makes a name that another one has.

    Args:
        names: Any.
        mark: What stands before the number.
        ignore_case: Whether names that differ only in capitals are equal.

    Example:
        >>> numbered(["a", "a", "a 2"])
        ['a', 'a 3', 'a 2']
    """

    def key(name: str) -> str:
        return name.casefold() if ignore_case else name

    given, used, found = {key(name) for name in names}, set(), []
    for name in names:
        unique, number = name, 1
        while key(unique) in used or (number > 1 and key(unique) in given):
            number += 1
            unique = f"{name}{mark}{number}"
        used.add(key(unique))
        found.append(unique)
    return found


def unique_names(names: list[str]) -> list[str]:
    """File names of a whole collection, different from each other even where capitals do not count.

    Args:
        names: Any texts; equal ones are numbered.

    Example:
        >>> unique_names(["eye.1", "eye.2", "eye.2", "Eye.1"])
        ['eye.1', 'eye.2', 'eye.2~2', 'Eye.1~2']
    """
    return numbered([safe_text(name) for name in names], mark="~", ignore_case=True)


def _is_plain(text: str) -> bool:
    return len(text) <= PLAIN_LENGTH and bool(_PLAIN.fullmatch(text)) and _may_be_a_file(text)


def _may_be_a_file(text: str) -> bool:
    reserved = text.partition(".")[0].lower() in _RESERVED
    return not (text.startswith(".") or text.endswith(".") or reserved)


def _reads_as_number(text: str) -> bool:
    """Whether the text is what `str` gives for a number, a truth value or None."""
    if text in ("None", "True", "False"):
        return True
    for kind in (int, float):
        try:
            if str(kind(text)) == text:
                return True
        except ValueError:
            continue
    return False


def _shortened(text: str, value=None) -> str:
    last = re.split(r"[/\\]", text.rstrip("/\\"))[-1]  # of a path: names get published
    letters = unicodedata.normalize("NFKD", last).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^A-Za-z0-9.+_]+", "-", letters)[-SLUG_LENGTH:].strip("-.") or "name"
    if not _may_be_a_file(slug):
        slug = f"_{slug}"[:SLUG_LENGTH]
    exact = text if value is None else value
    return f"{slug}~{_hash(f'{type(exact).__name__} {ascii(exact)}')}"


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=5).hexdigest()
