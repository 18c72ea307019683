"""The public datasets of the paper that must be fetched by hand, in the layout of their unpacked
archives.
"""

import csv
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

from .adapter import ImageDataset, Item, cut
from .errors import DataError, printable
from .folders import below, images_in, list_folder, stem_of
from .masks import by_histogram, half
from .read import Picture
from .text_files import read_text


class FetchedByHand(ImageDataset):
    """A dataset whose adapter was tested without a copy of the dataset."""

    checked = "on a generated folder of its layout"


def _by_number(folder: Path) -> dict[str, Path]:
    """Image files by the number that their name holds."""
    return {
        re.search(r"\d+", stem_of(path)).group(): path
        for path in images_in(folder)
        if re.search(r"\d", stem_of(path))
    }


def _parts(split: str, train: str, test: str) -> list[str]:
    return {"train": [train], "test": [test], "all": [train, test]}[split]


class Drive(FetchedByHand):
    name, title, folder = "drive", "DRIVE", "DRIVE"
    aliases = ("datasets",)
    modality, channels, structures = "fundus", 3, ("vessel",)
    source = "drive.grand-challenge.org"
    terms = "registration at drive.grand-challenge.org (Staal et al. 2004)"
    layout = (
        "{training,test}/images/21_training.tif, 1st_manual/21_manual1.gif; masks of the test "
        "images may be missing"
    )

    def find(self, root, split):
        items = []
        for part in _parts(split, "training", "test"):
            vessels = _by_number(root / part / "1st_manual")
            for number, path in _by_number(root / part / "images").items():
                masks = {"vessel": ((vessels[number],), by_histogram)} if number in vessels else {}
                items.append(Item(path, masks))
        return items


def _artery(values: np.ndarray) -> np.ndarray:
    """Red arteries, green crossings."""
    red, green, blue = np.moveaxis(values > 127, -1, 0)
    return (red ^ green) & ~blue


def _vein(values: np.ndarray) -> np.ndarray:
    """Blue veins, green crossings."""
    red, green, blue = np.moveaxis(values > 127, -1, 0)
    return (blue ^ green) & ~red


class Rite(FetchedByHand):
    name, title, folder = "rite", "RITE (DRIVE with arteries and veins)", "AV_groundTruth"
    modality, channels, structures = "fundus", 3, ("vessel", "artery", "vein")
    source = "medicine.uiowa.edu/eye/rite-dataset"
    terms = "research, cite Hu et al. 2013 and Staal et al. 2004"
    layout = (
        "{training,test}/{images,vessel,av}/21_training.{tif,png}; in av arteries are red, veins "
        "blue, crossings green"
    )

    def find(self, root, split):
        items = []
        for part in _parts(split, "training", "test"):
            vessels, kinds = _by_number(root / part / "vessel"), _by_number(root / part / "av")
            for number, path in _by_number(root / part / "images").items():
                masks = {"vessel": ((vessels[number],), by_histogram)} if number in vessels else {}
                if number in kinds:
                    masks |= {
                        "artery": ((kinds[number],), _artery),
                        "vein": ((kinds[number],), _vein),
                    }
                items.append(Item(path, masks))
        return items


class Stare(FetchedByHand):
    name, title, folder = "stare", "STARE", "STARE"
    aliases = ("stare",)
    modality, channels, structures = "fundus", 3, ("vessel", "vessel_second_observer")
    source = "cecas.clemson.edu/~ahoover/stare"
    terms = "research, cite Hoover et al. 2000"
    layout = (
        "im0001.ppm, im0001.ah.ppm and im0001.vk.ppm, also as .ppm.gz, in any folders; the first "
        "ten with vessels train"
    )

    def find(self, root, split):
        found = {"": {}, "ah": {}, "vk": {}}
        for path in list_folder(root).images:
            match = re.fullmatch(r"im(\d{4})(?:\.(ah|vk))?", stem_of(path).lower())
            if match:
                found[match[2] or ""].setdefault(match[1], path)
        observers = {"vessel": found["ah"], "vessel_second_observer": found["vk"]}
        items = []
        for number, path in sorted(found[""].items()):
            masks = {
                name: ((files[number],), by_histogram)
                for name, files in observers.items()
                if number in files
            }
            items.append(Item(path, masks))
        # The site offers 400 images, 20 of them with vessel masks.
        labelled = [item for item in items if item.masks]
        return cut(labelled, 10, split)


