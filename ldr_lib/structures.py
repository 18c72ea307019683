"""Which clusters of a network stand for which anatomical structure, and what is known of each
structure's shape.
"""

from dataclasses import dataclass

import torch

from .data.checks import flag, instance, several, text, whole
from .data.errors import one_of
from .data.tensor_checks import require

READINGS = ("cluster", "prototype")
"""How a structure's map is computed: the sum of its clusters, or similarity to their region
vectors.
"""


@dataclass(frozen=True)
class Structure:
    """One guided structure: its clusters, and how its map of an image is predicted.

    Attributes:
        name: For example "vessel".
        clusters: Numbers of its clusters; its map is their sum.
        sizes: Sides in pixels to which an image's field of view is resized for the network; the
            maps of all sizes are averaged.
        pieces: Number of connected components it has, or None if it may have any number.
        convex: Its components are convex; each one that is found is replaced by its convex hull.
        ellipse: It is an ellipse; the ellipse that overlaps the map most is taken.
        by: How its map is computed, "cluster" or "prototype" (see
            `ldr_lib.guided.predict.structure_maps`); chosen on training images.
        flips: Image axes (2 rows, 3 columns) along which an image may be mirrored; maps are
            averaged over all mirror images.

    Raises:
        ValueError: A value makes no sense; the message says which.

    Taught in notebook 04a, section 3.
    """

    name: str
    clusters: tuple[int, ...]
    sizes: tuple[int, ...]
    pieces: int | None = None
    convex: bool = False
    ellipse: bool = False
    by: str = "cluster"
    flips: tuple[int, ...] = ()

    def __post_init__(self):
        text(self.name, "name")
        for name, low, high in (("clusters", 0, 4095), ("sizes", 16, 4096)):
            for one in several(getattr(self, name), name, "whole numbers"):
                whole(one, name, low, high)
        for axis in instance(self.flips, (tuple, list), "flips", "a list of 2 and 3"):
            whole(axis, "flips", 2, 3)
        if self.pieces is not None:
            whole(self.pieces, "pieces", 1)
        flag(self.convex, "convex")
        flag(self.ellipse, "ellipse")
        one_of(self.by, READINGS, "reading of a map")

    @property
    def is_thin(self) -> bool:
        """Whether its shape is not constrained, as that of a vessel tree."""
        return self.pieces is None and not self.convex and not self.ellipse


@dataclass(frozen=True)
class Guide:
    """The guided clusters of a network.

    Clusters exclude each other, but structures may overlap (lung behind the heart). Such an overlap
    is a cluster of its own, and each structure is the sum of its clusters.

    Attributes:
        modality: "fundus" or "chest".
        structures: The guided structures, in the order of the maps.

    Raises:
        ValueError: There is no structure, or two of one name.

    Taught in notebook 04a, section 3.
    """

    modality: str
    structures: tuple[Structure, ...]

    def __post_init__(self):
        one_of(self.modality, ("fundus", "chest"), "modality")
        for structure in several(self.structures, "structures", "Structure"):
            instance(structure, Structure, "structures", "a list of Structure")
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"structures must have different names, not {', '.join(self.names)}")

    @property
    def n_clusters(self) -> int:
        """Smallest number of clusters of a network that can be guided so."""
        return 1 + max(max(structure.clusters) for structure in self.structures)

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
        """Maps of the structures from the maps of the clusters.

        Args:
            assignments: (B, K, H, W) cluster assignments, each pixel's sum to one.

        Returns:
            (B, n, H, W) in [0, 1], one map for each structure.

        Raises:
            ValueError: There are no such maps, or fewer than `n_clusters`.
        """
        require("BKHW", assignments=assignments)
        if assignments.shape[1] < self.n_clusters:
            raise ValueError(
                f"assignments must be maps of at least {self.n_clusters} clusters, not "
                f"{assignments.shape[1]}"
            )
        maps = [assignments[:, list(structure.clusters)].sum(1) for structure in self.structures]
        return torch.stack(maps, 1)  # n x (B, H, W) -> (B, n, H, W)

    @classmethod
    def from_dict(cls, plain: dict) -> "Guide":
        """A guide from what `dataclasses.asdict` made of it, for example after reading JSON."""
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
    A single network for both did worse on each, so there are two.

    Args:
        network: "vessel", "disc" (with the fovea) or "chest" (lungs and heart).

    Raises:
        ValueError: Unknown network.

    Taught in notebook 04a, section 3.
    """
    return GUIDES[one_of(network, GUIDES, "guided network")]
