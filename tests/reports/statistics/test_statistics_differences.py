"""Two candidates on the same images, each with its own seeds: variance, family of intervals, power."""

import math

import numpy as np
import pytest
from scipy import stats

from reports.statistics import (
    alpha_of_look,
    critical,
    detectable,
    difference,
    failed_to_learn,
    family,
    levels,
    majority_share,
    sample,
    seeds_needed,
)
from reports.statistics.differences import EXTRA_IMAGES


def drawn(seeds, accuracy=0.65, images=800, spread=0.0, random_seed=0, shared=0):
    random = np.random.default_rng((random_seed, 1))
    hard = np.random.default_rng(shared).standard_normal(images)
    luck = spread * random.standard_normal((seeds, 1))
    latent = hard + luck + random.standard_normal((seeds, images))
    return (latent < math.sqrt(2.0) * stats.norm.ppf(accuracy)).astype(float)


def test_the_variance_is_welchs_over_seeds_and_paired_over_images():
    a, b = drawn(4, spread=0.3), drawn(6, spread=0.1, random_seed=1)
    found = difference(sample(a), sample(b))
    parts = []
    for one in (a, b):
        residual = one - one.mean(0) - one.mean(1)[:, None] + one.mean()
        chance = (residual**2).sum() / ((len(one) - 1) * 799) / 800
        parts.append((max(one.mean(1).var(ddof=1), chance), chance))
    images = ((a.mean(0) - b.mean(0)).var(ddof=1) + EXTRA_IMAGES / 800) / 800
    excess = sum((seeds - chance) / n for (seeds, chance), n in zip(parts, (4, 6), strict=True))
    assert found.se == pytest.approx(math.sqrt(images + excess))
    assert found.estimate == pytest.approx(a.mean() - b.mean())
    assert found.seeds == (4, 6)


def test_where_seeds_are_all_the_noise_it_is_welchs_test():
    random = np.random.default_rng(3)
    a, b = (
        np.repeat(random.normal(0.6, spread, (n, 1)), 5000, axis=1) for n, spread in ((5, 0.1), (7, 0.02))
    )
    found = difference(sample(a), sample(b))
    expected = stats.ttest_ind(a[:, 0], b[:, 0], equal_var=False)
    assert found.p() == pytest.approx(expected.pvalue, rel=0.05)
    assert found.df == pytest.approx(expected.df, rel=0.05)


def test_b_minus_a_mirrors_a_minus_b():
    a, b = sample(drawn(5)), sample(drawn(3, random_seed=2))
    there, back = difference(a, b), difference(b, a).reversed()
    assert (back.estimate, back.se, back.df, back.seeds) == (there.estimate, there.se, there.df, there.seeds)


def test_the_same_answers_on_few_images_leave_an_interval():
    same = sample(np.ones((5, 100)))
    found = difference(same, same)
    assert found.reach(0.025) > 0.01
    assert found.p() == pytest.approx(1.0)


def test_one_seed_or_one_image_says_nothing():
    for table in (drawn(1), drawn(4, images=1)):
        found = difference(sample(table), sample(table))
        assert math.isnan(found.se)
        assert math.isnan(found.reach(0.05))
        assert math.isnan(found.p())
        assert math.isnan(detectable(found, 0.05))
        assert seeds_needed(found, 0.01, 0.05) is None


def test_intervals_of_equals_cover_with_few_seeds_and_unequal_noise():
    missed = 0
    for study in range(400):
        a = drawn(3, images=300, spread=0.3, random_seed=2 * study, shared=study)
        b = drawn(4, images=300, spread=0.02, random_seed=2 * study + 1, shared=study)
        one = difference(sample(a), sample(b))
        missed += abs(one.estimate) > one.reach(0.05)
    assert missed / 400 < 0.07


def test_probabilities_around_the_margin_sum_to_one():
    one = difference(sample(drawn(5, 0.70)), sample(drawn(5, 0.65, random_seed=1)))
    above, equal, below = one.shares(0.01)
    assert above + equal + below == pytest.approx(1.0)
    assert above > 0.9
    assert one.reversed().shares(0.01) == pytest.approx((below, equal, above))


