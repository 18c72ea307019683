"""What all dataset adapters share: finding files, reading samples, checking that masks fit."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from .errors import DataError, one_of
from .read import IMAGE_SUFFIXES, as_colour, as_grey, read_image
from .simulate import Sample

SPLITS = ("train", "test", "all")


@dataclass(frozen=True)
class Item:
    """The files of one image and its masks.

    Attributes:
        image: The image file.
        masks: Structure name to mask files and the rule that turns their uint8 values into boolean
            masks. Several files are joined, for example two lungs. No file means that the image
            does not show the structure.
    """

    image: Path
    masks: dict[str, tuple[tuple[Path, ...], Callable[[np.ndarray], np.ndarray]]] = field(
        default_factory=dict
    )

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.image.stem


def flat(values: np.ndarray) -> np.ndarray:
    """A mask file's values as (H, W), the largest of the channels if it has several."""
    return values.max(2) if values.ndim == 3 else values


def bright(values: np.ndarray) -> np.ndarray:
    """Mask rule: white on black."""
    return flat(values) > 127


def marked(values: np.ndarray) -> np.ndarray:
    """Mask rule: every value except black."""
    return flat(values) > 0


def bits(*flags: int) -> Callable[[np.ndarray], np.ndarray]:
    """Mask rule: any of the given bits is set."""
    return lambda values: (flat(values) & sum(flags)) > 0


class ImageDataset:
    """A sequence of `Sample`s read from files. Subclasses say where the files lie.

    Args:
        data_dir: The dataset's own folder, or the folder that holds it.
        split: "train", "test" or "all".

    Raises:
        ValueError: Unknown split.
        DataError: The folder is missing or holds no image of the expected layout.

    Indexing reads one `Sample`. It raises DataError if the files cannot be read or do not fit each
    other.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    folder: ClassVar[str]
    modality: ClassVar[str]
    channels: int
    structures: ClassVar[tuple[str, ...]] = ()
    source: ClassVar[str]
    terms: ClassVar[str]
    layout: ClassVar[str]
    checked: ClassVar[str] = "on real files"

    def __init__(self, data_dir: Path | str | None, split: str = "train"):
        self.split = one_of(split, SPLITS, "split")
        self.root = self._find_root(data_dir)
        self.items = self.find(self.root, split)
        if not self.items:
            raise DataError(
                f"{self.root} holds no image of the {split} split of {self.name}; "
                f"expected layout: {self.layout}"
            )

    def _find_root(self, data_dir) -> Path:
        if not data_dir:
            raise DataError(
                f'dataset "{self.name}" is read from files: give data_dir, the folder that holds '
                f"{self.folder}"
            )
        data_dir = Path(data_dir).expanduser()
        nested = data_dir / self.folder / self.folder
        for root in (nested, data_dir / self.folder, *sorted(data_dir.glob(f"*/{self.folder}"))):
            if root.is_dir():
                return root
        if not data_dir.is_dir():
            raise DataError(f"data_dir {data_dir} does not exist (looked for it from {Path.cwd()})")
        if data_dir.resolve().name == Path(self.folder).name or self.find(data_dir, "all"):
            return data_dir
        raise DataError(
            f"{data_dir} has no folder {self.folder}, where {self.name} is expected; "
            f"layout: {self.layout}"
        )

    def find(self, root: Path, split: str) -> list[Item]:
        """The items of a split, in a fixed order."""
        raise TypeError(f"{type(self).__name__} must say where its files lie")

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Sample:
        item = self.items[index]
        image = self.to_channels(self.read(item.image), item.image)
        if image.max() == image.min():
            raise DataError(
                f"{item.image} is all of one value ({image.max()}): an empty exposure. Remove it."
            )
        return Sample(
            image,
            {structure: self.mask(item, structure, image.shape[:2]) for structure in item.masks},
            item.name,
        )

    def mask(self, item: Item, structure: str, shape: tuple[int, int]) -> np.ndarray:
        """One mask of an item, (H, W) bool."""
        paths, rule = item.masks[structure]
        mask = np.zeros(shape, bool)
        for path in paths:
            values = self.read(path)
            if values.shape[:2] != shape:
                raise DataError(
                    f"mask {path} measures {values.shape[1]} x {values.shape[0]} pixels but its "
                    f"image {item.image} {shape[1]} x {shape[0]}. Export the mask at the size of "
                    "the image."
                )
            mask |= rule(values)
        return mask

    def read(self, path: Path) -> np.ndarray:
        """The uint8 pixels of an image or mask file."""
        return read_image(path)

    def to_channels(self, image: np.ndarray, path: Path) -> np.ndarray:
        """The image with this dataset's channel count, or a DataError that says what is
        unexpected.
        """
        return as_colour(image, path) if self.channels == 3 else as_grey(image, path)

    def files(self, index: int) -> list[Path]:
        """All files of one item, for the fingerprint."""
        item = self.items[index]
        return [item.image, *(path for paths, _ in item.masks.values() for path in paths)]


def images_in(folder: Path, pattern: str = "*") -> list[Path]:
    """Image files of a folder, sorted by name; an empty list if there is no such folder."""
    found = (path for path in folder.glob(pattern) if path.suffix.lower() in IMAGE_SUFFIXES)
    return sorted(path for path in found if not path.name.startswith("."))


def cut(items: list, n_train: int, split: str) -> list:
    """The part of a list that belongs to a split; the first n_train items are for training."""
    return {"train": items[:n_train], "test": items[n_train:], "all": items}[split]
