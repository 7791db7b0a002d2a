"""What a worker slot claims, one evaluation after the other, and the next one early where that may be."""

import threading
from concurrent.futures import Executor, Future
from functools import partial

from search.execution.messages import STOPPED, EvaluationResult
from search.study.optuna.retry import RetryPolicy
from search.study.stages.evaluation import ActiveEvaluation
from search.study.stages.stage import Stage, Wait


class Claims:
    """The claims of one slot.

    While a child writes down the result of its evaluation, the next one is claimed: not sooner, since a
    claim keeps the evaluation from others, and only in a stage that does not learn.

    Args:
        stage: The stage to claim from.
        worker: The number of the slot.
        retry_policy: Repeats a claim that fails for a passing reason.
        stopping: Is set when a stop is asked for; then nothing is claimed early.
        beside: Runs an early claim.
    """

    def __init__(
        self,
        stage: Stage,
        worker: int,
        retry_policy: RetryPolicy,
        stopping: threading.Event,
        beside: Executor,
    ) -> None:
        self._stage = stage
        self._stopping = stopping
        self._beside = beside
        self._claim = partial(retry_policy.keep_trying, partial(stage.claim, worker))
        self._early: Future[ActiveEvaluation | type[Wait] | None] | None = None

    def ahead(self) -> None:
        """Claim the next one now, in the background."""
        if self._early is None and not self._stage.learns and not self._stopping.is_set():
            self._early = self._beside.submit(self._claim)

    def take(self) -> ActiveEvaluation | type[Wait] | None:
        """The next evaluation: see `Stage.claim`."""
        early, self._early = self._early, None
        evaluation = early.result() if early is not None else None
        # That there was none is no news: the slot's own evaluation was under way.
        return evaluation if isinstance(evaluation, ActiveEvaluation) else self._claim()

    def give_back(self) -> None:
        """Leave what was claimed and not taken to whoever comes next."""
        early, self._early = self._early, None
        if (
            early is not None
            and early.exception() is None
            and isinstance(evaluation := early.result(), ActiveEvaluation)
        ):
            self._stage.finish(evaluation, EvaluationResult(STOPPED))
