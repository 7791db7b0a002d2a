"""The last stage, where the experiment asks for it: the selected candidate, on all training images.

Monitor has no say any more, so its images are trained on too. For how long, and at which learning rates, is
what the confirm stage found: nothing of it is decided here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from search.execution.messages import Value
from search.study.stages.evaluation import ActiveEvaluation
from search.study.stages.stage import FINISHED, Stage, Wait
from search.tracking import names
from spaces.domains import Domain


class Refit(Stage):
    """One evaluation for each (candidate, learning rates) that a verdict asked for."""

    name = names.FINAL

    def plan(
        self, candidate: Mapping[str, Any], fingerprint: str, rates: Sequence[float], workers: int = 1
    ) -> None:
        """Put it into the plan, unless it is there. It is alone: it gets the cores of two workers."""
        self.workers = workers
        with self.exclusive():
            if self._trial(fingerprint, rates) is None:
                fields = {"candidate": dict(candidate), "selected": fingerprint, "rates": list(rates)}
                self.enqueue(len(self.trials()), 0, threads=self.threads_of_two(), **fields)

    def key_of(self, fingerprint: str, rates: Sequence[float]) -> str | None:
        """The key of the evaluation, if it is complete."""
        trial = self._trial(fingerprint, rates)
        if trial is None or trial.state != TrialState.COMPLETE:
            return None
        return str(trial.user_attrs["key"])

    def _trial(self, fingerprint: str, rates: Sequence[float]) -> FrozenTrial | None:
        """The one that is complete, or is to be; what failed is tried again when it is next asked for."""
        wanted = (fingerprint, list(rates))
        for trial in self.trials(TrialState.COMPLETE, TrialState.RUNNING, TrialState.WAITING):
            if (trial.user_attrs.get("selected"), trial.user_attrs.get("rates")) == wanted:
                return trial
        return None

    def plan_next(self) -> type[Wait] | None:
        """The plan is made before the stage begins."""
        return None

    def task_fields(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """A fixed candidate; validation is measured, train and monitor are trained on."""
        rates = attributes["rates"]
        return {
            "candidate": attributes["candidate"],
            "rates": rates,
            "epochs": len(rates),
            "validate": True,
            "keep_model": True,
        }

    def suggest(self, evaluation: ActiveEvaluation, name: str, domain: Domain) -> Value:
        """Never asked: the candidate is fixed."""
        raise AssertionError(f"a fixed candidate draws nothing. Received: {name}")

    def _count(self) -> int:
        return self.storage.count(self.study_id, *FINISHED)

    def total(self) -> int:
        """How many evaluations the plan holds."""
        return self.storage.count(self.study_id)
