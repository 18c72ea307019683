"""Tensors on disk: safetensors files, never a pickle, with a checksum of all that they hold."""

import hashlib
import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from .data import checks
from .data.errors import DataError
from .data.files import atomic_write

FORMAT, CHECKSUM = "format", "checksum"
"""Entries of the header. Files of earlier revisions have neither of them."""
SUMS = "SHA256SUMS"
"""Name of the list of checksums beside the files of the package. It tells a damaged file of an
earlier revision, and a whole one that lies there under another one's name.
"""


def save_tensors(tensors: dict[str, torch.Tensor], path: Path | str, about: dict[str, str]) -> None:
    """Writes tensors to one file, completely or not at all.

    Args:
        tensors: By name, on any device, each in its own precision.
        path: The file; its folder is made if needed.
        about: What else is kept in the file's header.

    Raises:
        DataError: The file cannot be written.
    """
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    about = about | {FORMAT: "2"}
    checksum = {CHECKSUM: fingerprint_of(plain, about)}
    with atomic_write(checks.path(path, "path")) as temporary:
        save_file(plain, temporary, about | checksum)


def read_tensors(path: Path | str, advice: str) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Reads what `save_tensors` wrote, or another safetensors file.

    Args:
        path: The file.
        advice: What to do where the file is damaged, for the message.

    Returns:
        The tensors and the rest of the header.

    Raises:
        DataError: The file is missing, no safetensors file, or differs from what was written.
    """
    path = checks.path(path, "path")
    try:
        with safe_open(path, "pt") as file:
            about = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist. {advice}") from error
    except Exception as error:
        raise DataError(
            f"{path} cannot be read as a safetensors file ({error}). {advice}"
        ) from error
    checksum = about.pop(CHECKSUM, None)
    listed = _listed(path)
    advice = advice if listed is None else "It came with the package: install that again"
    if (checksum or FORMAT in about) and checksum != fingerprint_of(tensors, about):
        raise DataError(f"{path} is damaged: it does not hold what was written. {advice}")
    if listed not in (None, sha256_of(path)):
        raise DataError(f"{path} is damaged, or is another file under this name. {advice}")
    return tensors, {name: value for name, value in about.items() if name != FORMAT}


def fingerprint_of(tensors: dict[str, torch.Tensor], about: dict[str, str] | None = None) -> str:
    """Hash of tensors with their names, types and shapes, and of what is said about them.

    Example:
        >>> fingerprint_of({"a": torch.zeros(2)}) == fingerprint_of({"b": torch.zeros(2)})
        False
    """
    digest = hashlib.blake2b(json.dumps(about or {}, sort_keys=True).encode(), digest_size=16)
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        digest.update(json.dumps([name, str(value.dtype), list(value.shape)]).encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    """Checksum of a file, as `sha256sum` prints it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def list_sums(folder: Path) -> Path:
    """Writes the list of checksums of all safetensors files of a folder.

    Args:
        folder: Of the package's weights.

    Returns:
        Path of the list.
    """
    lines = [f"{sha256_of(path)}  {path.name}\n" for path in sorted(folder.glob("*.safetensors"))]
    with atomic_write(folder / SUMS) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")
    return folder / SUMS


def _listed(path: Path) -> str | None:
    """The checksum of a file in the list beside it."""
    try:
        lines = path.with_name(SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    sums = {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}
    return sums.get(path.name)
