"""From files to training arrays: field-of-view crop, resize, and a memory-mapped cache keyed by
content.
"""

import hashlib
import json
import os
import shutil
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from PIL import Image
from scipy import ndimage

from .datasets import Simulated
from .errors import DataError
from .files import atomic_write, progress
from .simulate import Sample

FORMAT = 2
TOLERATED = 0.01


@dataclass(frozen=True)
class Prepared:
    """Images of one size, ready for training; the arrays are memory-mapped and read-only.

    Attributes:
        images: (N, S, S, C) uint8, as the network sees them: photographs of the retina in even
            light.
        originals: (N, S, S, C) uint8, the same in their own light; X-rays are left as they are in
            both.
        masks: Structure name to (N, S, S) bool; always with "field_of_view".
        names: (N,) image names.
        boxes: (N, 4) top, left, height and width in pixels of the square that was cut out of each
            original image.
        skipped: One message per unreadable file that was left out.
        fingerprint: Hash of the content of all files and of how they were prepared.
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
    """The camera's field of view in a photograph of the retina.

    Args:
        image: (H, W, 3) or (H, W) uint8.
        threshold: Pixels whose brightest channel exceeds it are lit.

    Returns:
        (H, W) bool: the largest lit region, holes filled.

    Raises:
        DataError: Less than 1 % of the image is lit.

    Source: fundus preprocessing of the authors. Taught in notebook 01, section 3.
    """
    brightness = image.max(2) if image.ndim == 3 else image
    step = max(1, min(brightness.shape) // 256)
    lit = ndimage.uniform_filter(brightness, step)[step // 2 :: step, step // 2 :: step] > threshold
    regions, n = ndimage.label(ndimage.binary_opening(lit, iterations=2))
    sizes = np.bincount(regions.ravel())[1:]
    if not n or sizes.max() < 0.01 * regions.size:
        raise DataError(
            "no field of view: the image is (almost) black. Remove it, or check how it was exported."
        )
    largest = ndimage.binary_fill_holes(regions == 1 + sizes.argmax())
    return np.asarray(
        Image.fromarray(largest).resize(brightness.shape[::-1], Image.Resampling.NEAREST)
    )


def local_normalize(image: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Takes the illumination out of a photograph: every pixel against the mean and spread of its
    surroundings.

    Each channel becomes 0.5 + 0.15 (x - mean) / (deviation + 0.02), with mean and standard
    deviation under a Gaussian of 1/16 of the image's side inside the field of view. Without it a
    network tells patches apart by their brightness.

    Args:
        image: (S, S, C) uint8.
        inside: (S, S) bool, the field of view; black outside.

    Returns:
        (S, S, C) uint8.

    Ours, not published. Taught in notebook 01, section 4.
    """
    weight = inside.astype(np.float32)

    def blur(array: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(
            array, len(image) / 16, mode="constant", truncate=3, axes=(0, 1)
        )

    total = np.maximum(blur(weight), 1e-3)[..., None]
    seen = image.astype(np.float32) / 255 * weight[..., None]
    above = (seen - blur(seen) / total) * weight[..., None]
    spread = np.sqrt(blur(above**2) / total)
    evened = (0.5 + 0.15 * above / (spread + 0.02)) * weight[..., None]
    return (255 * evened.clip(0, 1)).round().astype(np.uint8)


def prepare_sample(
    sample: Sample, size: int, crop: bool
) -> tuple[np.ndarray, dict[str, np.ndarray], tuple]:
    """Cuts a square out of a sample (padding with black where it reaches beyond) and resizes it.

    Args:
        sample: Image and masks.
        size: Side S of the result in pixels.
        crop: Cut to the field of view plus 16 pixels (photographs of the retina); otherwise take
            the whole image.

    Returns:
        The (S, S, C) uint8 image, the masks (S, S) bool with "field_of_view" among them, and the
        square's top, left, height and width in the original image.

    Raises:
        DataError: No field of view can be found.
    """
    height, width = sample.image.shape[:2]
    seen = field_of_view(sample.image) if crop else np.ones((height, width), bool)
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    margin = 16 if crop else 0
    top, bottom = max(0, rows[0] - margin), min(height, rows[-1] + 1 + margin)
    left, right = max(0, columns[0] - margin), min(width, columns[-1] + 1 + margin)
    side = max(bottom - top, right - left)
    top, left = (top + bottom - side) // 2, (left + right - side) // 2

    def cut(array: np.ndarray) -> np.ndarray:
        picture = Image.fromarray(array).crop((left, top, left + side, top + side))
        return np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))

    masks = {"field_of_view": seen} | sample.masks
    masks = {name: cut(mask.astype(np.uint8) * 255) > 127 for name, mask in masks.items()}
    return np.atleast_3d(cut(sample.image)), masks, (top, left, side, side)


