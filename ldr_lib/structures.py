"""Which clusters of a network stand for which anatomical structure, and what is known of each
structure's shape.
"""

from dataclasses import dataclass

import torch

from .data.errors import one_of


@dataclass(frozen=True)
class Structure:
    """One guided structure: its clusters, and how its map is read off an image.

    Attributes:
        name: For example "vessel".
        clusters: Numbers of its clusters; its map is their sum.
        sizes: Sides in pixels at which an image's field of view is shown to the network; maps are
            averaged over them.
        pieces: Number of connected components it has, or None if it may have any.
        convex: Its components have no dents; dents that are found are filled.
        ellipse: It is an ellipse; the one that overlaps the map most is taken.
        by: How its map is computed, "cluster" or "prototype" (see
            `ldr_lib.guided.predict.structure_maps`); chosen on training images.
        flips: Image axes (2 rows, 3 columns) along which an image may be mirrored; maps are
            averaged over all mirror images.

    Taught in notebook 04, section 3.
    """

    name: str
    clusters: tuple[int, ...]
    sizes: tuple[int, ...]
    pieces: int | None = None
    convex: bool = False
    ellipse: bool = False
    by: str = "cluster"
    flips: tuple[int, ...] = ()

    @property
    def is_thin(self) -> bool:
        """A structure of any shape, such as a vessel tree."""
        return self.pieces is None and not self.convex and not self.ellipse


@dataclass(frozen=True)
class Guide:
    """The guided clusters of a network.

    Clusters exclude each other, but structures may overlap (lung behind the heart). Such an overlap
    is a cluster of its own, and each structure is the sum of its clusters.

    Attributes:
        modality: "fundus" or "chest".
        structures: What is guided, in the order of the maps.

    Taught in notebook 04, section 3.
    """

    modality: str
    structures: tuple[Structure, ...]

    @property
    def names(self) -> list[str]:
        """Names of the structures."""
        return [structure.name for structure in self.structures]

    def __getitem__(self, name: str) -> Structure:
        """The structure of a name.

        Raises:
            ValueError: The guide has no such structure.
        """
        one_of(name, self.names, "structure")
        return self.structures[self.names.index(name)]

    def maps(self, assignments: torch.Tensor) -> torch.Tensor:
        """Structure maps (B, n, H, W) in [0, 1] from cluster assignments (B, K, H, W)."""
        return torch.stack([assignments[:, list(s.clusters)].sum(1) for s in self.structures], 1)

    @classmethod
    def from_dict(cls, plain: dict) -> "Guide":
        """The guide that `dataclasses.asdict` made plain, for example after it was read from
        JSON.
        """
        structures = [
            {
                key: tuple(value) if isinstance(value, list) else value
                for key, value in structure.items()
            }
            for structure in plain["structures"]
        ]
        return cls(plain["modality"], tuple(Structure(**structure) for structure in structures))


GUIDES = {
    "vessel": Guide("fundus", (Structure("vessel", (0,), sizes=(480, 608), flips=(3,)),)),
    "disc": Guide(
        "fundus",
        (
            Structure("disc", (0,), sizes=(128, 192, 256), ellipse=True, flips=(3,)),
            Structure("fovea", (1,), sizes=(128,), pieces=1, convex=True, flips=(3,)),
        ),
    ),
    "chest": Guide(
        "chest",
        (
            Structure("lungs", (0, 2), sizes=(128,), pieces=2, convex=True),
            Structure("heart", (1, 2), sizes=(128,), pieces=1, convex=True),
        ),
    ),
}


def guide_for(network: str) -> Guide:
    """The guide of a network.

    Vessels are a few pixels wide and need a large image; disc and fovea need the whole eye at once.
    A single network for both learned each of them worse, so each has its own.

    Args:
        network: "vessel", "disc" (with the fovea) or "chest" (lungs and heart).

    Raises:
        ValueError: Unknown network.

    Taught in notebook 04, section 3.
    """
    return GUIDES[one_of(network, GUIDES, "guided network")]
