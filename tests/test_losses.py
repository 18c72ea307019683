"""Each loss against a formulation with plain loops in float64, its gradient, its invariances and
METHOD's check values.
"""

import math

import pytest
import torch
import torch.nn.functional as F

from ldr_lib import losses

F64 = torch.float64


def soft_clusters(n, k, height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, k, height, width, generator=generator, dtype=F64).softmax(1)


def patch_by_loops(anchors, positives, t):
    z = torch.cat([anchors, positives])
    n = len(anchors)
    total = 0
    for i in range(2 * n):
        scores = [torch.exp(z[i] @ z[j].detach() / t) for j in range(2 * n)]
        total_score = sum(scores[k] for k in range(2 * n) if k != i)
        p = [scores[j] / total_score for j in range(2 * n)]
        partner = (i + n) % (2 * n)
        total = total - torch.log(p[partner])
        for j in range(2 * n):
            if j not in (i, partner):
                total = total - torch.log(1 - p[j])
    return total / (2 * n)


def regions_by_loops(v, a, t):
    n, k = a.shape[:2]
    r = [[F.normalize((a[i, c] * v[i]).mean((1, 2)), dim=0) for c in range(k)] for i in range(n)]
    prototypes = [F.normalize(sum(r[i][c] for i in range(n)) / n, dim=0) for c in range(k)]
    total = 0
    for i in range(n):
        for c in range(k):
            scores = torch.stack([r[i][c] @ prototypes[j] / t for j in range(k)])
            total = total - torch.log(torch.exp(scores[c]) / torch.exp(scores).sum())
    return total / (n * k)