def to_original(
    map_: np.ndarray,
    box: tuple[int, int, int, int],
    shape: tuple[int, int],
    smooth: Image.Resampling,
) -> np.ndarray:
    """Brings a map of a prepared image back: the inverse of `prepare_sample`.

    Args:
        map_: (S, S) float32 in [0, 1].
        box: Top, left, height and width of the square that was cut out.
        shape: Height and width of the original image.
        smooth: Pillow's filter.

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
    """Where prepared images are kept: $LDR_CACHE, else ~/.cache/ldr_lib."""
    return Path(os.environ.get("LDR_CACHE") or Path.home() / ".cache" / "ldr_lib")


def prepare(dataset, size: int = 256, cache: Path | str | None = None) -> Prepared:
    """Prepares all images of a dataset once and opens them memory-mapped ever after.

    Args:
        dataset: As opened by `open_dataset`.
        size: Side of the prepared images in pixels.
        cache: Folder of the cache; default `default_cache()`.

    Returns:
        The `Prepared` images. Files that cannot be read are left out with a warning if they are
        under 1 % of all.

    Raises:
        DataError: 1 % of the files or more are unusable (all are listed), the disk is full, or the
            size is out of range.

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
    pictures = {"originals": image}
    if dataset.modality == "fundus":
        pictures["images"] = local_normalize(image, masks["field_of_view"])
    return sample.name, pictures, masks, box


def _fill(folder: Path, dataset, size: int, key: str) -> None:
    structures = ["field_of_view", *dataset.structures]
    kinds = ["originals", "images"] if dataset.modality == "fundus" else ["originals"]
    needed = len(dataset) * size * size * (len(kinds) * dataset.channels + len(structures))
    parent = folder.parent
    with atomic_write(folder) as temporary:
        free = shutil.disk_usage(parent).free
        if free < needed + 2**20:
            raise DataError(
                f"the cache {parent} needs {needed / 2**20:.0f} MiB and {free / 2**20:.0f} MiB are free. "
                "Free some space, choose a smaller size, or point LDR_CACHE at another disk."
            )
        temporary.mkdir()
        jobs = (delayed(_one)(dataset, i, size) for i in range(len(dataset)))
        style = "processes" if isinstance(dataset, Simulated) and len(dataset) > 8 else "threads"
        results = Parallel(os.cpu_count(), prefer=style, return_as="generator")(jobs)
        names, boxes, unusable, present = [], [], [], set()
        files = {name: open(temporary / f"{name}.u8", "wb") for name in [*kinds, *structures]}
        try:
            for result in progress(results, f"preparing {dataset.title}", len(dataset)):
                if isinstance(result, str):
                    unusable.append(result)
                    continue
                name, pictures, masks, box = result
                for kind, image in pictures.items():
                    files[kind].write(np.ascontiguousarray(image).tobytes())
                for structure in structures:
                    mask = masks.get(structure)
                    files[structure].write(
                        np.zeros((size, size), bool).tobytes() if mask is None else mask.tobytes()
                    )
                present |= masks.keys()
                names.append(name)
                boxes.append([int(value) for value in box])
        finally:
            for file in files.values():
                file.close()
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
