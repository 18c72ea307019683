"""The study: each control changes just what it says, and what cannot be run is refused."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from small_study import small_real_images

from ldr_lib import load_representation
from ldr_lib.checkpoint import identity, load_model, save_model
from ldr_lib.data.augment import LabelledPairs
from ldr_lib.guided import study
from ldr_lib.guided.priors import vessel_trees
from ldr_lib.guided.settings import GuidedSettings, method_stages
from ldr_lib.guided.simulated_pairs import SimulatedPairs
from ldr_lib.guided.vessel_pairs import VesselPairs
from ldr_lib.network import TwoBranchNet
from ldr_lib.structures import guide_for


class Labelled(SimpleNamespace):
    """Stands for the labelled training split of CHASE_DB1: image i is of value 20 + i."""

    def __len__(self):
        return 20


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """Runs of the study with everything costly replaced; receives what `train_guided` was given."""
    calls = []

    def train_guided(images, make_pairs, guide, settings, folder, **others):
        net = TwoBranchNet(images.shape[-1], 32, settings.n_clusters)
        net.guide = guide
        folder.mkdir(parents=True, exist_ok=True)
        save_model(net, folder / "model.safetensors")
        given = dict(pairs=make_pairs, guide=guide, settings=settings, folder=folder, **others)
        calls.append(SimpleNamespace(images=images, **given))
        return net, [{"stage": 1, "guided": 0.5}] * sum(settings.epochs)

    values = np.arange(20, 40, dtype=np.uint8)[:, None, None, None] + np.zeros((1, 64, 64, 3), "u1")
    inside = np.ones((20, 64, 64), bool)
    labelled = Labelled(
        originals=values, masks={"field_of_view": inside, "vessel": values[..., 0] > 30}
    )
    monkeypatch.setenv("LDR_RUNS", str(tmp_path))
    monkeypatch.setattr(study, "train_guided", train_guided)
    monkeypatch.setattr(study, "real_images", small_real_images)
    monkeypatch.setattr(
        study, "vessel_prior", lambda *_: replace(vessel_trees(2, 0, 64), name="trees")
    )
    monkeypatch.setattr(
        study, "disc_prior", lambda seed: replace(vessel_trees(2, 1, 64), name="discs")
    )
    monkeypatch.setattr(study, "open_dataset", lambda *_: None)
    monkeypatch.setattr(study, "prepare", lambda *_: labelled)
    monkeypatch.setattr(study, "scores_for_record", lambda net, structure, *_: {structure: 0.5})
    monkeypatch.setattr(study.Run, "keep", lambda run, label: (label, run.record))
    return calls


def test_the_method_itself_renders_vessels_of_the_prior_from_random_weights(calls):
    label, record = study.study("vessel", "octa", tier="short", seed=2)
    (call,) = calls
    assert label == "vessel_octa_rendered_none_short_2" and record["metrics"]["vessel"] == 0.5
    assert isinstance(call.pairs, VesselPairs) and call.pairs.prior.name == "trees"
    assert call.pairs.distractors and not call.pairs.shuffled and call.start is None
    assert call.settings == GuidedSettings.for_tier("short", "vessel", 2)
    assert call.guide == guide_for("vessel") and call.data.startswith("fingerprint ")
    assert np.array_equal(call.teacher_images, call.images[[0, 2]])


@pytest.mark.parametrize(
    "control, changed",
    [
        ("shuffled", {"shuffled": True}),
        ("no distractors", {"distractors": False}),
        ("other structure", {"prior": "discs"}),
        ("no region", {"stages": ({"guided": 1.0}, {"guided": 1.0})}),
        ("untrained", {"epochs": (0, 0)}),
        ("from representation", {"start": True, "n_clusters": 8}),
        (
            "shuffled, from representation",
            {"shuffled": True, "start": True, "n_clusters": 8},
        ),
        (
            "other structure, from representation",
            {"prior": "discs", "start": True, "n_clusters": 8},
        ),
    ],
)
def test_each_control_changes_just_what_it_says(calls, control, changed):
    study.study("vessel", "octa", control=control, tier="short")
    study.study("vessel", "octa", tier="short")
    described = []
    for call in calls:
        description = dict(
            shuffled=call.pairs.shuffled,
            distractors=call.pairs.distractors,
            prior=call.pairs.prior.name,
            start=call.start is not None,
        )
        described.append(description | vars(call.settings))
    of_control, of_method = described
    expected = of_method | changed
    expected["n_clusters"] = of_control["n_clusters"]  # that of the representation
    assert of_control == expected
    if "from representation" not in control:
        assert of_control["n_clusters"] == of_method["n_clusters"]


def test_the_representation_is_the_shipped_one(calls):
    study.study("vessel", "octa", control="from representation", tier="short")
    shipped, used = load_representation("fundus", "cpu").state_dict(), calls[0].start.state_dict()
    assert all(torch.equal(shipped[name], used[name]) for name in shipped)


def test_the_representation_alone_is_read_by_its_best_cluster(calls, monkeypatch):
    def best_cluster(net, structure, data_dir):
        assert structure.name == "vessel"
        return 5, pd.DataFrame({"Dice": [0.2, 0.4]})

    monkeypatch.setattr(study, "best_cluster", best_cluster)
    _, record = study.study("vessel", "octa", control="representation alone", tier="short")
    (call,) = calls
    assert call.settings.epochs == (0, 0) and call.start is not None
    assert record["metrics"]["vessel by cluster"] == {"Dice": 0.3}
    assert record["metrics"]["vessel, best cluster"] == 5


def test_the_steadied_game_begins_with_the_representation_and_is_looked_at(calls, monkeypatch):
    looked_at = []

    def learning_curve(folder, steps, structure, data_dir):
        looked_at.extend([structure, *steps])
        return {"0": 0.1}

    monkeypatch.setattr(study, "learning_curve", learning_curve)
    _, record = study.study("vessel", "octa", "steadied", tier="long", seed=1)
    (call,) = calls
    assert record["metrics"]["looks"] == {"0": 0.1}
    assert looked_at == ["vessel", *range(0, 5001, 500)] and call.snapshots == looked_at[1:]
    assert call.settings.epochs == (100,) and "adversary" in call.settings.stages[0]
    assert call.settings.gradient_penalty > 0 < call.settings.instance_noise
    shipped, used = load_representation("fundus", "cpu"), call.start
    last = (net.clustering_branch[-1].weight for net in (shipped, used))
    before, after = (sorted(weight.sum((1, 2, 3)).tolist()) for weight in last)
    assert before == pytest.approx(after)


@pytest.mark.parametrize("seed, image", [(0, 0), (3, 18), (4, 4)])
def test_one_label_is_one_labelled_image_chosen_by_the_seed(calls, seed, image):
    study.study("vessel", "octa", control="one label", tier="short", seed=seed)
    (call,) = calls
    assert isinstance(call.pairs, LabelledPairs) and len(call.pairs.images) == 1
    assert call.settings.stages == ({"guided": 1.0}, {"calibrate": 1.0})
    assert call.pairs.masks[0, 1].all() == (20 + image > 30), "the mask is that of the image"


def test_organs_are_rendered_from_simulation(calls):
    study.study("chest", tier="smoke")
    (call,) = calls
    assert isinstance(call.pairs, SimulatedPairs) and len(call.pairs.images) == 8
    assert call.guide == guide_for("chest") and call.images.shape[-1] == 1


def test_combined_continues_from_the_rendered_run(calls):
    label, _ = study.study("vessel", "octa", "combined", tier="short", seed=1)
    rendered, third = calls
    assert rendered.folder.name == "vessel_octa_rendered_none_short_1"
    assert rendered.settings.stages == method_stages("rendered")
    assert third.settings.stages == method_stages("combined")[2:]
    assert third.settings.epochs == (1,) and third.folder.name == label
    assert third.start is not None
    study.study("vessel", "octa", "combined", tier="short", seed=1)
    assert len(calls) == 3, "the rendered run is there already"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(guided="vessel", control="magic"), 'unknown control "magic"; known are none'),
        (dict(guided="knee"), 'unknown guided network "knee"'),
        (dict(guided="disc", control="shuffled"), 'is for the network "vessel", not "disc"'),
        (dict(guided="chest", control="one label"), 'is for the network "vessel", not "chest"'),
        (dict(guided="disc", prior="octa"), "guided by simulated shapes only"),
        (dict(guided="vessel", control="no region", method="combined"), "changes the stages"),
        (dict(guided="chest", method="steadied"), "guides one cluster, not those of"),
        (dict(guided="vessel", control="untrained", method="adversarial"), "changes the stages"),
    ],
)
def test_runs_that_make_no_sense_are_refused(calls, arguments, message):
    with pytest.raises(ValueError, match=message):
        study.study(**arguments)
    assert not calls


def test_combined_does_not_continue_from_a_network_of_other_images(calls, tmp_path):
    study.study("vessel", "octa", "combined", tier="short", seed=1)
    weights = calls[0].folder / "model.safetensors"
    settings = GuidedSettings.for_tier("short", "vessel", 1, "rendered")
    for data, trained in (("fingerprint", 3), (calls[0].data, 4), ("other", 6)):
        save_model(load_model(weights, "cpu"), weights, identity(settings, data))
        study.study("vessel", "octa", "combined", tier="short", seed=1)
        assert len(calls) == trained


def test_folders_of_masks_are_told_apart_without_saying_where_they_lie(calls):
    labels, records = zip(
        *(study.study("vessel", f"/home/{who}/masks", tier="short") for who in ("anna", "otto"))
    )
    assert labels[0] != labels[1]
    for label, record in zip(labels, records):
        prior = record["parameters"]["prior"]
        assert prior.startswith("masks~") and "home" not in label
        assert label == f"vessel_{prior}_rendered_none_short_0"
    assert study.run_label("vessel", "octa", "rendered", "no region", "short", 0) == (
        "vessel_octa_rendered_no-region_short_0"
    )


def test_other_masks_in_the_folder_of_a_prior_are_other_data(calls, monkeypatch):
    for seed in (0, 0, 1):
        monkeypatch.setattr(study, "vessel_prior", lambda *_, s=seed: vessel_trees(2, s, 64))
        study.study("vessel", "/mine", tier="short")
    assert calls[0].data == calls[1].data != calls[2].data


@pytest.mark.parametrize(
    "processes, tier, words",
    [
        (
            2,
            "study",
            "has pairs = 1 and rendered = 12, which 2 .*; take --tier full or one process",
        ),
        (3, "study", "which 3 processes cannot share equally; take one process, without torchrun"),
        (2, "full", ""),
    ],
)
def test_processes_that_cannot_share_a_step_are_told_what_to_do(
    calls, monkeypatch, processes, tier, words
):
    monkeypatch.setattr(study, "n_launched", lambda: processes)
    if not words:
        study.study("vessel", "octa", tier=tier)
        return
    with pytest.raises(ValueError, match=words):
        study.study("vessel", "octa", tier=tier)
    assert not calls, "it is said before images are read"
