"""From files to training arrays: field-of-view crop, resizing, local normalisation, and a
memory-mapped cache keyed by content.
"""

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
from PIL import Image
from scipy import ndimage

from .datasets import Simulated
from .errors import DataError, require_uint8
from .files import atomic_write, in_processes, progress
from .simulate import Sample

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


def field_of_view(image: np.ndarray, threshold: int = 20) -> np.ndarray:
    """The camera's field of view in a photograph of the retina: the largest lit region.

    Args:
        image: (H, W, 3) or (H, W) uint8.
        threshold: Pixels whose brightest channel exceeds it are lit.

    Returns:
        (H, W) bool, holes filled.

    Raises:
        DataError: The image is not uint8, or less than 1 % of it is lit.

    Source: fundus preprocessing of the authors. Taught in notebook 01, section 4.
    """
    require_uint8(image, "an image")
    brightness = image.max(2) if image.ndim == 3 else image
    step = max(1, min(brightness.shape) // 256)
    lit = ndimage.uniform_filter(brightness, step)[step // 2 :: step, step // 2 :: step] > threshold
    regions, n = ndimage.label(ndimage.binary_opening(lit, iterations=2))
    sizes = np.bincount(regions.ravel())[1:]
    if not n or sizes.max() < 0.01 * regions.size:
        raise DataError(
            "no field of view: the image is (almost) black. Remove it, or check its export."
        )
    largest = ndimage.binary_fill_holes(regions == 1 + sizes.argmax())
    return np.asarray(
        Image.fromarray(largest).resize(brightness.shape[::-1], Image.Resampling.NEAREST)
    )


def local_normalize(image: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Removes uneven illumination: every pixel is compared with the mean and spread of its
    surroundings.

    Each channel x becomes 0.5 + 0.15 (x - mean) / (deviation + 0.02). Mean and standard deviation
    are taken inside the field of view under a Gaussian whose spread is 1/16 of the image's side.
    Without this step a network can tell patches apart by their brightness alone.

    Args:
        image: (S, S, C) uint8.
        inside: (S, S) bool, the field of view.

    Returns:
        (S, S, C) uint8, black outside the field of view.

    Raises:
        DataError: The image is not uint8.

    Ours, not published. Taught in notebook 01, section 4.
    """
    require_uint8(image, "an image")
    weight = inside.astype(np.float32)

    def blur(array: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(
            array, len(image) / 16, mode="constant", truncate=3, axes=(0, 1)
        )

    total = np.maximum(blur(weight), 1e-3)[..., None]  # (S, S, 1)
    x = image.astype(np.float32) / 255 * weight[..., None]  # (S, S, C)
    difference = (x - blur(x) / total) * weight[..., None]
    deviation = np.sqrt(blur(difference**2) / total)
    normalised = (0.5 + 0.15 * difference / (deviation + 0.02)) * weight[..., None]
    return (255 * normalised.clip(0, 1)).round().astype(np.uint8)


def prepare_sample(
    sample: Sample, size: int, crop: bool
) -> tuple[np.ndarray, dict[str, np.ndarray], tuple]:
    """Cuts a square out of a sample and resizes it. Outside the image the square is black.

    Args:
        sample: Image and masks.
        size: Side S of the result in pixels.
        crop: True cuts to the field of view plus 16 pixels (photographs of the retina); False
            takes the whole image.

    Returns:
        The (S, S, C) uint8 image, the masks (S, S) bool with "field_of_view" among them, and the
        square's top, left, height and width in the original image.

    Raises:
        DataError: No field of view can be found.
    """
    height, width = sample.image.shape[:2]
    fov = field_of_view(sample.image) if crop else np.ones((height, width), bool)
    rows, columns = np.flatnonzero(fov.any(1)), np.flatnonzero(fov.any(0))
    margin = 16 if crop else 0
    top, bottom = max(0, rows[0] - margin), min(height, rows[-1] + 1 + margin)
    left, right = max(0, columns[0] - margin), min(width, columns[-1] + 1 + margin)
    side = max(bottom - top, right - left)
    top, left = (top + bottom - side) // 2, (left + right - side) // 2

    def cut(array: np.ndarray) -> np.ndarray:
        square = Image.fromarray(array).crop((left, top, left + side, top + side))
        return np.asarray(square.resize((size, size), Image.Resampling.BILINEAR))

    masks = {"field_of_view": fov} | sample.masks
    masks = {name: cut(mask.astype(np.uint8) * 255) > 127 for name, mask in masks.items()}
    return np.atleast_3d(cut(sample.image)), masks, (top, left, side, side)


def to_original(
    map_: np.ndarray,
    box: tuple[int, int, int, int],
    shape: tuple[int, int],
    smooth: Image.Resampling,
) -> np.ndarray:
    """Brings a map of a prepared image back to the original image; the inverse of
    `prepare_sample`.

    Args:
        map_: (S, S) float32 in [0, 1].
        box: Top, left, height and width of the square that was cut out.
        shape: Height and width of the original image.
        smooth: Pillow's filter for resizing.

    Returns:
        (H, W) float32 in [0, 1], 0 outside the square.
    """
    top, left, side, _ = (int(value) for value in box)
    grown = np.asarray(Image.fromarray(map_).resize((side, side), smooth)).clip(0, 1)
    whole = np.zeros(shape, np.float32)
    rows, columns = (
        slice(max(0, top), min(shape[0], top + side)),
        slice(max(0, left), min(shape[1], left + side)),
    )
    whole[rows, columns] = grown[
        rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
    ]
    return whole


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
