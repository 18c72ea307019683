"""Which clusters of a network stand for which anatomical structure."""

from dataclasses import dataclass

import torch

from .data.files import DataError


@dataclass(frozen=True)
class Guide:
    """The guided clusters of a network.

    Clusters exclude each other and structures may overlap (lung behind the heart): the overlap is a cluster of its own, and
    a structure the sum of its clusters.

    Attributes:
        modality: "fundus" or "chest".
        clusters: Structure name to the numbers of its clusters.
        sizes: Structure name to the sides, in pixels, at which an image's field of view is shown to the network; maps are
            averaged over them.
        pieces: Structure name to the number of connected pieces it has; a structure not named may have any.
        convex: Structures whose pieces have no dents; dents that are found are filled.
        ellipses: Structures that are ellipses; the one is taken that overlaps the map most.
        by: Structure name to how it is read off, "cluster" or "prototype" (see `ldr_lib.structures.structure_maps`);
            chosen on training images.
        flips: Structure name to the image axes (2 rows, 3 columns) along which it may be mirrored and look the same; maps
            are averaged over all mirror images.

    Taught in notebook 04, section 3.
    """

    modality: str
    clusters: dict[str, tuple[int, ...]]
    sizes: dict[str, int]
    pieces: dict[str, int]
    convex: tuple[str, ...]
    ellipses: tuple[str, ...]
    by: dict[str, str]
    flips: dict[str, tuple[int, ...]]

    @property
    def structures(self) -> list[str]:
        return list(self.clusters)

    def maps(self, assignments: torch.Tensor) -> torch.Tensor:
        """Structure maps (B, n, H, W) in [0, 1] from cluster assignments (B, K, H, W)."""
        return torch.stack([assignments[:, list(numbers)].sum(1) for numbers in self.clusters.values()], 1)


GUIDES = {
    "vessel": Guide(
        "fundus",
        {"vessel": (0,)},
        {"vessel": (480, 608)},
        {},
        (),
        (),
        {"vessel": "cluster"},
        {"vessel": (3,)},
    ),
    "disc": Guide(
        "fundus",
        {"disc": (0,), "fovea": (1,)},
        {"disc": (128, 192, 256), "fovea": (128,)},
        {"fovea": 1},
        ("fovea",),
        ("disc",),
        {"disc": "cluster", "fovea": "cluster"},
        {"disc": (3,), "fovea": (3,)},
    ),
    "chest": Guide(
        "chest",
        {"lungs": (0, 2), "heart": (1, 2)},
        {"lungs": (128,), "heart": (128,)},
        {"lungs": 2, "heart": 1},
        ("lungs", "heart"),
        (),
        {"lungs": "cluster", "heart": "cluster"},
        {"lungs": (), "heart": ()},
    ),
}


def guide_for(name: str) -> Guide:
    """The guide of a network.

    Vessels are a few pixels wide and want a large picture, disc and fovea want the whole eye at once: one network for both
    learned each of them worse, so each has its own.

    Args:
        name: "vessel", "disc" (with the fovea) or "chest" (lungs and heart).

    Raises:
        DataError: Unknown name.
    """
    if name not in GUIDES:
        raise DataError(f'there is no guide "{name}"; known are {", ".join(GUIDES)}')
    return GUIDES[name]
