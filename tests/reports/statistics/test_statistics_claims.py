"""Many candidates at once: error is kept over all claims, and the winner's luck is taken back."""

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from reports.statistics import (
    alpha_of_look,
    holm,
    pareto_front,
    shrink,
)


def test_holm_is_that_of_statsmodels():
    p = np.random.default_rng(0).random(12) ** 3
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])
    assert holm(np.array([])).size == 0


def test_looks_together_spend_no_more_than_alpha():
    assert [alpha_of_look(look) for look in (1, 2, 3)] == [0.025, 0.0125, 0.00625]
    assert sum(alpha_of_look(look) for look in range(1, 60)) <= 0.05


def test_looks_are_counted_from_one():
    with pytest.raises(ValueError, match="Received: 0"):
        alpha_of_look(0)


def test_scores_that_noise_explains_shrink_to_their_mean():
    scores, noise = np.array([0.70, 0.68, 0.66]), np.full(3, 0.02**2)
    np.testing.assert_allclose(shrink(scores, noise), 0.68)


def test_clear_differences_hardly_shrink():
    scores = np.array([0.9, 0.6, 0.3])
    shrunk = shrink(scores, np.array([1e-6, 1e-6, 1e-3]))
    np.testing.assert_allclose(shrunk, scores, atol=0.005)
    assert shrunk[2] - 0.3 > 0.9 - shrunk[0] > 0


def test_a_single_score_stays():
    assert shrink(np.array([0.7]), np.array([0.01])).tolist() == [0.7]


def test_pareto_front_is_what_nothing_beats_in_everything():
    costs = np.array([[1.0, 5.0], [2.0, 2.0], [3.0, 3.0], [5.0, 1.0], [1.0, np.nan]])
    assert pareto_front(costs).tolist() == [True, True, False, True, False]
