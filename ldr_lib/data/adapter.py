"""What all dataset adapters share: finding files, reading samples, checking that masks fit."""

import re
import threading
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from .errors import DataError, one_of, printable
from .folders import contents, stem_of
from .masks import Decision, Rule
from .read import Picture, as_colour, as_grey, read_picture
from .read.picture import upright
from .simulate import Sample
from .xray import as_upright

SPLITS = ("train", "test", "all")


@dataclass(frozen=True)
class Item:
    """The files of one image and its masks.

    Attributes:
        image: The image file.
        masks: Structure name to mask files and the rule that turns their uint8 values into boolean
            masks. Several files are joined, for example two lungs. No file means that the image
            does not show the structure.

    Taught in notebook 01, section 9.
    """

    image: Path
    masks: dict[str, tuple[tuple[Path, ...], Rule]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return printable(stem_of(self.image))


class ImageDataset:
    """A sequence of `Sample`s read from files. Subclasses say where the files lie.

    Args:
        data_dir: The dataset's own folder, or the folder that holds it.
        split: "train", "test" or "all".

    Raises:
        ValueError: Unknown split.
        DataError: The folder is missing or holds no image of the expected layout.

    Indexing reads one `Sample`. It raises DataError if the files cannot be read or do not fit each
    other, and warns of the first doubt of each kind; `report` lists all.

    Taught in notebook 01, sections 3 and 9.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    folder: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    modality: ClassVar[str]
    channels: int
    structures: ClassVar[tuple[str, ...]] = ()
    source: ClassVar[str]
    terms: ClassVar[str]
    layout: ClassVar[str]
    checked: ClassVar[str] = "on real files"
    opened_by_name: bool = True
    """Whether the images are known to be of the dataset's modality: then X-rays are put right."""
    not_turned: str = ""
    """What is said of an X-ray that seems turned where none is put right; "" says nothing."""

    def __init__(self, data_dir: Path | str | None, split: str = "train"):
        self.split = one_of(split, SPLITS, "split")
        self._doubts: dict[str, list[tuple[Path, str]]] = {}
        self._lock = threading.Lock()
        try:
            self.root = self._find_root(data_dir)
            self.items = self.find(self.root, split)
        except PermissionError as error:
            where = printable(error.filename or data_dir)
            raise DataError(
                f"{where} may not be read: {error.strerror}. Change its permissions (chmod u+rx)."
            ) from error
        if not self.items:
            raise DataError(
                f"{printable(self.root)} holds no image of the {split} split of {self.name}; "
                f"expected layout: {self.layout}; found: {contents(self.root)}"
            )

    def __getstate__(self) -> dict:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    def _find_root(self, data_dir) -> Path:
        if not data_dir:
            raise DataError(
                f'dataset "{self.name}" is read from files: give data_dir, the folder that holds '
                f"{self.folder}"
            )
        data_dir = Path(data_dir).expanduser()
        for folder in (self.folder, *self.aliases):
            nested = data_dir / folder / Path(folder).name
            deeper = sorted(data_dir.glob(f"*/{folder}"))
            for root in (nested, data_dir / folder, *deeper):
                if root.is_dir():
                    return root
        if not data_dir.is_dir():
            raise DataError(
                f"data_dir {printable(data_dir)} does not exist (looked for it from {Path.cwd()})"
            )
        if data_dir.resolve().name == Path(self.folder).name or self.find(data_dir, "all"):
            return data_dir
        raise DataError(
            f"{printable(data_dir)} has no folder {self.folder}, where {self.name} is expected; "
            f"layout: {self.layout}; found: {contents(data_dir)}"
        )

    def find(self, root: Path, split: str) -> list[Item]:
        """The items of a split, in a fixed order."""
        raise TypeError(f"{type(self).__name__} must say where its files lie")

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Sample:
        item = self.items[index]
        picture = self.read(item.image)
        for doubt in picture.doubts:
            self.doubt(item.image, doubt)
        image = self.to_channels(picture.pixels, item.image)
        if image.max() == image.min():
            raise DataError(
                f"{printable(item.image)} is all of one value ({image.max()}): an empty exposure. "
                "Remove it."
            )
        picture.pixels = image
        masks = {structure: self.mask(item, structure, picture) for structure in item.masks}
        if self.modality == "chest" and (self.opened_by_name or self.not_turned):
            turned, pose = as_upright(image)
            if str(pose) != "upright" and self.opened_by_name:
                self.doubt(item.image, f"{pose}: put right")
                image = turned
                masks = {structure: pose.turn(mask) for structure, mask in masks.items()}
            elif str(pose) != "upright":
                self.doubt(item.image, f"perhaps {pose}: {self.not_turned}")
        return Sample(image, masks, item.name)

    def mask(self, item: Item, structure: str, picture: Picture) -> np.ndarray:
        """One mask of an item, (H, W) bool; `picture` is its image, upright."""
        paths, rule = item.masks[structure]
        shape = picture.pixels.shape[:2]
        mask = np.zeros(shape, bool)
        for path in paths:
            values = self._lying_like(picture, path)
            if values.shape[:2] != shape:
                raise DataError(
                    f"mask {printable(path)} measures {values.shape[1]} x {values.shape[0]} pixels "
                    f"but its image {printable(item.image)} {shape[1]} x {shape[0]}. Export the "
                    "mask at the size of the image."
                )
            decision = rule(values)
            if isinstance(decision, Decision):
                if decision.doubt:
                    self.doubt(path, f"the mask {decision.doubt}")
                decision = decision.mask
            mask |= decision
        return mask

    def _lying_like(self, picture: Picture, path: Path) -> np.ndarray:
        """A mask file's values, turned as its image was if the mask itself says nothing."""
        mask = self.read(path)
        if picture.orientation not in range(2, 9) or mask.orientation != 1:
            return mask.pixels
        turned, shape = upright(mask.pixels, picture.orientation), picture.pixels.shape[:2]
        if turned.shape[:2] != shape:
            return mask.pixels
        if mask.pixels.shape[:2] == shape:
            self.doubt(path, "the mask has no orientation of its own: turned as its image was")
        return turned

    def read(self, path: Path) -> Picture:
        """An image or mask file."""
        return read_picture(path)

    def to_channels(self, image: np.ndarray, path: Path) -> np.ndarray:
        """The image with this dataset's channel count, or a DataError that says what is
        unexpected.
        """
        return as_colour(image, path) if self.channels == 3 else as_grey(image, path)

    def doubt(self, path: Path, text: str) -> None:
        """Notes what the user should look at, and warns of the first of its kind."""
        kind = re.sub(r"[\d.,]+", "N", text)
        with self._lock:
            is_first = kind not in self._doubts
            known = self._doubts.setdefault(kind, [])
            if (path, text) not in known:
                known.append((path, text))
        if is_first:
            warnings.warn(f"{printable(path)}: {text}", stacklevel=3)

    def doubts(self) -> list[tuple[int, int, str]]:
        """Doubts about the files read so far, wherever these lie: the number of the item, of the
        file among its `files`, and what was said. `doubt_again` takes them.
        """
        with self._lock:
            noted = [doubt for found in self._doubts.values() for doubt in found]
        if not noted:
            return []
        place = {path: (i, j) for i in range(len(self)) for j, path in enumerate(self.files(i))}
        return sorted((*place[path], text) for path, text in noted if path in place)

    def doubt_again(self, doubts: Iterable[tuple[int, int, str]]) -> None:
        """Notes doubts that were found when the files were read another time."""
        for item, file, text in doubts:
            self.doubt(self.files(item)[file], text)

    def report(self) -> list[str]:
        """Doubts about the files read so far, one sentence for each kind."""
        lines = []
        for (path, text), *others in self._doubts.values():
            more = f" (and {len(others)} more like it)" if others else ""
            lines.append(f"{printable(path)}: {text}{more}")
        return lines

    def files(self, index: int) -> list[Path]:
        """All files of one item, for the fingerprint."""
        item = self.items[index]
        return [item.image, *(path for paths, _ in item.masks.values() for path in paths)]


def cut(items: list, n_train: int, split: str) -> list:
    """The part of a list that belongs to a split; the first n_train items are for training.

    Taught in notebook 01, section 9.
    """
    return {"train": items[:n_train], "test": items[n_train:], "all": items}[split]
