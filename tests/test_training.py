"""What a training computes, logs and saves."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_training import TINY, WITH_PROTOTYPES, same

from ldr_lib import (
    DataError,
    TwoBranchNet,
    load_model,
    open_dataset,
    prepare,
    train,
)
from ldr_lib.checkpoint import origin_of
from ldr_lib.k_means_start import k_means_centres
from ldr_lib.tiers import PATCH_STAGE

pytestmark = pytest.mark.filterwarnings("ignore::ldr_lib.callbacks.CollapseWarning")


def test_training_lowers_the_patch_loss(images, tmp_path):
    longer = replace(TINY, stages=(PATCH_STAGE,), epochs=(5,), steps=8, learning_rate=4e-3)
    _, log = train(images, longer, tmp_path, device="cpu")
    assert log[-1]["patch"] < log[0]["patch"] - 0.3


def test_both_stages_are_logged_and_saved(images, tmp_path):
    net, log = train(images, TINY, tmp_path, device="cpu")
    assert [(row["stage"], row["epoch"]) for row in log] == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert "region" not in log[0] and {"region", "entropy", "smallest_area"} <= log[-1].keys()
    assert len((tmp_path / "log.csv").read_text(encoding="utf-8").splitlines()) == 5
    assert same(load_model(tmp_path / "model.safetensors", "cpu").state_dict(), net.state_dict())


def test_a_seed_decides_the_weights_whatever_came_before(images, tmp_path):
    one, _ = train(images, TINY, tmp_path / "1", device="cpu")
    torch.rand(100)
    again, _ = train(images, TINY, tmp_path / "2", device="cpu")
    other, _ = train(images, replace(TINY, seed=6), tmp_path / "3", device="cpu")
    assert same(one.state_dict(), again.state_dict()) and not same(
        one.state_dict(), other.state_dict()
    )


def test_training_can_start_from_a_network_and_does_not_change_it(images, tmp_path):
    start = TwoBranchNet(n_clusters=3)
    before = {name: value.clone() for name, value in start.state_dict().items()}
    frozen = replace(TINY, learning_rate=0.0)
    net, _ = train(images, frozen, tmp_path, device="cpu", start=start)
    assert same(start.state_dict(), before)
    assert all(torch.equal(p, before[name]) for name, p in net.named_parameters())


def test_the_published_schedule_halves_every_ten_epochs(images, tmp_path, monkeypatch):
    rates = []

    def note(self):
        rates.append(self.opt.hypers[-1]["lr"])

    monkeypatch.setattr("ldr_lib.callbacks.SeedEpoch.after_batch", note, raising=False)
    settings = replace(
        TINY, stages=(PATCH_STAGE,), epochs=(21,), steps=1, schedule="published", view_size=16
    )
    train(images, settings, tmp_path, device="cpu")
    assert rates == pytest.approx([1e-3] * 10 + [5e-4] * 10 + [2.5e-4])


@pytest.mark.parametrize(
    "wrong, message",
    [
        (np.zeros((1, 32, 32, 3), np.uint8), "at least 2, not 1"),
        (np.full((4, 32, 32, 3), 9.0), "images of floats must lie in .0, 1.*divide by 255"),
        (np.zeros((4, 32, 32, 3), np.int64), "uint8 or floats in .0, 1., not int64"),
        (np.zeros((4, 32, 40, 3), np.uint8), "square uint8"),
    ],
)
def test_images_that_cannot_be_trained_on_are_refused(tmp_path, wrong, message):
    with pytest.raises(DataError, match=message):
        train(wrong, TINY, tmp_path, device="cpu")


def test_k_means_starts_the_clusters_and_leaves_the_rest_alone(images, tmp_path):
    before, _ = train(
        images, replace(WITH_PROTOTYPES, stages=WITH_PROTOTYPES.stages[:1], epochs=(1,),
                        learning_rate=1e-3), tmp_path / "1", device="cpu",
    )  # fmt: skip
    started = replace(
        WITH_PROTOTYPES,
        stages=({"k_means": 1.0},),
        epochs=(12,),
        steps=5,
        learning_rate=5e-3,
    )
    after, log = train(images, started, tmp_path / "2", device="cpu", start=before)
    for name, value in before.state_dict().items():
        if not name.startswith("clustering_branch"):
            assert torch.equal(value, after.state_dict()[name]), name
    assert log[-1]["k_means"] < log[0]["k_means"] - 0.1
    again = k_means_centres(before, images, started)
    torch.testing.assert_close(again, k_means_centres(before, images, started))
    torch.testing.assert_close(again.norm(dim=1), torch.ones(3))
    with pytest.raises(ValueError, match='a stage of "k_means" trains the clustering branch alone'):
        replace(started, stages=({"k_means": 1.0, "patch": 1.0},))


def test_images_with_several_appearances_train_a_network_for_one(images, tmp_path):
    both = np.concatenate([images, 255 - images], -1)
    settings = replace(TINY, views=dict(appearances=2, antialias=True))
    net, _ = train(both, settings, tmp_path, device="cpu")
    assert net.in_channels == images.shape[-1]
    with pytest.raises(DataError, match="2 appearances, one after the other"):
        train(images[..., :1], settings, tmp_path, device="cpu")
    with pytest.raises(ValueError, match='unknown attribute of views "color"'):
        replace(TINY, views=dict(color=0.1))
    with pytest.raises(ValueError, match="views must be a dictionary of attributes of ViewMaker"):
        replace(TINY, views=0.1)
    with pytest.raises(ValueError, match="2 stages need one learning_rate or as many"):
        replace(TINY, learning_rate=(1e-3, 1e-3, 1e-3))


def test_prepared_images_are_trained_on_as_their_arrays_are(tmp_path):
    prepared = prepare(open_dataset("simulated_fundus"), 32)
    seen = np.asarray(prepared.masks["field_of_view"], np.uint8)[..., None]
    made_of = {
        (): [prepared.images],
        ("appearances",): [prepared.originals, prepared.images],
        ("appearances", "field_of_view"): [prepared.originals, prepared.images, seen],
    }
    for views, parts in made_of.items():
        views = {name: dict(appearances=2, field_of_view=True)[name] for name in views}
        settings = replace(TINY, views=views, epochs=(1, 1))
        arrays = np.concatenate(parts, -1)
        given, _ = train(arrays, settings, tmp_path / "arrays", device="cpu")
        same_one, _ = train(prepared, settings, tmp_path / "prepared", device="cpu")
        assert same(given.state_dict(), same_one.state_dict())
        about = origin_of(tmp_path / "prepared" / "model.safetensors")
        assert about["data"] == prepared.fingerprint
    with pytest.raises(ValueError, match="prepared images have 1 or 2 appearances, not 3"):
        prepared.appearances(3)
