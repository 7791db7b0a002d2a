"""What a trained network is worth and how much it overfits: pure functions of labels and probabilities.

Shapes throughout: labels (images,) of whole numbers from 0, probabilities (images, classes), rows sum to 1.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from search.tracking import names

Labels = NDArray[np.integer[Any]]
Probabilities = NDArray[np.floating[Any]]

#: Keras' own: probabilities below it count as it, so that one sure mistake does not cost infinitely.
_SMALLEST: Final = 1e-7


def accuracy(labels: Labels, probabilities: Probabilities) -> float:
    """The share of images whose most probable class is theirs, in [0, 1].

    Args:
        labels: The class of each image, (images,).
        probabilities: (images, classes); each row sums to 1.
    """
    return float(np.mean(probabilities.argmax(axis=1) == labels))


def cross_entropy(labels: Labels, probabilities: Probabilities) -> float:
    """The mean of -ln(probability of the true class), in nats; NaN if a probability is.

    Args:
        labels: The class of each image, (images,).
        probabilities: (images, classes); each row sums to 1.
    """
    true = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(np.mean(-np.log(np.clip(true, _SMALLEST, 1.0))))


def macro_f1(labels: Labels, probabilities: Probabilities) -> float:
    """The mean over classes of 2 TP / (2 TP + FP + FN), in [0, 1].

    Classes that are neither present nor predicted are left out.

    Args:
        labels: The class of each image, (images,).
        probabilities: (images, classes); each row sums to 1.
    """
    classes = probabilities.shape[1]
    predictions = probabilities.argmax(axis=1)
    hits = np.bincount(labels[predictions == labels], minlength=classes)
    total = np.bincount(labels, minlength=classes) + np.bincount(predictions, minlength=classes)
    return float(np.mean(2 * hits[total > 0] / total[total > 0]))


def scores(labels: Labels, probabilities: Probabilities) -> dict[str, float]:
    """The three quantities that a study may rank by.

    Args:
        labels: The class of each image, (images,).
        probabilities: (images, classes); each row sums to 1.

    Returns:
        accuracy, loss and macro_f1, by name.
    """
    return {
        "accuracy": accuracy(labels, probabilities),
        "loss": cross_entropy(labels, probabilities),
        "macro_f1": macro_f1(labels, probabilities),
    }


def expected_calibration_error(labels: Labels, probabilities: Probabilities, bins: int = 15) -> float:
    """The mean distance between confidence and accuracy over bins of confidence, weighted by size.

    Guo et al., On Calibration of Modern Neural Networks (2017).

    Args:
        labels: The class of each image, (images,).
        probabilities: (images, classes); each row sums to 1.
        bins: The number of bins of equal width.

    Returns:
        The error, in [0, 1].
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = probabilities.argmax(axis=1) == labels
    member = np.minimum((confidence * bins).astype(int), bins - 1)
    surplus = np.bincount(member, weights=confidence - correct, minlength=bins)
    return float(np.abs(surplus).sum() / len(labels))


def relative_overfit(train_accuracy: float, labels: Labels, probabilities: Probabilities) -> float:
    """The share of what could be lost to overfitting that was lost, from 0 to 1.

    R of the .632+ estimator (Efron and Tibshirani 1997): (err_rank - err_train) / (err_random - err_train),
    where err_random = sum_k p_k (1 - q_k) is the error of the network's predictions on shuffled labels, p
    and q being the frequencies of labels and predictions. 0 when the network is no better on train than
    err_random: then nothing was learnt that could be lost.

    Args:
        train_accuracy: on train, in inference mode.
        labels: of the ranking split, (images,).
        probabilities: on the ranking split, (images, classes).
    """
    classes = probabilities.shape[1]
    frequency = np.bincount(labels, minlength=classes) / len(labels)
    predicted = np.bincount(probabilities.argmax(axis=1), minlength=classes) / len(labels)
    err_train, err_rank = 1 - train_accuracy, 1 - accuracy(labels, probabilities)
    span = float(frequency @ (1 - predicted)) - err_train
    return float(np.clip((err_rank - err_train) / span, 0, 1)) if span > 0 else 0.0


def overfit_slope(monitor_losses: Sequence[float], best_epoch: int) -> float:
    """The least-squares slope of the monitor loss from the best epoch on.

    Args:
        monitor_losses: The monitor loss of each epoch, in nats.
        best_epoch: The best epoch, counted from 1.

    Returns:
        Nats per epoch; 0 if no epoch follows the best one.
    """
    tail = np.asarray(monitor_losses[best_epoch - 1 :], dtype=np.float64)
    if len(tail) < 2:
        return 0.0
    steps = np.arange(len(tail)) - (len(tail) - 1) / 2
    return float(steps @ tail / (steps @ steps))


def final_measures(
    ranking_labels: Labels,
    ranking_probabilities: Probabilities,
    train_labels: Labels,
    train_probabilities: Probabilities,
) -> dict[str, float]:
    """The final metrics that compare train with the ranking split, under their names in MLflow.

    Args:
        ranking_labels: of the split that ranks: monitor in explore, validation in confirm; (images,).
        ranking_probabilities: with the kept weights, in inference mode; (images, classes).
        train_labels: of a fixed stratified subset of train (`stratified_subset`); (images,).
        train_probabilities: on that subset, with the kept weights, in inference mode; (images, classes).
    """
    ranking = scores(ranking_labels, ranking_probabilities)
    train = scores(train_labels, train_probabilities)
    return {
        f"{names.TRAIN_CLEAN}accuracy": train["accuracy"],
        f"{names.TRAIN_CLEAN}loss": train["loss"],
        names.GAP_ACCURACY: train["accuracy"] - ranking["accuracy"],
        names.GAP_LOSS: ranking["loss"] - train["loss"],
        names.RELATIVE_OVERFIT: relative_overfit(train["accuracy"], ranking_labels, ranking_probabilities),
        names.ECE: expected_calibration_error(ranking_labels, ranking_probabilities),
    }


def stratified_subset(labels: Labels, size: int, seed: int) -> NDArray[np.int64]:
    """Draw images with every class in its proportion.

    Places left over by rounding go to the classes with the largest remainders.

    Args:
        labels: The class of each image, (images,).
        size: The number of images to draw; all, if there are fewer.
        seed: Of the draw.

    Returns:
        Row numbers, ascending.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if size >= len(labels):
        return np.arange(len(labels))
    shares = counts * size / len(labels)
    places = shares.astype(int)
    places[np.argsort(places - shares, kind="stable")[: size - places.sum()]] += 1
    rng = np.random.default_rng(seed)
    drawn = [
        rng.choice(np.flatnonzero(labels == label), n, replace=False)
        for label, n in zip(classes, places, strict=True)
    ]
    return np.sort(np.concatenate(drawn))
