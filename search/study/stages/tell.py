"""What Optuna is told of an evaluation that is over: its state, values, constraints and attributes.

The one place where the states of an evaluation become Optuna's. MLflow's are in `search.tracking.names`.
"""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import TrialState

from search.execution.messages import Built, EvaluationResult
from search.protocol import Protocol
from search.study.optuna.storage import Storage
from search.study.stages.evaluation import ActiveEvaluation
from search.tracking import names

#: The attribute of a trial that says how long the study trained it, in seconds.
WALL_SECONDS = "wall_seconds"

#: Optuna's state for each of an evaluation's. TPE ignores FAIL and would draw such a candidate again, so that
#: breakdowns alone are failures; what is infeasible or diverges is pruned, with its constraints.
OPTUNA_STATES: Mapping[str, TrialState] = {
    names.COMPLETE: TrialState.COMPLETE,
    names.PRUNED: TrialState.PRUNED,
    names.INFEASIBLE: TrialState.PRUNED,
    names.DIVERGED: TrialState.PRUNED,
    names.DUPLICATE: TrialState.FAIL,  # where its score is unknown; else it is complete
    names.FAILED: TrialState.FAIL,
}


def optuna_state(result: EvaluationResult) -> TrialState:
    """Optuna's state of an evaluation that ended so."""
    known = result.state == names.DUPLICATE and result.score == result.score
    return TrialState.COMPLETE if known else OPTUNA_STATES[result.state]


def tell(
    storage: Storage,
    study: optuna.Study,
    evaluation: ActiveEvaluation,
    result: EvaluationResult,
    *,
    protocol: Protocol,
    values: Sequence[float],
    wall_seconds: float,
) -> None:
    """Tell Optuna how an evaluation ended. A trial that is finished already stays as it is.

    Args:
        storage: Optuna's storage.
        study: the stage's study.
        evaluation: the one that ended.
        result: how it ended; neither stopped nor lost.
        protocol: the study's; its budgets become constraints.
        values: one for each of Optuna's directions; used where the trial is complete.
        wall_seconds: of the study's time, what this training took.
    """
    constraints = _violations(evaluation.built, protocol) | dict(result.violations)
    attributes = _attributes(evaluation, result) | {WALL_SECONDS: wall_seconds}
    state = optuna_state(result)
    with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
        for name, violation in constraints.items():
            evaluation.trial.set_constraint(name, violation)
        if state == TrialState.PRUNED:  # its last report is its value: Optuna sees to that
            storage.end(evaluation.trial_id, attributes, TrialState.RUNNING)
            study.tell(evaluation.trial, state=state, skip_if_finished=True)
        else:  # `tell` would only read the trial twice
            storage.end(
                evaluation.trial_id, attributes, state, values if state == TrialState.COMPLETE else None
            )


def _attributes(evaluation: ActiveEvaluation, result: EvaluationResult) -> dict[str, Any]:
    attributes: dict[str, Any] = {"state": result.state}
    if result.reason:
        attributes["reason"] = result.reason[:1000]
    if evaluation.built is not None:
        attributes["candidate"] = evaluation.built.candidate()
        attributes["fingerprint"] = evaluation.built.candidate_fingerprint
        attributes["label"] = evaluation.built.label
    if result.metrics:
        attributes["metrics"] = {k: v for k, v in result.metrics.items() if v == v}
    return attributes


def _violations(built: Built | None, protocol: Protocol) -> dict[str, float]:
    if built is None:
        return {}
    budgets = {
        "parameters": (built.parameters, protocol.max_parameters),
        "macs": (built.macs, protocol.max_macs),
    }
    return {name: value / budget - 1 for name, (value, budget) in budgets.items() if budget}
