"""What the tiers mean: how large and how long a notebook trains."""

import os
from dataclasses import replace

from .data.files import DataError
from .training import PATCH_STAGE, SHORT_BOTH_BRANCHES, Settings

_SHORT = Settings(
    n_clusters=8, pairs=4, view_size=64, learning_rate=4e-3, stages=(PATCH_STAGE, SHORT_BOTH_BRANCHES)
)
_VIEWS = {"fundus": {"image_size": 256, "crop_scale": (0.5, 0.6)}, "chest": {"image_size": 128, "crop_scale": (0.8, 1.0)}}


def plan(tier: str, modality: str, seed: int) -> tuple[str, int, Settings]:
    """Image size and training settings of a tier.

    Args:
        tier: "smoke" (seconds, to test that everything runs), "class" (minutes on two cores) or "full" (the published
            schedule, for a GPU). The environment variable LDR_TIER overrides it.
        modality: "fundus" or "chest".
        seed: Seed of the training.

    Returns:
        The tier in force, the side of the prepared images in pixels, and the settings.

    Raises:
        DataError: Unknown tier or modality.

    Taught in notebook 02, section 1.
    """
    tier = os.environ.get("LDR_TIER") or tier
    if modality not in _VIEWS:
        raise DataError(f'no training plan for modality "{modality}"; there are plans for {", ".join(_VIEWS)}')
    size, scale = _VIEWS[modality]["image_size"], _VIEWS[modality]["crop_scale"]
    if tier == "smoke":
        return tier, 64, replace(_SHORT, pairs=2, view_size=32, crop_scale=(0.5, 0.7), epochs=(2, 2), steps=2, seed=seed)
    if tier == "class":
        return tier, size, replace(_SHORT, crop_scale=scale, epochs=(5, 5), steps=20, seed=seed)
    if tier == "full":
        return tier, 512, Settings(view_size=448, epochs=(20, 80), steps=1000, schedule="published", seed=seed)
    raise DataError(f'unknown tier "{tier}"; known are smoke, class and full')
