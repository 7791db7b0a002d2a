"""Draws that are not trained: the same candidate is known already."""

from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState

from search.execution.messages import Built, EvaluationResult
from search.study.optuna._optuna_private import trial_id_of
from search.study.stages.evaluation import ActiveEvaluation
from search.tracking import names

_TRAINED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)


def find_repeat(
    trials: Sequence[FrozenTrial], evaluation: ActiveEvaluation, built: Built
) -> EvaluationResult | None:
    """What is known of the same candidate, from whichever trial has it. A baseline is always trained."""
    if evaluation.baseline:
        return None
    for trial in trials:
        same = trial.user_attrs.get("fingerprint") == built.candidate_fingerprint
        if not same or trial_id_of(trial) == evaluation.trial_id or trial.state not in _TRAINED:
            continue
        if trial.state == TrialState.RUNNING:
            return EvaluationResult(names.DUPLICATE, "the same candidate is being evaluated now")
        reason = f"the same candidate as trial {trial.user_attrs['slot']}"
        score = trial.values[0] if trial.state == TrialState.COMPLETE else float("nan")
        sizes = {names.PARAMETERS: float(built.parameters), names.MACS: float(built.macs)}
        return EvaluationResult(names.DUPLICATE, reason, score, sizes)
    return None
