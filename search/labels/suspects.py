"""Suspect labels by confident learning: cleanlab finds them, this module says which and how many.

Northcutt, Jiang and Chuang, "Confident learning: estimating uncertainty in dataset labels" (2021).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

#: A given label of at least this probability is not doubtful.
DOUBTFUL: Final = 0.05
_RESAMPLES: Final = 200
_LEVEL: Final = 0.95


@dataclass(frozen=True)
class Suspects:
    """The suspects among n images, the most doubtful first.

    Attributes:
        rows: Their row numbers, int64 (suspects,).
        suggested: The class that the networks give each of them, int64 (suspects,).
        quality: The probability of the given label, for every image, float64 (n,).
        share: The estimated share of wrong labels among all images, in [0, 1].
        low: The lower limit of its 95% interval.
        high: The upper limit of its 95% interval.
    """

    rows: NDArray[np.int64]
    suggested: NDArray[np.int64]
    quality: NDArray[np.float64]
    share: float
    low: float
    high: float

    def __len__(self) -> int:
        return len(self.rows)


def suspect_rows(labels: NDArray[np.int64], probabilities: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the rows of images whose label is doubtful, the most doubtful first.

    An image is suspect if both rules of cleanlab agree (the estimated number of each confusion, and the
    estimated number of errors of each class) and the given label has a probability below 0.05: without that,
    weak networks doubt every hard image.

    Args:
        labels: The given classes, (images,).
        probabilities: (images, classes), predicted by networks that were not trained on the image.

    Returns:
        Row numbers, int64 (suspects,).
    """
    from cleanlab.filter import find_label_issues

    if len(np.unique(labels)) < 2:
        return np.empty(0, np.int64)
    found = find_label_issues(
        labels,
        _normalised(probabilities),
        filter_by="both",
        return_indices_ranked_by="self_confidence",
        n_jobs=1,
    )
    rows = np.asarray(found, dtype=np.int64)
    return rows[np.asarray(probabilities)[rows, labels[rows]] < DOUBTFUL]


def find_suspects(
    labels: NDArray[np.int64], probabilities: NDArray[np.floating], groups: NDArray[np.int64] | None = None
) -> Suspects:
    """Find the suspect images, and estimate the share of wrong labels.

    The interval is a percentile bootstrap over images (over groups of duplicates, if given), 200 resamples.
    It covers which images were drawn, not which networks were trained.

    Args:
        labels: The given classes, (images,).
        probabilities: (images, classes), predicted by networks that were not trained on the image.
        groups: Images of one group are drawn together, (images,); None if each stands alone.

    Returns:
        The suspects and the estimate.
    """
    shares = _normalised(probabilities)
    rows = suspect_rows(labels, shares)
    estimates = [wrong_share(labels, shares)]
    members = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1]
    order = np.argsort(members, kind="stable")
    starts = np.searchsorted(members[order], np.arange(members.max(initial=-1) + 2))
    generator = np.random.default_rng(0)
    for _ in range(_RESAMPLES):
        drawn = generator.integers(0, len(starts) - 1, len(starts) - 1)
        chosen = np.concatenate([order[starts[one] : starts[one + 1]] for one in drawn])
        estimates.append(wrong_share(labels[chosen], shares[chosen]))
    tail = 100 * (1 - _LEVEL) / 2
    low, high = np.percentile(estimates[1:], [tail, 100 - tail])
    return Suspects(
        rows=rows,
        suggested=np.asarray(shares[rows].argmax(1), np.int64),
        quality=np.asarray(shares[np.arange(len(labels)), labels], np.float64),
        share=estimates[0],
        low=min(float(low), estimates[0]),
        high=max(float(high), estimates[0]),
    )


def wrong_share(labels: NDArray[np.int64], probabilities: NDArray[np.floating]) -> float:
    """Estimate the share of wrong labels: what the calibrated joint has off its diagonal.

    Args:
        labels: The given classes, (images,).
        probabilities: (images, classes), predicted by networks that were not trained on the image.

    Returns:
        A share in [0, 1].
    """
    from cleanlab.count import num_label_issues

    if len(np.unique(labels)) < 2:
        return 0.0
    shares = _normalised(probabilities)
    return float(num_label_issues(labels, shares, estimation_method="off_diagonal_calibrated")) / len(labels)


def class_pairs(
    given: NDArray[np.int64], suggested: NDArray[np.int64], classes: int
) -> list[tuple[int, int, int]]:
    """Count suspects by given and suggested class.

    Args:
        given: The given class of each suspect, (suspects,).
        suggested: The class that the networks give it, (suspects,).
        classes: The number of classes.

    Returns:
        (given, suggested, count), the most frequent first.
    """
    counts = np.bincount(given * classes + suggested, minlength=classes * classes)
    order = [int(pair) for pair in np.argsort(-counts, kind="stable") if counts[pair]]
    return [(pair // classes, pair % classes, int(counts[pair])) for pair in order]


def _normalised(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Probabilities as float64 rows that sum to 1, as cleanlab demands."""
    shares = np.clip(np.asarray(probabilities, np.float64), 0.0, None)
    return np.asarray(shares / np.maximum(shares.sum(1, keepdims=True), 1e-12))
