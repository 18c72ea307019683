"""Settings: the tiers of each modality, and what is refused."""

from dataclasses import asdict, replace

import pytest
from small_training import TINY

from ldr_lib import Settings
from ldr_lib.tiers import BOTH_BRANCHES, PATCH_STAGE, SHORT_BOTH_BRANCHES

SHORT = dict(
    n_clusters=16,
    pairs=3,
    view_size=32,
    grid=16,
    learning_rate=(4e-3, 5e-3, 5e-4),
    stages=(PATCH_STAGE, {"k_means": 1.0}, {"prototype": 1.0, "assignment": 1.0}),
)


SMOKE = SHORT | dict(
    image_size=64, pairs=2, grid=8, crop_scale=(0.5, 0.7), epochs=(2, 1, 2), steps=2
)


CLASS = SHORT | dict(epochs=(9, 1, 6), steps=50)


PHOTOGRAPHS = dict(views=dict(appearances=2, antialias=True, field_of_view=True))


X_RAYS = dict(pairs=4, grid=4, views=dict(antialias=True, field_of_view=True, colour=0.2))


FULL = dict(
    image_size=512,
    n_clusters=16,
    pairs=4,
    view_size=448,
    crop_scale=(0.9, 1.0),
    stages=(PATCH_STAGE, BOTH_BRANCHES),
    epochs=(20, 80),
    steps=1000,
    learning_rate=1e-3,
    schedule="published",
)


@pytest.mark.parametrize(
    "tier, modality, values",
    [
        ("smoke", "fundus", SMOKE | PHOTOGRAPHS),
        ("smoke", "chest", SMOKE | X_RAYS),
        (
            "class",
            "fundus",
            CLASS | PHOTOGRAPHS | dict(image_size=256, crop_scale=(0.125, 0.5)),
        ),
        ("class", "chest", CLASS | X_RAYS | dict(image_size=128, crop_scale=(0.5, 1.0))),
        ("full", "fundus", FULL),
        ("full", "chest", FULL),
    ],
)
def test_the_tiers_of_each_modality(tier, modality, values):
    common = dict(tier=tier, seed=3, embedding_dim=32, grid=8, views={})
    expected = common | dict(schedule="one_cycle") | values
    assert asdict(Settings.for_tier(tier, modality, seed=3)) == expected


def test_loss_weights_of_the_stages():
    assert PATCH_STAGE == {"patch": 1.0, "mixup": 1.0}
    assert BOTH_BRANCHES == PATCH_STAGE | {"region": 10.0, "entropy": 0.1}
    assert SHORT_BOTH_BRANCHES == PATCH_STAGE | {"region": 10.0, "entropy": 1.0, "area": 50.0}


def test_changes_and_the_environment_override_a_tier(monkeypatch):
    assert Settings.for_tier("class", n_clusters=4).n_clusters == 4
    assert Settings.for_tier("class", n_clusters=None).n_clusters == 16
    monkeypatch.setenv("LDR_TIER", "smoke")
    assert Settings.for_tier("class", "chest").tier == "smoke"
    monkeypatch.setenv("LDR_TIER", "")
    assert Settings.for_tier("class", "chest").tier == "class"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("classes", "fundus"), 'unknown tier "classes"; known are smoke, class, full'),
        (("class", "brain"), 'unknown modality "brain"; known are fundus, chest'),
    ],
)
def test_unknown_tiers_and_modalities_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Settings.for_tier(*arguments)


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(stages=(PATCH_STAGE,)), "1 stages need as many numbers of epochs"),
        (dict(schedule="cosine"), 'unknown schedule "cosine"; known are one_cycle, published'),
        (dict(stages=({"patches": 1.0}, {})), r"unknown loss \['patches'\]; known are \['area'"),
        (dict(pairs=0), "pairs must be a whole number of at least 1, not 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(TINY, **change)
