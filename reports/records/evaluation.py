"""The predictions of one study's confirm stage, one table of seeds and images for each candidate."""

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reports import statistics
from reports.statistics import Estimate

Objective = Literal["val_accuracy", "macro_f1", "loss"]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
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
class ScoreTable:
    """The scores of one candidate: what a comparison needs of it.

    seeds rise; scores (seeds, different images), higher is better, their mean is the objective; accuracy
    (seeds,), the share of right answers of each seed.
    """

    name: str
    label: str
    parameters: int
    seeds: tuple[int, ...]
    scores: Floats
    accuracy: Floats

    def on(self, seeds: Collection[int]) -> "ScoreTable":
        """The rows that belong to these seeds."""
        kept = [index for index, seed in enumerate(self.seeds) if seed in seeds]
        return replace(
            self,
            seeds=tuple(self.seeds[index] for index in kept),
            scores=self.scores[kept],
            accuracy=self.accuracy[kept],
        )


@dataclass(frozen=True, eq=False)
class Candidate:
    """One candidate's evaluations, seeds in rising order, and the tables made from them."""

    evaluations: tuple[Evaluation, ...]
    table: ScoreTable
    accuracies: Floats  # (seeds, different images)

    @property
    def name(self) -> str:
        """The candidate's fingerprint."""
        return self.evaluations[0].candidate

    def overfit(self, counted: Bools, alpha: float) -> Estimate | None:
        """Relative overfit over the seeds that count.

        Args:
            counted: (seeds,), which seeds learned.
            alpha: what both ends of the interval leave out.

        Returns:
            The estimate with its interval; None if no seed counts or a training accuracy is unknown.
        """
        own = [one for one, kept in zip(self.evaluations, counted, strict=True) if kept]
        train_accuracy = np.array([one.train_clean_accuracy for one in own])
        if not own or np.isnan(train_accuracy).any() or self.accuracies.shape[1] < 2:
            return None
        predictions = np.stack([one.probabilities.argmax(axis=1) for one in own])
        classes = own[0].probabilities.shape[1]
        return statistics.relative_overfit(
            own[0].labels, predictions, train_accuracy, classes, groups=own[0].groups, alpha=alpha
        )


def candidates_of(evaluations: Sequence[Evaluation], objective: Objective) -> Iterator[Candidate]:
    """Gather the evaluations of each candidate, images in the order of the first evaluation's ids.

    Args:
        evaluations: of one study's confirm stage.
        objective: the metric whose mean over images the scores are.

    Raises:
        ValueError: there is no evaluation, a candidate has a seed twice, or images differ.
    """
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
        yield _tables(tuple(own), seeds, objective)


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


def _tables(own: tuple[Evaluation, ...], seeds: tuple[int, ...], objective: Objective) -> Candidate:
    labels, groups = own[0].labels, own[0].groups
    predictions = np.stack([one.probabilities.argmax(axis=1) for one in own])
    accuracies = np.asarray(predictions == labels, dtype=np.float64)
    table = ScoreTable(
        name=own[0].candidate,
        label=own[0].label,
        parameters=own[0].parameters,
        seeds=seeds,
        scores=statistics.by_twins(_scores(own, predictions, accuracies, objective), groups),
        accuracy=accuracies.mean(axis=1),
    )
    return Candidate(own, table, statistics.by_twins(accuracies, groups))


def _scores(
    own: Sequence[Evaluation], predictions: Labels, accuracies: Floats, objective: Objective
) -> Floats:
    labels, classes = own[0].labels, own[0].probabilities.shape[1]
    if objective == "val_accuracy":
        return accuracies
    if objective == "macro_f1":
        return statistics.macro_f1_by_image(labels, predictions, classes)
    return np.stack([statistics.log_likelihood(labels, one.probabilities) for one in own])
