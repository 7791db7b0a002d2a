"""The trainings of one evaluation: one, as a rule; one a fold, or one a seed where explore asks for several.

Where there are several, what they say of their ranking images is pooled. Over the folds of a small set every
image is judged once, by a network that has not seen it: one evaluation, one seed, all images. Over the seeds
of explore every monitor image is judged once by each, so that pooled scores are means over seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from search.datasets.cache.row_view import Selection
from search.datasets.prepare import Part, Prepared
from search.datasets.splits import carve, folds
from search.execution.messages import Task
from search.tracking import names
from search.training.fit import TrainingResult
from search.training.measures import metrics
from search.training.measures.probability_calibration import fit_temperature
from search.training.measures.worst_images import worst_rows
from spaces.errors import UserError

#: Between the seeds of an evaluation's trainings; the seeds of evaluations are far below it.
_STRIDE: Final = 100_003
_BESIDE_IMAGES: Final = tuple(field for field in fields(Part) if field.name != "images")


@dataclass(frozen=True)
class Replicate:
    """One training: its images, those that watch it, those that rank it, and its seed."""

    training: Part
    monitor: Part
    ranking: Part
    seed: int


@dataclass(frozen=True)
class ReplicateResult:
    """What the network of one round, trained to its end, says; probabilities are (images, classes)."""

    replicate: Replicate
    trained: TrainingResult
    subset: NDArray[np.int64]  # rows of train, as many as there are ranking images
    on_train: NDArray[np.float32]
    on_monitor: NDArray[np.float32]
    on_ranking: NDArray[np.float32]


def plan_replicates(task: Task, dataset: Prepared) -> tuple[Replicate, ...]:
    """The trainings of a task, in their order; the first has the task's own seed.

    Args:
        task: The evaluation.
        dataset: The study's images.

    Raises:
        UserError: If there are too few images for a monitor split or for the folds.
    """
    seeds = [task.seed + number * _STRIDE for number in range(task.folds or task.rounds)]
    if task.folds:
        return tuple(_folded(task, dataset, seeds))
    training, monitor = _split_off_monitor(task, dataset.train())
    if task.rates:  # how long is known: nothing has to watch
        training = dataset.train()
    if task.train_images:
        chosen = metrics.stratified_subset(training.labels, task.train_images, task.monitor_seed)
        training = select_rows(training, chosen)
    if task.sample:
        training, monitor = (
            select_rows(training, slice(task.sample)),
            select_rows(monitor, slice(task.sample)),
        )
    ranking = dataset.validation() if task.validate else monitor
    return tuple(Replicate(training, monitor, ranking, seed) for seed in seeds)


def _folded(task: Task, dataset: Prepared, seeds: Sequence[int]) -> list[Replicate]:
    """A round for each fold of train and validation together, drawn anew by every seed of monitor."""
    whole = _concatenated(dataset.train(), dataset.validation())
    fold = folds(whole.labels, whole.groups, len(seeds), task.monitor_seed, whole.ids)
    found = []
    for number, seed in enumerate(seeds):
        training, monitor = _split_off_monitor(task, select_rows(whole, np.flatnonzero(fold != number)))
        found.append(Replicate(training, monitor, select_rows(whole, np.flatnonzero(fold == number)), seed))
    return found


def _split_off_monitor(task: Task, whole: Part) -> tuple[Part, Part]:
    """What gradients come from, and monitor. Raises UserError where there are too few images for both."""
    rest, carved = carve(whole.labels, whole.groups, task.monitor_fraction, task.monitor_seed, whole.ids)
    if not len(carved):
        raise UserError(
            f"Of the {len(whole):,} images to train on, no class has two that are no duplicates of each "
            f"other, so monitor, which watches the training, would be empty: give more images of each class."
        )
    return select_rows(whole, rest), select_rows(whole, carved)


def select_rows(part: Part, rows: NDArray[np.int64] | slice) -> Part:
    """Some rows of a part; its images stay where they are.

    Args:
        part: A part of the data set.
        rows: Row numbers, or a slice.
    """
    held = {field.name: getattr(part, field.name) for field in _BESIDE_IMAGES}
    columns: dict[str, Any] = {name: None if array is None else array[rows] for name, array in held.items()}
    return Part(**columns, images=Selection(part.images, rows))  # type: ignore[arg-type]  # reads as one


def _concatenated(*parts: Part) -> Part:
    """Parts as one, in the order of their ids; soft targets only where all have them."""
    held = {field.name: [getattr(part, field.name) for part in parts] for field in fields(Part)}
    columns: dict[str, Any] = {
        name: None if any(array is None for array in arrays) else np.concatenate(arrays)
        for name, arrays in held.items()
    }
    return select_rows(Part(**columns), np.argsort(columns["ids"], kind="stable"))


def evaluate_replicate(one: Replicate, trained: TrainingResult) -> ReplicateResult:
    """Evaluate the best checkpoint of a training in inference mode.

    Args:
        one: The training's images.
        trained: The training, over.

    Returns:
        Probabilities for monitor, the ranking split and a subset of train.
    """
    on_monitor = trained.predict(one.monitor.images)
    on_ranking = on_monitor if one.ranking is one.monitor else trained.predict(one.ranking.images)
    subset = metrics.stratified_subset(one.training.labels, len(one.ranking.labels), seed=0)
    on_train = trained.predict(one.training.images[subset])
    return ReplicateResult(one, trained, subset, on_train, on_monitor, on_ranking)


def final_metrics(results: Sequence[ReplicateResult], validated: bool) -> dict[str, float]:
    """The final metrics of an evaluation, pooled over its trainings.

    Args:
        results: What each training says.
        validated: Whether the ranking split is validation, and not monitor.

    Returns:
        Metrics by their MLflow name.
    """
    monitor = np.concatenate([one.replicate.monitor.labels for one in results])
    ranking = np.concatenate([one.replicate.ranking.labels for one in results])
    train = np.concatenate([one.replicate.training.labels[one.subset] for one in results])
    on_monitor, on_ranking, on_train = (
        np.concatenate([getattr(one, name) for one in results])
        for name in ("on_monitor", "on_ranking", "on_train")
    )
    slopes = [
        metrics.overfit_slope([row["monitor_loss"] for row in one.trained.history], one.trained.best_epoch)
        for one in results
    ]
    return {
        **_named(names.MONITOR_FINAL, metrics.scores(monitor, on_monitor)),
        **(_named(names.VAL, metrics.scores(ranking, on_ranking)) if validated else {}),
        **metrics.final_measures(ranking, on_ranking, train, on_train),
        names.OVERFIT_SLOPE: float(np.mean(slopes)),
        names.TEMPERATURE: fit_temperature(on_ranking, ranking),
    }


def _named(prefix: str, scores: Mapping[str, float]) -> dict[str, float]:
    return {prefix + name: scores[name] for name in ("accuracy", "loss", "macro_f1")}


def predictions(results: Sequence[ReplicateResult]) -> dict[str, Any]:
    """The arrays of the predictions file, in the order of ids.

    Args:
        results: What each training says.

    Returns:
        ids, labels, groups, has_twin and probabilities, by name.
    """
    ranking = [one.replicate.ranking for one in results]
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in ranking])
        for name in ("ids", "labels", "groups", "has_twin")
    }
    columns["probabilities"] = np.concatenate([one.on_ranking for one in results]).astype(np.float32)
    order = np.argsort(columns["ids"], kind="stable")
    return {name: column[order] for name, column in columns.items()}


def worst_images_of(results: Sequence[ReplicateResult]) -> tuple[NDArray[np.uint8], NDArray[np.str_]]:
    """The ranking images that the networks get most wrong: see `worst_images`.

    Args:
        results: What each training says.

    Returns:
        Images, uint8 (images, height, width, channels), and their ids.
    """
    whole = _concatenated(*(one.replicate.ranking for one in results))
    chosen = worst_rows(whole.labels, predictions(results)["probabilities"])
    return whole.images[chosen], whole.ids[chosen]
