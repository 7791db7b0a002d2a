"""How much of its distance to chance a network loses from training to new images, with an interval."""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from reports.statistics.twoway import (
    Estimate,
    Floats,
    by_twins,
    two_way,
)

Labels = NDArray[np.int64]

#: A network this near to chance on its own training images has learnt nothing that it could overfit.
_LEAST_ROOM = 0.02


def relative_overfit(
    labels: Labels,
    predictions: Labels,
    train_accuracy: Floats,
    classes: int,
    *,
    groups: Labels | None = None,
    alpha: float = 0.05,
) -> Estimate:
    """Relative overfit R = (err - err_train) / (err_random - err_train), averaged over seeds.

    Efron and Tibshirani, Improvements on Cross-Validation: The .632+ Bootstrap Method (1997). err_random =
    sum_k p_k (1 - q_k), with p the label and q the prediction frequencies. The estimate is the mean of the
    seeds' R, each clipped to [0, 1].

    The interval is over new seeds, new images and new training images, by the influence of each image on R
    and the two-way analysis. It lies in [0, 1]. A seed whose R is clipped to 0 pulls the limits as if it
    were exactly there. R is 0 for a network that is hardly better than chance on its training images: it has
    learnt nothing.

    Args:
        labels: The class of each image, (images,).
        predictions: The predicted classes, (seeds, images).
        train_accuracy: Accuracy in inference mode on as many training images, (seeds,), in [0, 1].
        classes: The number of classes.
        groups: The group of duplicates of each image, (images,); None for no duplicates.
        alpha: What the interval leaves out, in (0, 1).

    Returns:
        The estimate and its interval.
    """
    train_error = 1.0 - np.asarray(train_accuracy, dtype=np.float64)
    values, ratio, slope = _by_image(labels, predictions, train_error, classes)
    table = two_way(by_twins(values, groups), alpha=alpha)
    # All seeds share one sample of training images: more seeds do not shrink its part of the variance.
    train_variance = (slope.mean() ** 2) * float((train_error * (1.0 - train_error)).mean()) / len(labels)
    se = float(np.sqrt(table.se**2 + train_variance))
    df = table.df * (se / table.se) ** 4 if table.se > 0.0 else table.df
    reach = float(stats.t.ppf(1.0 - alpha / 2.0, df)) * se
    middle = float(np.clip(ratio, 0.0, 1.0).mean())
    low, high = (float(np.clip(middle + sign * reach, 0.0, 1.0)) for sign in (-1.0, 1.0))
    return replace(table, estimate=middle, se=se, df=df, low=low, high=high, p=math.nan)


def _by_image(
    labels: Labels, predictions: Labels, train_error: Floats, classes: int
) -> tuple[Floats, Floats, Floats]:
    """R plus each image's influence on it (seeds, images), R (seeds,), and dR / d err_train (seeds,)."""
    p = np.bincount(labels, minlength=classes) / len(labels)
    q = (predictions[:, :, None] == np.arange(classes)).mean(axis=1)
    agreement = q @ p
    wrong = (predictions != labels).astype(np.float64)
    error = wrong.mean(axis=1)
    room = 1.0 - agreement - train_error
    ratio = np.divide(error - train_error, room, out=np.zeros_like(error), where=room > _LEAST_ROOM)
    inside = (ratio > 0.0) & (ratio < 1.0)
    scale = np.divide(1.0, room, out=np.zeros_like(room), where=inside)
    by_label = np.take_along_axis(q, np.broadcast_to(labels, predictions.shape), axis=1)
    chance = 2.0 * agreement[:, None] - by_label - p[predictions]
    influence = (wrong - error[:, None]) - ratio[:, None] * chance
    return (
        np.asarray(np.clip(ratio, 0.0, 1.0)[:, None] + scale[:, None] * influence),
        np.asarray(ratio),
        np.asarray((ratio - 1.0) * scale),
    )
