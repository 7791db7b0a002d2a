"""What one image says about a network, and scores that are not a mean over images.

Comparisons need one value per image whose mean is the score: `correct` for accuracy, `log_likelihood` for
loss (sign turned: higher is better), `macro_f1_by_image` for macro F1.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Probabilities = NDArray[np.floating]

#: Keras clips probabilities there before it takes the logarithm.
SMALLEST_PROBABILITY = 1e-7


def correct(labels: Labels, probabilities: Probabilities) -> Floats:
    """1 where the most probable class is the label, else 0; (..., images) from (..., images, classes)."""
    return np.asarray(probabilities.argmax(axis=-1) == labels, dtype=np.float64)


def log_likelihood(labels: Labels, probabilities: Probabilities) -> Floats:
    """Log of the label's probability: minus the cross-entropy; (..., images) from (..., images, classes)."""
    index = np.broadcast_to(labels[:, None], (*probabilities.shape[:-1], 1))
    own = np.take_along_axis(probabilities, index, axis=-1)[..., 0]
    return np.log(np.clip(own.astype(np.float64), SMALLEST_PROBABILITY, 1.0))


def macro_f1(labels: Labels, predictions: Labels, classes: int, weights: Floats | None = None) -> Floats:
    """F1 averaged over the classes that occur.

    labels (images,), predictions (seeds, images), weights (resamples, images) or None for one each. Returns
    (resamples, seeds). A class that is neither a label nor predicted does not count.
    """
    if weights is None:
        weights = np.ones((1, len(labels)))
    truth = _one_hot(labels, classes)
    guess = _one_hot(predictions, classes)
    hits = np.tensordot(weights, guess * truth, axes=(1, 1))
    both = np.tensordot(weights, guess, axes=(1, 1)) + (weights @ truth)[:, None, :]
    f1 = np.divide(2.0 * hits, both, out=np.full_like(hits, np.nan), where=both > 0)
    return np.asarray(np.nanmean(f1, axis=-1))


def macro_f1_by_image(labels: Labels, predictions: Labels, classes: int) -> Floats:
    """Values per image whose mean is macro F1: the score plus each image's influence on it.

    labels (images,), predictions (seeds, images). Returns (seeds, images). The influence function turns a
    smooth function of means into a mean (infinitesimal jackknife: Efron 1982; Davison and Hinkley 1997,
    section 2.7), so that one analysis serves every objective.
    """
    truth = _one_hot(labels, classes)
    guess = _one_hot(predictions, classes)
    both = guess.sum(axis=1) + truth.sum(axis=0)
    present = both > 0
    size = np.where(present, both, 1.0)
    f1 = 2.0 * (guess * truth).sum(axis=1) / size
    share = (2.0 * guess * truth - f1[:, None, :] * (guess + truth)) / size[:, None, :]
    count = present.sum(axis=1)
    influence = len(labels) * share.sum(axis=2) / count[:, None]
    return np.asarray(f1.sum(axis=1)[:, None] / count[:, None] + influence)


def expected_calibration_error(
    labels: Labels, probabilities: Probabilities, bins: int = 15, weights: Floats | None = None
) -> Floats:
    """Mean distance between confidence and accuracy over equal bins of confidence (Guo et al. 2017).

    labels (images,), probabilities (seeds, images, classes), weights (resamples, images) or None for one
    each. Returns (resamples, seeds).
    """
    if weights is None:
        weights = np.ones((1, len(labels)))
    confidence = probabilities.max(axis=-1).astype(np.float64)
    excess = correct(labels, probabilities) - confidence
    bin_of = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    in_bin = _one_hot(bin_of, bins) * excess[..., None]
    gaps = np.abs(np.tensordot(weights, in_bin, axes=(1, 1))).sum(axis=-1)
    return np.asarray(gaps / weights.sum(axis=1, keepdims=True))


def _one_hot(codes: Labels, classes: int) -> Floats:
    return np.asarray(codes[..., None] == np.arange(classes), dtype=np.float64)
