"""One small class per dataset: where images and masks lie, the official split, what a mask value means."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from . import simulate
from .files import DataError
from .read import IMAGE_SUFFIXES, as_colour, as_grey, read_image
from .simulate import Sample


@dataclass(frozen=True)
class Item:
    """Where one image and its masks lie.

    Attributes:
        image: The image file.
        masks: Structure name to mask file and the rule that turns its uint8 values into a boolean mask.
    """

    image: Path
    masks: dict[str, tuple[Path, Callable[[np.ndarray], np.ndarray]]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.image.stem


def bright(values: np.ndarray) -> np.ndarray:
    """Mask rule: white on black."""
    return values > 127


def bits(*flags: int) -> Callable[[np.ndarray], np.ndarray]:
    """Mask rule: any of the given bits is set."""
    return lambda values: (values & sum(flags)) > 0


class ImageDataset:
    """A sequence of `Sample`s read from files; subclasses say where.

    Args:
        data_dir: The dataset's own folder, or the folder that holds it.
        split: "train", "test" or "all".

    Raises:
        DataError: The folder is missing, holds no image of the expected layout, or the split is unknown.

    Indexing reads one `Sample` and raises DataError if its files cannot be read or do not fit each other.
    Taught in notebook 01, section 3.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    folder: ClassVar[str]
    modality: ClassVar[str]
    channels: int
    structures: ClassVar[tuple[str, ...]] = ()
    terms: ClassVar[str]
    layout: ClassVar[str]

    def __init__(self, data_dir: Path | str | None, split: str = "train"):
        if split not in ("train", "test", "all"):
            raise DataError(f'unknown split {split!r} of {self.name}; the splits are "train", "test" and "all"')
        self.split = split
        self.root = self._find_root(data_dir)
        self.items = self.find(self.root, split)
        if not self.items:
            raise DataError(
                f"{self.root} holds no image of the {split} split of {self.name}; expected layout: {self.layout}"
            )

    def _find_root(self, data_dir) -> Path:
        if not data_dir:
            raise DataError(f'dataset "{self.name}" is read from files: give data_dir, the folder that holds {self.folder}')
        data_dir = Path(data_dir).expanduser()
        for root in (data_dir / self.folder, data_dir):
            if root.is_dir() and (root != data_dir or data_dir.resolve().name == Path(self.folder).name):
                return root
        if not data_dir.is_dir():
            raise DataError(f"data_dir {data_dir} does not exist (looked for it from {Path.cwd()})")
        raise DataError(f"{data_dir} has no folder {self.folder}, where {self.name} is expected; layout: {self.layout}")

    def find(self, root: Path, split: str) -> list[Item]:
        """The items of a split, in a fixed order."""
        raise TypeError(f"{type(self).__name__} must say where its files lie")

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Sample:
        item = self.items[index]
        image = self.to_channels(read_image(item.image), item.image)
        if image.max() == image.min():
            raise DataError(f"{item.image} is all of one value ({image.max()}): an empty exposure. Remove it.")
        masks = {}
        for structure, (path, rule) in item.masks.items():
            values = read_image(path)
            values = values[..., 0] if values.ndim == 3 else values
            if values.shape != image.shape[:2]:
                raise DataError(
                    f"mask {path} measures {values.shape[1]} x {values.shape[0]} pixels but its image {item.image} "
                    f"{image.shape[1]} x {image.shape[0]}. Export the mask at the size of the image."
                )
            masks[structure] = rule(values)
        return Sample(image, masks, item.name)

    def to_channels(self, image: np.ndarray, path: Path) -> np.ndarray:
        """The image with this dataset's channel count, or a DataError that says what is unexpected."""
        return as_colour(image, path) if self.channels == 3 else as_grey(image, path)

    def files(self, index: int) -> list[Path]:
        """All files of one item, for the fingerprint."""
        item = self.items[index]
        return [item.image, *(path for path, _ in item.masks.values())]


def _images_in(folder: Path, pattern: str = "*") -> list[Path]:
    found = (path for path in folder.glob(pattern) if path.suffix.lower() in IMAGE_SUFFIXES)
    return sorted(path for path in found if not path.name.startswith("."))


def _cut(items: list, n_train: int, split: str) -> list:
    return {"train": items[:n_train], "test": items[n_train:], "all": items}[split]


