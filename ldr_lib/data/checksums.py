"""Checksums: whether a file or an array still holds what was written."""

import hashlib
import json
from pathlib import Path

import numpy as np

BLOCK = 2**20


def file_digest(path: Path | str) -> str:
    """BLAKE2b of a file's content, 128 hexadecimal digits."""
    digest = hashlib.blake2b()
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def array_fingerprint(array: np.ndarray) -> str:
    """Hash of an array's content, shape and type; a memory-mapped one is read row by row.

    Example:
        >>> array_fingerprint(np.zeros(3)) == array_fingerprint(np.zeros(3, np.uint8))
        False
    """
    digest = hashlib.blake2b(f"{array.dtype} {array.shape}".encode(), digest_size=16)
    for row in array if array.ndim else array[None]:
        digest.update(np.ascontiguousarray(row).data)
    return digest.hexdigest()


def sealed(content: dict) -> str:
    """Plain values as JSON together with their checksum."""
    return json.dumps({"checksum": _checksum(content), "content": content})


def unsealed(text: str) -> dict:
    """Reads what `sealed` wrote.

    Raises:
        ValueError: The text was changed or is something else.

    Example:
        >>> unsealed(sealed({"n": 1}))
        {'n': 1}
    """
    read = json.loads(text)
    if not isinstance(read, dict) or read.keys() != {"checksum", "content"}:
        raise ValueError("it is not what this package writes")
    if read["checksum"] != _checksum(read["content"]):
        raise ValueError("its content was changed")
    return read["content"]


def _checksum(content: dict) -> str:
    return hashlib.blake2b(json.dumps(content).encode(), digest_size=16).hexdigest()
