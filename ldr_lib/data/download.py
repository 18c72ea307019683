"""Downloads the datasets whose terms allow it, and says where to ask for all others."""

import math
import shutil
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import pooch
import requests

from . import checks
from .datasets import DATASETS, open_dataset
from .errors import DataError, one_of
from .files import Progress, atomic_write, not_written
from .locks import locked

BLOCK = 2**16
UNPACKED = 16 * 2**30
"""Largest size of an unpacked archive in bytes."""
UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
"""What zipfile raises for files that are none, damaged, encrypted or packed in another way."""


@dataclass(frozen=True)
class Archive:
    """A zip file on a server.

    Attributes:
        url: Its address.
        checksum: "sha256:..." or "md5:..." of the whole file.
    """

    url: str
    checksum: str


ARCHIVES = {
    "chase_db1": Archive(
        "https://researchdata.kingston.ac.uk/96/1/CHASEDB1.zip",
        "md5:d9e47c4bac125b29996fae4380a68db1",
    ),
    "hrf": Archive(
        "https://www5.cs.fau.de/fileadmin/research/datasets/fundus-images/all.zip",
        "sha256:a914d02cda161b7f33f25d0397c276d50e9a6cbc705e9b364a54f0adafed57e4",
    ),
}


class _Resuming:
    """A downloader for pooch that continues an interrupted download, kept in `partial`."""

    def __init__(self, partial: Path):
        self.partial = partial

    def __call__(self, url: str, output: str, _) -> None:
        have = self.partial.stat().st_size if self.partial.exists() else 0
        with requests.get(
            url, headers={"Range": f"bytes={have}-"} if have else {}, stream=True, timeout=60
        ) as response:
            if response.status_code != 416:  # 416: the file is complete
                response.raise_for_status()
                continues = response.status_code == 206
                remaining = int(response.headers.get("Content-Length", 0))
                progress = Progress(
                    f"downloading {Path(url).name}", max(1, math.ceil(remaining / BLOCK))
                )
                with open(self.partial, "ab" if continues else "wb") as file:
                    for block in response.iter_content(BLOCK):
                        file.write(block)
                        progress.step()
                progress.close(f"{self.partial.stat().st_size / 2**20:.1f} MiB")
        shutil.copyfile(self.partial, output)


def download(name: str, data_dir: Path | str) -> Path:
    """Downloads a dataset, checks it and unpacks it where `open_dataset(name, data_dir)` finds it.

    Called again, it continues an interrupted download. The dataset's folder appears only when it is
    complete.

    Args:
        name: "chase_db1" or "hrf".
        data_dir: The folder in which the dataset's own folder is made.

    Returns:
        The dataset's folder. If it exists already, nothing is downloaded.

    Raises:
        ValueError: Unknown dataset.
        DataError: The dataset must be fetched by hand (the message says where), there is no
            network, the checksum is wrong, or the disk is full.

    Taught in notebook 01, section 3.
    """
    one_of(name, DATASETS, "dataset")
    adapter, archive = DATASETS[name], ARCHIVES.get(name)
    if archive is None:
        raise DataError(
            f"{adapter.title} cannot be downloaded directly ({adapter.terms}). "
            f"Get it from: {adapter.source}. Layout: {adapter.layout}"
        )
    folder = checks.path(data_dir, "data_dir").expanduser() / adapter.folder
    if not folder.exists():
        try:
            with locked(folder):  # a second process waits and finds what the first has fetched
                if not folder.exists():
                    _fetch(archive, adapter, folder)
        except OSError as error:
            raise not_written(folder, error) from error
    open_dataset(name, data_dir, "all")
    return folder


def _fetch(archive: Archive, adapter: type, folder: Path) -> None:
    partial = folder.with_name(f".{adapter.folder}.zip.part")
    try:
        packed = Path(
            pooch.retrieve(
                archive.url,
                archive.checksum,
                f".{adapter.folder}.zip",
                folder.parent,
                downloader=_Resuming(partial),
            )
        )
    except ValueError as error:
        partial.unlink(missing_ok=True)
        raise DataError(
            f"{archive.url} is not the file that was expected ({error}); it was removed. "
            f"Try again, or get it from {adapter.source}"
        ) from error
    except (OSError, requests.RequestException) as error:
        kept = ""
        if partial.exists():
            size = partial.stat().st_size / 2**20
            kept = f"; {size:.1f} MiB are kept, and the next call continues from there"
        raise DataError(
            f"could not download {archive.url} ({error}){kept}. "
            f"It can also be fetched by hand from {adapter.source}"
        ) from error
    unpack(packed, folder)
    packed.unlink()
    partial.unlink(missing_ok=True)


def unpack(packed: Path, folder: Path) -> None:
    """Unpacks a zip file, whole or not at all.

    Args:
        packed: The zip file.
        folder: Where its content appears.

    Raises:
        DataError: It is no zip file, is damaged, or would unpack to more than `UNPACKED` bytes or
            than the disk has; or the folder cannot be written.
    """
    try:
        with atomic_write(folder) as temporary, zipfile.ZipFile(packed) as content:
            size = sum(entry.file_size for entry in content.infolist())
            allowed = min(UNPACKED, shutil.disk_usage(folder.parent).free)
            if size > allowed:
                raise DataError(
                    f"{packed} would unpack to {size / 2**30:.1f} GiB, and {allowed / 2**30:.1f} "
                    f"GiB are allowed or free. If you want it, unpack it by hand to {folder}"
                )
            content.extractall(temporary)
    except UNREADABLE as error:
        raise DataError(
            f"{packed} is no whole zip file ({error}). Unpack it by hand to {folder}, or remove it"
        ) from error
