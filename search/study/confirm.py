"""The second stage: every leader, or every cell of a grid, on the same fresh seeds, never pruned."""

from collections.abc import Mapping, Sequence, Set
from typing import Any

from optuna.trial import TrialState

from search.execution.messages import Value
from search.study._optuna_private import trial_id_of
from search.study.evaluation import ActiveEvaluation
from search.study.explore import cell_fields
from search.study.leaders import Leader
from search.study.stage import FINISHED, Stage, Wait
from search.tracking import names
from spaces.domains import Domain

#: The state of a trial that was planned, never begun, and is not wanted any more.
WITHDRAWN = "withdrawn"


class Confirm(Stage):
    """One trial per candidate and seed, inserted once, whoever inserts it."""

    name = names.CONFIRM
    _withdrawn = 0  # how many trials are

    def plan(self, leaders: Sequence[Leader]) -> None:
        """Put every (leader, seed) into the plan that is not in it yet: seed by seed, so that pairs fill."""
        self._insert([(leader.slot, leader.baseline, {"candidate": leader.candidate}) for leader in leaders])

    def plan_cells(self) -> None:
        """The same for the cells of a grid; the baseline has slot 0, the cells come after it."""
        cells: list[tuple[int, bool, dict[str, Any]]] = [
            (slot, False, {"cell": dict(cell)}) for slot, cell in enumerate(self.config.cells, start=1)
        ]
        if self.config.baseline is not None:
            cells.insert(0, (0, True, {"cell": dict(self.config.baseline)}))
        self._insert(cells)

    def _insert(self, entries: Sequence[tuple[int, bool, dict[str, Any]]]) -> None:
        seeds = range(1, self.config.protocol.seeds + 1)
        with self.exclusive():
            self._withdraw({(slot, seed) for slot, _, _ in entries for seed in seeds})
            trials = [trial.user_attrs for trial in self.trials()]
            planned = {(own["slot"], own["seed"]) for own in trials if own.get("state") != WITHDRAWN}
            self._withdrawn = sum(own.get("state") == WITHDRAWN for own in trials)
            for seed in seeds:
                for slot, baseline, fields in entries:
                    if (slot, seed) not in planned:
                        self.enqueue(slot, seed, baseline=baseline, **fields)

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
