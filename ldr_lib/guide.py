"""Which clusters of a network stand for which anatomical structure."""

from dataclasses import dataclass

import torch

from .data.files import DataError


@dataclass(frozen=True)
class Guide:
    """The guided clusters of a network.

    Clusters exclude each other and structures may overlap (a vessel on the optic disc, lung behind the heart): the
    overlap is a cluster of its own, and a structure the sum of its clusters.

    Attributes:
        modality: "fundus" or "chest".
        clusters: Structure name to the numbers of its clusters.
        sizes: Structure name to the side, in pixels, at which an image's field of view is shown to the network.
        pieces: Structure name to the number of connected pieces it has; a structure not named may have any.
        convex: Structures without dents; dents that are found are filled.
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
    by: dict[str, str]
    flips: dict[str, tuple[int, ...]]

    @property
    def structures(self) -> list[str]:
        return list(self.clusters)

    def maps(self, assignments: torch.Tensor) -> torch.Tensor:
        """Structure maps (B, n, H, W) in [0, 1] from cluster assignments (B, K, H, W)."""
        return torch.stack([assignments[:, list(numbers)].sum(1) for numbers in self.clusters.values()], 1)


GUIDES = {
    "fundus": Guide(
        "fundus",
        {"vessel": (0, 3), "disc": (1, 3), "fovea": (2,)},
        {"vessel": 416, "disc": 128, "fovea": 128},
        {"disc": 1, "fovea": 1},
        ("disc", "fovea"),
        {"vessel": "cluster", "disc": "cluster", "fovea": "cluster"},
        {"vessel": (2, 3), "disc": (3,), "fovea": (3,)},
    ),
    "chest": Guide(
        "chest",
        {"lungs": (0, 2), "heart": (1, 2)},
        {"lungs": 128, "heart": 128},
        {"lungs": 2, "heart": 1},
        ("heart",),
        {"lungs": "cluster", "heart": "prototype"},
        {"lungs": (), "heart": ()},
    ),
}


def guide_for(modality: str) -> Guide:
    """The guide of a modality.

    Raises:
        DataError: Unknown modality.
    """
    if modality not in GUIDES:
        raise DataError(f'no structures are guided for modality "{modality}"; known are {", ".join(GUIDES)}')
    return GUIDES[modality]