class Drishti(FetchedByHand):
    name, title, folder = "drishti_gs1", "Drishti-GS1", "Drishti-GS1_files"
    modality, channels, structures = "fundus", 3, ("disc", "cup")
    source = "cvit.iiit.ac.in/projects/mip/drishti-gs"
    terms = "research, cite Sivaswamy et al. 2014"
    layout = (
        "Training/Images/**/drishtiGS_002.png, Training/GT/drishtiGS_002/SoftMap/"
        "drishtiGS_002_{ODseg,cupseg}Softmap.png, the same in Test with Test_GT; a pixel belongs "
        "to a structure if more than half of four experts say so"
    )

    def find(self, root, split):
        items = []
        for part in _parts(split, "Training", "Test"):
            truth = {"Training": "GT", "Test": "Test_GT"}[part]
            for path in [
                path for base in ("", "*/") for path in images_in(root, f"{base}{part}/Images/**/*")
            ]:
                base = next(parent for parent in path.parents if parent.name == part)
                maps = base / truth / path.stem / "SoftMap"
                masks = {
                    name: maps / f"{path.stem}_{kind}segSoftmap.png"
                    for name, kind in (("disc", "OD"), ("cup", "cup"))
                }
                items.append(Item(path, {name: ((mask,), half) for name, mask in masks.items()}))
        return items


class Idrid(FetchedByHand):
    name, title, folder = "idrid", "IDRiD, segmentation", "A. Segmentation"
    aliases = ("A.%20Segmentation", "Segmentation")
    modality, channels = "fundus", 3
    structures = ("disc", "hard_exudate", "soft_exudate", "haemorrhage", "microaneurysm")
    source = "ieee-dataport.org, Indian Diabetic Retinopathy Image Dataset"
    terms = "CC BY 4.0 (Porwal et al. 2018)"
    layout = (
        "1. Original Images/{a. Training Set,b. Testing Set}/IDRiD_01.jpg, "
        "2. All Segmentation Groundtruths/{the same}/{1. Microaneurysms,2. Haemorrhages,"
        "3. Hard Exudates,4. Soft Exudates,5. Optic Disc}/IDRiD_01_{MA,HE,EX,SE,OD}.tif; "
        "an eye without a lesion has no file of it"
    )
    _kinds = {
        "microaneurysm": "1. Microaneurysms",
        "haemorrhage": "2. Haemorrhages",
        "hard_exudate": "3. Hard Exudates",
        "soft_exudate": "4. Soft Exudates",
        "disc": "5. Optic Disc",
    }

    def find(self, root, split):
        items = []
        for part in _parts(split, "a. Training Set", "b. Testing Set"):
            truth = below(root, "2. All Segmentation Groundtruths", part)
            files = {name: _by_number(below(truth, kind)) for name, kind in self._kinds.items()}
            for number, path in _by_number(below(root, "1. Original Images", part)).items():
                masks = {
                    name: ((files[name][number],) if number in files[name] else (), by_histogram)
                    for name in self.structures
                }
                items.append(Item(path, masks))
        return items


