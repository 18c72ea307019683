import numpy as np
import pytest

from ldr_lib.metrics import best_match_dice, dice, hausdorff95, mutual_information, retrieval_auc


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


def test_retrieval_auc_is_perfect_for_separate_chance_for_random_and_blind_to_rotation():
    rng = np.random.default_rng(0)
    truth, inside = rng.random((2, 30, 30)) < 0.3, np.ones((2, 30, 30), bool)
    noise = rng.normal(size=(2, 30, 30, 4))
    separate = noise * 0.01 + 5 * truth[..., None]
    assert retrieval_auc(separate, truth, inside) > 0.99
    assert retrieval_auc(noise, truth, inside) == pytest.approx(0.5, abs=0.05)
    rotation = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    assert retrieval_auc(noise @ rotation, truth, inside) == pytest.approx(
        retrieval_auc(noise, truth, inside), abs=1e-3
    )


def test_retrieval_auc_without_the_structure_is_undefined():
    features, nothing = np.ones((1, 4, 4, 2)), np.zeros((1, 4, 4), bool)
    assert np.isnan(retrieval_auc(features, nothing, ~nothing))


def test_hausdorff_distance_equals_that_of_all_border_points():
    rng = np.random.default_rng(0)
    a, b = np.zeros((40, 50), bool), np.zeros((40, 50), bool)
    a[5:25, 8:30], b[9:33, 5:25] = True, True
    a[30:33, 40:43] = rng.random((3, 3)) > 0.3
    border = lambda m: np.argwhere(
        m & ~(np.roll(m, 1, 0) & np.roll(m, -1, 0) & np.roll(m, 1, 1) & np.roll(m, -1, 1))
    )
    apart = np.linalg.norm(border(a)[:, None] - border(b)[None], axis=-1)
    expected = max(np.percentile(apart.min(1), 95), np.percentile(apart.min(0), 95))
    assert hausdorff95(a, b) == pytest.approx(expected, abs=0.1)
    empty = np.zeros_like(a)
    assert hausdorff95(empty, empty) == 0 and hausdorff95(a, empty) == pytest.approx(
        np.hypot(40, 50)
    )
