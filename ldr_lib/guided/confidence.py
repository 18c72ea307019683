"""Is the structure in the image at all? A confidence for each image, in numbers and in words."""

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from ..structures import Guide
from .familiar import SIDE, Prepared, load_familiar, strangeness

KINDS = {"fundus": "not a retina", "chest": "not a chest X-ray"}
"""Modality to the words for an image of another kind."""
NAMES = {"vessel": "vessel tree"}
"""Structures that have another name in words."""
LEAST_AGREEMENT = 0.5
"""Bound for structures of which the package has no statistics."""
CUT_OFF = 0.15
"""Share of an organ's outline that lies along the rim from which it counts as cut off."""
AT_RIM = 1 / 32
"""Distance from the rim, as a share of the side, up to which an organ reaches it."""


@dataclass(frozen=True)
class Found:
    """What a network finds in one image, and the maps that led to it.

    Attributes:
        whole: (H, W) float32, the map at the image's own size.
        map_: (S, S) mean of the network's maps, before the structure's shape was applied.
        mask: (S, S) bool, what was made of it.
        inside: (S, S) bool, the field of view.
        image: (H, W, C) or (H, W) uint8, upright.
        prepared: Side to the image and field of view that the network saw at it.
    """

    whole: np.ndarray
    map_: np.ndarray
    mask: np.ndarray
    inside: np.ndarray
    image: np.ndarray
    prepared: dict[int, Prepared] = field(default_factory=dict)

    @property
    def agreement(self) -> float:
        """Soft Dice of the network's map and the mask that was made of it: 2 sum_in(p) / (sum(p) +
        area), and 0 where the mask is empty.
        """
        if not self.mask.any():
            return 0.0
        return float(2 * self.map_[self.mask].sum() / (self.map_.sum() + self.mask.sum()))


@dataclass(frozen=True)
class Confidence:
    """How far a map can be believed.

    Attributes:
        agreement: Overlap of the network's map with the mask that was made of it, soft Dice from 0
            to 1. It is low where the map is undecided, lies in many places, or has another shape
            than the structure.
        strangeness: How unlike the training images the image is; above 1 it is of another kind
            (see `ldr_lib.guided.familiar.strangeness`).
        words: Why nothing counts as found, for example "not a retina" or "no disc found"; empty
            where the structure was found.
    """

    agreement: float
    strangeness: float
    words: str = ""

    @property
    def found(self) -> bool:
        """Whether the structure counts as found."""
        return not self.words

    @property
    def value(self) -> float:
        """Confidence from 0 to 1: the agreement, and 0 in an image of another kind."""
        return 0.0 if self.strangeness > 1 else self.agreement

    def __str__(self) -> str:
        return self.words or f"found, confidence {self.value:.2f}"


def is_cut_off(mask: np.ndarray, inside: np.ndarray) -> bool:
    """Whether the outline of a mask runs along the rim of the field of view.

    Args:
        mask: (S, S) bool.
        inside: (S, S) bool, the field of view.
    """
    grown = ndimage.binary_dilation(np.pad(mask, 2), iterations=2)
    ring = grown & ~np.pad(mask, 2)
    return bool((ring & ~np.pad(inside, 2)).sum() > CUT_OFF * max(1, ring.sum()))


def reaches_rim(mask: np.ndarray, inside: np.ndarray) -> bool:
    """Whether a mask comes close to the rim of the field of view.

    Args:
        mask: (S, S) bool.
        inside: (S, S) bool, the field of view.
    """
    depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    return bool((depth[mask] <= AT_RIM * len(mask)).any())


def judge(found: Found, guide: Guide, structure: str) -> Confidence:
    """The confidence of what was found.

    A photograph that ends in the disc is unlike those of the training, which show the disc whole.
    It is told from an image of another kind by the map: that of a disc at the rim is sure.

    Args:
        found: As `ldr_lib.guided.predict.found_in` gives it.
        guide: Of the network.
        structure: One of the guide's.
    """
    _, bounds = load_familiar(guide.modality)
    strange = strangeness(found.image, guide.modality, found.prepared.get(SIDE))
    at_rim = is_cut_off if strange <= 1 else reaches_rim
    words = ""
    is_sure = found.agreement >= bounds.get(structure, LEAST_AGREEMENT)
    if is_sure and guide[structure].ellipse and at_rim(found.mask, found.inside):
        words = f"no {structure} found: it is cut off by the rim of the field of view"
    elif strange > 1:
        words = KINDS[guide.modality]
    elif not is_sure:
        words = f"no {NAMES.get(structure, structure)} found"
    return Confidence(found.agreement, strange, words)
