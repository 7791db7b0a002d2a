"""Which seeds failed to learn: an outcome of its own, not a noisy accuracy."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Others must be so much above the commonest class, in accuracy and in its standard errors.
_LEARNED, _LEARNED_ERRORS = 0.05, 4.0


def majority_share(labels: NDArray[np.int64]) -> float:
    """The accuracy of always answering the commonest class of labels (images,)."""
    return float(np.bincount(labels).max() / len(labels))


def failed_to_learn(
    accuracies: Mapping[str, Floats], majority: float, images: int, near: float = 0.1
) -> dict[str, Bools]:
    """Tell the seeds at or near the majority class's share from those that learned.

    A seed failed if its accuracy is at most majority + near (A - majority), where A is the highest of the
    candidates' median accuracies. No seed failed if A itself is not clearly above the majority's share.

    Args:
        accuracies: by candidate, (seeds,) shares of right answers.
        majority: the share of the commonest class among the judged images.
        images: how many images judge.
        near: the part of the way from the majority's share to A that counts as near, in [0, 1).

    Returns:
        By candidate, (seeds,), true where the seed failed.
    """
    best = max(float(np.median(one)) for one in accuracies.values())
    error = np.sqrt(majority * (1.0 - majority) / images)
    if best - majority < max(_LEARNED, _LEARNED_ERRORS * error):
        return {name: np.zeros(len(one), dtype=np.bool_) for name, one in accuracies.items()}
    limit = majority + near * (best - majority)
    return {name: np.asarray(one <= limit) for name, one in accuracies.items()}
