"""What a training computes, logs and saves."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_training import TINY, WITH_PROTOTYPES, same

from ldr_lib import (
    DataError,
    TwoBranchNet,
    load_model,
    losses,
    open_dataset,
    prepare,
    prototypes,
    stage_learner,
    train,
)
from ldr_lib.callbacks import CollapseWarning
from ldr_lib.checkpoint import origin_of
from ldr_lib.data.batches import image_batches
from ldr_lib.data.views import ViewMaker
from ldr_lib.k_means_start import k_means_centres
from ldr_lib.tiers import BOTH_BRANCHES, GATHERED, PATCH_STAGE
from ldr_lib.training import LocalDiscrimination

pytestmark = pytest.mark.filterwarnings("ignore::ldr_lib.callbacks.CollapseWarning")


def test_the_stage_loss_is_the_weighted_sum_of_its_parts(images):
    torch.manual_seed(0)
    views = ViewMaker(32)(torch.from_numpy(images[:4]).permute(0, 3, 1, 2))
    net = TwoBranchNet(n_clusters=3).eval()
    v, a = net(views.stack())
    weights = BOTH_BRANCHES | {"area": 2.0}
    loss = LocalDiscrimination(weights)((v, a[:8]), views)
    grids = [losses.patch_grid(part) for part in views.split(v)]
    anchors, positives = (
        grid.permute(0, 2, 3, 1).flatten(0, 2) for grid in (grids[0], views.realign(grids[1]))
    )
    expected = {
        "patch": losses.patch_discrimination(anchors, positives),
        "mixup": losses.hypersphere_mixup(grids[2], grids[0][:2], grids[0][2:], views.lam),
        "region": losses.region_discrimination(v[:8], a[:8]),
        "entropy": losses.cluster_entropy(a[:8]),
        "area": losses.cluster_area(a[:8]),
    }
    torch.testing.assert_close(loss, sum(weights[name] * expected[name] for name in expected))


def test_prototype_terms_are_those_of_the_patches_and_their_other_views():
    torch.manual_seed(0)
    views = ViewMaker(32)(torch.rand(4, 3, 48, 48))
    v, a = TwoBranchNet(n_clusters=3)(views.stack())
    a = a[:8]
    loss = LocalDiscrimination({"prototype": 2.0, "assignment": 3.0}, grid=4)((v, a), views)
    first, second, _ = views.split(losses.patch_grid(v, 4))
    rows = [losses.patch_rows(first), losses.patch_rows(views.realign(second))]
    centres = prototypes.cluster_prototypes(v[:8], a)
    assigned = prototypes.balanced_assignment(torch.cat(rows) @ centres.T)
    cells = torch.nn.functional.avg_pool2d(a, 8)
    shares = [losses.patch_rows(cells[:4]), losses.patch_rows(views.realign(cells[4:]))]
    expected = 2 * prototypes.prototype_discrimination(*rows, centres, assigned)
    expected = expected + 3 * prototypes.cluster_prediction(*shares, assigned)
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("second", [BOTH_BRANCHES | {"area": 2.0}, GATHERED])
def test_what_lies_outside_the_field_of_view_counts_in_no_loss(second):
    torch.manual_seed(0)
    inside = torch.zeros(4, 1, 48, 48)
    inside[..., 10:] = 1.0
    seen = torch.cat([torch.rand(4, 3, 48, 48), inside], 1)
    views = ViewMaker(32, (0.6, 1.0), field_of_view=True)(seen)
    outside = (1 - views.inside).expand(-1, 3, -1, -1) > 0
    assert 0.1 < outside.float().mean() < 0.7
    loss = LocalDiscrimination(PATCH_STAGE | second, grid=8)
    v = torch.nn.functional.normalize(torch.randn(10, 5, 32, 32), dim=1)
    a = torch.randn(8, 3, 32, 32).softmax(1)
    v, a = v.requires_grad_(), a.requires_grad_()
    value = loss((v, a), views)
    by_v, by_a = torch.autograd.grad(value, [v, a])
    assert (by_v[:8].abs().amax(1, keepdim=True)[outside[:, :1]] < 1e-9).all()
    assert (by_a.abs()[outside] < 1e-9).all()
    assert by_v[:8].abs().amax(1)[~outside[:, 0]].gt(0).float().mean() > 0.6
    other = torch.where(outside[:, :1], v[:8].roll(1, 0), v[:8])
    again = loss((torch.cat([other, v[8:]]), torch.where(outside, a.roll(1, 0), a)), views)
    if "prototype" not in second:
        torch.testing.assert_close(again, value)


def test_views_of_nothing_but_black_give_a_loss_of_zero():
    views = ViewMaker(32, field_of_view=True)(torch.zeros(4, 4, 48, 48))
    v = torch.nn.functional.normalize(torch.randn(10, 5, 32, 32), dim=1).requires_grad_()
    a = torch.randn(8, 3, 32, 32).softmax(1).requires_grad_()
    value = LocalDiscrimination(PATCH_STAGE | GATHERED | {"entropy": 1.0, "area": 1.0})(
        (v, a), views
    )
    value.backward()
    assert v.grad.isfinite().all() and a.grad.isfinite().all()


def test_training_lowers_the_patch_loss(images, tmp_path):
    longer = replace(TINY, stages=(PATCH_STAGE,), epochs=(5,), steps=8, learning_rate=4e-3)
    _, log = train(images, longer, tmp_path, device="cpu")
    assert log[-1]["patch"] < log[0]["patch"] - 0.3


def test_both_stages_are_logged_and_saved(images, tmp_path):
    net, log = train(images, TINY, tmp_path, device="cpu")
    assert [(row["stage"], row["epoch"]) for row in log] == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert "region" not in log[0] and {"region", "entropy", "smallest_area"} <= log[-1].keys()
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 5
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


def test_collapsing_clusters_are_announced(images):
    net = TwoBranchNet(n_clusters=3)
    with torch.no_grad():
        net.clustering_branch[-1].weight.zero_()
        net.clustering_branch[-1].bias.copy_(torch.tensor([9.0, -9.0, -9.0]))
    still = replace(TINY, stages=(BOTH_BRANCHES,), epochs=(1,), learning_rate=0.0)
    with pytest.warns(CollapseWarning, match='one cluster covers 100% of the pixels.*"area" loss'):
        stage_learner(net, images, still).fit(1, lr=0.0)


def test_undecided_clusters_are_announced(images):
    net = TwoBranchNet(n_clusters=3)
    with torch.no_grad():
        net.clustering_branch[-1].weight.zero_()
    still = replace(TINY, stages=(BOTH_BRANCHES,), epochs=(2,))
    with pytest.warns(
        CollapseWarning, match=f"near ln K = {math.log(3):.2f}: all regions coincide"
    ):
        stage_learner(net, images, still).fit(2, lr=0.0)


def test_a_loss_that_is_not_finite_stops_the_training(images):
    net = TwoBranchNet(n_clusters=3)
    with torch.no_grad():
        net.embedding_branch[-1].weight.fill_(math.nan)
    with pytest.raises(
        FloatingPointError, match="the loss became nan in epoch 0; lower the learning rate"
    ):
        stage_learner(net, images, TINY).fit(1)


def test_the_published_schedule_halves_every_ten_epochs(images, tmp_path, monkeypatch):
    rates = []

    def note(self):
        rates.append(self.opt.hypers[-1]["lr"])

    monkeypatch.setattr("ldr_lib.training.SeedEpoch.after_batch", note, raising=False)
    settings = replace(
        TINY, stages=(PATCH_STAGE,), epochs=(21,), steps=1, schedule="published", view_size=16
    )
    train(images, settings, tmp_path, device="cpu")
    assert rates == pytest.approx([1e-3] * 10 + [5e-4] * 10 + [2.5e-4])


def test_every_image_is_used_once_before_any_is_used_again(images):
    marked = images.copy()
    marked[:, 0, 0, 0] = range(12)
    order = [
        int(i) for (batch,) in image_batches(marked, pairs=2, steps=6) for i in batch[:, 0, 0, 0]
    ]
    assert sorted(order[:12]) == sorted(order[12:]) == list(range(12))


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
    with pytest.raises(
        DataError,
        match=r"takes 3 channels and the images have 1; build TwoBranchNet\(in_channels=1\)",
    ):
        stage_learner(TwoBranchNet(), np.zeros((4, 32, 32, 1), np.uint8), TINY)


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
