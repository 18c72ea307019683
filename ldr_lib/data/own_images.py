"""A folder of the user's own images: which files count, and whether they are photographs of the
retina or X-rays.
"""

import re
import warnings
from pathlib import Path

import numpy as np

from . import checks
from .adapter import ImageDataset, Item
from .errors import DataError, one_of, printable
from .folders import list_folder
from .masks import looks_like_mask
from .read import is_colour, read_picture

MODALITIES = ("fundus", "chest")
LOOKED_AT = 15
"""Images that decide the modality."""
MASK_WORDS = re.compile(
    r"(?:^|[^a-z])(?:masks?|labels?|seg|segmentations?|manual\d?|gt|groundtruth|ground_truth|annot"
    r"\w*|[12](?:st|nd)ho)(?:[^a-z]|$)"
)
"""Words in names of files and folders that hold masks."""
FEW, SMALL = 2000, 65536
"""Of up to so many files, those of at most so many bytes are looked at, too."""
DOCUMENTS = {".txt", ".csv", ".md", ".json", ".xlsx", ".pdf", ".yaml", ".yml", ".xml", ".html"}
"""Suffixes of files that nobody expects to be read as images."""


class Folder(ImageDataset):
    """Your own images: every image file below `data_dir`, without masks that lie beside them.

    Args:
        data_dir: The folder of your images.
        split: "train", "test" or "all"; every fifth image is for testing, of less than five all
            are for both.
        modality: "fundus" (photographs of the retina) or "chest" (X-rays). None decides by the
            majority of images in colour or grey, and puts no X-ray upright, because grey pictures
            can show anything.

    Raises:
        ValueError: Unknown split or modality.
        DataError: The folder is missing, may not be listed, or holds no image.
    """

    name, title, folder = "folder", "A folder of images", ""
    modality = "own images"
    source = "your own folder"
    terms = "your own"
    layout = (
        "any png, jpg, tif, ppm, bmp, gif, webp or DICOM files, also in subfolders; every fifth is "
        "kept for the test split"
    )

    def __init__(self, data_dir, split: str = "train", modality: str | None = None):
        self.asked = one_of(modality, MODALITIES, "modality") if modality else None
        self.opened_by_name = self.asked == "chest"
        super().__init__(data_dir, split)

    def _find_root(self, data_dir):
        if not data_dir:
            raise DataError('dataset "folder" needs data_dir, the folder of your images')
        root = checks.path(data_dir, "data_dir").expanduser()
        if not root.is_dir():
            raise DataError(
                f"data_dir {printable(root)} does not exist or is no folder (looked for it from "
                f"{Path.cwd()})"
            )
        return root

    def find(self, root, split):
        self.root, listing = root, list_folder(root)
        if set(listing.left_out) - DOCUMENTS or listing.unusual or listing.unlisted:
            for text in listing.doubts():
                self._tell(text)
        paths = self._without_masks(listing.images)
        self.modality = self.asked or self._majority(paths)
        self.channels = 3 if self.modality == "fundus" else 1
        if len(paths) < 5 or split == "all":
            return [Item(path) for path in paths]
        return [Item(path) for i, path in enumerate(paths) if (i % 5 == 4) == (split == "test")]

    def _without_masks(self, paths: list[Path]) -> list[Path]:
        few = len(paths) <= FEW
        masks = [path for path in paths if self._may_be_mask(path, few) and _is_mask(path)]
        if not masks or len(masks) == len(paths):
            return paths
        self._tell(
            f"{len(masks)} of {len(paths)} files are masks of two values, no images: left out, for "
            f"example {printable(masks[0].name)}"
        )
        left_out = set(masks)
        return [path for path in paths if path not in left_out]

    def _may_be_mask(self, path: Path, few: bool) -> bool:
        if MASK_WORDS.search(path.relative_to(self.root).as_posix().lower()):
            return True
        return few and path.stat().st_size <= SMALL

    def _majority(self, paths: list[Path]) -> str:
        step = max(1, len(paths) // LOOKED_AT)
        votes = []
        for path in paths[::step]:
            try:
                votes.append(is_colour(read_picture(path).pixels))
            except DataError:
                continue
        in_colour = sum(votes)
        modality = "fundus" if 2 * in_colour >= len(votes) else "chest"
        if 0 < in_colour < len(votes):
            taken = {"fundus": "photographs of the retina", "chest": "X-rays"}[modality]
            self._tell(
                f"{in_colour} of {len(votes)} images looked at are in colour, the others grey: all "
                f'are taken for {taken}. Say modality="fundus" or modality="chest" to decide it.'
            )
        return modality

    def _tell(self, text: str) -> None:
        line = f"{printable(self.root)}: {text}"
        if line not in self._doubts:
            self._doubts[line] = [line]
            warnings.warn(line, stacklevel=4)

    def to_channels(self, image, path):
        if self.channels == 3 and image.ndim == 2:
            return np.repeat(image[..., None], 3, axis=2)
        return super().to_channels(image, path)


def _is_mask(path: Path) -> bool:
    try:
        return looks_like_mask(read_picture(path).pixels)
    except DataError:
        return False
