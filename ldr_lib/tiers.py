"""What the tiers mean: how large and how long a notebook trains."""

import os
from dataclasses import replace

from .data.files import DataError
from .guide import guide_for
from .guided import GuidedSettings, method_stages
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


def guided_plan(tier: str, guided: str, method: str, seed: int) -> tuple[str, int, int, GuidedSettings]:
    """Image size and training settings of a tier for guided clusters.

    Args:
        tier: "smoke", "class" and "full" as in `plan`; "short" is for comparing priors and controls; "study" is what the
            shipped weights were trained with. LDR_TIER overrides it.
        guided: "vessel", "disc" or "chest", as in `guide_for`.
        method: As in `method_stages`.
        seed: Seed of the training.

    Returns:
        The tier in force, the side of the prepared images in pixels, the number of simulated images, and the settings.

    Raises:
        DataError: Unknown tier, network or method.

    Taught in notebook 04, section 4.
    """
    tier = os.environ.get("LDR_TIER") or tier
    guide_for(guided)
    vessel, stages = guided == "vessel", method_stages(method)
    refine = lambda epochs: (epochs,) * (len(stages) - 2)
    settings = GuidedSettings(
        n_clusters=8, pairs=1, view_size=128, crop_scale=(0.16, 0.4) if vessel else (0.8, 1.0), upright=not vessel,
        rendered=12 if vessel else 8, stages=stages, epochs=(1, 1, *refine(1)), steps=50, learning_rate=3e-3, seed=seed,
    )
    size = 512 if vessel else 128
    if tier == "smoke":
        return tier, 64, 8, replace(settings, view_size=64, rendered=4, steps=2)
    if tier == "short":
        return tier, size, 150, replace(settings, epochs=(2, 1, *refine(1)))
    if tier == "class":
        return tier, size, 150, replace(settings, epochs=({"vessel": 7, "disc": 4, "chest": 3}[guided], 1, *refine(1)))
    if tier == "study":
        return tier, size, 600, replace(settings, epochs=({"vessel": 34, "disc": 28, "chest": 14}[guided], 2, *refine(4)))
    if tier == "full":
        return tier, size, 2000, replace(settings, pairs=8, rendered=48, epochs=(10, 10, *refine(4)), steps=1000)
    raise DataError(f'unknown tier "{tier}"; known are smoke, short, class, study and full')
