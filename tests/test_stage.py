"""The loss of a stage, and what its Learner does with images that it can and cannot train on."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_training import TINY

from ldr_lib import DataError, TwoBranchNet, losses, prototypes, stage_learner
from ldr_lib.callbacks import CollapseWarning
from ldr_lib.data.batches import image_batches
from ldr_lib.data.views import ViewMaker
from ldr_lib.stage import LocalDiscrimination
from ldr_lib.tiers import BOTH_BRANCHES, GATHERED, PATCH_STAGE

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


def test_every_image_is_used_once_before_any_is_used_again(images):
    marked = images.copy()
    marked[:, 0, 0, 0] = range(12)
    order = [
        int(i) for (batch,) in image_batches(marked, pairs=2, steps=6) for i in batch[:, 0, 0, 0]
    ]
    assert sorted(order[:12]) == sorted(order[12:]) == list(range(12))


def test_a_network_for_other_channels_is_refused():
    with pytest.raises(
        DataError,
        match=r"takes 3 channels and the images have 1; build TwoBranchNet\(in_channels=1\)",
    ):
        stage_learner(TwoBranchNet(), np.zeros((4, 32, 32, 1), np.uint8), TINY)
