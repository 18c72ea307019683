"""One small class per dataset: where its images and masks lie, its official split, and what the
values of a mask mean.
"""

from pathlib import Path

import numpy as np

from ..data import simulate
from .adapter import SPLITS, ImageDataset, Item, bits, bright, cut, images_in
from .errors import DataError, one_of
from .paper_datasets import (
    ChestXray8,
    Drishti,
    Drive,
    EyePacs,
    Idrid,
    IdridCentres,
    Rite,
    Scr,
    SiimAcr,
    Stare,
)
from .read import as_grey, read_image
from .simulate import Sample


class ChaseDB1(ImageDataset):
    name, title, folder = "chase_db1", "CHASE_DB1", "CHASE_DB1"
    modality, channels, structures = "fundus", 3, ("vessel", "vessel_second_observer")
    source = "researchdata.kingston.ac.uk/96"
    terms = "CC BY 4.0, Kingston University"
    layout = (
        "Image_01L.jpg .. Image_14R.jpg with Image_01L_1stHO.png and Image_01L_2ndHO.png; "
        "children 01-10 train"
    )

    def find(self, root, split):
        items = []
        for path in images_in(root, "Image_*.jpg"):
            masks = {
                structure: ((root / f"{path.stem}_{observer}.png",), bright)
                for structure, observer in (
                    ("vessel", "1stHO"),
                    ("vessel_second_observer", "2ndHO"),
                )
            }
            items.append(Item(path, masks))
        return cut(items, sum(item.name[6:8] <= "10" for item in items), split)


class HRF(ImageDataset):
    name, title, folder = "hrf", "HRF", "HRF"
    modality, channels, structures = "fundus", 3, ("vessel",)
    source = "www5.cs.fau.de/research/data/fundus-images"
    terms = "CC BY 4.0, FAU Erlangen (Budai et al. 2013)"
    layout = (
        "images/01_dr.jpg .., vessel masks manual1/01_dr.tif if present; the first 25 names train"
    )

    def find(self, root, split):
        vessels = {path.stem: {"vessel": ((path,), bright)} for path in images_in(root / "manual1")}
        items = [Item(path, vessels.get(path.stem, {})) for path in images_in(root / "images")]
        return cut(items, 25, split)


class Drions(ImageDataset):
    name, title, folder = "drions", "DRIONS-DB", "DRIONS"
    modality, channels, structures = "fundus", 3, ("disc",)
    source = "www.ia.uned.es/~ejcarmona/DRIONS-DB.html"
    terms = "public for research, cite Carmona et al. 2008"
    layout = (
        "images/image_001.jpg .. image_109.jpg with disc_masks/image_001.png; the first 90 train"
    )

    def find(self, root, split):
        items = [
            Item(path, {"disc": ((root / "disc_masks" / f"{path.stem}.png",), bright)})
            for path in images_in(root / "images")
        ]
        return cut(items, sum(item.name <= "image_090" for item in items), split)


class Kermany(ImageDataset):
    name, title, folder = "kermany", "Kermany chest X-rays", "Kermany"
    modality, channels = "chest", 1
    source = "data.mendeley.com/datasets/rscbjbr9sj"
    terms = "CC BY 4.0 (Kermany et al. 2018)"
    layout = "{train,test}/{NORMAL,PNEUMONIA}/*.jpeg"

    def find(self, root, split):
        parts = ("train", "test") if split == "all" else (split,)
        return [Item(path) for part in parts for path in images_in(root / part, "*/*")]


class Covid19CxrSeg(ImageDataset):
    name, title, folder = "covid19_cxr_seg", "COVID19_CXR_SEG", "COVID19_CXR_SEG"
    modality, channels = "chest", 1
    structures = ("lungs", "left_lung", "right_lung", "heart", "ground_glass", "consolidation")
    source = "github.com/GeneralBlockchain/covid-19-chest-xray-segmentations-dataset"
    terms = "CC BY-NC-SA, CC BY or CC BY-SA, image by image: licences.csv"
    layout = (
        "images/*.png with masks/*.png (bits 1 left lung, 2 right lung, 4 heart and mediastinum, "
        "8, 16); first 21 train"
    )

    def find(self, root, split):
        flags = dict(zip(self.structures, ((1, 2), (1,), (2,), (4,), (8,), (16,))))
        items = []
        for path in images_in(root / "images"):
            mask = root / "masks" / path.name
            items.append(Item(path, {name: ((mask,), bits(*flag)) for name, flag in flags.items()}))
        return cut(items, 21, split)


