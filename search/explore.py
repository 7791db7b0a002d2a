"""The first stage: a sampler draws candidates, one seed each; monitor decides who becomes a leader."""

from collections import Counter
from collections.abc import Mapping
from itertools import product
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from search.execution.protocol import Answer, Built, Value
from search.setting import Setting
from search.stage import Direction, Stage, Wait
from search.tracking import names
from search.work import Outcome, Work
from spaces.domains import Domain

#: States that use up one of the study's trials. Infeasible and duplicate draws cost next to nothing.
COUNTED = (names.COMPLETE, names.PRUNED, names.DIVERGED, names.FAILED)
DUPLICATES_IN_A_ROW = 20
INFEASIBLE_PER_TRIAL = 20


class Explore(Stage):
    """Trials up to the protocol's total, shared equally among families, the baseline first."""

    name = names.EXPLORE
    learns = True

    def __init__(self, setting: Setting, *args: Any, hours_left: Any = None, **kwargs: Any) -> None:
        super().__init__(setting, *args, **kwargs)
        if setting.protocol.also_minimize is None:  # Optuna prunes by one objective alone
            self.prunes_by = "seed" if setting.protocol.explore_seeds > 1 else "epoch"
        self._grid = _grid(setting) if setting.protocol.sampler == "grid" else None
        self._hours_left = hours_left
        self.ended_because = ""

    def directions(self) -> list[Direction]:
        """The objective's, and that of a size beside it."""
        objective = super().directions()
        return [*objective, "minimize"] if self.setting.protocol.also_minimize else objective

    def values(self, outcome: Outcome) -> list[float]:
        """The score, and the size beside it."""
        size = self.setting.protocol.also_minimize
        return [outcome.score, *([outcome.metrics[size]] if size else [])]

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
        used_up = self._grid is not None and _without_baseline(trials) >= len(self._grid)
        if done + running >= total or used_up:
            return Wait
        first = not trials and self.setting.baseline is not None
        self.enqueue(len(trials), 0, **({"baseline": True} if first else self._place(trials)))
        return None

    def _place(self, trials: list[FrozenTrial]) -> dict[str, Any]:
        """What the plan says of the next trial: a cell of the grid, or the family whose turn it is."""
        if self._grid is None:
            return self._arm(trials)
        return {"cell": self._grid[_without_baseline(trials)]}

    def _reason_to_end(self, states: list[str], done: int, total: int) -> str:
        if done >= total:
            return f"all {total} trials are done"
        if self._grid is not None and _without_baseline(self.trials()) >= len(self._grid):
            running = len(self.trials()) - len(states)
            return "" if running else f"all {len(self._grid)} cells of the grid are done"
        last = states[-DUPLICATES_IN_A_ROW:]
        if self._grid is None and len(last) == DUPLICATES_IN_A_ROW and set(last) == {names.DUPLICATE}:
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
        protocol = self.setting.protocol
        fields: dict[str, Any] = {
            "rounds": protocol.explore_seeds,
            "keep_model": protocol.keep_models == "all",
        }
        if attributes.get("baseline") and self.setting.baseline is not None:
            return fields | cell_fields(self.setting, self.setting.baseline)
        if "cell" in attributes:
            return fields | cell_fields(self.setting, attributes["cell"])
        if "family" in attributes:
            return fields | {"fix": {**self.setting.fix, "family": attributes["family"]}}
        return fields

    def suggest(self, work: Work, name: str, domain: Domain) -> Value:
        """Drawn by the sampler; what a baseline or the lists of a grid do not name stands at its default."""
        if self._grid is None and not work.baseline:
            return super().suggest(work, name, domain)
        assert domain.default is not None  # noqa: S101  whoever declares a hyperparameter gives one
        return domain.default

    def built(self, work: Work, built: Built) -> Answer:
        """Refuse what was drawn before: its value is known."""
        work.built = built
        with self.exclusive():
            work.known = self._twin(work, built)
            work.trial.set_user_attr("family", built.family)
            if work.known is None:
                work.trial.set_user_attr("fingerprint", built.candidate_fingerprint)
        return Answer.GO if work.known is None else Answer.DUPLICATE

    def _twin(self, work: Work, built: Built) -> Outcome | None:
        """What is known of the same candidate, from whichever trial has it."""
        for trial in self.trials(TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING):
            twin = trial.user_attrs.get("fingerprint") == built.candidate_fingerprint
            if not twin or trial._trial_id == work.trial_id:
                continue
            if trial.state == TrialState.RUNNING:
                return Outcome(names.DUPLICATE, "the same candidate is being evaluated now")
            reason = f"the same candidate as trial {trial.user_attrs['slot']}"
            score = trial.values[0] if trial.state == TrialState.COMPLETE else float("nan")
            sizes = {names.PARAMETERS: float(built.parameters), names.MACS: float(built.macs)}
            return Outcome(names.DUPLICATE, reason, score, sizes)
        return None


def _without_baseline(trials: list[FrozenTrial]) -> int:
    return sum(not t.user_attrs.get("baseline") for t in trials)


def _grid(setting: Setting) -> tuple[Mapping[str, Any], ...]:
    """Every combination of the lists that are searched, in each family if there are several."""
    axes = {name: domain["choices"] for name, domain in setting.domains.items()}
    axes |= {names.RECIPE + name: domain["choices"] for name, domain in setting.recipe_domains.items()}
    if not isinstance(setting.space, str):
        axes["family"] = setting.space
    return tuple(dict(zip(axes, values, strict=True)) for values in product(*axes.values()))


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
