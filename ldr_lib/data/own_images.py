"""A folder of the user's own images: which files count, and whether they are photographs of the
retina or X-rays.
"""

import re
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import checks
from .adapter import ImageDataset, Item
from .checks import given
from .errors import DataError, one_of, printable
from .folders import list_folder
from .masks import looks_like_mask
from .read import (
    common_ranges,
    is_colour,
    is_plain_grey,
    may_be_deep,
    read_picture,
)

MODALITIES = {
    "fundus": "photographs of the retina",
    "chest": "X-rays",
    "other": "images of another kind",
}
"""What images of a folder can be, and how messages call them."""
LOOKED_AT = 15
"""Images that decide the modality, and the range in which more than 8 bits are shown."""
GREY = "grey where photographs in colour are expected: its one channel is taken three times"
COLOURED = "in colour where most images are grey: the mean of its channels is taken"
NOT_TURNED = (
    'left as it lies, because the folder was not said to hold X-rays. Say modality="chest" '
    "(--modality chest) to put such images right"
)
MASK_WORDS = re.compile(
    r"(?:^|[^a-z])(?:masks?|labels?|seg|segmentations?|manual\d?|gt|groundtruth|ground_truth|annot"
    r"\w*|[12](?:st|nd)ho)(?:[^a-z]|$)"
)
"""Words in names of files and folders that hold masks."""
FEW, SMALL = 2000, 65536
"""Of up to so many files, those of at most so many bytes are looked at, too."""
DOCUMENTS = {".txt", ".csv", ".md", ".json", ".xlsx", ".pdf", ".yaml", ".yml", ".xml", ".html"}
"""Suffixes of files that nobody expects to be read as images."""


class Seen(NamedTuple):
    """What one look at an image has shown; `depth` and `range` as in `Picture`."""

    in_colour: bool
    depth: str
    range: tuple[float, float] | None


def mixed_depths(depths: Counter) -> str:
    """A sentence about images of several bit depths.

    Args:
        depths: As in `Picture`, with how many images have it.
    """
    counted = " and ".join(f"{n} are {depth}" for depth, n in depths.most_common())
    return (
        f"{counted}: each kind is brought to 0 to 255 by a rule of its own, so that their "
        "brightness cannot be compared. Export all images at one bit depth"
    )


