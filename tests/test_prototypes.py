import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ldr_lib.prototypes import (
    balanced_assignment,
    cluster_prediction,
    cluster_prototypes,
    prototype_discrimination,
)


def sinkhorn_by_hand(similarity: np.ndarray, sharpness: float, rounds: int) -> np.ndarray:
    """Caron et al. 2020, algorithm 1, in float64 and with the sums written out."""
    q = np.exp(similarity.astype(np.float64) / sharpness)
    n, k = q.shape
    q /= q.sum()
    for _ in range(rounds):
        for j in range(k):
            q[:, j] /= q[:, j].sum() * k
        for i in range(n):
            q[i] /= q[i].sum() * n
    return q * n


def test_assignment_is_sinkhorns_iteration():
    similarity = torch.rand(12, 5, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for sharpness, rounds in ((0.05, 3), (0.5, 1), (0.1, 20)):
        found = balanced_assignment(similarity, sharpness, rounds)
        by_hand = sinkhorn_by_hand(similarity.numpy(), sharpness, rounds)
        np.testing.assert_allclose(found, by_hand, atol=1e-5)


def test_assignment_is_balanced_decided_and_passes_no_gradient():
    similarity = torch.randn(400, 4, generator=torch.Generator().manual_seed(0)) * 0.2
    similarity[:, 0] += 0.5  # all are nearest to the first
    similarity.requires_grad_()
    found = balanced_assignment(similarity, 0.05, 50)
    assert not found.requires_grad
    torch.testing.assert_close(found.sum(1), torch.ones(400))
    torch.testing.assert_close(found.mean(0), torch.full((4,), 0.25), atol=0.01, rtol=0)
    assert found.amax(1).mean() > 0.8
    assert (similarity.argmax(1) == 0).float().mean() > 0.8


def test_an_offset_of_all_similarities_plays_no_part_and_extreme_ones_stay_finite():
    similarity = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(balanced_assignment(similarity), balanced_assignment(similarity - 3))
    assert balanced_assignment(similarity * 100).isfinite().all()


def test_prototypes_are_those_of_region_discrimination(unit):
    v, a = unit(3, 6, 5, 4), torch.rand(3, 4, 5, 4)
    regions = [
        [F.normalize((a[n, k] * v[n]).sum((1, 2)), dim=0) for k in range(4)] for n in range(3)
    ]
    by_hand = [F.normalize(sum(regions[n][k] for n in range(3)), dim=0) for k in range(4)]
    found = cluster_prototypes(v.requires_grad_(), a.requires_grad_())
    assert not found.requires_grad
    torch.testing.assert_close(found, torch.stack(by_hand).detach())


def test_prototype_discrimination_equals_the_sum_written_out(unit):
    first, second = (F.normalize(torch.randn(6, 8, dtype=torch.float64), dim=1) for _ in range(2))
    prototypes = F.normalize(torch.randn(3, 8, dtype=torch.float64), dim=1)
    assigned = torch.rand(12, 3, dtype=torch.float64)
    total = 0.0
    for i in range(6):
        for this, other in ((second[i], assigned[i]), (first[i], assigned[6 + i])):
            p = (this @ prototypes.T / 0.1).exp()
            total -= float((other * (p / p.sum()).log()).sum())
    found = prototype_discrimination(first, second, prototypes, assigned)
    assert found.item() == pytest.approx(total / 12)


def test_its_gradient_gathers_patches_of_one_cluster_and_leaves_prototypes_alone():
    torch.manual_seed(0)
    prototypes = torch.eye(3)
    first = F.normalize(torch.randn(6, 3), dim=1).requires_grad_()
    second = F.normalize(torch.randn(6, 3), dim=1).requires_grad_()
    assigned = F.one_hot(torch.tensor([0, 0, 1, 1, 2, 2] * 2), 3).float()
    before = (first.detach() * prototypes[[0, 0, 1, 1, 2, 2]]).sum(1)
    prototype_discrimination(first, second, prototypes, assigned).backward()
    moved = F.normalize(first.detach() - 0.1 * first.grad, dim=1)
    assert ((moved * prototypes[[0, 0, 1, 1, 2, 2]]).sum(1) > before).all()


def test_patches_that_take_no_part_have_no_share_and_no_say():
    torch.manual_seed(0)
    similarity = F.normalize(torch.randn(12, 8), dim=1) @ F.normalize(torch.randn(8, 3), dim=0)
    counted = torch.arange(12) % 3 > 0
    found = balanced_assignment(similarity, counted=counted)
    torch.testing.assert_close(found[counted], balanced_assignment(similarity[counted]))
    assert not found[~counted].any()
    first, second = (F.normalize(torch.randn(6, 3), dim=1) for _ in range(2))
    pairs = counted[:6] & counted[6:]
    assigned = balanced_assignment(torch.cat([first, second]), counted=pairs.repeat(2))
    torch.testing.assert_close(
        prototype_discrimination(first, second, torch.eye(3), assigned),
        prototype_discrimination(
            first[pairs], second[pairs], torch.eye(3), assigned[pairs.repeat(2)]
        ),
    )


def test_cluster_prediction_is_the_cross_entropy_with_the_other_view():
    first, second = torch.rand(5, 3).softmax(1), torch.rand(5, 3).softmax(1)
    assigned = torch.rand(10, 3).softmax(1)
    by_hand = -(assigned[:5] * second.log()).sum() - (assigned[5:] * first.log()).sum()
    assert cluster_prediction(first, second, assigned).item() == pytest.approx(by_hand.item() / 10)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda z: balanced_assignment(z[0]), r"similarity must be a tensor of floats \(N, K\)"),
        (lambda z: balanced_assignment(z, sharpness=0), "sharpness must be a number above 0"),
        (lambda z: balanced_assignment(z, rounds=0), "rounds must be a whole number from 1"),
        (lambda z: prototype_discrimination(z, z, z, z), "assigned must be shares of 8 patches"),
        (lambda z: prototype_discrimination(z, z[:1], z, z), "must be of one shape"),
        (lambda z: cluster_prediction(z, z, z), "assigned must be shares of 8 patches"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call(torch.eye(4))
