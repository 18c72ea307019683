import numpy as np
import pytest

from ldr_lib.metrics import (
    best_match_dice,
    dice,
    hausdorff95,
    matched_iou,
    mutual_information,
    structure_information,
)


def test_dice_by_hand():
    a, b = np.array([1, 1, 0, 0], bool), np.array([1, 0, 1, 0], bool)
    assert dice(a, b) == 0.5 and dice(a, a) == 1 and dice(a, ~a) == 0
    assert dice(np.zeros(3, bool), np.zeros(3, bool)) == 1
    with pytest.raises(ValueError, match="one shape"):
        dice(a, b[:2])


def test_mutual_information_ignores_names_of_clusters_and_what_lies_outside():
    rng = np.random.default_rng(0)
    anatomy = rng.integers(0, 3, (2, 20, 20))
    inside = rng.random((2, 20, 20)) < 0.7
    renamed = np.where(inside, np.array([2, 0, 1])[anatomy], 7)
    assert mutual_information(renamed, anatomy, inside) == pytest.approx(1)
    assert mutual_information(rng.integers(0, 3, anatomy.shape), anatomy, inside) < 0.02


def test_best_match_dice_is_the_best_of_all_clusters():
    rng = np.random.default_rng(0)
    labels, truth, inside = (
        rng.integers(0, 4, (3, 9, 9)),
        rng.random((3, 9, 9)) < 0.3,
        rng.random((3, 9, 9)) < 0.8,
    )
    by_hand = [dice((labels == k) & inside, truth & inside) for k in range(4)]
    assert best_match_dice(labels, truth, inside) == (
        pytest.approx(max(by_hand)),
        int(np.argmax(by_hand)),
    )


def test_matched_iou_by_hand():
    anatomy = np.array([[[0, 0, 1, 1, 2, 2]], [[0, 0, 0, 1, 1, 1]]])
    labels = np.array([[[5, 5, 3, 3, 3, 4]], [[5, 5, 5, 3, 3, 5]]])
    inside = np.ones(anatomy.shape, bool)
    # matched over both: none-5, structure 1-3, structure 2-4
    assert matched_iou(labels, anatomy, inside) == pytest.approx([(2 / 3 + 1 / 2) / 2, 2 / 3])
    renamed = np.array([0, 0, 0, 7, 1, 2])[labels]
    np.testing.assert_array_equal(
        matched_iou(renamed, anatomy, inside), matched_iou(labels, anatomy, inside)
    )
    assert np.isnan(matched_iou(labels, np.zeros_like(anatomy), inside)).all()


def test_matched_iou_is_the_best_of_all_one_to_one_matches():
    from itertools import permutations

    rng = np.random.default_rng(0)
    anatomy, labels = rng.integers(0, 3, (1, 20, 20)), rng.integers(0, 4, (1, 20, 20))
    inside = rng.random((1, 20, 20)) < 0.8
    labels[anatomy == 2] = 1

    def iou(structure, cluster):
        a, b = (anatomy == structure) & inside, (labels == cluster) & inside
        return (a & b).sum() / (a | b).sum()

    best = max(permutations(range(4), 3), key=lambda k: sum(iou(s, k[s]) for s in range(3)))
    by_hand = np.mean([iou(s, best[s]) for s in (1, 2)])
    assert matched_iou(labels, anatomy, inside) == pytest.approx([by_hand])


def test_a_structure_without_a_cluster_of_its_own_has_no_overlap():
    anatomy = np.array([[[0, 1, 2, 2]]])
    assert matched_iou(anatomy * 0, anatomy, anatomy >= 0) == pytest.approx([0.25])  # one cluster


def test_information_about_structures_is_blind_to_what_is_none():
    rng = np.random.default_rng(0)
    anatomy = rng.integers(0, 3, (20, 20))
    inside = rng.random((20, 20)) < 0.7
    labels = np.where(anatomy > 0, anatomy + 3, rng.integers(0, 9, anatomy.shape))
    assert structure_information(labels, anatomy, inside) == pytest.approx(1)
    assert np.isnan(structure_information(labels, np.minimum(anatomy, 1), inside))


def test_hausdorff_distance_equals_that_of_all_border_points():
    rng = np.random.default_rng(0)
    a, b = np.zeros((40, 50), bool), np.zeros((40, 50), bool)
    a[5:25, 8:30], b[9:33, 5:25] = True, True
    a[30:33, 40:43] = rng.random((3, 3)) > 0.3

    def border(m):
        inner = np.roll(m, 1, 0) & np.roll(m, -1, 0) & np.roll(m, 1, 1) & np.roll(m, -1, 1)
        return np.argwhere(m & ~inner)

    apart = np.linalg.norm(border(a)[:, None] - border(b)[None], axis=-1)
    expected = max(np.percentile(apart.min(1), 95), np.percentile(apart.min(0), 95))
    assert hausdorff95(a, b) == pytest.approx(expected, abs=0.1)
    empty = np.zeros_like(a)
    assert hausdorff95(empty, empty) == 0 and hausdorff95(a, empty) == pytest.approx(
        np.hypot(40, 50)
    )