class IdridCentres(FetchedByHand):
    """Centres of disc and fovea, as spots with a radius of a hundredth of the image's height."""

    name, title, folder = "idrid_centres", "IDRiD, localisation", "C. Localization"
    aliases = ("C.%20Localization", "Localization")
    modality, channels, structures = "fundus", 3, ("disc_centre", "fovea_centre")
    source, terms = Idrid.source, Idrid.terms
    layout = (
        "1. Original Images/{a. Training Set,b. Testing Set}/IDRiD_001.jpg, "
        "2. Groundtruths/{1. Optic Disc Center Location,2. Fovea Center Location}/*Training*.csv "
        "and *Testing*.csv with columns image, x, y"
    )

    def find(self, root, split):
        items = []
        for part in _parts(split, "a. Training Set", "b. Testing Set"):
            word, tables = part.split()[1], {}
            for name, folder in zip(
                self.structures, ("1. Optic Disc Center Location", "2. Fovea Center Location")
            ):
                tables[name] = tuple(
                    sorted(below(root, "2. Groundtruths", folder).glob(f"*{word}*.csv"))
                )
            for path in images_in(below(root, "1. Original Images", part)):
                given = {name: (table, half) for name, table in tables.items() if table}
                items.append(Item(path, given))
        return items

    def mask(self, item, structure, picture):
        (table,), _ = item.masks[structure]
        shape = picture.pixels.shape[:2]
        with open(table, newline="", encoding="utf-8-sig", errors="replace") as file:
            rows = {row[0].strip().lower(): row[1:3] for row in csv.reader(file) if row}
        try:
            x, y = (float(value) for value in rows[item.name.lower()])
        except (KeyError, ValueError) as error:
            raise DataError(
                f"{table} holds no centre of {item.name}; remove the image or complete the table"
            ) from error
        rows, columns = np.ogrid[: shape[0], : shape[1]]
        return np.hypot(rows - y, columns - x) <= max(1, shape[0] / 100)


class EyePacs(FetchedByHand):
    name, title, folder = "eyepacs", "EyePACS (Kaggle diabetic retinopathy)", "EyePACS"
    aliases = ("diabetic-retinopathy-detection",)
    modality, channels = "fundus", 3
    source = "kaggle.com/c/diabetic-retinopathy-detection"
    terms = "rules of the Kaggle competition diabetic-retinopathy-detection"
    layout = "{train,test}/10_left.jpeg .."

    def find(self, root, split):
        return [
            Item(path) for part in _parts(split, "train", "test") for path in images_in(root / part)
        ]


class Scr(FetchedByHand):
    name, title, folder = "scr", "SCR (masks of JSRT)", "SCR"
    modality, channels = "chest", 1
    structures = ("heart", "lungs", "left_lung", "right_lung", "clavicles")
    source = "db.jsrt.or.jp/eng.php, masks: zenodo.org/records/7056076"
    terms = "research, cite Shiraishi et al. 2000 and van Ginneken et al. 2006"
    layout = (
        "JPCLN001.IMG .. (12 bits, 2048 x 2048) or .png anywhere below, fold1 and fold2/masks/"
        "{heart,left lung,right lung,left clavicle,right clavicle}/JPCLN001.gif (1024 x 1024); "
        "odd numbers train"
    )
    _files = {
        "heart": ("heart",),
        "lungs": ("left lung", "right lung"),
        "left_lung": ("left lung",),
        "right_lung": ("right lung",),
        "clavicles": ("left clavicle", "right clavicle"),
    }

    def find(self, root, split):
        images = {}
        for path in sorted(root.rglob("*")):
            if (
                re.fullmatch(r"JPC[LN]N\d{3}", path.stem.upper())
                and path.suffix.lower() in (".img", ".png")
                and "masks" not in path.parts
            ):
                images.setdefault(path.stem.upper(), path)
        masks = defaultdict(dict)
        for path in root.rglob("*.gif"):
            masks[path.stem.upper()][path.parent.name.lower()] = path
        items = []
        for name, path in sorted(images.items()):
            files = masks[name]
            found = {
                structure: (tuple(files[part] for part in parts), by_histogram)
                for structure, parts in self._files.items()
                if all(part in files for part in parts)
            }
            if split == "all" or (int(name[-3:]) % 2 == 1) == (split == "train"):
                items.append(Item(path, found))
        return items

    def read(self, path):
        """The picture at the size of the masks; raw files hold optical density and are inverted."""
        if path.suffix.lower() == ".img":
            values = np.fromfile(path, ">u2") if path.exists() else np.zeros(0)
            if values.size != 2048 * 2048:
                raise DataError(
                    f"{printable(path)} holds {values.size} values of 16 bits and 2048 x 2048 are "
                    "expected. Copy it again."
                )
            pixels = ((4095 - np.minimum(values, 4095)) >> 4).astype(np.uint8).reshape(2048, 2048)
            picture = Picture(pixels, ["12 bits of optical density: inverted"])
        else:
            picture = super().read(path)
        if picture.pixels.shape[:2] == (2048, 2048):
            picture.pixels = np.asarray(Image.fromarray(picture.pixels).reduce(2))
        return picture