class PriorMasks(ImageDataset):
    """Binary vessel masks of another modality. The image is the mask itself, and all splits are the
    same.
    """

    modality, channels, structures = "mask", 1, ("vessel",)
    source = "the paper's program"
    terms = "published with the paper's program"
    layout = "*.png, white vessels on black"

    def find(self, root, split):
        return [Item(path, {"vessel": ((path,), bright)}) for path in images_in(root)]


class OctaVesselMasks(PriorMasks):
    name, title, folder = "octa_vessel_masks", "OCTA vessel masks", "priors/octa_vessel_masks"


class DsaVesselMasks(PriorMasks):
    name, title, folder = (
        "dsa_vessel_masks",
        "Coronary angiography vessel masks",
        "priors/dsa_vessel_masks",
    )


class Folder(ImageDataset):
    """Your own images: every image file below `data_dir`. All are read as colour or as grey images,
    as the first readable one is.
    """

    name, title, folder = "folder", "A folder of images", ""
    modality = "own images"
    source = "your own folder"
    terms = "your own"
    layout = (
        "any png, jpg, tif, ppm, bmp, gif or DICOM files, also in subfolders; every fifth is kept "
        "for the test split"
    )

    def _find_root(self, data_dir):
        if not data_dir:
            raise DataError('dataset "folder" needs data_dir, the folder of your images')
        root = Path(data_dir).expanduser()
        if not root.is_dir():
            raise DataError(
                f"data_dir {root} does not exist or is no folder (looked for it from {Path.cwd()})"
            )
        return root

    def find(self, root, split):
        paths = images_in(root, "**/*")
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
        data_dir: Not used; all datasets are opened with the same arguments.
        split: "train", "test" or "all"; the seeds of "train" and "test" do not overlap.

    Raises:
        ValueError: Unknown split.
    """

    checked = "by eye, notebook 01"
    folder, layout, terms, source = (
        "",
        "generated from seeds",
        "MIT, as this package",
        "this package",
    )
    size, n_train, n_test = 256, 96, 16

    def __init__(self, data_dir: Path | str | None = None, split: str = "train"):
        self.split = one_of(split, SPLITS, "split")
        test_seeds = range(1_000_000, 1_000_000 + self.n_test)
        self.seeds = {
            "train": [*range(self.n_train)],
            "test": [*test_seeds],
            "all": [*range(self.n_train), *test_seeds],
        }[split]

    def __len__(self) -> int:
        return len(self.seeds)

    def __getitem__(self, index: int) -> Sample:
        return self.generate(self.size, self.seeds[index])

    def files(self, index: int) -> list[Path]:
        """The program files that decide what is generated."""
        return (
            [Path(simulate.__file__), Path(simulate.__file__).with_name("vessel_tree.py")]
            if index == 0
            else []
        )


class SimulatedFundus(Simulated):
    name, title = "simulated_fundus", "Simulated retinal photographs"
    modality, channels = "fundus", 3
    structures = (
        "vessel",
        "artery",
        "vein",
        "disc",
        "cup",
        "fovea",
        "bright_lesion",
        "dark_lesion",
    )
    generate = staticmethod(simulate.fundus)


class SimulatedChest(Simulated):
    name, title = "simulated_chest", "Simulated chest X-rays"
    modality, channels = "chest", 1
    structures = ("body", "lungs", "left_lung", "right_lung", "heart", "clavicles", "ribs")
    generate = staticmethod(simulate.chest)


DATASETS: dict[str, type] = {
    adapter.name: adapter
    for adapter in (
        SimulatedFundus,
        SimulatedChest,
        ChaseDB1,
        HRF,
        Drions,
        Kermany,
        Covid19CxrSeg,
        OctaVesselMasks,
        DsaVesselMasks,
        Rite,
        Drive,
        Stare,
        Drishti,
        Idrid,
        IdridCentres,
        EyePacs,
        Scr,
        SiimAcr,
        ChestXray8,
        Folder,
    )
}


def open_dataset(
    name: str, data_dir: Path | str | None = None, split: str = "train"
) -> ImageDataset | Simulated:
    """Opens a dataset by name.

    Args:
        name: A key of `DATASETS`, for example "simulated_fundus", "chase_db1" or "folder".
        data_dir: The dataset's folder, or the folder that holds it; None for simulated images.
        split: "train", "test" or "all".

    Returns:
        A sequence of `Sample`s with the attributes `channels`, `modality`, `structures` and
        `terms`.

    Example:
        >>> eyes = open_dataset("simulated_fundus", split="test")
        >>> len(eyes), eyes.modality, eyes.channels
        (16, 'fundus', 3)

    Raises:
        ValueError: Unknown name or split.
        DataError: The folder is missing, empty, or of another layout.

    Taught in notebook 01, section 3.
    """
    return DATASETS[one_of(name, DATASETS, "dataset")](data_dir, split)
