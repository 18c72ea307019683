"""The cache of prepared images on disk: where it lies, and folders that are checked when opened."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from .appearances import Appearances
from .checksums import BLOCK, file_digest, sealed, unsealed
from .errors import DataError
from .files import atomic_write
from .locks import remove

ABOUT, SO_FAR = "about.json", "so_far.json"
_checked: dict[Path, tuple[str, int, int]] = {}


@dataclass(frozen=True)
class Prepared:
    """Images of one size, ready for training; the arrays are memory-mapped and read-only.

    Attributes:
        images: (N, S, S, C) uint8, the network's input: photographs of the retina are locally
            normalised (see `local_normalize`), X-rays are not.
        originals: (N, S, S, C) uint8, the same images with raw intensities.
        masks: Structure name to (N, S, S) bool; always with "field_of_view".
        names: (N,) image names.
        boxes: (N, 4) top, left, height and width in pixels of the square that was cut out of each
            original image.
        skipped: One message for each unreadable file that was left out.
        fingerprint: Hash of the content of all files and of the way they were prepared.
        doubts: What should be looked at, as `ImageDataset.doubts` gives it.
    """

    images: np.ndarray
    originals: np.ndarray
    masks: dict[str, np.ndarray]
    names: list[str]
    boxes: np.ndarray
    skipped: list[str]
    fingerprint: str
    doubts: list[tuple[int, int, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.images)

    def appearances(self, n: int, field_of_view: bool = False) -> np.ndarray | Appearances:
        """What views are made of.

        Args:
            n: 1 for the network's input alone, 2 for raw intensities and the input, as
                `ViewMaker.appearances` says.
            field_of_view: Whether a last channel says what lies in the field of view, 1 inside and
                0 outside.

        Returns:
            (N, S, S, n C), with one more channel for the field of view.

        Raises:
            ValueError: Neither 1 nor 2.

        Taught in notebook 02, section 6.
        """
        if n not in (1, 2):
            raise ValueError(f"prepared images have 1 or 2 appearances, not {n}")
        shown = [self.originals, self.images][-n:]
        if field_of_view:
            shown.append(self.masks["field_of_view"].view(np.uint8)[..., None])
        return shown[0] if len(shown) == 1 else Appearances(*shown)


def default_cache() -> Path:
    """The folder of prepared images: $LDR_CACHE, or ~/.cache/ldr_lib if that is not set.

    Raises:
        DataError: Neither $LDR_CACHE nor a home folder is known.
    """
    try:
        return Path(os.environ.get("LDR_CACHE") or "~/.cache/ldr_lib").expanduser()
    except RuntimeError as error:
        raise DataError(
            "prepared images are kept in your home folder, and there is none: set the environment "
            "variable LDR_CACHE to a folder that you may write to"
        ) from error


class ArrayFiles:
    """Files `<name>.u8` to which arrays are written one image after the other, and how far that has
    come. A process that is killed loses only what it wrote after the last `keep`.

    Args:
        folder: Where they lie.
        names: Of the arrays.
        key: Fingerprint of the images; what was written for others is not gone on with.

    Attributes:
        reached: What the last `keep` was given, None at the start.
    """

    def __init__(self, folder: Path, names: list[str], key: str):
        self.folder, self.key = folder, key
        self.open_files = ExitStack()
        self.reached, sizes = self._kept(names)
        if self.reached is None:
            remove(folder)
            folder.mkdir()
        self.digests = {name: hashlib.blake2b() for name in names}
        self.files = {
            name: self.open_files.enter_context(self._path(name).open("r+b" if sizes else "wb"))
            for name in names
        }
        for name, size in sizes.items():
            self._go_to(name, size)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.u8"

    def _kept(self, names: list[str]) -> tuple[dict | None, dict[str, int]]:
        try:
            kept = unsealed((self.folder / SO_FAR).read_text(encoding="utf-8"))
            whole = kept["sizes"].keys() == set(names) and all(
                self._path(name).stat().st_size >= size for name, size in kept["sizes"].items()
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None, {}
        if not whole or (kept["code"], kept["key"]) != (preparing_code(), self.key):
            return None, {}
        return kept["reached"], kept["sizes"]

    def _go_to(self, name: str, size: int) -> None:
        """Drops what came after the last `keep`, and reads the rest for the digest."""
        file = self.files[name]
        file.truncate(size)
        while block := file.read(BLOCK):
            self.digests[name].update(block)

    def __enter__(self) -> "ArrayFiles":
        return self

    def __exit__(self, *error) -> None:
        self.open_files.close()

    def write(self, name: str, array: np.ndarray) -> None:
        """Adds an image to an array."""
        content = np.ascontiguousarray(array).tobytes()
        self.files[name].write(content)
        self.digests[name].update(content)

    def keep(self, reached: dict) -> None:
        """Notes how far the work has come, once the arrays have reached the disk.

        Args:
            reached: Plain values, given back as `reached` to the process that goes on.
        """
        for file in self.files.values():
            file.flush()
            os.fsync(file.fileno())
        kept = {
            "code": preparing_code(),
            "key": self.key,
            "sizes": {name: file.tell() for name, file in self.files.items()},
            "reached": reached,
        }
        with atomic_write(self.folder / SO_FAR) as temporary:
            temporary.write_text(sealed(kept), encoding="utf-8")

    def finish(self, empty: set[str], about: dict) -> None:
        """Closes the files, removes those without content and writes what `open_prepared` needs.

        Args:
            empty: Names of arrays that no image has.
            about: Names, boxes, skipped, doubts, masks, channels, kinds and fingerprint of
                `Prepared`.
        """
        self.open_files.close()
        for name in empty:
            self._path(name).unlink()
        (self.folder / SO_FAR).unlink(missing_ok=True)
        digests = {
            f"{name}.u8": digest.hexdigest()
            for name, digest in self.digests.items()
            if name not in empty
        }
        content = about | {"digests": digests, "code": preparing_code()}
        (self.folder / ABOUT).write_text(sealed(content), encoding="utf-8")


def open_prepared(folder: Path, size: int, fingerprint: str) -> Prepared | None:
    """Opens a folder of the cache if it is whole, unchanged, and made by the code of this revision.

    All bytes are read when a process opens a folder for the first time; after that, size and time
    of each file must stay as they were.

    Args:
        folder: A folder of the cache.
        size: Side S of its images in pixels.
        fingerprint: Of the images that it should hold.

    Returns:
        The images; None where they must be prepared anew.
    """
    try:
        about = unsealed((folder / ABOUT).read_text(encoding="utf-8"))
        if (about["code"], about["fingerprint"]) != (preparing_code(), fingerprint):
            return None
        files = [(folder / name, digest) for name, digest in about["digests"].items()]
        with ThreadPoolExecutor() as pool:
            if not all(pool.map(_is_whole, files)):
                return None
        return _mapped(folder, about, size)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


@cache
def preparing_code() -> str:
    """Hash of the program files that decide what prepared images look like."""
    code = hashlib.blake2b(digest_size=16)
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        code.update(path.read_bytes())
    return code.hexdigest()


def _is_whole(expected: tuple[Path, str]) -> bool:
    path, digest = expected
    found = path.stat()
    state = (digest, found.st_size, found.st_mtime_ns)
    if _checked.get(path) != state:
        if file_digest(path) != digest:
            return False
        _checked[path] = state
    return True


def _mapped(folder: Path, about: dict, size: int) -> Prepared:
    n = len(about["names"])
    shape = (n, size, size, about["channels"])
    originals, images = (
        np.memmap(folder / f"{about['kinds'][i]}.u8", np.uint8, "r", shape=shape) for i in (0, -1)
    )
    masks = {
        name: np.memmap(folder / f"{name}.u8", np.bool_, "r", shape=(n, size, size))
        for name in about["masks"]
    }
    return Prepared(
        images,
        originals,
        masks,
        about["names"],
        np.array(about["boxes"]),
        about["skipped"],
        about["fingerprint"],
        [(item, file, text) for item, file, text in about["doubts"]],
    )
