"""Draws that are not trained: what is known already, and in a frugal search what costs more than most."""

from collections.abc import Sequence
from statistics import median
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from search.execution.protocol import Built
from search.tracking import names
from search.work import Outcome, Work

#: The trial's attribute that keeps what it costs and whether it was skipped for that.
COST = "cost"


def twin(trials: Sequence[FrozenTrial], work: Work, built: Built) -> Outcome | None:
    """What is known of the same candidate, from whichever trial has it. A baseline is always trained."""
    if work.baseline:
        return None
    for trial in trials:
        same = trial.user_attrs.get("fingerprint") == built.candidate_fingerprint
        if not same or trial._trial_id == work.trial_id or trial.state not in _TRAINED:
            continue
        if trial.state == TrialState.RUNNING:
            return Outcome(names.DUPLICATE, "the same candidate is being evaluated now")
        reason = f"the same candidate as trial {trial.user_attrs['slot']}"
        score = trial.values[0] if trial.state == TrialState.COMPLETE else float("nan")
        return Outcome(names.DUPLICATE, reason, score, _sizes(built))
    return None


_TRAINED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)


def cost_beside(trials: Sequence[FrozenTrial], work: Work, built: Built) -> dict[str, Any]:
    """What a draw costs beside the other ones, for its trial to keep: `macs`, `usual`, `skipped`.

    It is to be skipped if it has more multiply-adds than half of the others, unless the last of them was.
    What its trial keeps already holds: it may have a checkpoint by then.
    """
    costs = {trial._trial_id: trial.user_attrs[COST] for trial in trials if COST in trial.user_attrs}
    if work.trial_id in costs:
        return dict(costs[work.trial_id])
    others = list(costs.values())
    usual = median(other["macs"] for other in others) if others else built.macs
    return {
        "macs": built.macs,
        "usual": usual,
        "skipped": built.macs > usual and not others[-1]["skipped"],
    }


def skipped(built: Built, usual: float) -> Outcome:
    """How a costly draw ends; usual: the multiply-adds that half of the draws stay within."""
    reason = f"{built.macs:,} multiply-adds, where half of the draws have {usual:,.0f} at most"
    return Outcome(names.SKIPPED, reason, metrics=_sizes(built))


def _sizes(built: Built) -> dict[str, float]:
    return {names.PARAMETERS: float(built.parameters), names.MACS: float(built.macs)}
