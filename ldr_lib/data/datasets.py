"""One small class per dataset: where its images and masks lie, its official split, and what the
values of a mask mean.
"""

import re
import warnings
from pathlib import Path

import numpy as np
from skimage.draw import polygon2mask

from ..data import simulate
from .adapter import SPLITS, ImageDataset, Item, cut
from .errors import DataError, one_of, printable
from .folders import below, images_in, stem_of
from .masks import bits, by_histogram
from .own_images import Folder, OtherFolder
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
from .simulate import Sample
from .text_files import read_text
from .tissue import Immunohistochemistry


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
                structure: ((root / f"{path.stem}_{observer}.png",), by_histogram)
                for structure, observer in (
                    ("vessel", "1stHO"),
                    ("vessel_second_observer", "2ndHO"),
                )
            }
            items.append(Item(path, masks))
        return cut(items, sum(item.name[6:8] <= "10" for item in items), split)


HRF_PARTS = ("healthy", "glaucoma", "diabetic_retinopathy")
"""Folders of HRF's archives where it is not fetched as a whole."""


class HRF(ImageDataset):
    name, title, folder = "hrf", "HRF", "HRF"
    modality, channels, structures = "fundus", 3, ("vessel",)
    source = "www5.cs.fau.de/research/data/fundus-images"
    terms = "CC BY 4.0, FAU Erlangen (Budai et al. 2013)"
    layout = (
        "images/01_dr.jpg .., vessel masks manual1/01_dr.tif if present (or healthy, glaucoma, "
        "diabetic_retinopathy and the same with _manualsegm); the first 25 names train"
    )

    def find(self, root, split):
        image_folders = [below(root, "images"), *(below(root, eyes) for eyes in HRF_PARTS)]
        mask_folders = [
            below(root, "manual1"),
            *(below(root, f"{eyes}_manualsegm") for eyes in HRF_PARTS),
        ]
        vessels = {
            stem_of(path).lower(): {"vessel": ((path,), by_histogram)}
            for folder in mask_folders
            for path in images_in(folder)
        }
        paths = sorted(
            (path for folder in image_folders for path in images_in(folder)),
            key=lambda path: path.name,
        )
        packed = [path.name for path in sorted(root.glob("*.zip"))] if paths else []
        if packed and not vessels:
            warnings.warn(
                f"{printable(root)} holds no vessel masks, but archives that are still packed: "
                f"{', '.join(packed)}. Unpack them there.",
                stacklevel=4,
            )
        items = [Item(path, vessels.get(stem_of(path).lower(), {})) for path in paths]
        return cut(items, 25, split)


