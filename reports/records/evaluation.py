"""The predictions of one study's confirm stage, one table of seeds and images for each candidate."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reports import statistics
from reports.statistics import Estimate

Objective = Literal["val_accuracy", "macro_f1", "loss"]
Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """One candidate trained with one seed and judged on the validation images, at the confirm stage.

    ids (images,) strings; labels (images,) integers; probabilities (images, classes); groups (images,), twins
    share a number; has_twin (images,), true where the training side had a twin. Accuracies are shares, NaN
    where unknown.
    """

    candidate: str
    architecture: str
    label: str
    family: str
    variant: str
    seed: int
    parameters: int
    baseline: bool
    ids: NDArray[np.str_]
    labels: Labels
    probabilities: NDArray[np.floating]
    groups: Labels
    has_twin: NDArray[np.bool_]
    train_clean_accuracy: float = math.nan


@dataclass(frozen=True, eq=False)
class Candidate:
    """The tables of one candidate, (seeds, different images) each, seeds in rising order."""

    evaluations: tuple[Evaluation, ...]
    seeds: tuple[int, ...]
    scores: Floats  # values whose mean is the objective, higher is better
    accuracies: Floats
    overfit: Estimate | None  # None where the training accuracy is unknown

    def on(self, seeds: Sequence[int], values: Floats) -> Floats:
        """The rows of one of its tables that belong to these seeds, in their order."""
        return values[[self.seeds.index(seed) for seed in seeds]]

    @property
    def name(self) -> str:
        """The candidate's fingerprint."""
        return self.evaluations[0].candidate

    @property
    def score(self) -> float:
        """The objective's mean over seeds; higher is better."""
        return float(self.scores.mean())


def candidates_of(
    evaluations: Sequence[Evaluation], objective: Objective, alpha: float
) -> Iterator[Candidate]:
    """One table per candidate, its images in the order of the first evaluation's ids."""
    if not evaluations:
        raise ValueError("Nothing to compare: there is no confirmed evaluation.")
    by_candidate: defaultdict[str, list[Evaluation]] = defaultdict(list)
    for evaluation in evaluations:
        by_candidate[evaluation.candidate].append(_aligned(evaluation, evaluations[0].ids))
    for name, own in by_candidate.items():
        own.sort(key=lambda one: one.seed)
        seeds = tuple(one.seed for one in own)
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"Candidate {name} has a seed twice. Received seeds: {seeds}")
        yield _tables(tuple(own), seeds, objective, alpha)


def _aligned(evaluation: Evaluation, ids: NDArray[np.str_]) -> Evaluation:
    if np.array_equal(evaluation.ids, ids):
        return evaluation
    ours, theirs = np.argsort(evaluation.ids, kind="stable"), np.argsort(ids, kind="stable")
    if not np.array_equal(evaluation.ids[ours], ids[theirs]):
        raise ValueError(
            f"Candidate {evaluation.candidate}, seed {evaluation.seed} was judged on other images "
            f"than the first evaluation ({len(evaluation.ids)} and {len(ids)} ids): they cannot be compared."
        )
    order = np.empty_like(ours)
    order[theirs] = ours
    return replace(
        evaluation,
        ids=evaluation.ids[order],
        labels=evaluation.labels[order],
        probabilities=evaluation.probabilities[order],
        groups=evaluation.groups[order],
        has_twin=evaluation.has_twin[order],
    )


def _tables(
    own: tuple[Evaluation, ...], seeds: tuple[int, ...], objective: Objective, alpha: float
) -> Candidate:
    labels, groups = own[0].labels, own[0].groups
    predictions = np.stack([one.probabilities.argmax(axis=1) for one in own])
    accuracies = np.asarray(predictions == labels, dtype=np.float64)
    return Candidate(
        evaluations=own,
        seeds=seeds,
        scores=statistics.by_twins(_scores(own, predictions, accuracies, objective), groups),
        accuracies=statistics.by_twins(accuracies, groups),
        overfit=_overfit(own, predictions, alpha),
    )


def _scores(
    own: Sequence[Evaluation], predictions: Labels, accuracies: Floats, objective: Objective
) -> Floats:
    labels, classes = own[0].labels, own[0].probabilities.shape[1]
    if objective == "val_accuracy":
        return accuracies
    if objective == "macro_f1":
        return statistics.macro_f1_by_image(labels, predictions, classes)
    return np.stack([statistics.log_likelihood(labels, one.probabilities) for one in own])


def _overfit(own: Sequence[Evaluation], predictions: Labels, alpha: float) -> Estimate | None:
    train_accuracy = np.array([one.train_clean_accuracy for one in own])
    if np.isnan(train_accuracy).any():
        return None
    classes = own[0].probabilities.shape[1]
    return statistics.relative_overfit(
        own[0].labels, predictions, train_accuracy, classes, groups=own[0].groups, alpha=alpha
    )