def same_value_and_gradient(function, literal, *inputs):
    results = []
    for f in (function, literal):
        leaves = [x.clone().requires_grad_() for x in inputs]
        value = f(*leaves)
        results.append((value, torch.autograd.grad(value, leaves)))
    (value, gradients), (expected, expected_gradients) = results
    torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-12)
    for gradient, wanted in zip(gradients, expected_gradients):
        torch.testing.assert_close(gradient, wanted, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_patch_discrimination_is_the_equation(unit, temperature):
    anchors, positives = unit(5, 8, dtype=F64), unit(5, 8, seed=1, dtype=F64)
    same_value_and_gradient(
        lambda a, b: losses.patch_discrimination(a, b, temperature),
        lambda a, b: patch_by_loops(a, b, temperature),
        anchors,
        positives,
    )


def test_patch_discrimination_check_values(unit):
    equal = unit(1, 32).expand(512, 32)
    assert losses.patch_discrimination(equal, equal).item() == pytest.approx(7.93, abs=0.005)
    random = [
        losses.patch_discrimination(unit(512, 32, seed=2 * s), unit(512, 32, seed=2 * s + 1)).item()
        for s in range(5)
    ]
    assert sum(random) / 5 == pytest.approx(9.31, abs=0.25)


def test_patch_discrimination_is_invariant_to_order_and_rotation(unit):
    anchors, positives = unit(20, 8, dtype=F64), unit(20, 8, seed=1, dtype=F64)
    value = losses.patch_discrimination(anchors, positives)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    rotation = torch.linalg.qr(unit(8, 8, seed=2, dtype=F64))[0]
    torch.testing.assert_close(losses.patch_discrimination(anchors[order], positives[order]), value)
    torch.testing.assert_close(
        losses.patch_discrimination(anchors @ rotation, positives @ rotation), value
    )
    torch.testing.assert_close(losses.patch_discrimination(positives, anchors), value)


def test_patch_discrimination_prefers_matching_pairs(unit):
    z = unit(64, 32)
    assert losses.patch_discrimination(z, z) < 1 < losses.patch_discrimination(z, z.roll(1, 0))


def test_perfectly_certain_patches_keep_a_finite_gradient():
    z = torch.eye(4).requires_grad_()
    value = losses.patch_discrimination(z, torch.eye(4), temperature=0.001)
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(z.grad).all()


@pytest.mark.parametrize(
    "shapes", [((4, 8), (5, 8)), ((4, 8), (4, 7)), ((1, 8), (1, 8)), ((2, 4, 8), (2, 4, 8))]
)
def test_patch_discrimination_refuses_what_it_cannot_pair(shapes):
    with pytest.raises(ValueError, match="anchors (must be a|and positives)|at least two"):
        losses.patch_discrimination(torch.ones(shapes[0]), torch.ones(shapes[1]))


def test_patch_grid_averages_cells(unit):
    v = unit(2, 6, 16, 24, dtype=F64)
    grid = losses.patch_grid(v, 8)
    by_hand = v[1, :, 4:6, 9:12].mean((1, 2))
    torch.testing.assert_close(grid[1, :, 2, 3], by_hand / by_hand.norm())
    torch.testing.assert_close(grid.norm(dim=1), torch.ones(2, 8, 8, dtype=F64))


def test_hypersphere_mixup_is_patch_discrimination_against_the_arc(unit):
    mixed, first, second = (unit(2, 6, 3, 3, seed=s, dtype=F64) for s in range(3))
    lam = torch.tensor([0.3, 0.75], dtype=F64)
    rows, targets = [], []
    for b in range(2):
        for i in range(3):
            for j in range(3):
                rows.append(mixed[b, :, i, j])
                point = lam[b] * first[b, :, i, j] + (1 - lam[b]) * second[b, :, i, j]
                targets.append(point / point.norm())
    literal = patch_by_loops(torch.stack(rows), torch.stack(targets), 0.1)
    torch.testing.assert_close(
        losses.hypersphere_mixup(mixed, first, second, lam), literal, rtol=1e-9, atol=0
    )


def test_hypersphere_mixup_has_a_gradient_for_the_mixed_image_only(unit):
    mixed, first, second = (unit(2, 6, 3, 3, seed=s).requires_grad_() for s in range(3))
    losses.hypersphere_mixup(mixed, first, second, 0.4).backward()
    assert mixed.grad.abs().sum() > 0 and first.grad is None and second.grad is None


def test_hypersphere_mixup_refuses_grids_that_differ(unit):
    with pytest.raises(ValueError, match="of one shape"):
        losses.hypersphere_mixup(unit(2, 6, 3, 3), unit(2, 6, 4, 4), unit(2, 6, 3, 3), 0.5)


def test_the_first_term_of_patch_discrimination_is_info_nce_without_the_own_row(unit):
    anchors, positives = unit(6, 8, dtype=F64), unit(6, 8, seed=1, dtype=F64)
    z = torch.cat([anchors, positives])
    others = torch.stack([torch.cat([z[:i], z[i + 1 :]]) for i in range(12)])
    scores = (others @ z[:, :, None])[..., 0] / 0.1
    partner = torch.tensor([*range(5, 11), *range(6)])
    first_term = F.cross_entropy(scores, partner)
    whole = losses.patch_discrimination(anchors, positives)
    p = scores.softmax(1)
    mask = F.one_hot(partner, 11).bool()
    second_term = -torch.log1p(-p.masked_fill(mask, 0)).sum(1).mean()
    torch.testing.assert_close(whole, first_term + second_term)


def test_info_nce_of_equal_vectors_is_ln_n(unit):
    equal = unit(1, 4).expand(9, 4)
    assert losses.info_nce(equal, equal).item() == pytest.approx(math.log(9), abs=1e-6)


def test_patches_that_do_not_count_are_as_if_they_were_not_there(unit):
    anchors, positives = unit(12, 6, seed=0), unit(12, 6, seed=1)
    counted = torch.arange(12) % 3 > 0
    some = losses.patch_discrimination(anchors, positives, counted=counted)
    torch.testing.assert_close(
        some, losses.patch_discrimination(anchors[counted], positives[counted])
    )
    grids = [unit(2, 6, 3, 3, seed=s) for s in range(3)]
    seen = torch.rand(2, 3, 3) < 0.6
    rows = [losses.patch_rows(grid)[seen.flatten()].T[None, :, :, None] for grid in grids]
    by_rows = losses.patch_discrimination(
        rows[0][0, :, :, 0].T,
        torch.nn.functional.normalize(rows[1][0, :, :, 0].T + rows[2][0, :, :, 0].T, dim=1),
    )
    torch.testing.assert_close(losses.hypersphere_mixup(*grids, 0.5, counted=seen), by_rows)
    inside = (torch.rand(2, 1, 8, 8) < 0.5).float()
    inside[..., :1] = 1
    clusters = torch.randn(2, 3, 8, 8).softmax(1)
    pixels = [a[:, m[0] > 0] for a, m in zip(clusters, inside)]  # (K, P) of each image
    entropy = losses.cluster_entropy(torch.cat(pixels, 1)[None, :, :, None])
    torch.testing.assert_close(losses.cluster_entropy(clusters, inside), entropy)
    areas = torch.stack([losses.cluster_area(a[None, :, :, None]) for a in pixels]).mean()
    torch.testing.assert_close(losses.cluster_area(clusters, inside), areas)
    with pytest.raises(ValueError, match="counted must be a tensor of bools"):
        losses.patch_discrimination(anchors, positives, counted=counted.float())


def test_region_discrimination_is_the_equation(unit):
    same_value_and_gradient(
        losses.region_discrimination,
        lambda v, a: regions_by_loops(v, a, 0.2),
        unit(3, 5, 4, 6, dtype=F64),
        soft_clusters(3, 4, 4, 6),
    )


def test_region_discrimination_keeps_the_prototypes_gradient(unit):
    v, a = unit(2, 4, 3, 3, dtype=F64).requires_grad_(), soft_clusters(2, 3, 3, 3).requires_grad_()
    assert torch.autograd.gradcheck(losses.region_discrimination, (v, a))


def test_region_discrimination_of_collapsed_regions_is_ln_k(unit):
    v = unit(4, 8, 6, 6)
    undecided = torch.full((4, 5, 6, 6), 0.2)
    assert losses.region_discrimination(v, undecided).item() == pytest.approx(math.log(5), abs=1e-5)


@pytest.mark.parametrize("merged", [0, 1, 2])
def test_each_pair_of_clusters_with_one_prototype_adds_ln_2_for_two_of_k(merged):
    k = 8
    kinds = torch.arange(k)
    kinds[1 : 2 * merged : 2] -= 1  # clusters 2m and 2m + 1 show the same kind of pixel
    v = F.one_hot(kinds, k).double().T.reshape(1, k, 1, k).expand(3, -1, -1, -1)
    a = torch.eye(k, dtype=F64).reshape(1, k, 1, k).expand(3, -1, -1, -1)
    own = math.log(1 + (k - 1) * math.exp(-5))  # all other prototypes at a right angle
    shared = math.log(2 + (k - 2) * math.exp(-5))
    expected = ((k - 2 * merged) * own + 2 * merged * shared) / k
    assert losses.region_discrimination(v, a).item() == pytest.approx(expected, abs=1e-9)
    ln_2_each = own + 2 * merged / k * math.log(2)
    assert expected == pytest.approx(ln_2_each, abs=0.02)


def test_region_discrimination_is_invariant_to_the_order_of_clusters(unit):
    v, a = unit(3, 5, 4, 4, dtype=F64), soft_clusters(3, 4, 4, 4)
    torch.testing.assert_close(
        losses.region_discrimination(v, a[:, [2, 0, 3, 1]]), losses.region_discrimination(v, a)
    )


def test_region_discrimination_refuses_maps_of_another_size(unit):
    with pytest.raises(ValueError, match="agree in N, H and W"):
        losses.region_discrimination(unit(2, 4, 8, 8), torch.rand(2, 3, 4, 4))


def test_cluster_entropy_in_bits():
    a = soft_clusters(2, 3, 4, 5)
    literal = (
        sum(-p * math.log2(p) - (1 - p) * math.log2(1 - p) for p in a.flatten().tolist())
        / a.numel()
    )
    assert losses.cluster_entropy(a).item() == pytest.approx(literal, rel=1e-6)
    assert losses.cluster_entropy(torch.full((1, 2, 3, 3), 0.5)).item() == pytest.approx(1)
    assert torch.autograd.gradcheck(losses.cluster_entropy, (a.requires_grad_(),))


@pytest.mark.parametrize("k, bits", [(2, 1.0), (8, 0.544), (16, 0.337)])
def test_cluster_entropy_of_undecided_pixels_depends_on_the_number_of_clusters(k, bits):
    undecided = torch.full((1, k, 3, 3), 1 / k)
    assert losses.cluster_entropy(undecided).item() == pytest.approx(bits, abs=5e-4)


def test_cluster_entropy_of_decided_pixels_is_zero_with_finite_gradient():
    decided = (
        F.one_hot(torch.zeros(1, 4, 4, dtype=torch.long), 3)
        .permute(0, 3, 1, 2)
        .float()
        .requires_grad_()
    )
    value = losses.cluster_entropy(decided)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-5) and torch.isfinite(decided.grad).all()


