"""The study: each control changes just what it says, and what cannot be run is refused."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from ldr_lib import DataError, load_representation
from ldr_lib.checkpoint import identity, load_model, save_model
from ldr_lib.data.augment import LabelledPairs
from ldr_lib.data.simulate import chest, fundus
from ldr_lib.guided import baselines, study, tested
from ldr_lib.guided.priors import vessel_trees
from ldr_lib.guided.settings import GuidedSettings, method_stages
from ldr_lib.guided.simulated_pairs import SimulatedPairs
from ldr_lib.guided.vessel_pairs import VesselPairs
from ldr_lib.metrics import dice
from ldr_lib.network import TwoBranchNet
from ldr_lib.runs.fingerprints import read_record
from ldr_lib.structures import guide_for


def small_real_images(modality, data_dir, size):
    rng = np.random.default_rng(0)
    images = rng.integers(40, 200, (4, 64, 64, 3 if modality == "fundus" else 1), np.uint8)
    inside, few = np.ones((4, 64, 64), bool), np.array([0, 2])
    return study.RealImages(images, inside, few, "fingerprint")


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


def test_the_best_cluster_is_found_and_the_guide_left_as_it_was(monkeypatch):
    truths = [np.arange(9).reshape(3, 3) > 6]

    def predict_structure(net, image, structure, by):
        (number,) = net.guide[structure].clusters
        return truths[0] * 0.3 if number == 2 else 0.3 - truths[0] * 0.3

    samples = [SimpleNamespace(image=None, masks={"vessel": truths[0]}, name="a")]
    monkeypatch.setattr(tested, "samples_of", lambda *_: samples)
    monkeypatch.setattr(tested, "predict_structure", predict_structure)
    net = TwoBranchNet(3, 8, 4)
    number, table = tested.best_cluster(net, guide_for("vessel")["vessel"], "")
    assert number == 2 and table["average precision"].item() == 1 and net.guide is None


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


def test_baselines_of_vessels_are_scored_image_by_image():
    samples = [fundus(200, seed, lesions=False) for seed in range(2)]
    tables = baselines.vessel_baselines(samples)
    assert list(tables) == [
        f"{kind}, {name}"
        for kind in ("frangi", "sato")
        for name in ("top tenth", "oracle threshold")
    ]
    assert all(
        table.shape == (2, 2) and list(table) == ["Dice", "clDice"] for table in tables.values()
    )
    for kind in ("frangi", "sato"):
        oracle, fixed = (tables[f"{kind}, {n}"]["Dice"] for n in ("oracle threshold", "top tenth"))
        assert oracle.mean() >= fixed.mean() - 1e-9
    for sample in samples:
        sample.masks["vessel_second_observer"] = sample.masks["vessel"]
    assert baselines.vessel_baselines(samples)["second observer"]["Dice"].tolist() == [1, 1]


def test_baselines_of_organs_are_masks_of_the_images():
    eye, body = fundus(200, 4, lesions=False), chest(200, 3)
    (disc,) = baselines.organ_baselines([eye.image], "disc")["brightest blob"]
    (fovea,) = baselines.organ_baselines([eye.image], "fovea")["circle in the middle"]
    lungs = baselines.organ_baselines([body.image], "lungs")
    assert dice(disc, eye.masks["disc"]) > 0.4 and fovea.shape == eye.image.shape[:2]
    assert list(lungs) == ["mean simulated mask", "Otsu inside the body"]
    assert dice(lungs["mean simulated mask"][0], body.masks["lungs_whole"]) > 0.6
    with pytest.raises(ValueError, match='unknown structure "vessel"; known are disc, fovea'):
        baselines.organ_baselines([eye.image], "vessel")


def test_scores_are_in_the_order_of_the_images(monkeypatch):
    samples = [SimpleNamespace(name=f"image {i}", image=i) for i in range(2)]
    truths = [np.eye(8) > 0, np.ones((6, 6)) > 0]
    for sample, truth in zip(samples, truths):
        sample.masks = {"vessel": truth}
    monkeypatch.setattr(tested, "open_dataset", lambda *_: samples)
    monkeypatch.setattr(tested, "predict_structure", lambda net, i, *_: truths[i] * (0.9 - 0.5 * i))
    table = tested.score_structure(None, "vessel", "")
    assert list(table.index) == ["image 0", "image 1"]
    assert table["Dice"].tolist() == [1, 0] and table["clDice"].tolist()[0] == 1
    assert table["oracle Dice"].tolist() == table["average precision"].tolist() == [1, 1]


def test_the_fovea_is_localised_in_disc_diameters(monkeypatch):
    middle = tested.fovea_localisation(None, 4)
    assert len(middle) == 4 and (middle["distance"] > 0).all()
    monkeypatch.setattr(
        tested, "predict_structure", lambda net, image, name: np.zeros(image.shape[:2])
    )
    nothing = tested.fovea_localisation(TwoBranchNet(), 4)
    assert np.isinf(nothing["distance"]).all()
    assert (nothing["within half a disc diameter"] == 0).all()


class Killed(Exception):
    pass


@pytest.fixture
def real_runs(monkeypatch, tmp_path):
    """Runs of the study that train, on few images; `kill_after(n)` stops them after n epochs."""
    epochs, last = [], [0]

    def after_epoch(net):
        epochs.append(net)
        if len(epochs) == last[0]:
            raise Killed("the power went")

    def kill_after(n):
        epochs.clear()
        last[0] = n
        return epochs

    train = study.train_guided
    monkeypatch.setattr(study, "real_images", small_real_images)
    monkeypatch.setattr(study, "scores_for_record", lambda *_: {})
    monkeypatch.setattr(study.Run, "keep", lambda run, label: run.finish())
    monkeypatch.setattr(
        study, "train_guided", lambda *a, **o: train(*a, **o, device="cpu", after_epoch=after_epoch)
    )
    return kill_after


@pytest.mark.parametrize("method, epochs", [("rendered", 2), ("adversarial", 2), ("combined", 3)])
def test_a_killed_run_goes_on_and_ends_as_an_uninterrupted_one(
    real_runs, monkeypatch, tmp_path, method, epochs
):
    def run(folder):
        monkeypatch.setenv("LDR_RUNS", str(tmp_path / folder))
        record = study.study("chest", method=method, tier="smoke")
        found = read_record(record)["metrics"]["last_epoch"]
        return load_model(record.parent / "model.safetensors", "cpu").state_dict(), found

    trained = real_runs(0)
    whole, row = run("whole")
    assert len(trained) == epochs
    for kill in range(1, epochs + 1):  # the epoch in which it is killed is lost
        trained = real_runs(kill)
        with pytest.raises(Killed):
            run(str(kill))
        assert len(trained) == kill
        trained = real_runs(0)
        resumed, again = run(str(kill))
        assert len(trained) == epochs - kill + 1
        assert all(torch.equal(whole[name], resumed[name]) for name in whole)
        assert {**row, "seconds": 0} == {**again, "seconds": 0}


def test_a_finished_run_is_made_again_and_one_of_other_images_is_refused(
    real_runs, monkeypatch, tmp_path
):
    monkeypatch.setenv("LDR_RUNS", str(tmp_path))
    for _ in range(2):
        trained = real_runs(0)
        study.study("chest", tier="smoke")
        assert len(trained) == 2
    real_runs(2)
    with pytest.raises(Killed):
        study.study("chest", tier="smoke")
    others = small_real_images("chest", "", 64)
    monkeypatch.setattr(study, "real_images", lambda *_: replace(others, fingerprint="other"))
    with pytest.raises(DataError, match="data was 'fingerprint' and is 'other'.*LDR_RUNS.*remove"):
        study.study("chest", tier="smoke")


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
