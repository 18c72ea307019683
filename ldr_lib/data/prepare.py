"""From files to training arrays: a dataset as memory-mapped arrays in a cache keyed by content."""

import hashlib
import json
import os
import shutil
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

from .crop import local_normalize, prepare_sample
from .datasets import Simulated
from .errors import DataError
from .files import atomic_write, in_processes, progress

FORMAT = 2
TOLERATED = 0.01


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
    """

    images: np.ndarray
    originals: np.ndarray
    masks: dict[str, np.ndarray]
    names: list[str]
    boxes: np.ndarray
    skipped: list[str]
    fingerprint: str

    def __len__(self) -> int:
        return len(self.images)


def default_cache() -> Path:
    """The folder of prepared images: $LDR_CACHE, or ~/.cache/ldr_lib if that is not set."""
    return Path(os.environ.get("LDR_CACHE") or Path.home() / ".cache" / "ldr_lib")


def prepare(dataset, size: int = 256, cache: Path | str | None = None) -> Prepared:
    """Prepares all images of a dataset once; later calls open them from the cache, memory-mapped.

    Args:
        dataset: As opened by `open_dataset`.
        size: Side of the prepared images in pixels.
        cache: Folder of the cache; None takes `default_cache()`.

    Returns:
        The `Prepared` images. Files that cannot be read are left out with a warning, as long as
        they are fewer than 1 % of all files.

    Raises:
        DataError: 1 % of the files or more are unusable (the first ten are listed), the disk is
            full, or the size is out of range.

    Taught in notebook 01, section 5.
    """
    if not 32 <= size <= 4096:
        raise DataError(f"size must lie between 32 and 4096 pixels, not {size}")
    key = _fingerprint(dataset, size)
    folder = Path(cache or default_cache()) / f"{dataset.name}-{dataset.split}-{size}-{key[:16]}"
    try:
        prepared = _open(folder, size)
    except (OSError, ValueError, KeyError):
        _fill(folder, dataset, size, key)
        prepared = _open(folder, size)
    for message in prepared.skipped:
        warnings.warn(f"left out: {message}", stacklevel=2)
    return prepared


def joint_fingerprint(parts: list[Prepared]) -> str:
    """One fingerprint of several sets of prepared images."""
    return hashlib.blake2b(
        "".join(part.fingerprint for part in parts).encode(), digest_size=16
    ).hexdigest()


def _fingerprint(dataset, size: int) -> str:
    def digest(index: int) -> str:
        parts = []
        for path in dataset.files(index):
            try:
                parts.append(f"{path.name} {hashlib.blake2b(path.read_bytes()).hexdigest()}")
            except OSError as error:
                parts.append(f"{path.name} {error.strerror}")
        return "\n".join(parts)

    how = [
        FORMAT,
        dataset.name,
        dataset.split,
        dataset.modality,
        dataset.channels,
        size,
        len(dataset),
    ]
    whole = hashlib.blake2b(json.dumps(how).encode())
    with ThreadPoolExecutor() as pool:
        for part in pool.map(digest, range(len(dataset))):
            whole.update(part.encode())
    return whole.hexdigest()[:32]


def _one(dataset, index: int, size: int):
    try:
        sample = dataset[index]
    except DataError as error:
        return str(error)
    try:
        image, masks, box = prepare_sample(sample, size, crop=dataset.modality == "fundus")
    except DataError as error:
        where = dataset.files(index)
        return f"{where[0] if where else sample.name}: {error}"
    arrays = {"originals": image}
    if dataset.modality == "fundus":
        arrays["images"] = local_normalize(image, masks["field_of_view"])
    return sample.name, arrays, masks, box


def _fill(folder: Path, dataset, size: int, key: str) -> None:
    structures = ["field_of_view", *dataset.structures]
    kinds = ["originals", "images"] if dataset.modality == "fundus" else ["originals"]
    needed = len(dataset) * size * size * (len(kinds) * dataset.channels + len(structures))
    parent = folder.parent
    with atomic_write(folder) as temporary:
        free = shutil.disk_usage(parent).free
        if free < needed + 2**20:
            raise DataError(
                f"the cache {parent} needs {needed / 2**20:.0f} MiB and {free / 2**20:.0f} MiB are "
                "free. Free some space, choose a smaller size, or point LDR_CACHE at another disk."
            )
        temporary.mkdir()
        prepare_one = partial(_one, dataset, size=size)
        if isinstance(dataset, Simulated) and len(dataset) > 8:
            results = in_processes(prepare_one, range(len(dataset)), os.cpu_count())
        else:
            jobs = (delayed(prepare_one)(i) for i in range(len(dataset)))
            results = Parallel(os.cpu_count(), prefer="threads", return_as="generator")(jobs)
        names, boxes, unusable, present = [], [], [], set()
        with ExitStack() as open_files:
            files = {
                name: open_files.enter_context(open(temporary / f"{name}.u8", "wb"))
                for name in [*kinds, *structures]
            }
            for result in progress(results, f"preparing {dataset.title}", len(dataset)):
                if isinstance(result, str):
                    unusable.append(result)
                    continue
                name, arrays, masks, box = result
                for kind, image in arrays.items():
                    files[kind].write(np.ascontiguousarray(image).tobytes())
                nothing = np.zeros((size, size), bool)
                for structure in structures:
                    files[structure].write(masks.get(structure, nothing).tobytes())
                present |= masks.keys()
                names.append(name)
                boxes.append([int(value) for value in box])
        if unusable and len(unusable) >= TOLERATED * len(dataset):
            listed = "\n- ".join(unusable[:10]) + ("\n- ..." if len(unusable) > 10 else "")
            raise DataError(
                f"{len(unusable)} of {len(dataset)} files of {dataset.name} are unusable "
                f"(under {TOLERATED:.0%} would be left out):\n- {listed}"
            )
        for structure in set(structures) - present:
            (temporary / f"{structure}.u8").unlink()
        kept = [structure for structure in structures if structure in present]
        about = dict(
            names=names,
            boxes=boxes,
            skipped=unusable,
            masks=kept,
            channels=dataset.channels,
            kinds=kinds,
            fingerprint=key,
        )
        (temporary / "about.json").write_text(json.dumps(about))


def _open(folder: Path, size: int) -> Prepared:
    about = json.loads((folder / "about.json").read_text())
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
    )