def test_cluster_area():
    a = soft_clusters(2, 3, 4, 5)
    literal = sum((a[n, k].mean().item() - 1 / 3) ** 2 for n in range(2) for k in range(3)) / 6
    assert losses.cluster_area(a).item() == pytest.approx(literal, rel=1e-9)
    everything = torch.zeros(2, 4, 3, 3)
    everything[:, 1] = 1
    assert losses.cluster_area(everything).item() == pytest.approx(3 / 16)
    assert torch.autograd.gradcheck(losses.cluster_area, (a.requires_grad_(),))


@pytest.mark.parametrize("block", [40, 2**18], ids=["row by row", "at once"])
def test_the_derivative_of_patch_discrimination_is_that_of_its_equation(monkeypatch, block):
    monkeypatch.setattr(losses, "BLOCKS", (block, block))
    torch.manual_seed(0)
    z = F.normalize(torch.randn(7, 5, dtype=torch.float64), dim=1)
    anchors, positives = z.requires_grad_(), F.normalize(z.detach() + 0.2, dim=1).requires_grad_()
    temperature = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)

    def by_equation(anchors, positives, temperature):
        v = torch.cat([anchors, positives])
        others, total = v.detach(), 0.0
        for i in range(14):
            p = torch.stack([(v[i] @ others[k] / temperature).exp() for k in range(14) if k != i])
            p = p / p.sum()
            j = [k for k in range(14) if k != i].index((i + 7) % 14)
            total = total - p[j].log() - sum((1 - p[k]).log() for k in range(13) if k != j)
        return total / 14

    inputs = (anchors, positives, temperature)
    expected = torch.autograd.grad(by_equation(*inputs), inputs)
    found = torch.autograd.grad(3 * losses.patch_discrimination(*inputs), inputs)
    for one, other in zip(found, expected):
        torch.testing.assert_close(one, 3 * other)


def test_patches_that_nothing_can_be_learned_from_have_no_gradient_of_their_own():
    z = torch.eye(3).repeat(2, 1).requires_grad_()  # every row has a twin that is no partner
    loss = losses.patch_discrimination(z, z.detach().flip(0), temperature=0.01)
    loss.backward()
    assert loss.isfinite() and z.grad.isfinite().all()
