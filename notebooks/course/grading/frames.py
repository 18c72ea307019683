"""Values as bytes, between grading and the student's program.

Both sides use this file. Nothing but numbers, arrays, texts, lists and dictionaries gets through:
whatever class a student returns arrives as plain values or not at all.
"""

import json
import struct
from typing import BinaryIO

import numpy as np
import torch

LIMIT = 256 << 20
"""Largest frame in bytes."""
DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")


def packed(value) -> bytes:
    """One value as a frame: lengths, a JSON description, and the bytes of its arrays.

    Raises:
        TypeError: It is no such value.
    """
    arrays = []
    text = json.dumps(_describe(value, arrays)).encode()
    body = b"".join(arrays)
    return struct.pack(">QQ", len(text), len(body)) + text + body


def send(stream: BinaryIO, value) -> None:
    """Writes one value to a stream."""
    stream.write(packed(value))
    stream.flush()


def _describe(value, arrays: list[bytes]):
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = value.float() if value.dtype == torch.bfloat16 else value
        return _array(np.asarray(value.numpy()), "tensor", arrays)
    if isinstance(value, np.ndarray):
        return _array(value, "array", arrays)
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return {"is": "plain", "value": value}
    if isinstance(value, (list, tuple)):
        return {"is": "list", "value": [_describe(one, arrays) for one in value]}
    if isinstance(value, dict):
        inner = {str(name): _describe(one, arrays) for name, one in value.items()}
        return {"is": "dict", "value": inner}
    raise TypeError(f"numbers, arrays or tensors are expected, not {type(value).__name__}")


def _array(value: np.ndarray, kind: str, arrays: list[bytes]) -> dict:
    if value.dtype.name not in DTYPES:
        raise TypeError(f"an array of numbers is expected, not of {value.dtype}")
    arrays.append(np.ascontiguousarray(value).tobytes())
    return {"is": kind, "dtype": value.dtype.name, "shape": value.shape}


def parse(text: bytes, body: bytes):
    """The value that a frame holds.

    Raises:
        ValueError: It is no frame; nothing else can happen, whoever wrote it.
    """
    try:
        value, rest = _value(json.loads(text), body)
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError) as error:
        raise ValueError(f"not a frame: {error}") from error
    if rest:
        raise ValueError("not a frame: bytes are left over")
    return value


def _value(tree: dict, body: bytes):
    kind = tree["is"]
    if kind in ("tensor", "array"):
        if tree["dtype"] not in DTYPES:
            raise ValueError(f"not a frame: {tree['dtype']!r}")
        shape, dtype = tuple(map(int, tree["shape"])), np.dtype(tree["dtype"])
        if any(side < 0 for side in shape):
            raise ValueError("not a frame: negative shape")
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if size > len(body):
            raise ValueError("not a frame: bytes are missing")
        array = np.frombuffer(body[:size], dtype).reshape(shape).copy()
        return torch.from_numpy(array) if kind == "tensor" else array, body[size:]
    if kind == "list":
        values = []
        for one in tree["value"]:
            value, body = _value(one, body)
            values.append(value)
        return values, body
    if kind == "dict":
        values = {}
        for name, one in tree["value"].items():
            values[name], body = _value(one, body)
        return values, body
    if kind == "plain" and isinstance(tree["value"], (type(None), bool, int, float, str)):
        return tree["value"], body
    raise ValueError(f"not a frame: {kind!r}")


def lengths(header: bytes) -> tuple[int, int]:
    """Lengths of description and body that a frame's 16 first bytes announce.

    Raises:
        ValueError: It is too large.
    """
    text, body = struct.unpack(">QQ", header)
    if text > LIMIT or body > LIMIT:
        raise ValueError(f"more than {LIMIT >> 20} MiB were returned")
    return text, body


def receive(stream: BinaryIO):
    """Reads one value from a trusted stream; EOFError at its end."""
    header = stream.read(16)
    if len(header) < 16:
        raise EOFError
    text, body = lengths(header)
    return parse(stream.read(text), stream.read(body))
