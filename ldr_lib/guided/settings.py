"""What a guided training computes: losses of its stages, sizes and lengths."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from ..data.checks import flag, number, whole
from ..data.errors import one_of
from ..settings import Settings
from ..tiers import BOTH_BRANCHES, PATCH_STAGE, values_for

ON_RENDERED = {"guided", "calibrate"}
"""Losses that are computed on rendered images."""

_RENDERED = ({"guided": 1.0}, {"guided": 1.0, "region": 0.1, "entropy": 0.01})
METHODS = {
    "adversarial": (PATCH_STAGE, BOTH_BRANCHES | {"adversary": 1.0}),
    "rendered": _RENDERED,
    "combined": (*_RENDERED, {"calibrate": 1.0, "confident": 1.0}),
    "steadied": (BOTH_BRANCHES | {"adversary": 1.0, "prior_area": 1.0},),
}
"""Loss weights of the stages of each method. Region discrimination has a hundredth of its published
weight in "rendered", because there it only accompanies the rendered pairs.
"""
STEADIED = dict(
    pairs=2, learning_rate=5e-4, game_rate=0.4, instance_noise=0.1, gradient_penalty=1.0
)
"""What gives the published game its best chance in "steadied", beside the area and a start from the
representation that was trained without labels: more real images in a step, slower players of more
equal rates, and the usual remedies for games that do not settle.
"""

_COMMON = dict(n_clusters=8, pairs=1, view_size=128, steps=50, learning_rate=3e-3)
_NETWORKS = {
    "vessel": dict(image_size=512, crop_scale=(0.16, 0.4), upright=False, rendered=12),
    "disc": dict(image_size=128, crop_scale=(0.8, 1.0), upright=True, rendered=8),
    "chest": dict(image_size=128, crop_scale=(0.8, 1.0), upright=True, rendered=8),
}
_EPOCHS = {
    "class": {"vessel": 7, "disc": 8, "chest": 3},
    "study": {"vessel": 34, "disc": 28, "chest": 14},
}
"""Epochs of the first stage, by tier and network."""

TRAINING = {
    network: {
        "smoke": _COMMON
        | values
        | dict(image_size=64, view_size=64, simulated=8, rendered=4, steps=2, epochs=(1, 1, 1)),
        "short": _COMMON | values | dict(simulated=150, epochs=(2, 1, 1)),
        "class": _COMMON | values | dict(simulated=150, epochs=(_EPOCHS["class"][network], 1, 1)),
        "study": _COMMON | values | dict(simulated=600, epochs=(_EPOCHS["study"][network], 2, 4)),
        "full": _COMMON
        | values
        | dict(simulated=2000, pairs=8, rendered=48, epochs=(10, 10, 4), steps=1000),
        "long": _COMMON | values | dict(simulated=600, epochs=(100, 2, 4)),
    }
    for network, values in _NETWORKS.items()
}
"""Values of `GuidedSettings` by network and tier; epochs are those of three stages."""


@dataclass(frozen=True)
class GuidedSettings(Settings):
    """`Settings` of a guided training; stages may also name the losses "guided", "calibrate",
    "confident", "adversary" and "prior_area".

    Attributes:
        rendered: Rendered images in a step; in a stage with a teacher half of them are real ones.
        simulated: Number of simulated images from which structures other than vessels are rendered.
        later_rate: Learning rate of the later stages as a share of `learning_rate`.
        upright: Whether views of real images are rotated by at most 10 degrees.
        game_rate: Learning rate of the discriminator as a share of that of the network.
        instance_noise: Standard deviation of the noise that is added to all that the discriminator
            sees.
        gradient_penalty: Weight of the discriminator's squared gradient at prior masks.

    Taught in notebook 04a, section 4.
    """

    known_losses: ClassVar[tuple[str, ...]] = (
        *Settings.known_losses,
        "guided",
        "calibrate",
        "confident",
        "adversary",
        "prior_area",
    )
    checks: ClassVar[dict[str, Callable]] = Settings.checks | {
        "rendered": partial(whole, low=1, high=10**5),
        "simulated": partial(whole, low=1, high=10**6),
        "later_rate": partial(number, low=0),
        "upright": flag,
        "game_rate": partial(number, low=0),
        "instance_noise": partial(number, low=0),
        "gradient_penalty": partial(number, low=0),
    }

    rendered: int = 12
    simulated: int = 400
    later_rate: float = 0.3
    upright: bool = False
    game_rate: float = 0.05
    instance_noise: float = 0.0
    gradient_penalty: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        if self.rendered < 2 and any("confident" in stage for stage in self.stages):
            raise ValueError(
                'rendered must be at least 2 where a stage names "confident": half of these images '
                "are the teacher's"
            )

    @property
    def images_in_step(self) -> int:
        """Number of images that pass through the network in a step: 5B of the real images, and the
        rendered ones.
        """
        return super().images_in_step + self.rendered

    @classmethod
    def for_tier(
        cls,
        tier: str = "class",
        network: str = "vessel",
        seed: int = 0,
        method: str = "rendered",
        **changes,
    ) -> "GuidedSettings":
        """The settings of a tier for a guided network.

        Args:
            tier: "smoke", "class" or "full" as in `Settings.for_tier`; "short" is for comparing
                priors and controls, "study" is what the shipped weights were trained with, "long"
                gives a first stage 5,000 steps. LDR_TIER overrides it.
            network: "vessel", "disc" or "chest", as in `guide_for`.
            seed: Fixes the initial weights, the images and their views.
            method: As in `method_stages`.
            changes: Further attributes to set; None takes the tier's value.

        Returns:
            The settings, with the tier in force as `tier`.

        Raises:
            ValueError: Unknown tier, network or method, or a change that makes no sense.

        Example:
            >>> GuidedSettings.for_tier("class", "vessel", method="combined").epochs
            (7, 1, 1)

        Taught in notebook 04a, section 4.
        """
        stages = method_stages(method)
        values = values_for(TRAINING, network, tier, "guided network")
        values |= STEADIED if method == "steadied" else {}
        values |= {"stages": stages, "epochs": values["epochs"][: len(stages)], "seed": seed}
        return cls(**values | cls.changed(changes))


def method_stages(method: str) -> tuple[dict, ...]:
    """Loss weights of the stages of a method.

    Args:
        method: "adversarial", as published: a discriminator judges the guided clusters. "rendered",
            ours: rendered pairs supervise the guided clusters, in the second stage together with
            region discrimination on real images. "combined", ours: "rendered" and a third stage in
            which the network also learns from its confident pseudo-labels of real images.
            "steadied": the published game with `STEADIED`, begun where a representation is learned.

    Returns:
        One dictionary of loss weights for each stage.

    Raises:
        ValueError: Unknown method.

    Source: the first, Chen et al. 2021, section 3.4; the others are ours. Taught in notebook 04a,
    sections 2 and 4.
    """
    return METHODS[one_of(method, METHODS, "method")]
