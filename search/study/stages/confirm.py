"""The second stage: every leader, or every cell of a grid, on the same fresh seeds, never pruned."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from optuna.trial import TrialState

from search.execution.messages import Value
from search.study.optuna._optuna_private import trial_id_of
from search.study.planning.leaders import Leader
from search.study.planning.rounds import ROUNDS, RoundRecord, Rounds
from search.study.stages.evaluation import ActiveEvaluation
from search.study.stages.explore import cell_fields
from search.study.stages.stage import FINISHED, Stage, Wait
from search.tracking import names
from spaces.domains import Domain

#: The state of a trial that was planned, never begun, and is not wanted any more.
WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class ConfirmEntry:
    """A candidate of the confirm stage.

    Attributes:
        slot: its place in explore's plan, or its number among the cells; the baseline of a grid has 0.
        baseline: whether it is the experiment's.
        fields: what its trials keep: `candidate` as explore built it, or `cell`.
    """

    slot: int
    baseline: bool
    fields: Mapping[str, Any]


class Confirm(Stage):
    """One trial per candidate and seed, inserted once, whoever inserts it.

    With a fixed number of seeds all of them are planned at once. In rounds the first seeds are, and those of
    a further round once `add_round` says who goes on.
    """

    name = names.CONFIRM
    _withdrawn = 0  # how many trials are
    _entries: tuple[ConfirmEntry, ...] = ()

    def plan(self, leaders: Sequence[Leader]) -> None:
        """Put every (leader, seed) into the plan that is not in it yet: seed by seed, so that pairs fill."""
        self._plan([ConfirmEntry(one.slot, one.baseline, {"candidate": one.candidate}) for one in leaders])

    def plan_cells(self) -> None:
        """The same for the cells of a grid; the baseline has slot 0, the cells come after it."""
        cells = [
            ConfirmEntry(slot, False, {"cell": dict(cell)}) for slot, cell in enumerate(self.config.cells, 1)
        ]
        if self.config.baseline is not None:
            cells.insert(0, ConfirmEntry(0, True, {"cell": dict(self.config.baseline)}))
        self._plan(cells)

    def _plan(self, entries: Sequence[ConfirmEntry]) -> None:
        with self.exclusive():
            self._entries = self._with_earlier(entries) if self.config.protocol.in_rounds else tuple(entries)
            self._insert()

    def _with_earlier(self, entries: Sequence[ConfirmEntry]) -> tuple[ConfirmEntry, ...]:
        """Those that were confirmed before, too: the comparison knows them, and may ask for more of them."""
        found = {entry.slot: entry for entry in entries}
        for own in (trial.user_attrs for trial in self.trials(*FINISHED, TrialState.RUNNING)):
            fields: dict[str, Any] = {key: own[key] for key in ("candidate", "cell") if key in own}
            if own.get("state") != WITHDRAWN:
                found.setdefault(own["slot"], ConfirmEntry(own["slot"], bool(own.get("baseline")), fields))
        return tuple(found.values())

    def rounds(self) -> Rounds:
        """What was decided after each round, by whichever machine; none with a fixed number of seeds."""
        attributes = self.storage.get_study_user_attrs(self.study_id)
        slots = [entry.slot for entry in self._entries]
        return Rounds.stored(attributes.get(ROUNDS), slots, self.config.protocol.max_seeds)

    def round_is_over(self) -> bool:
        """Whether nothing of the plan waits or runs, here or elsewhere."""
        return not self.storage.count(self.study_id, TrialState.WAITING, TrialState.RUNNING)

    def add_round(self, decision: RoundRecord) -> None:
        """Keep a decision and put the next round into the plan. To be called under the lock of the rounds.

        First the decision is kept: whoever is killed before the plan is made, makes it at the next start.
        """
        with self.exclusive():
            self.storage.set_study_user_attr(
                self.study_id, ROUNDS, self.rounds().with_decision(decision).to_dict()
            )
            self._insert()

    def reopen(self) -> None:
        """Go on after the last decision, which ended the rounds for want of hours."""
        with self.exclusive():
            rounds = self.rounds()
            if rounds.finished:
                self.storage.set_study_user_attr(self.study_id, ROUNDS, rounds.reopened().to_dict())
                self._insert()

    def _insert(self) -> None:
        """Put into the plan what it lacks."""
        trials = [trial.user_attrs for trial in self.trials()]
        wanted = self._wanted(trials)
        self._withdraw(set(wanted))
        trials = [trial.user_attrs for trial in self.trials()]
        planned = {(own["slot"], own["seed"]) for own in trials if own.get("state") != WITHDRAWN}
        self._withdrawn = sum(own.get("state") == WITHDRAWN for own in trials)
        entries = {entry.slot: entry for entry in self._entries}
        for slot, seed in wanted:
            if (slot, seed) not in planned:
                self.enqueue(slot, seed, baseline=entries[slot].baseline, **entries[slot].fields)

    def _wanted(self, trials: Sequence[Mapping[str, Any]]) -> list[tuple[int, int]]:
        """Every (slot, seed) of the plan, seed by seed. trials: the attributes of those that there are."""
        protocol = self.config.protocol
        seeds = dict.fromkeys((entry.slot for entry in self._entries), protocol.first_seeds)
        if protocol.in_rounds:
            rounds, built = self.rounds(), fingerprints(trials)
            seeds = {slot: rounds.seeds_of(built.get(slot), first) for slot, first in seeds.items()}
        most = max(seeds.values(), default=0)
        return [(slot, seed) for seed in range(1, most + 1) for slot in seeds if seed <= seeds[slot]]

    def _withdraw(self, wanted: Set[tuple[int, int]]) -> None:
        """Leave out what waits and is not wanted any more: there are fewer seeds now, or other leaders.

        Not where other machines may want it.
        """
        for trial in () if self.storage.shared else self.trials(TrialState.WAITING):
            if (trial.user_attrs["slot"], trial.user_attrs["seed"]) not in wanted:
                self.storage.cached.set_trial_user_attr(trial_id_of(trial), "state", WITHDRAWN)
                self.storage.cached.set_trial_state_values(trial_id_of(trial), TrialState.FAIL)

    def plan_next(self) -> type[Wait] | None:
        """The plan is made before the stage begins."""
        return None

    def task_fields(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """A fixed candidate or cell; the seed draws the monitor split too."""
        fields: dict[str, Any] = {
            "monitor_seed": attributes["seed"],
            "validate": True,
            "keep_model": self.config.protocol.keep_models != "none",
            "folds": self.config.folds,
        }
        if "candidate" in attributes:
            return fields | {"candidate": attributes["candidate"]}
        return fields | cell_fields(self.config, attributes["cell"])

    def suggest(self, evaluation: ActiveEvaluation, name: str, domain: Domain) -> Value:
        """What a cell leaves open stands at its default, the same in every cell."""
        assert domain.default is not None  # noqa: S101  whoever declares a hyperparameter gives one
        return domain.default

    def candidate(self, fingerprint: str) -> Mapping[str, Any]:
        """A confirmed candidate as a plan stores it. Raises KeyError where none has this fingerprint."""
        built = {t.user_attrs.get("fingerprint"): t.user_attrs.get("candidate") for t in self.trials()}
        found: Any = built[fingerprint]
        return found  # type: ignore[no-any-return]

    def _count(self) -> int:
        return self.storage.count(self.study_id, *FINISHED) - self._withdrawn

    def total(self) -> int:
        """How many evaluations the plan holds."""
        return self.storage.count(self.study_id) - self._withdrawn


def fingerprints(trials: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """The candidates that were built, by slot. trials: the attributes of confirm trials."""
    return {own["slot"]: own["fingerprint"] for own in trials if "fingerprint" in own}
