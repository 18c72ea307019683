"""What a run record must hold, so that a damaged one is named and not used.

Records carry a checksum of all that they hold. Those of earlier revisions have none, and stay
valid: nobody can tell whether they were changed.
"""

import hashlib
import json
import numbers

FORMAT, CHECKSUM = "format", "checksum"
"""Entries of a record besides what was run. Records of earlier revisions have neither of them."""

KINDS = {
    "name": str,
    "parameters": dict,
    "claims": dict,
    "seed": int,
    "started": str,
    "data": dict,
    "code": dict,
    "versions": dict,
    "metrics": dict,
    "cells": str,
}
"""Entry of a record to the type of its value."""
NEEDED = ("name", "parameters", "claims")


def sealed_record(record: dict) -> dict:
    """A record with its checksum, as its file holds it.

    Args:
        record: Plain values.

    Example:
        >>> made = {"name": "x", "parameters": {}, "claims": {}}
        >>> fault_of(sealed_record(made)), fault_of(sealed_record(made) | {"name": "y"})[:14]
        ('', 'it was changed')
    """
    content = json.loads(json.dumps(record)) | {FORMAT: 2}
    return content | {CHECKSUM: _checksum(content)}


def _checksum(content: dict) -> str:
    plain = json.dumps(content, sort_keys=True)
    return hashlib.blake2b(plain.encode(), digest_size=16).hexdigest()


def fault_of(record) -> str:
    """What is wrong with a record, in words.

    Args:
        record: What a record's file holds.

    Returns:
        "" for a record that can be used.

    Example:
        >>> fault_of({"name": "00_quickstart", "parameters": [], "claims": {}})
        'parameters must be a dict and is a list'
    """
    if not isinstance(record, dict) or not record.keys() >= set(NEEDED):
        return "it lacks a name, parameters or claims"
    content = {entry: value for entry, value in record.items() if entry != CHECKSUM}
    if (FORMAT in record or CHECKSUM in record) and record.get(CHECKSUM) != _checksum(content):
        return "it was changed since it was written, its checksum says so"
    for entry, kind in KINDS.items():
        if entry in record and not isinstance(record[entry], kind):
            return f"{entry} must be a {kind.__name__} and is a {type(record[entry]).__name__}"
    for sentence, outcome in record["claims"].items():
        sides = outcome if isinstance(outcome, dict) else {}
        if not all(_is_numbers(sides.get(side)) for side in ("better", "worse")):
            return f'the claim "{sentence}" has no numbers'
    return ""


def _is_numbers(value, depth: int = 0) -> bool:
    """Whether a value is a number, a list of numbers and None, or a list of such lists."""
    if isinstance(value, list) and depth < 2:
        return bool(value) and all(_is_numbers(part, depth + 1) for part in value)
    return isinstance(value, numbers.Real) or (value is None and depth > 0)
