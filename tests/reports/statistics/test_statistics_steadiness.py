"""The seeds' noise is judged by all candidates together, and an unsteady one does not blur the others."""

from itertools import combinations

import numpy as np
import pytest

from reports.statistics import paired_difference, steadied, unsteady
from tests.support.drawn_evaluations import right_answers


def pairs_of(networks):
    numbers = combinations(range(len(networks)), 2)
    return {(str(i), str(j)): paired_difference(networks[i], networks[j]) for i, j in numbers}


def widths(pairs):
    return [pairs[names].high - pairs[names].low for names in sorted(pairs)]


def test_a_single_pair_is_as_steady_as_it_is():
    pairs = pairs_of(right_answers(3, 300))
    assert steadied(pairs) == pairs


def test_five_candidates_know_more_of_the_seeds_than_two():
    pairs = pairs_of(right_answers(3, 500, candidates=5))
    steady = steadied(pairs)
    assert {one.seed_df for one in steady.values()} == {8.0}
    assert sum(widths(steady)) < sum(widths(pairs))
    assert all(steady[names].seed_variance >= one.seed_variance for names, one in pairs.items())


def test_a_candidate_that_learns_with_some_seeds_only_does_not_blur_the_others():
    networks = list(right_answers(5, 500, candidates=4))
    networks[3][:3] = np.arange(500) % 7 == 0  # three seeds in five never began to learn
    found = unsteady({str(n): network.mean(axis=1) for n, network in enumerate(networks)})
    assert found == {"3"}
    pairs, others = pairs_of(networks), pairs_of(networks[:3])
    apart = steadied(pairs, found)
    assert apart == pairs | steadied(others)
    assert all(apart[names].high < steadied(pairs)[names].high for names in others)


@pytest.mark.parametrize(("candidates", "seeds"), [(3, 3), (5, 5), (10, 10)])
def test_equal_candidates_are_hardly_ever_called_unsteady(candidates, seeds):
    """Cochran's critical value is exact enough to hold its level of one in a hundred."""
    generator = np.random.default_rng(0)
    draws = generator.normal(0.7, 0.01, (4000, candidates, seeds))
    share = np.mean([bool(unsteady({str(n): one for n, one in enumerate(draw)})) for draw in draws])
    assert 0.005 < share < 0.016
