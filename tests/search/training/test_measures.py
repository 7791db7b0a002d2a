"""Measures equal their formulas, worked by hand or by scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss

from search.tracking import names
from search.training.measures import metrics


def drawn(images: int = 400, classes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, images)
    probabilities = rng.dirichlet(np.ones(classes), images) + 0.5 * np.eye(classes)[labels]
    return labels, probabilities / probabilities.sum(axis=1, keepdims=True)


def test_scores_equal_those_of_scikit_learn() -> None:
    labels, probabilities = drawn()
    predicted = probabilities.argmax(axis=1)
    expected = {
        "accuracy": accuracy_score(labels, predicted),
        "loss": log_loss(labels, probabilities),
        "macro_f1": f1_score(labels, predicted, average="macro"),
    }
    assert metrics.scores(labels, probabilities) == pytest.approx(expected, rel=1e-6)


def test_classes_that_never_occur_do_not_lower_macro_f1() -> None:
    labels, predicted = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    assert metrics.macro_f1(labels, np.eye(5)[predicted]) == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_a_sure_mistake_costs_a_finite_loss_and_a_lost_number_shows() -> None:
    assert metrics.cross_entropy(np.array([0]), np.array([[0.0, 1.0]])) == pytest.approx(-np.log(1e-7))
    assert np.isnan(metrics.cross_entropy(np.array([0]), np.array([[np.nan, np.nan]])))


def test_calibration_error_of_two_bins_by_hand() -> None:
    # Two images at confidence 0.9, one right: |0.9 - 0.5|; two at 0.6, both right: |0.6 - 1|.
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    labels = np.array([0, 1, 0, 0])
    assert metrics.expected_calibration_error(labels, probabilities) == pytest.approx(0.4)


def test_a_sure_and_right_network_is_calibrated() -> None:
    assert metrics.expected_calibration_error(np.array([0, 1]), np.eye(2)) == 0.0


def test_relative_overfit_by_hand() -> None:
    # Labels half and half, predictions 3 : 1, so err_random = 0.5 * 0.25 + 0.5 * 0.75 = 0.5;
    # err_rank = 0.25; with err_train = 0.1 the share is 0.15 / 0.4.
    labels, predicted = np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1])
    assert metrics.relative_overfit(0.9, labels, np.eye(2)[predicted]) == pytest.approx(0.15 / 0.4)


@pytest.mark.parametrize(
    ("train_accuracy", "expected"), [(0.5, 0.0), (0.3, 0.0), (0.75, 0.0), (0.76, 0.01 / 0.26)]
)
def test_relative_overfit_is_nought_where_nothing_was_learnt_or_lost(
    train_accuracy: float, expected: float
) -> None:
    labels, predicted = np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1])
    assert metrics.relative_overfit(train_accuracy, labels, np.eye(2)[predicted]) == pytest.approx(expected)


def test_a_network_worse_than_chance_on_the_ranking_split_lost_everything() -> None:
    assert metrics.relative_overfit(1.0, np.array([0, 1]), np.eye(2)[[1, 0]]) == 1.0


def test_overfit_slope_is_the_least_squares_slope_from_the_best_epoch() -> None:
    losses = [2.0, 1.0, 1.3, 1.1, 1.9]
    assert metrics.overfit_slope(losses, 2) == pytest.approx(np.polyfit(range(4), losses[1:], 1)[0])
    assert metrics.overfit_slope(losses, 5) == 0.0


def test_final_measures_have_their_names_in_mlflow() -> None:
    ranking, train = drawn(seed=1), drawn(seed=2)
    final = metrics.final_measures(*ranking, *train)
    assert set(final) == {
        f"{names.TRAIN_CLEAN}accuracy",
        f"{names.TRAIN_CLEAN}loss",
        names.GAP_ACCURACY,
        names.GAP_LOSS,
        names.RELATIVE_OVERFIT,
        names.ECE,
    }
    assert final[names.GAP_ACCURACY] == metrics.accuracy(*train) - metrics.accuracy(*ranking)
    assert final[names.GAP_LOSS] == metrics.cross_entropy(*ranking) - metrics.cross_entropy(*train)


def test_a_subset_keeps_the_classes_in_proportion_and_depends_on_the_seed_alone() -> None:
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [600, 300, 101]))
    subset = metrics.stratified_subset(labels, 100, seed=1)
    assert np.bincount(labels[subset]).tolist() == [60, 30, 10]
    assert len(set(subset)) == 100
    assert np.array_equal(subset, metrics.stratified_subset(labels, 100, seed=1))
    assert not np.array_equal(subset, metrics.stratified_subset(labels, 100, seed=2))
    assert np.array_equal(metrics.stratified_subset(labels, 5000, seed=1), np.arange(1001))
