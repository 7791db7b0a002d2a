"""Temperature scaling: probabilities that are as sure as they are right.

Guo et al., On Calibration of Modern Neural Networks (2017): one number divides all logits, so which class
comes first never changes. It is fitted on images that the network was not trained on.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

#: Temperatures that are tried lie between these; on few images, all of them right, the best is 0.
COLDEST: Final = 0.05
HOTTEST: Final = 20.0
_SMALLEST: Final = 1e-12
_HALVINGS: Final = 40


def fit_temperature(probabilities: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]) -> float:
    """The temperature with the lowest cross-entropy.

    Args:
        probabilities: (images, classes), rows sum to 1, as the network gives them.
        labels: (images,), from 0.

    Cross-entropy is convex in 1 / temperature: where its slope changes sign, it is lowest.
    """
    logs = np.log(np.clip(probabilities, _SMALLEST, 1.0)).astype(np.float64)
    true = float(np.mean(logs[np.arange(len(labels)), labels]))
    low, high = 1 / HOTTEST, 1 / COLDEST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        expected = float(np.mean((_softmax(logs * middle) * logs).sum(axis=1)))
        low, high = (low, middle) if expected > true else (middle, high)
    return 2 / (low + high)


def tempered(probabilities: NDArray[np.floating[Any]], temperature: float) -> NDArray[np.float32]:
    """The probabilities at a temperature: above 1 less sure, below 1 surer.

    Args:
        probabilities: (images, classes); each row sums to 1.
        temperature: The temperature, above 0.

    Returns:
        Probabilities, float32 (images, classes).
    """
    if temperature == 1.0:
        return probabilities.astype(np.float32)
    logs = np.log(np.clip(probabilities, _SMALLEST, 1.0)).astype(np.float64)
    return _softmax(logs / temperature).astype(np.float32)


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    normalised: NDArray[np.float64] = raised / raised.sum(axis=1, keepdims=True)
    return normalised
