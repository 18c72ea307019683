from dataclasses import replace

import numpy as np
import pytest

from ldr_lib import DataError, open_dataset, prepare
from ldr_lib.explore import learning
from ldr_lib.explore.learning import (
    WAYS,
    curves,
    image_values,
    judged,
    last_common_step,
    learning_study,
    measures,
    rival_means,
    settings_of,
    study_label,
    unlabelled,
)
from ldr_lib.runs.fingerprints import read_record


def test_ways_differ_only_in_what_they_are_about():
    for way in WAYS:
        settings = settings_of(way, "fundus", seed=3)
        assert settings.steps_before(len(settings.epochs)) == learning.LONGEST
        assert settings.seed == 3 and len(settings.rates) == len(settings.stages)
    both, alone = (settings_of(way, "chest") for way in ("both", "embedding only"))
    assert both.stages[0] == alone.stages[0] == alone.stages[1]
    assert both.rates[::2] == alone.rates and both.epochs[0] == alone.epochs[0]
    same = dict(stages=({"patch": 1.0},), epochs=(1,), learning_rate=1.0, tier="any")
    assert replace(both, **same) == replace(alone, **same)
    assert [sorted(stage)[0] for stage in both.stages] == ["mixup", "k_means", "assignment"]
    assert "patch" not in settings_of("clustering only", "chest").stages[-1]
    assert settings_of("published", "chest").stages[1]["region"] == 10
    assert settings_of("embedding only, no jitter", "chest").views["colour"] == 0
    plain = settings_of("no jitter", "fundus")
    assert plain.views == settings_of("both", "fundus").views | {"colour": 0.0}
    assert replace(plain, views={}, tier="any") == replace(
        settings_of("both", "fundus"), views={}, tier="any"
    )
    usual = settings_of("both", "chest").view_maker.colour
    assert settings_of("half the jitter", "chest").view_maker.colour == usual / 2
    assert settings_of("half the jitter", "fundus").view_maker.colour == 0.2
    with pytest.raises(ValueError, match='unknown way "none"; known are embedding only, both'):
        settings_of("none", "chest")
    with pytest.raises(ValueError, match="steps must be a whole number from 0 to 100000"):
        learning_study("both", "chest", -1)


ROWS = ("clusters", "k-means")


def test_a_study_keeps_means_images_and_health_and_rivals_are_measured_alike(small, monkeypatch):
    plan = tuple((losses, n and 10, rate) for losses, n, rate in WAYS["both"])
    monkeypatch.setitem(WAYS, "both", plan)
    monkeypatch.setattr(learning, "LONGEST", 40)
    first = learning_study("both", "fundus", 10, seed=1, split="train")
    begun = read_record(first)["metrics"]
    last = learning_study("both", "fundus", 30, seed=1, split="train")  # goes on
    assert last.stem == study_label("both", "fundus", 30, 1, "train")
    kept = [last.with_name(f"{study_label('both', 'fundus', n, 1, 'train')}.json") for n in (0, 10)]
    assert kept[1] == first and read_record(first)["metrics"] == begun
    rivals = learning_study("rivals", "fundus", 0, seed=1, split="train")
    records = [read_record(path) for path in (*kept, last, rivals)]
    for record in records[:3]:
        found = record["metrics"]
        assert set(found["simulated_fundus means"]) == {"clusters", "k-means"}
        assert len(found["simulated_fundus clusters, images"]) == 3
        assert "AP vessel" in next(iter(found["simulated_fundus clusters, images"].values()))
        assert found["simulated_fundus health"]["effective rank"] >= 1
    rows = records[3]["metrics"]["simulated_fundus means"]
    assert {"raw intensities", "locally normalised filter bank", "raw ImageNet"} <= set(rows)
    table = curves(records, "simulated_fundus", "clusters", "AP vessel")
    found = image_values(records, "simulated_fundus", "AP vessel", "both", 10)
    kept = records[1]["metrics"]["simulated_fundus clusters, images"]
    np.testing.assert_array_equal(found, [[row["AP vessel"] for row in kept.values()]])
    rival = image_values(records, "simulated_fundus", "AP vessel", "filter bank", 10)
    best = max(rows[f"{way} filter bank"]["AP vessel"] for way in ("raw", "locally normalised"))
    assert rival.shape == (1, 3) and rival.mean() == pytest.approx(best, abs=1e-4)
    ious = [records[1]["metrics"]["simulated_fundus means"][row]["matched IoU"] for row in ROWS]
    iou = image_values(records, "simulated_fundus", "matched IoU", "both", 10)
    assert iou.mean() == pytest.approx(max(ious), abs=1e-4)
    with pytest.raises(ValueError, match="no record holds AP vessel of both on eye after 10 steps"):
        image_values(records, "eye", "AP vessel", "both", 10)
    assert last_common_step(records, ["both"], seeds=1) == 30
    assert last_common_step(records, ["both", "published"], seeds=1) == 0
    means = rival_means(records, "simulated_fundus")
    assert list(means.index) == ["intensities", "filter bank", "ImageNet"]
    assert means.loc["filter bank", "AP vessel"] == best
    assert rival_means(records[:3], "simulated_fundus").empty
    assert table["steps"].tolist() == [0, 10, 30] and table["value"].between(0, 1).all()


def test_judged_images_are_evenly_spaced_and_keep_their_masks(small):
    ((name, chosen),) = judged("fundus", "", "train", 64)
    whole = prepare(open_dataset("simulated_fundus"), 64)
    assert name == "simulated_fundus" and len(chosen) == 3
    assert chosen.names == [whole.names[i] for i in (0, len(whole) // 2, len(whole) - 1)]
    np.testing.assert_array_equal(chosen.masks["disc"][2], whole.masks["disc"][-1])


def test_a_network_may_be_judged_on_photographs_in_their_own_colours(small, monkeypatch):
    monkeypatch.setitem(learning.JUDGED, "fundus", ("simulated_fundus", "simulated_fundus raw"))
    (_, normalised), (name, raw) = judged("fundus", "", "train", 64)
    assert name == "simulated_fundus raw" and raw.names == normalised.names
    np.testing.assert_array_equal(raw.images, normalised.originals)
    assert (raw.images != normalised.images).any()
    record = read_record(learning_study("rivals", "fundus", 0))  # they have both inputs anyway
    assert "simulated_fundus raw means" not in record["metrics"]


def test_measures_are_those_of_the_network(small):
    from ldr_lib import TwoBranchNet
    from ldr_lib.evaluation import agreement
    from ldr_lib.representation import represent

    ((_, chosen),) = judged("fundus", "", "train", 64)
    net = TwoBranchNet(n_clusters=4)
    found = measures(net, chosen, "fundus")
    expected = agreement(*represent(net, chosen.images), chosen, "fundus")
    np.testing.assert_allclose(found.images["clusters"], expected)


def test_unlabelled_images_are_raw_and_normalised_and_missing_ones_are_named(small, tmp_path):
    images, fingerprint = unlabelled("fundus", "", 64)
    part = prepare(open_dataset("simulated_fundus", split="test"), 64)
    np.testing.assert_array_equal(images[..., :3], part.originals)
    np.testing.assert_array_equal(images[..., 3:], part.images)
    assert len(fingerprint) == 32
    learning.UNLABELLED["fundus"] = (("chase_db1", "train", ""),)
    with pytest.raises(DataError, match="data_dir .* does not exist"):
        unlabelled("fundus", str(tmp_path / "nowhere"), 64)