class ChaseDB1(ImageDataset):
    name, title, folder = "chase_db1", "CHASE_DB1", "CHASE_DB1"
    modality, channels, structures = "fundus", 3, ("vessel", "vessel_second_observer")
    terms = "CC BY 4.0, Kingston University"
    layout = "Image_01L.jpg .. Image_14R.jpg with Image_01L_1stHO.png and Image_01L_2ndHO.png; children 01-10 train"

    def find(self, root, split):
        items = []
        for path in _images_in(root, "Image_*.jpg"):
            masks = {
                structure: (root / f"{path.stem}_{observer}.png", bright)
                for structure, observer in (("vessel", "1stHO"), ("vessel_second_observer", "2ndHO"))
            }
            items.append(Item(path, masks))
        return _cut(items, sum(item.name[6:8] <= "10" for item in items), split)


class HRF(ImageDataset):
    name, title, folder = "hrf", "HRF", "HRF"
    modality, channels, structures = "fundus", 3, ("vessel",)
    terms = "CC BY 4.0, FAU Erlangen (Budai et al. 2013)"
    layout = "images/01_dr.jpg .., vessel masks manual1/01_dr.tif if present; the first 25 names train"

    def find(self, root, split):
        vessels = {path.stem: {"vessel": (path, bright)} for path in _images_in(root / "manual1")}
        items = [Item(path, vessels.get(path.stem, {})) for path in _images_in(root / "images")]
        return _cut(items, 25, split)


class Drions(ImageDataset):
    name, title, folder = "drions", "DRIONS-DB", "DRIONS"
    modality, channels, structures = "fundus", 3, ("disc",)
    terms = "public for research, cite Carmona et al. 2008"
    layout = "images/image_001.jpg .. image_109.jpg with disc_masks/image_001.png; the first 90 train"

    def find(self, root, split):
        items = [
            Item(path, {"disc": (root / "disc_masks" / f"{path.stem}.png", bright)})
            for path in _images_in(root / "images")
        ]
        return _cut(items, sum(item.name <= "image_090" for item in items), split)


class Kermany(ImageDataset):
    name, title, folder = "kermany", "Kermany chest X-rays", "Kermany"
    modality, channels = "chest", 1
    terms = "CC BY 4.0 (Kermany et al. 2018)"
    layout = "{train,test}/{NORMAL,PNEUMONIA}/*.jpeg"

    def find(self, root, split):
        parts = ("train", "test") if split == "all" else (split,)
        return [Item(path) for part in parts for path in _images_in(root / part, "*/*")]


class Covid19CxrSeg(ImageDataset):
    name, title, folder = "covid19_cxr_seg", "COVID19_CXR_SEG", "COVID19_CXR_SEG"
    modality, channels = "chest", 1
    structures = ("lungs", "left_lung", "right_lung", "heart", "ground_glass", "consolidation")
    terms = "CC BY-NC-SA, CC BY or CC BY-SA, image by image: licences.csv"
    layout = "images/*.png with masks/*.png (bits 1 left lung, 2 right lung, 4 heart and mediastinum, 8, 16); first 21 train"

    def find(self, root, split):
        flags = dict(zip(self.structures, ((1, 2), (1,), (2,), (4,), (8,), (16,))))
        items = []
        for path in _images_in(root / "images"):
            mask = root / "masks" / path.name
            items.append(Item(path, {name: (mask, bits(*flag)) for name, flag in flags.items()}))
        return _cut(items, 21, split)


class PriorMasks(ImageDataset):
    """Binary vessel masks of another modality; the image is the mask itself, and there is only one split."""

    modality, channels, structures = "mask", 1, ("vessel",)
    terms = "published with the paper's program"
    layout = "*.png, white vessels on black"

    def find(self, root, split):
        return [Item(path, {"vessel": (path, bright)}) for path in _images_in(root)]


class OctaVesselMasks(PriorMasks):
    name, title, folder = "octa_vessel_masks", "OCTA vessel masks", "priors/octa_vessel_masks"


class DsaVesselMasks(PriorMasks):
    name, title, folder = "dsa_vessel_masks", "Coronary angiography vessel masks", "priors/dsa_vessel_masks"


