"""What the tiers mean: loss weights of the stages, image sizes, and how long a notebook trains."""

import os

from .data.checks import named
from .data.errors import one_of

PATCH_STAGE = {"patch": 1.0, "mixup": 1.0}
"""Stage 1 as published: the embedding branch alone."""
BOTH_BRANCHES = {"patch": 1.0, "mixup": 1.0, "region": 10.0, "entropy": 0.1}
"""Stage 2 as published and as in the authors' released program, which computes no area term."""
SHORT_BOTH_BRANCHES = BOTH_BRANCHES | {"entropy": 1.0, "area": 50.0}
"""Stage 2 of the short pretrainings of notebook 05. The weights of entropy and area are ours, meant
to make clusters decide and stay in use within a few hundred steps. The area term is described for
the conference version of the paper; it pulls all K clusters to equal areas.
"""

GATHERED = {"prototype": 1.0, "assignment": 1.0}
"""A second stage of our own: patches gather around the prototypes of the clusters (see
`ldr_lib.prototypes`).
"""

OURS = (PATCH_STAGE, {"k_means": 1.0}, GATHERED)
"""The stages of short trainings: patches are told apart, the clustering branch starts from k-means
of what was learned, then patches gather.
"""

_SHORT = dict(
    n_clusters=16,
    pairs=3,
    view_size=32,
    grid=16,
    stages=OURS,
    learning_rate=(4e-3, 5e-3, 5e-4),
)
_SMOKE = _SHORT | dict(
    image_size=64, pairs=2, grid=8, crop_scale=(0.5, 0.7), epochs=(2, 1, 2), steps=2
)
_CLASS = _SHORT | dict(epochs=(9, 1, 6), steps=50)
_SHORT_VIEWS = dict(antialias=True, field_of_view=True)
_PHOTOGRAPHS = dict(views=_SHORT_VIEWS | dict(appearances=2))
_X_RAYS = dict(pairs=4, grid=4, views=_SHORT_VIEWS | dict(colour=0.2))
"""Organs are larger than vessels, so are the patches, and their brightness tells them apart."""
_OTHERS = dict(pairs=4, grid=4, views=_SHORT_VIEWS)
_PUBLISHED = dict(image_size=512, view_size=448, epochs=(20, 80), steps=1000, schedule="published")

TRAINING = {
    "fundus": {
        "smoke": _SMOKE | _PHOTOGRAPHS,
        "class": _CLASS | _PHOTOGRAPHS | dict(image_size=256, crop_scale=(0.125, 0.5)),
        "full": _PUBLISHED,
    },
    "chest": {
        "smoke": _SMOKE | _X_RAYS,
        "class": _CLASS | _X_RAYS | dict(image_size=128, crop_scale=(0.5, 1.0)),
        "full": _PUBLISHED,
    },
    "other": {
        "smoke": _SMOKE | _OTHERS,
        "class": _CLASS | _OTHERS | dict(image_size=128, crop_scale=(0.25, 0.5)),
        "full": _PUBLISHED,
    },
}
"""Values of `ldr_lib.Settings` that differ from its defaults, by modality and tier."""


def tier_in_force(tier: str) -> str:
    """The tier, unless the environment variable LDR_TIER names another.

    Args:
        tier: Name of a tier.

    Returns:
        The value of LDR_TIER where it is set and not empty, else `tier`.
    """
    return os.environ.get("LDR_TIER") or tier


def values_for(table: dict[str, dict[str, dict]], key: str, tier: str, what: str) -> dict:
    """Looks up a tier's values.

    Args:
        table: Values by key and tier, for example `TRAINING`.
        key: For example the modality.
        tier: "smoke" (seconds, to test that everything runs), "class" (minutes on two cores),
            "full" (published schedule, for a GPU), and where the table has them "short" and
            "study". LDR_TIER overrides it.
        what: What the key stands for, for the message.

    Returns:
        The values, with the tier in force as "tier".

    Raises:
        ValueError: Unknown key or tier.

    Example:
        >>> values_for({"fundus": {"class": {"steps": 20}}}, "fundus", "class", "modality")
        {'steps': 20, 'tier': 'class'}
    """
    tiers = named(table, "table", "the values of its tiers")[one_of(key, table, what)]
    tiers = named(tiers, f"what table holds for {key}", "values")
    tier = one_of(tier_in_force(tier), tiers, "tier")
    return tiers[tier] | {"tier": tier}
