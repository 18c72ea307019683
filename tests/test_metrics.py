import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from ldr_lib.metrics import (
    average_precision,
    best_match_dice,
    dice,
    hausdorff95,
    mutual_information,
    retrieval_auc,
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


@pytest.mark.parametrize(
    "measure, expected",
    [(retrieval_auc, roc_auc_score), (average_precision, average_precision_score)],
)
@pytest.mark.parametrize("integers", [False, True], ids=["all different", "with ties"])
def test_retrieval_equals_scikit_learn_query_by_query(measure, expected, integers):
    rng = np.random.default_rng(0)
    truth, inside = rng.random((3, 20, 20)) < 0.3, rng.random((3, 20, 20)) < 0.8
    features = rng.normal(size=(3, 20, 20, 4)) + truth[..., None]
    features = features.round() if integers else features
    scores = measure(features, truth, inside, queries=5, seed=7)
    of_structure = np.flatnonzero(truth & inside)
    queries = features.reshape(-1, 4)[np.random.default_rng(7).choice(of_structure, 5)]
    for i in range(3):
        values, positive = features[i][inside[i]], truth[i][inside[i]]
        by_hand = [expected(positive, -np.square(values - query).sum(1)) for query in queries]
        assert scores[i] == pytest.approx(np.mean(by_hand), abs=1e-6)


def test_retrieval_is_perfect_for_separate_and_chance_for_random_features():
    rng = np.random.default_rng(0)
    truth, inside = rng.random((2, 30, 30)) < 0.3, np.ones((2, 30, 30), bool)
    noise = rng.normal(size=(2, 30, 30, 4))
    separate = noise * 0.01 + 5 * truth[..., None]
    assert (retrieval_auc(separate, truth, inside) > 0.99).all()
    assert (average_precision(separate, truth, inside) > 0.99).all()
    assert retrieval_auc(noise, truth, inside) == pytest.approx([0.5, 0.5], abs=0.05)
    share = truth.mean((1, 2))
    assert average_precision(noise, truth, inside) == pytest.approx(share, abs=0.05)


def test_retrieval_is_blind_to_rotation_of_the_features():
    rng = np.random.default_rng(0)
    truth, inside = rng.random((2, 30, 30)) < 0.3, np.ones((2, 30, 30), bool)
    features = rng.normal(size=(2, 30, 30, 4)) + truth[..., None]
    rotation = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    for measure in (retrieval_auc, average_precision):
        rotated = measure(features @ rotation, truth, inside)
        assert rotated == pytest.approx(measure(features, truth, inside), abs=1e-3)


@pytest.mark.parametrize("measure", [retrieval_auc, average_precision])
def test_retrieval_is_undefined_where_an_image_lacks_the_structure_or_all_else(measure):
    features = np.random.default_rng(0).normal(size=(3, 8, 8, 2))
    truth = np.zeros((3, 8, 8), bool)
    truth[0, :, :4], truth[1] = True, True
    scores = measure(features, truth, np.ones_like(truth))
    assert np.isfinite(scores[0]) and np.isnan(scores[1:]).all()
    nothing = np.zeros_like(truth)
    assert np.isnan(measure(features, nothing, ~nothing)).all()


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
