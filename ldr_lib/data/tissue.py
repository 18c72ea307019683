"""Stained tissue as a dataset: a picture that scikit-image brings with it, cut into tiles."""

from pathlib import Path

import numpy as np
import skimage.data

from .errors import one_of
from .simulate import Sample

SIDE = 128
"""Pixels of a tile's side; the picture measures 512."""


class Immunohistochemistry:
    """Glands of the colon, cell nuclei blue (hematoxylin) and an antibody's target brown (DAB).

    The picture is cut into 16 tiles. Its lowest row of four is for testing: other tissue, but of
    the same slide, stain and microscope.

    Args:
        data_dir: Not used; all datasets are opened with the same arguments.
        split: "train", "test" or "all".

    Raises:
        ValueError: Unknown split.
    """

    name, title, folder = "immunohistochemistry", "Stained tissue, tiles of one slide", ""
    modality, channels, structures = "other", 3, ()
    source = "scikit-image, skimage.data.immunohistochemistry"
    terms = "no known copyright restrictions (CMMI)"
    layout = "one picture of 512 x 512 pixels, cut into 16 tiles; the lowest four are for testing"
    checked = "by eye, notebook 01"

    def __init__(self, data_dir: Path | str | None = None, split: str = "train"):
        self.split = one_of(split, ("train", "test", "all"), "split")
        slide = skimage.data.immunohistochemistry()  # (512, 512, 3) uint8
        corners = [
            (top, left)
            for top in range(0, slide.shape[0], SIDE)
            for left in range(0, slide.shape[1], SIDE)
        ]
        self._corners = {"train": corners[:12], "test": corners[12:], "all": corners}[split]
        self._slide = slide

    def __len__(self) -> int:
        return len(self._corners)

    def __getitem__(self, index: int) -> Sample:
        top, left = self._corners[index]
        tile = np.ascontiguousarray(self._slide[top : top + SIDE, left : left + SIDE])
        return Sample(tile, {}, f"row{top // SIDE + 1}_column{left // SIDE + 1}")

    def report(self) -> list[str]:
        """Nothing: there is no doubt about these tiles."""
        return []

    def files(self, index: int) -> list[Path]:
        """The program file that cuts; the picture is the same in all versions of scikit-image."""
        return [Path(__file__)] if index == 0 else []
