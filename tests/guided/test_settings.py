"""Settings of guided trainings: every tier of every network."""

import pytest

from ldr_lib.guided.settings import METHODS, TRAINING, GuidedSettings, method_stages

IMAGE_SIZE = {"vessel": 512, "disc": 128, "chest": 128}
FIRST_STAGE = {
    "smoke": {"vessel": 1, "disc": 1, "chest": 1},
    "short": {"vessel": 2, "disc": 2, "chest": 2},
    "class": {"vessel": 7, "disc": 8, "chest": 3},
    "study": {"vessel": 34, "disc": 28, "chest": 14},
    "full": {"vessel": 10, "disc": 10, "chest": 10},
}
LATER_STAGES = {"smoke": (1, 1), "short": (1, 1), "class": (1, 1), "study": (2, 4), "full": (10, 4)}
SIMULATED = {"smoke": 8, "short": 150, "class": 150, "study": 600, "full": 2000}


@pytest.mark.parametrize("network", IMAGE_SIZE)
@pytest.mark.parametrize("tier", FIRST_STAGE)
def test_every_tier_has_its_sizes_and_lengths(tier, network):
    settings = GuidedSettings.for_tier(tier, network, seed=3, method="combined")
    smoke, full, vessel = tier == "smoke", tier == "full", network == "vessel"
    assert settings.epochs == (FIRST_STAGE[tier][network], *LATER_STAGES[tier])
    assert settings.image_size == (64 if smoke else IMAGE_SIZE[network])
    assert settings.view_size == (64 if smoke else 128)
    assert settings.rendered == (4 if smoke else 48 if full else 12 if vessel else 8)
    assert settings.steps == (2 if smoke else 1000 if full else 50)
    assert settings.pairs == (8 if full else 1)
    assert settings.simulated == SIMULATED[tier]
    assert settings.crop_scale == ((0.16, 0.4) if vessel else (0.8, 1.0))
    assert settings.upright == (not vessel)
    assert (settings.tier, settings.seed, settings.n_clusters) == (tier, 3, 8)
    assert (settings.learning_rate, settings.later_rate) == (3e-3, 0.3)
    assert (settings.schedule, settings.grid, settings.embedding_dim) == ("one_cycle", 8, 32)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_as_many_numbers_of_epochs_as_stages(method):
    for network, tiers in TRAINING.items():
        for tier in tiers:
            settings = GuidedSettings.for_tier(tier, network, method=method)
            assert settings.stages == method_stages(method)
            assert len(settings.epochs) == len(settings.stages)


def test_changes_replace_values_and_none_keeps_them():
    settings = GuidedSettings.for_tier("class", "disc", n_clusters=4, steps=None)
    assert settings.n_clusters == 4 and settings.steps == 50


def test_the_environment_overrides_the_tier(monkeypatch):
    monkeypatch.setenv("LDR_TIER", "smoke")
    settings = GuidedSettings.for_tier("study", "chest")
    assert settings.tier == "smoke" and settings.epochs == (1, 1)


def test_unknown_names_are_listed_with_the_known_ones():
    with pytest.raises(ValueError, match='unknown tier "huge"; known are smoke, short, class'):
        GuidedSettings.for_tier("huge", "vessel")
    unknown = 'unknown guided network "knee"; known are vessel, disc, chest'
    with pytest.raises(ValueError, match=unknown):
        GuidedSettings.for_tier("class", "knee")
    unknown = 'unknown method "magic"; known are adversarial, rendered, combined'
    with pytest.raises(ValueError, match=unknown):
        GuidedSettings.for_tier("class", "vessel", method="magic")
    with pytest.raises(ValueError, match="unknown loss"):
        GuidedSettings.for_tier("class", "vessel", stages=({"guided": 1, "magic": 1}, {}))
