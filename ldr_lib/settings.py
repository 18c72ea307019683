"""Everything that decides what a training run computes, and the values of each tier."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import partial
from typing import ClassVar

from .data.checks import number, seed, several, shown, span, text, whole
from .data.errors import one_of
from .data.views import ViewMaker
from .tiers import BOTH_BRANCHES, PATCH_STAGE, TRAINING, values_for

SCHEDULES = ("one_cycle", "published", "flat")
LARGEST_STEP = 2**40
"""Bytes that no step may need, 1 TiB: more than any machine has."""


def epoch_numbers(value, name: str) -> tuple[int, ...]:
    """Numbers of epochs, one for each stage.

    Raises:
        ValueError: They are no whole numbers.
    """
    expected = "whole numbers, one for each stage"
    return tuple(whole(one, name, 0, 10**6) for one in several(value, name, expected))


def stage_weights(value, name: str) -> tuple[dict[str, float], ...]:
    """Loss weights of each stage, as numbers that are not negative.

    Raises:
        ValueError: They are none.
    """
    stages = several(value, name, "dictionaries of a loss to its weight")
    for stage in stages:
        if not isinstance(stage, dict):
            raise ValueError(
                f"each of the {name} must be a dictionary of a loss to its weight, "
                f"not {shown(stage)}"
            )
    return tuple(
        {loss: number(weight, f"the weight of {loss!r}", 0) for loss, weight in stage.items()}
        for stage in stages
    )


def learning_rates(value, name: str) -> float | tuple[float, ...]:
    """A learning rate, or one for each stage.

    Raises:
        ValueError: One is no number of at least 0.
    """
    if isinstance(value, tuple | list):
        return tuple(number(one, name, 0) for one in value)
    return number(value, name, 0)


def view_attributes(value, name: str) -> dict:
    """Attributes of `ldr_lib.ViewMaker` other than size and scale, which have names of their own.

    Raises:
        ValueError: They are none.
    """
    if not isinstance(value, dict):
        raise ValueError(
            f"{name} must be a dictionary of attributes of ViewMaker, not {shown(value)}"
        )
    known = [one.name for one in fields(ViewMaker) if one.name not in ("size", "scale")]
    for attribute in value:
        one_of(attribute, known, "attribute of views")
    return dict(value)


def schedule_name(value, name: str) -> str:
    """The name of a schedule.

    Raises:
        ValueError: It is unknown.
    """
    return one_of(value, SCHEDULES, name)


@dataclass(frozen=True)
class Settings:
    """Everything that decides what a training run computes.

    Attributes:
        tier: Name of the tier that these values belong to, "custom" for values of one's own.
        image_size: Side in pixels to which `ldr_lib.prepare` brings the images.
        embedding_dim: Dimension D of the embedding space.
        n_clusters: Number K of clusters.
        pairs: B; a step sees 2B source images as 4B views and B mixed images. Several processes
            share them equally (see `ldr_lib.distributed`).
        view_size: Side s of the views in pixels.
        crop_scale: Smallest and largest share of the image's side that a crop covers, in (0, 1].
        grid: Cells G along each side of the patch grid, at most `view_size`.
        views: Further attributes of `ldr_lib.ViewMaker`, for example {"colour": 0.2}.
        stages: One dictionary of loss weights per stage, not negative; keys "patch", "mixup",
            "region", "entropy", "area", and ours, "prototype" and "assignment" (see
            `ldr_lib.prototypes`). A stage of "k_means" alone starts the clustering branch (see
            `ldr_lib.k_means_start`). An empty one is for a pretraining with a loss of its own.
        epochs: Epochs of each stage, as many numbers as stages.
        steps: Steps per epoch.
        learning_rate: Highest learning rate of Adam, one number or one for each stage; 0 leaves the
            weights as they are.
        schedule: "one_cycle", "published" (halved every 10 epochs), or "flat" (50 steps of warming
            up, then constant, so that any step may be the last).
        seed: Fixes the initial weights, the order of images and their views.

    Raises:
        ValueError: A value makes no sense; the message says which.

    Example:
        >>> Settings(n_clusters=8, steps=20).epochs
        (4, 4)

    Source: the defaults of size, clusters, pairs, grid, dimension and loss weights are those of
    Chen et al. 2021. Taught in notebook 02, section 6.
    """

    known_losses: ClassVar[tuple[str, ...]] = (
        *("patch", "mixup", "region", "entropy", "area"),
        *("prototype", "assignment", "k_means"),
    )
    checks: ClassVar[dict[str, Callable]] = {
        "tier": text,
        "image_size": partial(whole, low=32, high=4096),
        "embedding_dim": partial(whole, low=1, high=4096),
        "n_clusters": partial(whole, low=1, high=4096),
        "pairs": partial(whole, low=1),
        "view_size": partial(whole, low=16, high=4096),
        "crop_scale": partial(span, high=1.0),
        "grid": partial(whole, low=1, high=4096),
        "views": view_attributes,
        "stages": stage_weights,
        "epochs": epoch_numbers,
        "steps": partial(whole, low=1, high=10**6),
        "learning_rate": learning_rates,
        "schedule": schedule_name,
        "seed": seed,
    }

    tier: str = "custom"
    image_size: int = 512
    embedding_dim: int = 32
    n_clusters: int = 16
    pairs: int = 4
    view_size: int = 128
    crop_scale: tuple[float, float] = (0.9, 1.0)
    grid: int = 8
    views: dict = field(default_factory=dict)
    stages: tuple[dict, ...] = (PATCH_STAGE, BOTH_BRANCHES)
    epochs: tuple[int, ...] = (4, 4)
    steps: int = 50
    learning_rate: float | tuple[float, ...] = 1e-3
    schedule: str = "one_cycle"
    seed: int = 0

    def __post_init__(self):
        for name, check in self.checks.items():
            object.__setattr__(self, name, check(getattr(self, name), name))
        if len(self.stages) != len(self.epochs):
            raise ValueError(
                f"{len(self.stages)} stages need as many numbers of epochs, not {self.epochs}"
            )
        if len(self.rates) != len(self.stages):
            raise ValueError(
                f"{len(self.stages)} stages need one learning_rate or as many, not "
                f"{self.learning_rate}"
            )
        for stage in self.stages:
            if unknown := set(stage) - set(self.known_losses):
                raise ValueError(
                    f"unknown loss {sorted(map(str, unknown))}; "
                    f"known are {sorted(self.known_losses)}"
                )
            if "k_means" in stage and len(stage) > 1:
                raise ValueError(
                    'a stage of "k_means" trains the clustering branch alone, without another '
                    f"loss, not {sorted(stage)}"
                )
        self.view_maker  # noqa: B018 (its attributes are checked when it is made)
        if self.grid > self.view_size:
            raise ValueError(
                f"grid must be at most view_size, {self.view_size} pixels, not {self.grid}: "
                "a cell holds one pixel at least"
            )
        if self.pairs * self.grid**2 < 2 and any("mixup" in stage for stage in self.stages):
            raise ValueError(
                "mixup compares patches of mixed images: pairs=1 and grid=1 make a single patch, "
                "and 2 at least are needed"
            )
        if self.step_bytes > LARGEST_STEP:
            raise ValueError(
                f"a step of pairs={self.pairs} at view_size={self.view_size} and grid={self.grid} "
                f"needs {self.step_bytes / 2**30:,.0f} GiB at least, more than any machine has: "
                "choose fewer pairs, or smaller views"
            )

    @property
    def rates(self) -> tuple[float, ...]:
        """Highest learning rate of each stage."""
        rate = self.learning_rate
        return rate if isinstance(rate, tuple) else (rate,) * len(self.stages)

    @property
    def view_maker(self) -> ViewMaker:
        """Makes the views of these settings."""
        return ViewMaker(self.view_size, self.crop_scale, **self.views)

    def steps_before(self, stage: int) -> int:
        """Steps of all stages before one."""
        return sum(self.epochs[:stage]) * self.steps

    @property
    def images_in_step(self) -> int:
        """Number of images that pass through the network in a step: 4B views and B mixed images."""
        return 5 * self.pairs

    @property
    def step_bytes(self) -> int:
        """Bytes that a step needs at the very least: the network's last two maps of every image,
        and the similarity of all patches with its gradient.
        """
        maps = self.images_in_step * self.view_size**2 * (32 + self.embedding_dim)
        patches = 4 * self.pairs * self.grid**2
        return 4 * (maps + 2 * patches**2)

    @classmethod
    def for_tier(
        cls, tier: str = "class", modality: str = "fundus", seed: int = 0, **changes
    ) -> "Settings":
        """The settings of a tier.

        Args:
            tier: "smoke" (seconds, to test that everything runs), "class" (minutes on two cores) or
                "full" (the published schedule, for a GPU). The environment variable LDR_TIER
                overrides it.
            modality: "fundus", "chest" or "other".
            seed: Fixes the initial weights, the order of images and their views.
            changes: Further attributes to set; None takes the tier's value.

        Returns:
            The settings, with the tier in force as `tier`.

        Raises:
            ValueError: Unknown tier or modality, or a change that makes no sense.

        Example:
            >>> Settings.for_tier("class", "fundus", seed=0, n_clusters=4).n_clusters
            4

        Taught in notebook 02, section 6.
        """
        values = values_for(TRAINING, modality, tier, "modality") | {"seed": seed}
        return cls(**values | cls.changed(changes))

    @classmethod
    def changed(cls, changes: dict) -> dict:
        """Changes of a tier's values, without those that are None.

        Raises:
            ValueError: One is no attribute of these settings.
        """
        known = [field.name for field in fields(cls)]
        for name in changes:
            one_of(name, known, "setting")
        return {name: value for name, value in changes.items() if value is not None}
