"""What an evaluation said about each image, read from its artifact and checked."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reports.records.store import MissingArtifactError
from search.safety.sizes import load_npz
from spaces.errors import UserError


@dataclass(frozen=True)
class Predictions:
    """One evaluation's predictions on its ranking split, in the order of the image ids.

    ids (images,) str; labels (images,) int64; probabilities (images, classes) float32;
    groups (images,) int64, twins share a number; has_twin (images,) bool, a twin was in the training side.
    """

    ids: NDArray[np.str_]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    groups: NDArray[np.int64]
    has_twin: NDArray[np.bool_]

    @cached_property
    def guesses(self) -> NDArray[np.int64]:
        """The class with the highest probability, (images,)."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @cached_property
    def correct(self) -> NDArray[np.bool_]:
        """Whether the guess is the label, (images,)."""
        return np.asarray(self.guesses == self.labels)

    @property
    def accuracy(self) -> float:
        """Share of correct guesses."""
        return float(self.correct.mean())


def read_predictions(path: Path) -> Predictions:
    """Read `predictions.npz`; raises MissingArtifactError when it is damaged. Nothing in it is executed.

    Args:
        path: The file.
    """
    try:
        return _checked(dict(load_npz(path)))
    except (UserError, ValueError, KeyError, IndexError) as error:
        raise MissingArtifactError(f"{path.name} cannot be read ({error})") from error


def _checked(held: dict[str, NDArray[np.generic]]) -> Predictions:
    ids, labels, probabilities = held["ids"].astype(str), held["labels"], held["probabilities"]
    count = len(ids)
    if probabilities.ndim != 2 or not count or {len(labels), len(probabilities)} != {count}:
        raise ValueError("its arrays do not fit together")
    order = np.argsort(ids, kind="stable")
    groups = held.get("groups", np.arange(count))
    twins = held.get("has_twin", np.zeros(count, bool))
    return Predictions(
        ids=ids[order],
        labels=labels[order].astype(np.int64),
        probabilities=probabilities[order].astype(np.float32),
        groups=groups[order].astype(np.int64),
        has_twin=twins[order].astype(bool),
    )