class Folder(ImageDataset):
    """Your own images: every image file below `data_dir`, without masks that lie beside them.

    Images of more than 8 bits, other than DICOM, are brought to bytes by one range for the whole
    folder, so that a dark exposure stays darker than a bright one; the range is that of the images
    looked at. Where these are of no common scale, each image has its own range, and a warning says
    so.

    Args:
        data_dir: The folder of your images.
        split: "train", "test" or "all"; every fifth image is for testing, of less than five all
            are for both.
        modality: "fundus" (photographs of the retina), "chest" (X-rays) or "other" (of anything
            else, in colour or grey as most of them are: the whole image counts, and its intensities
            stay as they are). None decides for one of the first two by the majority of images in
            colour or grey. It puts no X-ray upright, because grey pictures can show anything, but
            warns where one seems to be turned or inverted.

    Raises:
        ValueError: Unknown split or modality.
        DataError: The folder is missing, may not be listed, holds no image, or so much else that
            it is no folder of images, as `list_folder` says.
    """

    name, title, folder = "folder", "A folder of images", ""
    modality = "own images"
    known: str | None = None
    """The modality where the dataset's name says it."""
    opened_by_name = False
    source = "your own folder"
    terms = "your own"
    layout = (
        "any png, jpg, tif, ppm, bmp, gif, webp or DICOM files, also in subfolders; every fifth is "
        "kept for the test split"
    )

    def __init__(self, data_dir, split: str = "train", modality: str | None = None):
        modality = modality if given(modality) else self.known
        self.asked = None if modality is None else one_of(modality, MODALITIES, "modality")
        self.opened_by_name = self.asked == "chest"
        self.not_turned = NOT_TURNED if self.asked is None else ""
        super().__init__(data_dir, split)

    def _find_root(self, data_dir):
        if not given(data_dir):
            raise DataError(f'dataset "{self.name}" needs data_dir, the folder of your images')
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
        looked_at = paths[:: max(1, len(paths) // LOOKED_AT)]
        seen = list(self._look(looked_at))
        self.modality = self.asked or self._majority(seen)
        self.ranges = self._ranges(seen)
        in_colour = _mostly_in_colour(seen) if self.asked == "other" else self.modality == "fundus"
        self.channels = 3 if in_colour else 1
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

    def _look(self, paths: list[Path]) -> Iterator[Seen]:
        """Looks at images. Where the modality is known, those of 8 bits need not be read."""
        for path in paths:
            if self.asked in ("fundus", "chest") and not may_be_deep(path):
                yield Seen(self.asked == "fundus", "8 bit", None)
                continue
            with suppress(DataError):
                picture = read_picture(path)
                pale = self.asked == "other"  # stained tissue is, and is no tinted film
                pixels = picture.pixels
                in_colour = not is_plain_grey(pixels) if pale else is_colour(pixels)
                yield Seen(in_colour, picture.depth, picture.range)

    def _majority(self, seen: list[Seen]) -> str:
        in_colour = sum(one.in_colour for one in seen)
        modality = "fundus" if _mostly_in_colour(seen) else "chest"
        if 0 < in_colour < len(seen):
            self._tell(
                f"{in_colour} of {len(seen)} images looked at are in colour, the others grey: all "
                f'are taken for {MODALITIES[modality]}. Say modality="fundus", '
                'modality="chest" or modality="other" to decide it.'
            )
        return modality

    def _ranges(self, seen: list[Seen]) -> dict[str, tuple[float, float]]:
        """The range of all images that hold more than 8 bits, so that a dark one stays dark."""
        common, remarks = common_ranges((one.depth, one.range) for one in seen)
        if len(depths := Counter(one.depth for one in seen)) > 1:
            remarks.append(mixed_depths(depths))
        for remark in remarks:
            self._tell(f"of {len(seen)} images looked at, {remark}")
        return common

    def read(self, path):
        picture = read_picture(path, self.ranges)
        if self.modality == "other" and picture.frames > 1:
            raise DataError(
                f"{printable(path)} is a volume or a series of {picture.frames} images (slices, "
                "times or channels). This kit looks at single images: export each slice as a file "
                "of its own."
            )
        if self.modality == "other" and self.channels == 1 and picture.pixels.ndim == 3:
            if not is_plain_grey(picture.pixels[::4, ::4]):
                picture.doubt(COLOURED)
        elif self.channels == 3 and is_plain_grey(picture.pixels[::4, ::4]):
            picture.doubt(GREY)
        return picture

    def _tell(self, text: str) -> None:
        line = f"{printable(self.root)}: {text}"
        if line not in self._doubts:
            self._doubts[line] = [(self.root, text)]
            warnings.warn(line, stacklevel=4)

    def to_channels(self, image, path):
        if self.channels == 3 and image.ndim == 2:
            return np.repeat(image[..., None], 3, axis=2)
        if self.channels == 1 and self.modality == "other" and image.ndim == 3:
            return image.mean(2).round().astype(np.uint8)
        return super().to_channels(image, path)


class OtherFolder(Folder):
    """A folder of your own images that show neither the retina nor an X-ray: histology, skin, or
    anything else.

    It is `Folder` with modality "other", under a name of its own that notebooks and commands take.

    Args:
        data_dir: The folder of your images.
        split: "train", "test" or "all".
        modality: As in `Folder`; None takes "other".
    """

    name, title = "folder_other", "A folder of images of another kind"
    modality = known = "other"


def _mostly_in_colour(seen: list[Seen]) -> bool:
    return 2 * sum(one.in_colour for one in seen) >= len(seen)


def _is_mask(path: Path) -> bool:
    try:
        return looks_like_mask(read_picture(path).pixels)
    except DataError:
        return False