class SiimAcr(FetchedByHand):
    name, title, folder = "siim_acr", "SIIM-ACR pneumothorax", "SIIM-ACR"
    aliases = ("siim-acr-pneumothorax-segmentation", "siim")
    modality, channels, structures = "chest", 1, ("pneumothorax",)
    source = "kaggle.com/c/siim-acr-pneumothorax-segmentation"
    terms = "rules of the Kaggle competition siim-acr-pneumothorax-segmentation"
    layout = (
        "dicom-images-train/*/*/<ImageId>.dcm (or <ImageId>.png anywhere below) and train-rle.csv; "
        "images with a pneumothorax only, in order of their ids, the first half trains"
    )

    def find(self, root, split):
        table = root / "train-rle.csv"
        if not table.exists() and (root / "dicom-images-train").is_dir():
            raise DataError(f"{table} does not exist; it holds the masks. Layout: {self.layout}")
        self.runs = self._read_runs(table) if table.exists() else {}
        paths = (
            {path.stem: path for path in images_in(root, "**/*") if path.stem in self.runs}
            if self.runs
            else {}
        )
        items = [
            Item(path, {"pneumothorax": ((table,), half)}) for _, path in sorted(paths.items())
        ]
        return cut(items, len(items) // 2, split)

    @staticmethod
    def _read_runs(table: Path) -> dict[str, list[list[int]]]:
        """Image id to its masks. A mask is a list of gap and length in turns, down the columns;
        each gap is counted from the end of the previous run.
        """
        runs, rows = defaultdict(list), csv.reader(read_text(table).splitlines())
        try:
            next(rows, None)
            for row in rows:
                values = [int(value) for value in row[1].split()] if len(row) > 1 else []
                if values and values[0] >= 0:
                    runs[row[0].strip()].append(values)
        except (ValueError, csv.Error) as error:
            raise DataError(
                f"{printable(table)} holds no mask in line {rows.line_num}: an image's id and "
                "whole numbers are expected. Copy it again."
            ) from error
        return runs

    def mask(self, item, structure, picture):
        shape = picture.pixels.shape[:2]
        mask = np.zeros(shape[0] * shape[1], bool)
        for values in self.runs[item.name]:
            ends = np.cumsum(values)
            if len(values) % 2 or ends[-1] > mask.size:
                raise DataError(
                    f"the mask of {item.name} in {item.masks[structure][0][0]} does not fit an "
                    f"image of {shape[1]} x {shape[0]} pixels; was the image resized? The table is "
                    "for 1024 x 1024."
                )
            for start, end in zip(ends[::2], ends[1::2]):
                mask[start:end] = True
        return mask.reshape(shape[::-1]).T


class ChestXray8(FetchedByHand):
    name, title, folder = "chestxray8", "NIH ChestX-ray8", "NIH"
    aliases = ("CXR8", "ChestXray-NIHCC")
    modality, channels = "chest", 1
    source = "nihcc.app.box.com/v/ChestXray-NIHCC"
    terms = "NIH Clinical Center, free with acknowledgement (Wang et al. 2017)"
    layout = (
        "images_001/images/00000001_000.png .. (or images/*.png) with train_val_list.txt and "
        "test_list.txt"
    )

    def find(self, root, split):
        paths = {path.name: path for path in images_in(root, "images*/**/*")}
        if split == "all":
            return [Item(path) for _, path in sorted(paths.items())]
        listed = root / {"train": "train_val_list.txt", "test": "test_list.txt"}[split]
        if not listed.exists():
            raise DataError(
                f"{listed} does not exist; it lists the images of the {split} split. "
                f"Layout: {self.layout}"
            )
        return [Item(paths[name]) for name in read_text(listed).split() if name in paths]
