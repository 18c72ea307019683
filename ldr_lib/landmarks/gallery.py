"""Images in which masks mark a landmark: centres of the optic disc and the fovea, crossings of
vessels, apices of the lungs.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from ..data.checks import number, whole
from ..data.datasets import open_dataset
from ..data.errors import DataError, one_of
from ..data.prepare import Prepared, prepare

SIZE = 256
"""Side of all images in pixels."""
DISC = "disc diameters"
WIDTH = "percent of the width"

Masks = dict[str, np.ndarray]


def centre_of(name: str) -> Callable[[Masks], np.ndarray]:
    """Finds the centre of a structure of at least 100 pixels."""

    def find(masks: Masks) -> np.ndarray:
        pixels = np.argwhere(masks[name])
        return pixels.mean(0)[None] if len(pixels) >= 100 else np.empty((0, 2))

    return find


def apex_of(name: str) -> Callable[[Masks], np.ndarray]:
    """Finds the apex of a lung: the mean of the uppermost fiftieth of its pixels."""

    def find(masks: Masks) -> np.ndarray:
        pixels = np.argwhere(masks[name])  # from above
        return pixels[: len(pixels) // 50].mean(0)[None] if len(pixels) >= 100 else pixels[:0]

    return find


def crossings(masks: Masks) -> np.ndarray:
    """Finds crossings of arteries and veins: small pieces common to both, away from the disc."""
    near_disc = ndimage.binary_dilation(masks["disc"], iterations=SIZE // 20)
    common, n = ndimage.label(masks["artery"] & masks["vein"] & ~near_disc, np.ones((3, 3)))
    sizes = np.bincount(common.ravel(), minlength=n + 1)[1:]
    short = [i for i, size in enumerate(sizes, 1) if 3 <= size <= SIZE // 6]
    centres = ndimage.center_of_mass(common > 0, common, short)
    return np.array(centres).reshape(-1, 2)


@dataclass(frozen=True)
class Landmark:
    """Something that is looked for.

    Attributes:
        dataset: Images that show it.
        find: Masks of one image to the (k, 2) rows and columns of the landmark, k = 0 where the
            image does not show it.
        unit: Of the errors: `DISC` or `WIDTH`.
        near: Largest error of a hit, in that unit.
        window: Share of the side of a square window at a random place that is searched instead of
            the whole image; 1 takes the whole image.

    Taught in notebook 07, section 3.
    """

    dataset: str
    find: Callable[[Masks], np.ndarray]
    unit: str
    near: float
    window: float = 1.0

    @property
    def modality(self) -> str:
        """ "fundus" or "chest"."""
        return "chest" if self.unit == WIDTH else "fundus"


LANDMARKS = {
    "fovea_simulated": Landmark("simulated_fundus", centre_of("fovea"), DISC, 0.5),
    "disc_simulated": Landmark("simulated_fundus", centre_of("disc"), DISC, 0.5),
    "crossing_simulated": Landmark("simulated_fundus", crossings, DISC, 0.1),
    "disc_drions": Landmark("drions", centre_of("disc"), DISC, 0.5),
    "disc_drions_window": Landmark("drions", centre_of("disc"), DISC, 0.5, window=0.6),
    "apex_left": Landmark("covid19_cxr_seg", apex_of("left_lung"), WIDTH, 5.0),
    "apex_right": Landmark("covid19_cxr_seg", apex_of("right_lung"), WIDTH, 5.0),
}
"""Landmarks by name."""


@dataclass(frozen=True)
class Gallery:
    """Images that show a landmark.

    Attributes:
        images: (N, S, S, C) uint8, the network's input.
        originals: (N, S, S, C) uint8, raw intensities.
        inside: (N, S, S) bool, the field of view.
        places: For each image the (k, 2) rows and columns of the landmark.
        units: (N,) pixels that one unit of error takes.
        names: Names of the images.
        fingerprint: Of the images.

    Taught in notebook 07, section 3.
    """

    images: np.ndarray
    originals: np.ndarray
    inside: np.ndarray
    places: list[np.ndarray]
    units: np.ndarray
    names: list[str]
    fingerprint: str

    def __len__(self) -> int:
        return len(self.images)

    def is_clear(self, i: int) -> bool:
        """Whether the landmark of image i lies well inside the field of view: half a unit of error
        from its rim, as one would choose an image to click in.
        """
        depth = ndimage.distance_transform_edt(np.pad(self.inside[i], 1))[1:-1, 1:-1]
        row, column = self.places[i][0].round().astype(int)
        return bool(depth[row, column] >= self.units[i] / 2)

    def error(self, i: int, place) -> float:
        """Distance of a place from the landmark of image i, the nearest where it has several."""
        gaps = np.asarray(place) - self.places[i]
        return float(np.hypot(*gaps.T).min() / self.units[i])


def open_gallery(name: str, data_dir: str = "", split: str = "test", limit: int = 0) -> Gallery:
    """The images of a dataset that show a landmark.

    Left eyes of simulated photographs, which say what eye they are of, are mirrored: a fovea lies
    left of the disc in all of them.

    Args:
        name: A key of `LANDMARKS`.
        data_dir: Folder of the datasets.
        split: "train" or "test".
        limit: Largest number of images, evenly from all; 0 takes all.

    Raises:
        ValueError: Unknown landmark, or a limit that is no number of images.
        DataError: The images cannot be opened, or none shows the landmark.

    Taught in notebook 07, section 3.
    """
    landmark, limit = LANDMARKS[one_of(name, LANDMARKS, "landmark")], whole(limit, "limit")
    prepared = prepare(open_dataset(landmark.dataset, data_dir or None, split), SIZE)
    shown = [_shown(landmark, prepared, i) for i in range(len(prepared))]
    shown = [one for one in shown if len(one[3])]
    if not shown:
        raise DataError(f"no image of {landmark.dataset} shows the landmark {name}")
    if 0 < limit < len(shown):
        shown = [shown[i] for i in np.linspace(0, len(shown) - 1, limit).round().astype(int)]
    images, originals, inside, places, units, names = zip(*shown)
    return Gallery(
        np.stack(images),
        np.stack(originals),
        np.stack(inside),
        list(places),
        np.array(units),
        list(names),
        prepared.fingerprint,
    )


def _shown(landmark: Landmark, prepared: Prepared, i: int) -> tuple:
    """Image, original, field of view, places, unit and name of one image."""
    masks = {name: np.asarray(mask[i]) for name, mask in prepared.masks.items()}
    pictures = [np.asarray(prepared.images[i]), np.asarray(prepared.originals[i])]
    if landmark.dataset.startswith("simulated") and is_left_eye(prepared.names[i]):
        masks = {name: mask[:, ::-1] for name, mask in masks.items()}
        pictures = [picture[:, ::-1] for picture in pictures]
    places = landmark.find(masks)
    unit = SIZE / 100
    if landmark.unit == DISC:
        unit = 2 * np.sqrt(masks["disc"].sum() / np.pi)
    cut = (*pictures, masks["field_of_view"])
    if landmark.window < 1 and len(places):
        top, left, side = _window(places[0], landmark.window, i)
        cut = [_enlarged(picture[top : top + side, left : left + side]) for picture in cut]
        places = (places - (top, left) + 0.5) * SIZE / side - 0.5
        unit *= SIZE / side
    return (*(np.ascontiguousarray(picture) for picture in cut), places, unit, prepared.names[i])


def is_left_eye(name: str) -> bool:
    """Whether a simulated photograph shows a left eye, from its name, which holds its seed.

    Example:
        >>> is_left_eye("fundus_00000")
        False
    """
    seed = int(name.rsplit("_", 1)[1])
    return np.random.default_rng([seed, 1]).choice(["left", "right"]) == "left"


def _window(place: np.ndarray, share: float, seed: int) -> tuple[int, int, int]:
    """Top, left and side of a window at random that holds a place well inside."""
    side = round(number(share, "share", 0.2, 1) * SIZE)
    rng = np.random.default_rng(seed)
    corner = []
    for at in place:
        low, high = max(0, at - 0.85 * side), min(SIZE - side, at - 0.15 * side)
        corner.append(int(rng.uniform(low, max(low, high))))
    return corner[0], corner[1], side


def _enlarged(picture: np.ndarray) -> np.ndarray:
    """A part of an image, or of a mask, at the size of all images."""
    if picture.dtype == bool:
        return np.asarray(Image.fromarray(picture).resize((SIZE, SIZE), Image.Resampling.NEAREST))
    grown = np.asarray(
        Image.fromarray(picture.squeeze()).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    )
    return grown.reshape(SIZE, SIZE, -1)
