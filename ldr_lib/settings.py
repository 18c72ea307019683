"""Everything that decides what a training run computes, and the values of each tier."""

from dataclasses import dataclass
from typing import ClassVar

from .tiers import BOTH_BRANCHES, PATCH_STAGE, TRAINING, values_for


@dataclass(frozen=True)
class Settings:
    """Everything that decides what a training run computes.

    Attributes:
        tier: Name of the tier that these values belong to, "custom" for values of one's own.
        image_size: Side in pixels to which `ldr_lib.prepare` brings the images.
        embedding_dim: Dimension D of the embedding space.
        n_clusters: Number K of clusters.
        pairs: B; a step sees 2B source images as 4B views and B mixed images.
        view_size: Side s of the views in pixels.
        crop_scale: Smallest and largest share of the image's side that a crop covers, in (0, 1].
        grid: Cells G along each side of the patch grid.
        stages: One dictionary of loss weights per stage; keys "patch", "mixup", "region",
            "entropy", "area".
        epochs: Epochs of each stage, as many numbers as stages.
        steps: Steps per epoch.
        learning_rate: Highest learning rate of Adam.
        schedule: "one_cycle", or "published": halved every 10 epochs.
        seed: Fixes the initial weights, the order of images and their views.

    Raises:
        ValueError: A value makes no sense; the message says which.

    Example:
        >>> Settings(n_clusters=8, steps=20).epochs
        (4, 4)

    Source: the defaults of size, clusters, pairs, grid, dimension and loss weights are those of
    Chen et al. 2021. Taught in notebook 02, section 6.
    """

    known_losses: ClassVar[tuple[str, ...]] = ("patch", "mixup", "region", "entropy", "area")

    tier: str = "custom"
    image_size: int = 512
    embedding_dim: int = 32
    n_clusters: int = 16
    pairs: int = 4
    view_size: int = 128
    crop_scale: tuple[float, float] = (0.9, 1.0)
    grid: int = 8
    stages: tuple[dict, ...] = (PATCH_STAGE, BOTH_BRANCHES)
    epochs: tuple[int, ...] = (4, 4)
    steps: int = 50
    learning_rate: float = 1e-3
    schedule: str = "one_cycle"
    seed: int = 0

    def __post_init__(self):
        if len(self.stages) != len(self.epochs):
            raise ValueError(
                f"{len(self.stages)} stages need as many numbers of epochs, not {self.epochs}"
            )
        if self.schedule not in ("one_cycle", "published"):
            raise ValueError(f'schedule must be "one_cycle" or "published", not {self.schedule!r}')
        for stage in self.stages:
            if unknown := set(stage) - set(self.known_losses):
                raise ValueError(
                    f"unknown loss {sorted(unknown)}; known are {sorted(self.known_losses)}"
                )
        for name in ("pairs", "view_size", "grid", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")

    @classmethod
    def for_tier(
        cls, tier: str = "class", modality: str = "fundus", seed: int = 0, **changes
    ) -> "Settings":
        """The settings of a tier.

        Args:
            tier: "smoke" (seconds, to test that everything runs), "class" (minutes on two cores) or
                "full" (the published schedule, for a GPU). The environment variable LDR_TIER
                overrides it.
            modality: "fundus" or "chest".
            seed: Fixes the initial weights, the order of images and their views.
            changes: Further attributes to set; None takes the tier's value.

        Returns:
            The settings, with the tier in force as `tier`.

        Raises:
            ValueError: Unknown tier or modality.

        Example:
            >>> Settings.for_tier("class", "fundus", seed=0, n_clusters=4).n_clusters
            4

        Taught in notebook 02, section 6.
        """
        values = values_for(TRAINING, modality, tier, "modality") | {"seed": seed}
        given = {name: value for name, value in changes.items() if value is not None}
        return cls(**values | given)