class Drions(ImageDataset):
    name, title, folder = "drions", "DRIONS-DB", "DRIONS"
    aliases = ("DRIONS-DB",)
    modality, channels, structures = "fundus", 3, ("disc",)
    source = "www.ia.uned.es/~ejcarmona/DRIONS-DB.html"
    terms = "public for research, cite Carmona et al. 2008"
    layout = (
        "images/image_001.jpg .. with experts_anotation/anotExpert1_001.txt as in the official "
        "archive, or with disc_masks/image_001.png; the first 90 train"
    )

    def find(self, root, split):
        contours = {
            path.stem.split("_")[-1]: path for path in sorted(root.rglob("anotExpert1_*.txt"))
        }
        items = []
        for path in images_in(root / "images"):
            mask = root / "disc_masks" / f"{path.stem}.png"
            contour = contours.get(path.stem.split("_")[-1])
            file = mask if contour is None or mask.exists() else contour
            items.append(Item(path, {"disc": ((file,), by_histogram)}))
        return cut(items, sum(item.name <= "image_090" for item in items), split)

    def mask(self, item, structure, picture):
        (path,), _ = item.masks[structure]
        if path.suffix != ".txt":
            return super().mask(item, structure, picture)
        numbers = re.findall(r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?", read_text(path))
        if len(numbers) < 6 or len(numbers) % 2:
            raise DataError(
                f"{printable(path)} holds {len(numbers)} numbers; x and y of three points and more "
                "are expected. Copy it again."
            )
        x, y = np.array(numbers, float).reshape(-1, 2).T
        return polygon2mask(picture.pixels.shape[:2], np.stack([y, x], 1))


class Kermany(ImageDataset):
    name, title, folder = "kermany", "Kermany chest X-rays", "Kermany"
    aliases = ("chest_xray", "ChestXRay2017/chest_xray", "CellData/chest_xray")
    modality, channels = "chest", 1
    source = "data.mendeley.com/datasets/rscbjbr9sj"
    terms = "CC BY 4.0 (Kermany et al. 2018)"
    layout = "{train,test}/{NORMAL,PNEUMONIA}/*.jpeg"

    def find(self, root, split):
        parts = ("train", "test") if split == "all" else (split,)
        return [Item(path) for part in parts for path in images_in(below(root, part), "*/*")]


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


class PackagedSample(ImageDataset):
    """Small real collections that come with the package; each folder holds its licence.

    Args:
        data_dir: Not used; all datasets are opened with the same arguments.
        split: "train", "test" or "all".
    """

    folder = "samples"
    checked = "by eye, notebook 01"
    root = Path(__file__).resolve().parents[1] / "samples"

    def _find_root(self, data_dir):
        return self.root


class SampleFundus(PackagedSample):
    """CHASE_DB1 with its vessel masks and official split, and HRF for training without masks."""

    name, title = "sample_fundus", "Real retinal photographs, a small sample"
    modality, channels, structures = "fundus", 3, ("vessel", "vessel_second_observer")
    source = "CHASE_DB1 and HRF, reduced to 384 pixels"
    terms = "CC BY 4.0: CHASE_DB1 (Kingston University) and HRF (Budai et al. 2013)"
    layout = "CHASE_DB1: children 01-10 train, 11-14 test; HRF without masks, all for training"

    def find(self, root, split):
        eyes = ChaseDB1.find(self, root / "CHASE_DB1", split)
        return eyes if split == "test" else eyes + HRF.find(self, root / "HRF", "all")


class SampleChest(PackagedSample):
    """X-rays of children, half of them with pneumonia, without masks."""

    name, title = "sample_chest", "Real chest X-rays of children, a small sample"
    modality, channels = "chest", 1
    source = "Kermany, 120 of its X-rays"
    terms = "CC BY 4.0 (Kermany et al. 2018)"
    layout = "Kermany/{train,test}/{NORMAL,PNEUMONIA}/*.jpg, without masks"

    def find(self, root, split):
        return Kermany.find(self, root / "Kermany", split)


class PriorMasks(ImageDataset):
    """Binary vessel masks of another modality. The image is the mask itself, and all splits are the
    same.
    """

    modality, channels, structures = "mask", 1, ("vessel",)
    source = "the paper's program"
    terms = "published with the paper's program"
    layout = "*.png, white vessels on black"

    def find(self, root, split):
        return [Item(path, {"vessel": ((path,), by_histogram)}) for path in images_in(root)]


class OctaVesselMasks(PriorMasks):
    name, title, folder = "octa_vessel_masks", "OCTA vessel masks", "priors/octa_vessel_masks"


class DsaVesselMasks(PriorMasks):
    name, title, folder = (
        "dsa_vessel_masks",
        "Coronary angiography vessel masks",
        "priors/dsa_vessel_masks",
    )


class Simulated:
    """Simulated images as a dataset; no files are read.

    Args:
        data_dir: Not used; all datasets are opened with the same arguments.
        split: "train", "test" or "all"; the seeds of "train" and "test" do not overlap.

    Raises:
        ValueError: Unknown split.

    Taught in notebook 01, section 2.
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

    def report(self) -> list[str]:
        """Nothing: there is no doubt about simulated images."""
        return []

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
        SampleFundus,
        SampleChest,
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
        Immunohistochemistry,
        Folder,
        OtherFolder,
    )
}


def open_dataset(
    name: str,
    data_dir: Path | str | None = None,
    split: str = "train",
    modality: str | None = None,
) -> ImageDataset | Simulated | Immunohistochemistry:
    """Opens a dataset by name.

    Args:
        name: A key of `DATASETS`, for example "simulated_fundus", "chase_db1" or "folder".
        data_dir: The dataset's folder, or the folder that holds it; None for simulated images.
        split: "train", "test" or "all".
        modality: Of "folder" only: "fundus", "chest" or "other"; None decides for one of the first
            two by looking at the images. "folder_other" is "folder" with "other".

    Returns:
        A sequence of `Sample`s with the attributes `channels`, `modality`, `structures` and
        `terms`.

    Example:
        >>> eyes = open_dataset("simulated_fundus", split="test")
        >>> len(eyes), eyes.modality, eyes.channels
        (16, 'fundus', 3)

    Raises:
        ValueError: Unknown name, split or modality.
        DataError: The folder is missing, empty, or of another layout.

    Taught in notebook 01, section 3.
    """
    adapter = DATASETS[one_of(name, DATASETS, "dataset")]
    if modality is None:
        return adapter(data_dir, split)
    if adapter is not Folder:
        raise ValueError(
            f"the images of {name} are known to be {adapter.modality}; modality is for "
            'dataset "folder"'
        )
    return Folder(data_dir, split, modality)
