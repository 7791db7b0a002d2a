"""The first stage: a sampler draws candidates, one seed each; monitor decides who becomes a leader."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from search.execution.protocol import Answer, Built
from search.setting import Setting
from search.stage import Outcome, Stage, Wait, Work
from search.tracking import names

#: States that use up one of the study's trials. Infeasible and duplicate draws cost next to nothing.
COUNTED = (names.COMPLETE, names.PRUNED, names.DIVERGED, names.FAILED)
DUPLICATES_IN_A_ROW = 20
INFEASIBLE_PER_TRIAL = 20


class Explore(Stage):
    """Trials up to the protocol's total, shared equally among families, the baseline first."""

    name = names.EXPLORE
    prunes = True

    def __init__(self, setting: Setting, *args: Any, hours_left: Any = None, **kwargs: Any) -> None:
        super().__init__(setting, *args, **kwargs)
        self._hours_left = hours_left
        self.ended_because = ""

    def _count(self) -> int:
        return sum(state in COUNTED for state in _states(self.trials()))

    def total(self) -> int:
        """The protocol's."""
        return self.setting.protocol.trials

    def plan_next(self) -> type[Wait] | None:
        """One more trial, unless the total is reached or about to be."""
        trials, total = self.trials(), self.total()
        states = _states(trials)
        done = sum(s in COUNTED for s in states)
        running = sum(t.state == TrialState.RUNNING for t in trials)
        self.ended_because = self._reason_to_end(states, done, total)
        if self.ended_because:
            return None
        if done + running >= total:
            return Wait
        first = not trials and self.setting.baseline is not None
        attributes: dict[str, Any] = {"baseline": True} if first else self._arm(trials)
        self.enqueue(len(trials), 0, **attributes)
        return None

    def _reason_to_end(self, states: list[str], done: int, total: int) -> str:
        if done >= total:
            return f"all {total} trials are done"
        last = states[-DUPLICATES_IN_A_ROW:]
        if len(last) == DUPLICATES_IN_A_ROW and set(last) == {names.DUPLICATE}:
            return f"the last {DUPLICATES_IN_A_ROW} draws were known already: the space is used up"
        if states.count(names.INFEASIBLE) >= INFEASIBLE_PER_TRIAL * total:
            count = states.count(names.INFEASIBLE)
            return f"{count} draws were infeasible: the budget is too small for the space"
        if self._hours_left is not None and self._hours_left(self) <= 0:
            return "the hours left are needed to confirm the leaders"
        return ""

    def _arm(self, trials: list[FrozenTrial]) -> dict[str, Any]:
        """The family with the smallest share so far, where the family itself is searched."""
        if isinstance(self.setting.space, str):
            return {}
        spent = Counter(
            t.user_attrs.get("family")
            for t in trials
            if t.user_attrs.get("state") in COUNTED or t.state == TrialState.RUNNING
        )
        families = self.setting.space
        return {"family": min(families, key=lambda family: (spent[family], families.index(family)))}

    def task_fields(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """The baseline is fixed, the family of an arm is given, everything else is drawn."""
        fields: dict[str, Any] = {"keep_model": self.setting.protocol.keep_models == "all"}
        if attributes.get("baseline") and self.setting.baseline is not None:
            return fields | cell_fields(self.setting, self.setting.baseline)
        if "family" in attributes:
            return fields | {"fix": {**self.setting.fix, "family": attributes["family"]}}
        return fields

    def built(self, work: Work, built: Built) -> Answer:
        """Refuse what was drawn before: its value is known."""
        work.built = built
        with self.exclusive():
            work.known = self._twin(work, built.candidate_fingerprint)
            work.trial.set_user_attr("family", built.family)
            if work.known is None:
                work.trial.set_user_attr("fingerprint", built.candidate_fingerprint)
        return Answer.GO if work.known is None else Answer.DUPLICATE

    def _twin(self, work: Work, fingerprint: str) -> Outcome | None:
        """What is known of the same candidate, from whichever trial has it."""
        for trial in self.trials(TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING):
            if trial.user_attrs.get("fingerprint") != fingerprint or trial.number == work.trial.number:
                continue
            if trial.state == TrialState.RUNNING:
                return Outcome(names.DUPLICATE, "the same candidate is being evaluated now")
            reason = f"the same candidate as trial {trial.user_attrs['slot']}"
            score = trial.value if trial.state == TrialState.COMPLETE else None
            return Outcome(names.DUPLICATE, reason, float("nan") if score is None else score)
        return None


def _states(trials: list[FrozenTrial]) -> list[str]:
    """The states of the trials that are over."""
    return [t.user_attrs["state"] for t in trials if t.state.is_finished()]


def cell_fields(setting: Setting, cell: Mapping[str, Any]) -> dict[str, Any]:
    """The task of a fixed cell: a variant or hyperparameters of the space, and recipe fields."""
    recipe = {k.removeprefix(names.RECIPE): v for k, v in cell.items() if k.startswith(names.RECIPE)}
    values = {k: v for k, v in cell.items() if k != "variant" and not k.startswith(names.RECIPE)}
    fields: dict[str, Any] = {"recipe": {**setting.recipe, **recipe}, "recipe_domains": {}}
    if "variant" in cell:
        return fields | {"space": cell["variant"], "fix": {}, "domains": {}}
    return fields | {"fix": {**setting.fix, **values}}
