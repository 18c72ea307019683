"""Intervals: what they hold, what they say, and how often they are wrong where nothing is true."""

import numpy as np
import pytest

from ldr_lib.runs.intervals import Difference, paired_difference


def gaps(values):
    return paired_difference(values, np.zeros_like(values))


def test_images_that_all_gain_support_and_images_that_all_lose_do_not():
    gain = paired_difference([0.8, 0.7, 0.9], [0.5, 0.5, 0.5])
    assert gain.state() == "supported" and gain.mean == pytest.approx(0.3)
    assert (gain.low, gain.high) == pytest.approx((0.2, 0.4)) and (gain.runs, gain.images) == (1, 3)
    assert paired_difference([0.5, 0.5, 0.5], [0.8, 0.7, 0.9]).state() == "not supported"
    assert gain.state(bound=0.3) == "undecided" and gain.state(bound=0.5) == "not supported"


def test_a_single_number_has_no_interval_and_decides_nothing():
    one = paired_difference(0.9, 0.1)
    assert np.isnan([one.low, one.high]).all() and one.state() == "undecided"
    assert str(one) == "+0.800"


def test_numbers_of_several_runs_have_students_interval():
    few = gaps(np.array([[0.1], [0.2], [0.3]]))
    reach = 4.3027 * 0.1 / np.sqrt(3)
    assert (few.low, few.high) == pytest.approx((0.2 - reach, 0.2 + reach), abs=1e-4)
    assert str(few).startswith("+0.200 [-0.048, +0.448]")


def test_seeds_that_disagree_widen_the_interval_beyond_that_of_the_images():
    images = np.random.default_rng(0).normal(0.2, 0.05, (1, 40))
    agreeing = gaps(np.repeat(images, 3, axis=0))
    disagreeing = gaps(images + np.array([[-0.15], [0.0], [0.15]]))
    assert agreeing.state() == "supported" and disagreeing.state() == "undecided"
    assert disagreeing.mean == pytest.approx(agreeing.mean)


def test_images_and_runs_without_the_structure_are_left_out():
    values = np.array([[0.1, np.nan, 0.3], [0.2, np.nan, np.nan], [np.nan] * 3])
    found = gaps(values)
    assert (found.runs, found.images) == (2, 2) and found.mean == pytest.approx(0.2)
    nothing = gaps(np.full((2, 3), np.nan))
    assert np.isnan(nothing.mean) and nothing.state() == "undecided"


def test_the_same_values_give_the_same_interval():
    values = np.random.default_rng(1).normal(size=(3, 8))
    assert gaps(values) == gaps(values) and isinstance(gaps(values), Difference)


def test_values_that_are_not_paired_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        paired_difference([1, 2], [1, 2, 3])


@pytest.mark.parametrize("of_seeds, of_images", [(1.0, 0.0), (0.5, 1.0), (0.0, 1.0)])
def test_where_nothing_is_true_few_intervals_lie_above_zero(of_seeds, of_images):
    """Agreement of three seeds alone would call one in eight supported."""
    rng = np.random.default_rng(2)
    trials = 300
    supported = 0
    for _ in range(trials):
        seeds = of_seeds * rng.normal(size=(3, 1))
        images = of_images * rng.normal(size=(1, 20))
        values = seeds + images + 0.2 * rng.normal(size=(3, 20))
        supported += gaps(values).state() == "supported"
    assert supported / trials < 0.06
