"""Who goes on to the confirm stage: whatever the noise of one run on monitor cannot tell from the best.

Where size is an objective too, those go on that nothing beats in both.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial, TrialState


@dataclass(frozen=True)
class Leader:
    """A candidate to confirm; slot: its place in explore's plan."""

    slot: int
    candidate: Mapping[str, Any]
    baseline: bool


def leaders(trials: Sequence[FrozenTrial], *, limit: int, images: int, minimize: bool) -> tuple[Leader, ...]:
    """The leaders in the order of their monitor scores; the best of each family and the baseline always.

    A leader lies within one standard error, sqrt(p (1 - p) / n) for n monitor images, of the best.
    Losses have no such formula: there the limit alone decides.
    """
    ranked = sorted(_complete(trials), key=lambda t: (_value(t) if minimize else -_value(t), t.number))
    if not ranked:
        return ()
    best = _value(ranked[0])
    band = math.inf if minimize else math.sqrt(max(best * (1 - best), 0.0) / images)
    first_of_family: dict[str, int] = {}
    for trial in ranked:
        first_of_family.setdefault(trial.user_attrs["candidate"]["family"], trial.number)
    needed = set(first_of_family.values())
    close = [t for t in ranked if abs(_value(t) - best) <= band or t.number in needed]
    room = max(limit - len(needed), 0)
    chosen: list[FrozenTrial] = []
    for trial in close:
        if trial.number in needed:
            chosen.append(trial)
        elif room > 0:
            chosen.append(trial)
            room -= 1
    chosen += [t for t in ranked if t.user_attrs.get("baseline") and t not in chosen]
    return tuple(_leader(trial) for trial in chosen)


def front(trials: Sequence[FrozenTrial], *, limit: int, minimize: bool) -> tuple[Leader, ...]:
    """The leaders of a study of two objectives: its Pareto front from small to large, and the baseline.

    A candidate is on the front if none that is as small has a better score. Of a front longer than `limit`,
    members at equal distances are taken, the smallest and the best among them.
    """
    sign = 1 if minimize else -1
    members: list[FrozenTrial] = []
    for trial in sorted(_complete(trials), key=lambda t: (t.values[1], sign * t.values[0], t.number)):
        if not members or sign * trial.values[0] < sign * members[-1].values[0]:
            members.append(trial)
    if len(members) > limit:
        steps = [round(place * (len(members) - 1) / max(limit - 1, 1)) for place in range(limit)]
        members = [members[step] for step in steps] if limit > 1 else members[-1:]
    members += [t for t in _complete(trials) if t.user_attrs.get("baseline") and t not in members]
    return tuple(_leader(trial) for trial in members)


def _complete(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    return [t for t in trials if t.state == TrialState.COMPLETE and t.user_attrs.get("state") == "complete"]


def _value(trial: FrozenTrial) -> float:
    assert trial.value is not None  # noqa: S101  complete trials have one
    return trial.value


def _leader(trial: FrozenTrial) -> Leader:
    attributes = trial.user_attrs
    return Leader(attributes["slot"], attributes["candidate"], bool(attributes.get("baseline")))
