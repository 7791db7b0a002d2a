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

from search.datasets.prepare import Part, Prepared
from search.datasets.row_view import Selection
from search.datasets.splits import carve, folds
from search.execution.messages import Task
from search.tracking import names
from search.training import metrics
from search.training.fit import Trained
from search.training.probability_calibration import fit_temperature
from search.training.worst_images import telling
from spaces.errors import UserError

#: Between the seeds of an evaluation's trainings; the seeds of evaluations are far below it.
_STRIDE: Final = 100_003
_BESIDE_IMAGES: Final = tuple(field for field in fields(Part) if field.name != "images")


@dataclass(frozen=True)
class Round:
    """One training: its images, those that watch it, those that rank it, and its seed."""

    training: Part
    monitor: Part
    ranking: Part
    seed: int


@dataclass(frozen=True)
class Judged:
    """What the network of one round, trained to its end, says; probabilities are (images, classes)."""

    round: Round
    trained: Trained
    subset: NDArray[np.int64]  # rows of train, as many as there are ranking images
    on_train: NDArray[np.float32]
    on_monitor: NDArray[np.float32]
    on_ranking: NDArray[np.float32]


def rounds(task: Task, dataset: Prepared) -> tuple[Round, ...]:
    """The rounds of a task in their order; the first has the task's own seed."""
    seeds = [task.seed + number * _STRIDE for number in range(task.folds or task.rounds)]
    if task.folds:
        return tuple(_folded(task, dataset, seeds))
    training, monitor = _watched(task, dataset.train())
    if task.rates:  # how long is known: nothing has to watch
        training = dataset.train()
    if task.sample:
        training, monitor = taken(training, slice(task.sample)), taken(monitor, slice(task.sample))
    ranking = dataset.validation() if task.validate else monitor
    return tuple(Round(training, monitor, ranking, seed) for seed in seeds)


def _folded(task: Task, dataset: Prepared, seeds: Sequence[int]) -> list[Round]:
    """A round for each fold of train and validation together, drawn anew by every seed of monitor."""
    whole = _joined(dataset.train(), dataset.validation())
    fold = folds(whole.labels, whole.groups, len(seeds), task.monitor_seed, whole.ids)
    found = []
    for number, seed in enumerate(seeds):
        training, monitor = _watched(task, taken(whole, np.flatnonzero(fold != number)))
        found.append(Round(training, monitor, taken(whole, np.flatnonzero(fold == number)), seed))
    return found


def _watched(task: Task, whole: Part) -> tuple[Part, Part]:
    """What gradients come from, and monitor. Raises UserError where there are too few images for both."""
    rest, carved = carve(whole.labels, whole.groups, task.monitor_fraction, task.monitor_seed, whole.ids)
    if not len(carved):
        raise UserError(
            f"Of the {len(whole):,} images to train on, no class has two that are no duplicates of each "
            f"other, so monitor, which watches the training, would be empty: give more images of each class."
        )
    return taken(whole, rest), taken(whole, carved)


def taken(part: Part, rows: NDArray[np.int64] | slice) -> Part:
    """Some rows of a part; its images stay where they are."""
    columns: dict[str, Any] = {field.name: getattr(part, field.name)[rows] for field in _BESIDE_IMAGES}
    return Part(**columns, images=Selection(part.images, rows))  # type: ignore[arg-type]  # reads as one


def _joined(*parts: Part) -> Part:
    """Parts as one, in the order of their ids."""
    columns = {f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Part)}
    return taken(Part(**columns), np.argsort(columns["ids"], kind="stable"))


def judge(one: Round, trained: Trained) -> Judged:
    """Let the kept weights speak, in inference mode."""
    on_monitor = trained.predict(one.monitor.images)
    on_ranking = on_monitor if one.ranking is one.monitor else trained.predict(one.ranking.images)
    subset = metrics.stratified_subset(one.training.labels, len(one.ranking.labels), seed=0)
    on_train = trained.predict(one.training.images[subset])
    return Judged(one, trained, subset, on_train, on_monitor, on_ranking)


def final_metrics(judged: Sequence[Judged], validated: bool) -> dict[str, float]:
    """The final metrics of an evaluation, pooled over its rounds; `validated`: its ranking is no monitor."""
    monitor = np.concatenate([one.round.monitor.labels for one in judged])
    ranking = np.concatenate([one.round.ranking.labels for one in judged])
    train = np.concatenate([one.round.training.labels[one.subset] for one in judged])
    on_monitor, on_ranking, on_train = (
        np.concatenate([getattr(one, name) for one in judged])
        for name in ("on_monitor", "on_ranking", "on_train")
    )
    slopes = [
        metrics.overfit_slope([row["monitor_loss"] for row in one.trained.history], one.trained.best_epoch)
        for one in judged
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


def predictions(judged: Sequence[Judged]) -> dict[str, Any]:
    """The arrays of the predictions file (names.PREDICTIONS_NPZ), in the order of ids."""
    ranking = [one.round.ranking for one in judged]
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in ranking])
        for name in ("ids", "labels", "groups", "has_twin")
    }
    columns["probabilities"] = np.concatenate([one.on_ranking for one in judged]).astype(np.float32)
    order = np.argsort(columns["ids"], kind="stable")
    return {name: column[order] for name, column in columns.items()}


def telling_images(judged: Sequence[Judged]) -> tuple[NDArray[np.uint8], NDArray[np.str_]]:
    """The ranking images that the networks get most wrong, and their ids: see `worst_images`."""
    whole = _joined(*(one.round.ranking for one in judged))
    chosen = telling(whole.labels, predictions(judged)["probabilities"])
    return whole.images[chosen], whole.ids[chosen]