def test_critical_values_are_those_of_student_and_sidak():
    assert critical(0.05, 1, 8.0) == pytest.approx(stats.t.ppf(0.975, 8))
    assert critical(0.05, 6, 8.0) == pytest.approx(stats.t.ppf(1 - (1 - 0.95 ** (1 / 6)) / 2, 8))


def test_a_p_value_is_below_the_level_when_the_interval_excludes_zero():
    for gap in np.linspace(0.0, 0.08, 17):
        one = difference(sample(drawn(4, 0.65 + gap)), sample(drawn(4, 0.65, random_seed=1)))
        for pairs in (1, 10):
            assert (one.p(pairs) < 0.025) == (abs(one.estimate) > one.reach(0.025, pairs))


def test_the_surely_worse_leave_the_family_step_by_step():
    assert family([1e-9, 0.5, 1e-7], 0.05) == [6, 1, 3]
    assert family([0.4, 0.5, 0.6], 0.05) == [6, 6, 6]
    assert family([], 0.05) == []


def test_power_at_three_seeds_is_what_it_says():
    a, b = sample(drawn(3, images=2000)), sample(drawn(3, images=2000, random_seed=1))
    gap = detectable(difference(a, b), 0.05)
    found = 0
    for study in range(200):
        better = drawn(3, 0.65 + gap, 2000, random_seed=2 * study, shared=study)
        worse = drawn(3, 0.65, 2000, random_seed=2 * study + 1, shared=study)
        one = difference(sample(better), sample(worse))
        found += one.estimate > one.reach(0.05)
    assert 0.65 < found / 200 < 0.92


def test_identical_answers_do_not_find_every_difference():
    same = sample(np.tile(np.random.default_rng(0).random(500) < 0.6, (4, 1)).astype(float))
    assert detectable(difference(same, same), 0.025) > 0.005


def test_no_number_of_seeds_outweighs_too_few_images():
    random = np.random.default_rng(0)
    a, b = (np.tile(random.random(60) < 0.6, (4, 1)).astype(float) for _ in range(2))
    assert seeds_needed(difference(sample(a), sample(b)), 0.01, 0.025) is None


def test_as_many_seeds_as_needed_find_what_was_wanted():
    one = difference(sample(drawn(8)), sample(drawn(8, random_seed=1)))
    needed = seeds_needed(one, 0.012, 0.025)
    assert detectable(one.with_seeds(needed), 0.025) == pytest.approx(0.012, rel=0.1)


def test_the_rounds_together_spend_their_error():
    plan = (3, 4, 5, 6, 8, 10, 13, 16, 20)
    rounds = levels(plan, 0.025)
    random = np.random.default_rng(0)
    sums = np.cumsum(random.standard_normal((200_000, 20)), axis=1)
    z = np.abs(sums[:, [seeds - 1 for seeds in plan]]) / np.sqrt(plan)
    claimed = (z > stats.norm.isf(np.array(rounds) / 2)).any(axis=1).mean()
    assert claimed == pytest.approx(0.025, abs=0.0015)
    assert levels((5,), 0.025) == pytest.approx((0.025,), rel=1e-3)


def test_looks_together_spend_no_more_than_alpha():
    assert [alpha_of_look(look) for look in (1, 2, 3)] == [0.025, 0.0125, 0.00625]


def test_seeds_near_the_commonest_class_failed_while_others_learned():
    accuracies = {"a": np.array([0.66, 0.25, 0.67]), "b": np.array([0.28, 0.64, 0.40])}
    failed = failed_to_learn(accuracies, 0.25, 1000)
    assert {name: one.tolist() for name, one in failed.items()} == {
        "a": [False, True, False],
        "b": [True, False, False],
    }


def test_nobody_failed_where_nobody_learned():
    accuracies = {"a": np.array([0.25, 0.26]), "b": np.array([0.27, 0.25])}
    assert not any(one.any() for one in failed_to_learn(accuracies, 0.25, 1000).values())
    few = {"a": np.array([0.60, 0.50, 0.61])}  # on forty images this is no gap
    assert not failed_to_learn(few, 0.5, 40)["a"].any()


def test_the_majority_share_is_the_accuracy_of_one_answer():
    assert majority_share(np.array([0, 1, 1, 2])) == 0.5
