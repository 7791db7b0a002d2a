"""The interval of a paired difference holds over new seeds and new images, twins counting once."""

import numpy as np
import pytest
from scipy import stats

from reports.statistics import (
    accuracy_interval,
    by_twins,
    paired_difference,
    two_way,
    wilson,
)
from tests.support.studies.drawn_evaluations import right_answers


def test_variance_is_that_of_the_textbook():
    values = np.random.default_rng(0).normal(size=(4, 50)) + np.arange(4)[:, None]
    residual = values - values.mean(0) - values.mean(1)[:, None] + values.mean()
    error = (residual**2).sum() / (3 * 49)
    images, seeds = 4 * values.mean(0).var(ddof=1), 50 * values.mean(1).var(ddof=1)
    found = two_way(values)
    assert found.se == pytest.approx(np.sqrt((max(images - error, 0) + seeds) / 200))
    assert found.chance_variance == pytest.approx(error / 50)


def test_one_seed_is_the_paired_t_test_over_images():
    a, b = right_answers(1, 300)
    found = paired_difference(a, b)
    expected = stats.ttest_rel(a[0], b[0])
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert np.isnan(found.seed_variance)


def test_b_minus_a_mirrors_a_minus_b():
    a, b = right_answers(5, 200)
    there, back = paired_difference(a, b), paired_difference(b, a).reversed()
    assert (back.estimate, back.low, back.high, back.p) == pytest.approx(
        (there.estimate, there.low, there.high, there.p)
    )


def test_intervals_cover_as_often_as_they_say():
    covered = 0
    for study in range(300):
        a, b = right_answers(5, 300, random_seed=study)
        found = paired_difference(a, b)
        covered += found.low <= 0.0 <= found.high
    assert 0.92 <= covered / 300 <= 0.98


def test_a_group_of_twins_counts_as_one_image():
    a, b = right_answers(4, 150)
    once = paired_difference(a, b)
    twice = paired_difference(np.repeat(a, 2, 1), np.repeat(b, 2, 1), groups=np.repeat(np.arange(150), 2))
    assert (twice.estimate, twice.se, twice.images) == pytest.approx((once.estimate, once.se, 150))


def test_twins_leave_the_measured_score_as_it_is():
    values = np.random.default_rng(1).random((3, 10))
    groups = np.array([0, 0, 0, 1, 2, 3, 3, 4, 5, 6])
    assert by_twins(values, groups).shape == (3, 7)
    np.testing.assert_allclose(by_twins(values, groups).mean(axis=1), values.mean(axis=1))


def test_twenty_images_that_both_get_right_do_not_prove_equality():
    both = np.ones((5, 20))
    found = paired_difference(both, both)
    assert found.p == 1.0
    assert found.high > 0.05


def test_three_seeds_that_happen_to_agree_do_not_make_a_claim():
    a, b = right_answers(3, 1000, seed_noise=0.0)
    found = paired_difference(a, b)
    lucky = two_way(a - b - (a - b).mean(axis=1, keepdims=True) + 0.02)
    assert lucky.seed_variance < found.chance_variance
    assert lucky.p > 2 * stats.t.sf(0.02 / lucky.se, lucky.df)


def test_accuracy_interval_stays_within_one():
    found = accuracy_interval(np.ones((3, 40)))
    assert (found.estimate, found.high) == (1.0, pytest.approx(1.0))
    assert found.low < 0.95


def test_accuracy_interval_of_one_seed_is_nearly_wilsons():
    right = (np.arange(500) < 340).astype(float)[None]
    found = accuracy_interval(right)
    assert (found.low, found.high) == pytest.approx(wilson(0.68, 500), abs=1e-3)


def test_seeds_and_images_that_agree_better_than_by_chance_leave_an_interval():
    found = accuracy_interval(np.tile([[1.0, 0.0], [0.0, 1.0]], 20))
    assert (found.se, found.df) == (0.0, 1.0)
    assert 0.0 <= found.low < 0.5 < found.high <= 1.0


def test_a_sum_is_known_no_worse_than_the_least_known_of_its_parts():
    random = np.random.default_rng(0)
    for seeds in (2, 3, 5):
        table = np.tile(np.eye(seeds), 8)
        for _ in range(20):
            flipped = np.abs(table - (random.random(table.shape) < 0.02))
            assert two_way(flipped).df >= seeds - 1.0


def test_one_image_has_an_accuracy_and_no_interval():
    right = np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    found = accuracy_interval(right, groups=np.zeros(3, dtype=np.int64))
    assert (found.estimate, found.seeds, found.images) == (pytest.approx(0.5), 2, 1)
    assert np.isnan([found.low, found.high, found.se]).all()


def test_tables_of_different_shape_are_refused():
    with pytest.raises(ValueError, match=r"one shape \(seeds, images\). Received: \(3, 5\) and \(2, 5\)"):
        paired_difference(np.ones((3, 5)), np.ones((2, 5)))
