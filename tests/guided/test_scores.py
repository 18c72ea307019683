"""Scores of maps with and without a threshold, against sklearn and against plain loops."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from ldr_lib.guided.scores import best_threshold, dice_by_image, threshold_free_scores
from ldr_lib.metrics import dice


@pytest.fixture
def maps_and_truths():
    rng = np.random.default_rng(0)
    truths = [rng.random(shape) < 0.15 for shape in ((30, 40), (25, 25), (50, 20))]
    maps = [0.1 + 0.2 * (0.5 * truth + 0.5 * rng.random(truth.shape)) for truth in truths]
    return [map_.astype(np.float32) for map_ in maps], truths


def test_scores_equal_those_of_sklearn(maps_and_truths):
    maps, truths = maps_and_truths
    scores = threshold_free_scores(maps, truths)
    for row, map_, truth in zip(scores.itertuples(index=False), maps, truths):
        at_half, _, precision = row
        assert precision == pytest.approx(average_precision_score(truth.ravel(), map_.ravel()))
        assert at_half == f1_score(truth.ravel(), map_.ravel() > 0.5, zero_division=0) == 0


def test_oracle_is_the_best_single_threshold(maps_and_truths):
    maps, truths = maps_and_truths
    scores = threshold_free_scores(maps, truths)
    every = np.unique(np.concatenate([map_.ravel() for map_ in maps]))
    best = max(np.mean([dice(map_ > t, truth) for map_, truth in zip(maps, truths)]) for t in every)
    assert best - 0.01 < scores["oracle Dice"].mean() <= best + 1e-12
    assert scores["oracle Dice"].mean() >= scores["Dice at 0.5"].mean()


def test_best_threshold_equals_a_plain_search(maps_and_truths):
    maps, truths = maps_and_truths
    candidates = np.linspace(0.1, 0.3, 21)
    means = [dice_by_image([map_ > t for map_ in maps], truths).mean() for t in candidates]
    assert best_threshold(maps, truths, candidates) == candidates[np.argmax(means)]


def test_a_good_map_that_stays_below_one_half_is_told_from_a_bad_one():
    truth = np.zeros((64, 64), bool)
    truth[20:24] = True
    good, flat = 0.1 + 0.2 * truth, np.full((64, 64), 0.2)
    (_, oracle, precision), (_, _, chance) = (
        threshold_free_scores([map_], [truth]).iloc[0] for map_ in (good, flat)
    )
    assert oracle == precision == 1 and chance == pytest.approx(truth.mean())


def test_an_absent_structure_has_no_average_precision():
    empty = np.zeros((8, 8), bool)
    scores = threshold_free_scores([np.full((8, 8), 0.1)], [empty]).iloc[0]
    assert scores["Dice at 0.5"] == 1 and np.isnan(scores["average precision"])


def test_a_structure_of_a_few_pixels_gets_its_threshold():
    rng = np.random.default_rng(0)
    truth = np.zeros((200, 200), bool)
    truth[100:103, 100:103] = True
    map_ = 0.3 * rng.random(truth.shape) + 0.2 * truth
    assert threshold_free_scores([map_ * (map_ > 0)], [truth])["oracle Dice"][0] > 0.5
