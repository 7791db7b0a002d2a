"""Successive halving by pauses: the best third goes on at a rung; the others wait until they are among it."""

from collections.abc import Iterable, Iterator
from datetime import UTC
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.tracking import names

#: The attribute of a trial that goes on where an earlier one paused: after how many epochs.
RESUMED = "resumed"
#: That which says when the first of these trials was begun, in seconds since the epoch.
BEGUN = "begun"
#: That of a trial whose checkpoint is kept, since it may go on.
PAUSED = "paused"


class Asha(optuna.pruners.BasePruner):
    """Asynchronous successive halving (Li et al., A System for Massively Parallel Hyperparameter Tuning).

    To Optuna a pause is a pruning: the sampler learns from it. What goes on is another trial of Optuna's with
    the same slot, which takes up the checkpoint; of each slot only the last trial counts.

    Args:
        min_resource: epochs until the first rung.
        reduction_factor: how many times as many until the next; one in so many goes on.
        max_resource: epochs of a whole training.
    """

    def __init__(self, min_resource: int, reduction_factor: int, max_resource: int) -> None:
        if min_resource < 1 or reduction_factor < 2:
            raise ValueError("min_resource is at least 1 and reduction_factor at least 2")
        self._factor = reduction_factor
        self._rungs: list[int] = []
        rung = min_resource
        while rung < max_resource:
            self._rungs.append(rung)
            rung *= reduction_factor

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether the trial is to pause after the epoch that it has just reported."""
        epoch = _reported(trial)
        if epoch not in self._rungs or epoch <= trial.user_attrs.get(RESUMED, 0):
            return False
        others = last_of_each_slot(study.get_trials(deepcopy=False))
        others[trial.user_attrs["slot"]] = trial  # with what it has just reported
        return trial not in self._best(others.values(), epoch, _sign(study))

    def to_resume(self, study: optuna.Study, trials: Iterable[FrozenTrial]) -> Iterator[FrozenTrial]:
        """The paused trials that are now among the best at their rungs, from the highest rung down."""
        trials = list(trials)
        for rung in reversed(self._rungs):
            for trial in self._best(trials, rung, _sign(study)):
                if _is_paused(trial) and _reported(trial) == rung:
                    yield trial

    def best_paused(self, study: optuna.Study, trials: Iterable[FrozenTrial]) -> FrozenTrial | None:
        """Of those that paused at the highest rung, the best."""
        sign = _sign(study)
        paused = [trial for trial in trials if _is_paused(trial)]
        return max(paused, key=lambda one: (_reported(one), *_place(one, _reported(one), sign)), default=None)

    def may_go_on(self, study: optuna.Study, trials: Iterable[FrozenTrial], trial: FrozenTrial) -> bool:
        """Whether it is in the better half at its rung, so that its checkpoint is worth its place."""
        ranked = _ranked(trials, _reported(trial), _sign(study))
        return trial.number in {one.number for one in ranked[: len(ranked) // 2 + 1]}

    def _best(self, trials: Iterable[FrozenTrial], rung: int, sign: int) -> list[FrozenTrial]:
        ranked = _ranked(trials, rung, sign)
        return ranked[: len(ranked) // self._factor]


def last_of_each_slot(trials: Iterable[FrozenTrial]) -> dict[int, FrozenTrial]:
    """By slot, in the order in which the slots were planned."""
    return {trial.user_attrs["slot"]: trial for trial in trials}


def plan_to_resume(trial: FrozenTrial) -> dict[str, Any]:
    """What the plan says of the trial that goes on with a paused one: the same, where from, since when."""
    planned = {name: trial.user_attrs[name] for name in _PLANNED if name in trial.user_attrs}
    assert trial.datetime_start is not None  # noqa: S101  it has reported
    begun = trial.datetime_start.replace(tzinfo=UTC).timestamp()  # Optuna keeps UTC, and does not say so
    return {BEGUN: begun} | planned | {RESUMED: _reported(trial)}


_PLANNED = ("arm", "cell", "from", "values", "threads", BEGUN)


def _is_paused(trial: FrozenTrial) -> bool:
    pruned = trial.user_attrs.get("state") == names.PRUNED and trial.state == TrialState.PRUNED
    return pruned and _reported(trial) > 0


def _reported(trial: FrozenTrial) -> int:
    """The last epoch that it reported, from 1; 0 before the first."""
    return trial.last_step or 0


def _ranked(trials: Iterable[FrozenTrial], rung: int, sign: int) -> list[FrozenTrial]:
    reached = [trial for trial in trials if rung in trial.intermediate_values]
    return sorted(reached, key=lambda one: _place(one, rung, sign), reverse=True)


def _place(trial: FrozenTrial, rung: int, sign: int) -> tuple[float, int]:
    """Its best score until the rung; of equal ones, the earlier is better."""
    scores = [sign * value for epoch, value in trial.intermediate_values.items() if epoch <= rung]
    return max(scores), -trial.user_attrs["slot"]


def _sign(study: optuna.Study) -> int:
    return 1 if study.direction == optuna.study.StudyDirection.MAXIMIZE else -1
