"""The first stage: a sampler draws candidates; monitor decides who becomes a leader."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from search.execution.messages import (
    Built,
    Decision,
    EvaluationResult,
    Value,
)
from search.study.optuna.samplers import SHARED_NAMES, learn, suggest
from search.study.planning.config import StudyConfig
from search.study.planning.warm_start import WARM_START, plain
from search.study.stages.evaluation import ActiveEvaluation
from search.study.stages.repeats import find_repeat
from search.study.stages.stage import Direction, Stage, Wait
from search.tracking import names
from spaces.domains import Domain, domain_from_dict
from spaces.errors import UserError

DUPLICATES_IN_A_ROW = 20
INFEASIBLE_PER_TRIAL = 20


class Explore(Stage):
    """Trials up to the protocol's total, shared equally among families; the baseline first.

    After it come the candidates of an earlier study, where the experiment asks for them. The first trial
    has the cores of two workers, of which one waits: people wait for the first answer, too.

    An arm is a family or variant of which the space holds several; a space of one is one arm.

    Args:
        config: The study.
        *args: What every `Stage` takes.
        warm_start: Candidates of an earlier study, the best first, as `warm_start` gives them.
        hours_left: Gives the hours that the protocol's budget leaves; None without a budget.
        **kwargs: What every `Stage` takes.
    """

    name = names.EXPLORE
    learns = True

    def __init__(
        self,
        config: StudyConfig,
        *args: Any,
        warm_start: Sequence[Mapping[str, Any]] = (),
        hours_left: Any = None,
        **kwargs: Any,
    ) -> None:
        protocol = config.protocol
        self.ended_because = ""
        super().__init__(config, *args, **kwargs)
        self.warm_start = tuple(warm_start)
        if warm_start:
            self.origin = str(warm_start[0]["from"]).partition("/")[0]
            self.study.set_user_attr(WARM_START, list(warm_start))
        if protocol.also_minimize is None:  # Optuna prunes by one objective alone
            self.prunes_by = "seed" if protocol.explore_seeds > 1 else "epoch"
        self._arms = (config.space,) if isinstance(config.space, str) else tuple(config.space)
        self._grid = _grid(config) if protocol.sampler == "grid" else None
        self._hours_left = hours_left

    def directions(self) -> list[Direction]:
        """The objective's, and that of a size beside it."""
        objective = super().directions()
        return [*objective, "minimize"] if self.config.protocol.also_minimize else objective

    def values(self, result: EvaluationResult) -> list[float]:
        """The score, and the size beside it; NaN, as the score is, for what was not trained."""
        size = self.config.protocol.also_minimize
        return [result.score, *([result.metrics.get(size, float("nan"))] if size else [])]

    def _count(self) -> int:
        return sum(state in names.COUNTED for state in _states(self.trials()))

    def total(self) -> int:
        """The protocol's."""
        return self.config.protocol.trials

    def plan_next(self) -> type[Wait] | None:
        """One more trial, unless the total is reached or about to be."""
        trials, total = self.trials(), self.total()
        states = _states(trials)
        done = sum(s in names.COUNTED for s in states)
        running = sum(t.state == TrialState.RUNNING for t in trials)
        reason = self._reason_to_end(trials, done, total)
        used_up = self._grid is not None and _without_baseline(trials) >= len(self._grid)
        all_drawn = bool(reason) or used_up or done + running >= total
        aside = self._stands_aside()
        self.ended_because = reason
        if reason:
            return None
        if all_drawn or aside:
            return Wait
        first = not trials and self.config.baseline is not None
        place = self._baseline() if first else self._place(trials)
        threads = {} if trials else {"threads": self.threads_of_two()}
        self.enqueue(len(trials), 0, **place, **threads)
        return None

    def _stands_aside(self) -> bool:
        """Whether an evaluation of this process has the cores of the worker that asks."""
        share = self.config.threads
        running = [evaluation.task.threads for evaluation in self.running()]
        return sum(running) > share * len(running) and sum(running) >= share * self.workers

    def _baseline(self) -> dict[str, Any]:
        """What the plan says of the baseline; it counts as a trial of its arm."""
        cell = self.config.baseline or {}
        named = str(cell.get("family") or cell.get("variant", ""))
        arm = next((arm for arm in self._arms if named in (arm, named.partition(".")[0])), self._arms[0])
        return {"baseline": True, "arm": arm}

    def _place(self, trials: list[FrozenTrial]) -> dict[str, Any]:
        """What the plan says of the next trial: a cell of the grid, a lead, or the arm whose turn it is."""
        number = _without_baseline(trials)
        if self._grid is not None:
            return {"cell": self._grid[number]}
        return dict(self.warm_start[number]) if number < len(self.warm_start) else {"arm": self._turn(trials)}

    def _reason_to_end(self, trials: list[FrozenTrial], done: int, total: int) -> str:
        if done >= total:
            return f"all {total} trials are done"
        if self._grid is not None:
            running = len(trials) - len(_states(trials))
            used_up = _without_baseline(trials) >= len(self._grid) and not running
            return f"all {len(self._grid)} cells of the grid are done" if used_up else ""
        closed = self._closed(trials)
        if len(closed) == len(self._arms):
            several = len(self._arms) > 1
            return "; ".join(f"{arm}: {why}" if several else why for arm, why in closed.items())
        if self._hours_left is not None and self._hours_left() <= 0:
            return "the hours left are needed to confirm the leaders"
        return ""

    def _closed(self, trials: list[FrozenTrial]) -> dict[str, str]:
        """The arms from which nothing more is drawn, and why."""
        share = -(-self.total() // len(self._arms))
        told = {arm: _exhausted(_states(_of_arm(trials, arm)), share) for arm in self._arms}
        return {arm: why for arm, why in told.items() if why}

    def _turn(self, trials: list[FrozenTrial]) -> str:
        """The arm with the smallest share so far; what costs next to nothing counts for little."""
        closed = self._closed(trials)
        spent = {arm: _share(_of_arm(trials, arm)) for arm in self._arms if arm not in closed}
        return min(spent, key=lambda arm: spent[arm])

    def task_fields(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """The baseline is fixed, the family of an arm is given, everything else is drawn."""
        protocol = self.config.protocol
        fields: dict[str, Any] = {
            "rounds": protocol.explore_seeds,
            "train_images": protocol.explore_images,
            "keep_model": protocol.keep_models == "all",
        }
        if attributes.get("baseline") and self.config.baseline is not None:
            return fields | cell_fields(self.config, self.config.baseline)
        if "cell" in attributes:
            return fields | cell_fields(self.config, attributes["cell"])
        if len(self._arms) > 1:
            return fields | {"fix": {**self.config.fix, "family": attributes["arm"]}}
        return fields

    def suggest(self, evaluation: ActiveEvaluation, name: str, domain: Domain) -> Value:
        """Drawn by the sampler, or as it was drawn before the trial was adopted.

        What a baseline or the lists of a grid do not name stands at its default. A candidate of an earlier
        study has the values that it had there; what this space has not, is drawn.
        """
        if self._grid is not None or evaluation.baseline:
            assert domain.default is not None  # noqa: S101  whoever declares a hyperparameter gives one
            evaluation.stood[name] = domain, domain.default
            return domain.default
        with evaluation.drawing() as trial:
            earlier: Value | None = trial.user_attrs.get("values", {}).get(plain(name))
            if earlier is None or not domain.contains(earlier):
                return suggest(trial, name, domain)
            learn(trial, name, domain, earlier)
            return earlier

    def built(self, evaluation: ActiveEvaluation, built: Built) -> Decision:
        """Refuse what was drawn before: its value is known. Raises UserError: see `_tell_sampler`."""
        evaluation.built = built
        if evaluation.baseline and self._grid is None:
            self._tell_sampler(evaluation, built)
        with self.exclusive():
            evaluation.known = find_repeat(self.trials(), evaluation, built)
            if evaluation.known is None:
                evaluation.trial.set_user_attr("fingerprint", built.candidate_fingerprint)
        return Decision.CONTINUE if evaluation.known is None else Decision.SKIP

    def _tell_sampler(self, evaluation: ActiveEvaluation, built: Built) -> None:
        """Let the sampler learn from the baseline, where it is something that could have been drawn.

        Raises UserError where it is not and the sampler draws only names that all trials have: then it would
        draw none, and all would be random.
        """
        stood = dict(evaluation.stood)
        for path, one in built.stood.items():
            if not {path, one["name"]} & {*self.config.fix, "family"}:
                stood[path] = domain_from_dict(one["domain"]), one["value"]
        for field, domain in self.config.recipe_domains.items():
            stood[names.RECIPE + field] = domain_from_dict(domain), built.recipe[field]
        outside = [name for name, (domain, value) in stood.items() if not domain.contains(value)]
        if not outside and "variant" not in (self.config.baseline or {}):
            for name, (domain, value) in stood.items():
                learn(evaluation.writable, name, domain, value)
        elif self.config.protocol.sampler in SHARED_NAMES and len(self._arms) == 1:
            what = f"has {outside[0]} outside of the search" if outside else "is a variant"
            raise UserError(
                f'sampler "{self.config.protocol.sampler}" would draw at random, since the baseline {what}: '
                'give [baseline] values that the search has, or take sampler "tpe"'
            )


def _of_arm(trials: list[FrozenTrial], arm: str) -> list[FrozenTrial]:
    return [trial for trial in trials if trial.user_attrs.get("arm") == arm]


def _share(trials: list[FrozenTrial]) -> float:
    """How many trials an arm has had."""
    states = _states(trials)
    trained = sum(state in names.COUNTED for state in states)
    return len(trials) - len(states) + trained + (len(states) - trained) / INFEASIBLE_PER_TRIAL


def _exhausted(states: list[str], share: int) -> str:
    """Why an arm that is to have so many trials has no more to give; "" if it has."""
    last = states[-DUPLICATES_IN_A_ROW:]
    if len(last) == DUPLICATES_IN_A_ROW and set(last) == {names.DUPLICATE}:
        return f"the last {DUPLICATES_IN_A_ROW} draws were known already: the space is used up"
    count = states.count(names.INFEASIBLE)
    if count >= INFEASIBLE_PER_TRIAL * share:
        return f"{count} draws were infeasible: the budget is too small for the space"
    return ""


def _without_baseline(trials: list[FrozenTrial]) -> int:
    return sum(not t.user_attrs.get("baseline") for t in trials)


def _grid(config: StudyConfig) -> tuple[Mapping[str, Any], ...]:
    """Every combination of the lists that are searched, in each family if there are several."""
    axes = {name: domain["choices"] for name, domain in config.domains.items()}
    axes |= {names.RECIPE + name: domain["choices"] for name, domain in config.recipe_domains.items()}
    if not isinstance(config.space, str):
        axes["family"] = config.space
    return tuple(dict(zip(axes, values, strict=True)) for values in product(*axes.values()))


def _states(trials: list[FrozenTrial]) -> list[str]:
    """The states of the trials that are over."""
    return [t.user_attrs["state"] for t in trials if t.state.is_finished()]


def cell_fields(config: StudyConfig, cell: Mapping[str, Any]) -> dict[str, Any]:
    """The task of a fixed cell: a variant or hyperparameters of the space, and recipe fields."""
    recipe = {k.removeprefix(names.RECIPE): v for k, v in cell.items() if k.startswith(names.RECIPE)}
    values = {k: v for k, v in cell.items() if k != "variant" and not k.startswith(names.RECIPE)}
    fields: dict[str, Any] = {"recipe": {**config.recipe, **recipe}, "recipe_domains": {}}
    if "variant" in cell:
        return fields | {"space": cell["variant"], "fix": {}, "domains": {}}
    return fields | {"fix": {**config.fix, **values}}