class Folder(ImageDataset):
    """Anyone's own images: every image file below `data_dir`, colour or grey as the first readable one is."""

    name, title, folder = "folder", "A folder of images", ""
    modality = "own images"
    terms = "yours"
    layout = "any png, jpg, tif, ppm, bmp, gif or DICOM files, also in subfolders; every fifth is kept for the test split"

    def _find_root(self, data_dir):
        if not data_dir:
            raise DataError('dataset "folder" needs data_dir, the folder of your images')
        root = Path(data_dir).expanduser()
        if not root.is_dir():
            raise DataError(f"data_dir {root} does not exist or is no folder (looked for it from {Path.cwd()})")
        return root

    def find(self, root, split):
        paths = _images_in(root, "**/*")
        self.channels = self._channels_of(paths)
        self.modality = "fundus" if self.channels == 3 else "chest"
        if len(paths) < 5 or split == "all":
            return [Item(path) for path in paths]
        return [Item(path) for i, path in enumerate(paths) if (i % 5 == 4) == (split == "test")]

    @staticmethod
    def _channels_of(paths: list[Path]) -> int:
        for path in paths:
            try:
                image = read_image(path)
                as_grey(image, path)
                return 1
            except DataError as error:
                if "colour image" in str(error):
                    return 3
        return 3

    def to_channels(self, image, path):
        if self.channels == 3 and image.ndim == 2:
            return np.repeat(image[..., None], 3, axis=2)
        return super().to_channels(image, path)


class Simulated:
    """Simulated images as a dataset; no files are read.

    Args:
        data_dir: Not used; here so that all datasets are opened alike.
        split: "train", "test" or "all"; the seeds of the splits never meet.

    Taught in notebook 01, section 2.
    """

    folder, layout, terms = "", "generated from seeds", "MIT, as this package"
    size, n_train, n_test = 256, 96, 16

    def __init__(self, data_dir: Path | str | None = None, split: str = "train"):
        if split not in ("train", "test", "all"):
            raise DataError(f'unknown split {split!r} of {self.name}; the splits are "train", "test" and "all"')
        self.split = split
        test_seeds = range(1_000_000, 1_000_000 + self.n_test)
        self.seeds = {"train": [*range(self.n_train)], "test": [*test_seeds], "all": [*range(self.n_train), *test_seeds]}[split]

    def __len__(self) -> int:
        return len(self.seeds)

    def __getitem__(self, index: int) -> Sample:
        return self.generate(self.size, self.seeds[index])

    def files(self, index: int) -> list[Path]:
        """The program files that decide what is generated."""
        return [Path(simulate.__file__), Path(simulate.__file__).with_name("vessel_tree.py")] if index == 0 else []


class SimulatedFundus(Simulated):
    name, title = "simulated_fundus", "Simulated retinal photographs"
    modality, channels = "fundus", 3
    structures = ("vessel", "artery", "vein", "disc", "cup", "fovea", "bright_lesion", "dark_lesion")
    generate = staticmethod(simulate.fundus)


class SimulatedChest(Simulated):
    name, title = "simulated_chest", "Simulated chest X-rays"
    modality, channels = "chest", 1
    structures = ("body", "lungs", "left_lung", "right_lung", "heart", "clavicles", "ribs")
    generate = staticmethod(simulate.chest)


DATASETS: dict[str, type] = {
    adapter.name: adapter
    for adapter in (
        SimulatedFundus, SimulatedChest, ChaseDB1, HRF, Drions, Kermany, Covid19CxrSeg, OctaVesselMasks,
        DsaVesselMasks, Folder,
    )
}


def open_dataset(name: str, data_dir: Path | str | None = None, split: str = "train") -> ImageDataset | Simulated:
    """Opens a dataset by name.

    Args:
        name: A key of `DATASETS`, for example "simulated_fundus", "chase_db1" or "folder".
        data_dir: The dataset's folder or the folder that holds it; not needed for simulated ones.
        split: "train", "test" or "all".

    Returns:
        A sequence of `Sample`s with attributes `channels`, `modality`, `structures` and `terms`.

    Raises:
        DataError: Unknown name or split, or a folder that is missing, empty or laid out differently.

    Taught in notebook 01, section 3.
    """
    if name not in DATASETS:
        raise DataError(f'unknown dataset "{name}"; known are {", ".join(DATASETS)}')
    return DATASETS[name](data_dir, split)
