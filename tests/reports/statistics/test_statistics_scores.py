"""Scores that are no plain means: what each image contributes averages to the score, its spread is right."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from reports.statistics import (
    correct,
    crossed_bootstrap,
    expected_calibration_error,
    log_likelihood,
    macro_f1,
    macro_f1_by_image,
    percentile_interval,
    relative_overfit,
    two_way,
)

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.choice(5, size=400, p=[0.4, 0.3, 0.15, 0.1, 0.05])
GUESSES = np.where(RANDOM.random((6, 400)) < 0.7, LABELS, RANDOM.integers(5, size=(6, 400)))


def test_macro_f1_is_that_of_scikit_learn():
    expected = [f1_score(LABELS, row, average="macro") for row in GUESSES]
    np.testing.assert_allclose(macro_f1(LABELS, GUESSES, 5)[0], expected)


def test_a_class_that_never_occurs_does_not_count():
    np.testing.assert_allclose(macro_f1(LABELS, GUESSES, 9), macro_f1(LABELS, GUESSES, 5))
    np.testing.assert_allclose(macro_f1_by_image(LABELS, GUESSES, 9), macro_f1_by_image(LABELS, GUESSES, 5))


def test_contributions_to_macro_f1_average_to_it():
    np.testing.assert_allclose(
        macro_f1_by_image(LABELS, GUESSES, 5).mean(axis=1), macro_f1(LABELS, GUESSES, 5)[0]
    )


def test_contributions_to_macro_f1_spread_like_its_bootstrap():
    one = GUESSES[:1]
    draws = crossed_bootstrap(lambda weights: macro_f1(LABELS, one, 5, weights), 1, 400)
    assert two_way(macro_f1_by_image(LABELS, one, 5)).se == pytest.approx(draws.std(), rel=0.1)


def test_weights_stand_for_repeated_images():
    weights = RANDOM.integers(3, size=400)
    again = np.repeat(np.arange(400), weights)
    weighted = macro_f1(LABELS, GUESSES, 5, weights[None].astype(float))
    np.testing.assert_allclose(weighted, macro_f1(LABELS[again], GUESSES[:, again], 5))


def test_correct_and_log_likelihood_read_the_label_column():
    probabilities = np.array([[[0.7, 0.3], [0.4, 0.6]], [[0.2, 0.8], [1.0, 0.0]]])
    labels = np.array([0, 1])
    assert correct(labels, probabilities).tolist() == [[1.0, 1.0], [0.0, 0.0]]
    np.testing.assert_allclose(log_likelihood(labels, probabilities), np.log([[0.7, 0.6], [0.2, 1e-7]]))


def test_calibration_error_is_the_distance_of_confidence_and_accuracy():
    probabilities = np.tile([0.8, 0.2], (1, 100, 1))
    labels = np.array([0] * 60 + [1] * 40)
    assert expected_calibration_error(labels, probabilities)[0, 0] == pytest.approx(0.2)


def test_relative_overfit_is_the_share_of_the_way_to_chance():
    labels = np.repeat(np.arange(4), 25)
    guesses = np.where(np.arange(100) % 25 < 15, labels, (labels + 1) % 4)[None]
    found = relative_overfit(labels, guesses, np.array([0.8]), 4)
    assert found.estimate == pytest.approx((0.4 - 0.2) / (0.75 - 0.2))
    assert 0.0 < found.low < found.estimate < found.high < 1.0


def test_relative_overfit_of_an_untrained_network_is_none():
    labels = np.repeat(np.arange(4), 25)
    found = relative_overfit(labels, np.zeros((3, 100), dtype=int), np.full(3, 0.25), 4)
    assert (found.estimate, found.low) == (0.0, 0.0)


def test_relative_overfit_varies_like_its_bootstrap():
    def ratio(weights):
        shares = weights / weights.sum(axis=1, keepdims=True)
        error = shares @ (GUESSES != LABELS).T
        p = np.stack([shares @ (k == LABELS) for k in range(5)], axis=-1)
        q = np.stack([shares @ (k == GUESSES).T for k in range(5)], axis=-1)
        chance = 1.0 - (p[:, None, :] * q).sum(axis=-1)
        return (error - 0.15) / (chance - 0.15)

    one = relative_overfit(LABELS, GUESSES, np.full(6, 0.85), 5)
    draws = ratio(np.random.default_rng(3).multinomial(400, np.full(400, 1 / 400), size=2000).astype(float))
    images_alone = np.sqrt(one.image_variance + one.chance_variance / 6)
    assert images_alone == pytest.approx(draws.mean(axis=1).std(), rel=0.15)
    assert one.estimate == pytest.approx(ratio(np.ones((1, 400))).mean())


def test_crossed_bootstrap_draws_the_same_for_the_same_seed_and_keeps_twins_together():
    def score(weights):
        return macro_f1(LABELS, GUESSES, 5, weights)

    twins = np.arange(400) // 2
    first, second = (crossed_bootstrap(score, 6, 400, groups=twins, resamples=50) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    weights = []
    crossed_bootstrap(lambda w: weights.append(w) or np.ones((50, 6)), 6, 400, groups=twins, resamples=50)
    np.testing.assert_array_equal(weights[0][:, ::2], weights[0][:, 1::2])
    low, high = percentile_interval(first)
    assert low < macro_f1(LABELS, GUESSES, 5).mean() < high
