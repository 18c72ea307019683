"""What a run record must hold, so that a damaged one is named and not used."""

import numbers

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
