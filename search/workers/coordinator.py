"""Runs a stage: one thread for each worker slot, one child for each evaluation, no Keras here.

A slot claims an evaluation, lets a child do it, and passes the end on: first to the observers (the recorder
spools it to disk), then to the stage (Optuna is told). Where no answer bears on what comes next, the slot
does not wait for that. A child that dies is followed by another, which goes on from the checkpoint; a user's
mistake ends the stage.
"""

import json
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path

from search.execution.atomic_files import write_whole
from search.execution.fork_client import ForkServer, Spare
from search.execution.limits import shell_limit_mb
from search.execution.messages import (
    LOST,
    RESULT,
    STOPPED,
    EvaluationResult,
)
from search.study.optuna.retry import BrokenStudy, RetryPolicy
from search.study.optuna.storage import SUSPECTS
from search.study.stages.evaluation import ActiveEvaluation
from search.study.stages.stage import Stage
from search.tracking import names
from search.workers.claims import Claims
from search.workers.session import (
    Cause,
    ChildSession,
    Died,
    Observer,
)

_POLL_SECONDS = 0.25
_HUNG_RETRIES = 1
_START_SECONDS = 180
_SERVER_RETRIES = 5
#: So often is an evaluation that was killed from outside done again before that is the candidate's failure.
_KILLS = 5
#: How an evaluation ends that says: training works here. Draws that are not trained say nothing of it.
_TRAINED = (names.COMPLETE, names.PRUNED, names.DIVERGED)
#: What the sampler is told of a candidate that the kernel killed for want of memory.
_OUT_OF_MEMORY = {"memory": 1.0}


class Coordinator:
    """Runs stages one after the other with the same workers.

    Args:
        server: Forks the children.
        workers: The number of evaluations at once.
        observers: Are told of every evaluation's course.
        say: Shows a sentence to the user.
        environments: Environment variables of the children, by worker slot; fewer than workers are shared
            in turn.
    """

    def __init__(
        self,
        server: ForkServer,
        workers: int,
        observers: Sequence[Observer],
        say: Callable[[str], None] = print,
        environments: Sequence[Mapping[str, str]] = ({},),
    ) -> None:
        self._server = server
        self.workers = workers
        self._observers = observers
        self._environments = environments
        self._stopping = threading.Event()
        self._forced = threading.Event()
        self._retry_policy = RetryPolicy(self._stopping, say)
        self._errors: list[Exception] = []
        self._failed_in_a_row: list[str] = []  # keys
        self._lock = threading.Lock()

    @property
    def stopped(self) -> bool:
        """Whether a stop was asked for."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """First call: finish the current epochs, save, leave. Second call: end the children now."""
        if self._stopping.is_set():
            self._forced.set()
            self._server.close()
        self._stopping.set()

    def run(self, stage: Stage) -> None:
        """Run until the stage has nothing left or a stop was asked for. Raises the first error."""
        stage.workers = self.workers
        over = threading.Event()
        beating = threading.Thread(target=self._beat, args=(stage, over), name="heartbeat", daemon=True)
        slots = [
            threading.Thread(target=self._work_on, args=(stage, n), name=f"worker-{n}")
            for n in range(self.workers)
        ]
        for thread in (beating, *slots):
            thread.start()
        for thread in slots:
            thread.join()
        over.set()
        beating.join()
        if self._errors:
            raise self._errors[0]
        self._doubt_failures(stage)

    def _doubt_failures(self, stage: Stage) -> None:
        """Let the next start try again what failed in a stage in which nothing was ever trained."""
        if self._failed_in_a_row and not any(
            trial.user_attrs.get("state") in _TRAINED for trial in stage.trials()
        ):
            stage.study.set_user_attr(SUSPECTS, self._failed_in_a_row)

    def _beat(self, stage: Stage, over: threading.Event) -> None:
        try:
            while not over.wait(stage.storage.heartbeat_interval):
                stage.beat()
        except BaseException as error:  # without a sign of life other machines take the evaluations over
            self._break_off(error)

    def _work_on(self, stage: Stage, worker: int) -> None:
        environment = self._environments[worker % len(self._environments)]
        spare = Spare(self._server)
        try:
            with ThreadPoolExecutor(1, f"worker-{worker}-beside") as beside:  # waits for the last end
                claims = Claims(stage, worker, self._retry_policy, self._stopping, beside)
                session = ChildSession(
                    stage=stage,
                    observers=self._observers,
                    retry_policy=self._retry_policy,
                    stopping=self._stopping,
                    forced=self._forced,
                    environment=environment,
                    spare=spare,
                    claims=claims,
                )
                try:
                    self._take_turns(session, beside)
                finally:
                    claims.give_back()
        except BaseException as error:  # in this thread nothing else would hear of it
            self._break_off(error)
        finally:
            spare.end()

    def _take_turns(self, session: ChildSession, beside: Executor) -> None:
        while not self._stopping.is_set():
            session.spare.prepare()
            evaluation = session.claims.take()
            if evaluation is None:
                return
            if isinstance(evaluation, ActiveEvaluation):
                self._evaluate(session, evaluation, beside)
            else:
                self._stopping.wait(_POLL_SECONDS)

    def _break_off(self, error: BaseException) -> None:
        if not isinstance(error, Exception):  # SystemExit and its like would end the command without a word
            error = BrokenStudy(f"a thread of the study ended ({type(error).__name__}: {error})")
        with self._lock:
            self._errors.append(error)
        self._stopping.set()

    def _evaluate(self, session: ChildSession, evaluation: ActiveEvaluation, beside: Executor) -> None:
        for observer in self._observers:
            observer.begun(evaluation)
        try:
            result = self._try(session, evaluation)
        except BaseException:
            self._end(session.stage, evaluation, EvaluationResult(STOPPED))
            raise
        over = beside.submit(self._pass_on, session.stage, evaluation, result)
        if session.stage.learns:
            over.result()

    def _pass_on(self, stage: Stage, evaluation: ActiveEvaluation, result: EvaluationResult) -> None:
        try:
            self._end(stage, evaluation, result)
            self._count_failure(stage, evaluation, result)
        except BaseException as error:
            self._break_off(error)

    def _end(self, stage: Stage, evaluation: ActiveEvaluation, result: EvaluationResult) -> None:
        """Decide, record, tell, forget: after a kill in between, what follows is repeated, the same."""
        keep_trying = self._retry_policy.keep_trying
        if keep_trying(partial(stage.lost, evaluation)):
            result = EvaluationResult(LOST, "another machine has taken it over")
        keep_trying(partial(_decide, evaluation, result))
        for observer in self._observers:
            keep_trying(partial(observer.ended, evaluation, result))
        keep_trying(partial(stage.finish, evaluation, result))
        if result.state not in (STOPPED, LOST):
            shutil.rmtree(evaluation.task.folder, ignore_errors=True)

    def _count_failure(self, stage: Stage, evaluation: ActiveEvaluation, result: EvaluationResult) -> None:
        """End a stage in which nothing works any more: the next start tries these evaluations again."""
        limit = stage.config.protocol.max_consecutive_failures
        with self._lock:
            if result.state == names.FAILED:
                self._failed_in_a_row.append(evaluation.key)
            elif result.state in _TRAINED:
                self._failed_in_a_row.clear()
            if len(self._failed_in_a_row) >= limit:
                stage.study.set_user_attr(SUSPECTS, self._failed_in_a_row)
                raise BrokenStudy(
                    f"{limit} evaluations failed one after the other; the last one: {result.reason}"
                )

    def _try(self, session: ChildSession, evaluation: ActiveEvaluation) -> EvaluationResult:
        """Evaluate, again from the checkpoint where a child died; a full disk is only waited for.

        A server that is killed takes its children along, and no candidate is to blame for that; nor, a few
        times, for a child that somebody kills.
        """
        retries, waits, servers, kills = session.stage.config.protocol.retries, 0, 0, 0
        try:
            while True:
                result = self._run_child(session, evaluation)
                if isinstance(result, EvaluationResult):
                    return result
                if self._stopping.is_set():
                    return EvaluationResult(STOPPED, result.reason)
                if result.cause is Cause.DISK:
                    self._retry_policy.pause(result.reason.splitlines()[0], waits)
                    waits += 1
                elif result.cause is Cause.SERVER:
                    servers += 1
                    if servers > _SERVER_RETRIES:
                        raise BrokenStudy(f"{result.reason}, {servers} times during one evaluation")
                elif result.cause is Cause.KILLED and kills < _KILLS:
                    kills += 1
                elif evaluation.attempts >= (
                    min(retries, _HUNG_RETRIES) if result.cause is Cause.SILENCE else retries
                ):
                    return _given_up(result, evaluation.attempts + 1 + kills)
                else:
                    evaluation.attempts += 1
        finally:
            self._retry_policy.resume(waits)

    def _run_child(self, session: ChildSession, evaluation: ActiveEvaluation) -> EvaluationResult | Died:
        self._retry_policy.keep_trying(
            partial(Path(evaluation.task.folder).mkdir, parents=True, exist_ok=True)
        )
        evaluation.trained_seconds = 0.0
        child = session.spare.take()
        self._server.wait_until_ready(_START_SECONDS)  # a server that begins anew is not the child's silence
        return session.serve(evaluation, child)


def _decide(evaluation: ActiveEvaluation, result: EvaluationResult) -> None:
    """Keep how it ended, so that whoever repeats what follows after a kill finds it decided."""
    file = Path(evaluation.task.folder) / RESULT
    if result.state in (STOPPED, LOST) or evaluation.built is None or file.exists():
        return
    write_whole(file, json.dumps(asdict(result)))


def _given_up(died: Died, attempts: int) -> EvaluationResult:
    reason = f"{died.reason} ({attempts} attempts)"
    if died.cause is Cause.MEMORY and (limit := shell_limit_mb()) is not None:
        raise BrokenStudy(
            f"an evaluation ran out of the {limit:.0f} MiB of address space that `ulimit -v` allows: raise "
            f"it, or set `max_memory_mb` in [protocol] instead. The cause: {reason}"
        )
    if died.cause is Cause.MEMORY:
        return EvaluationResult(names.INFEASIBLE, reason, violations=_OUT_OF_MEMORY)
    return EvaluationResult(names.FAILED, reason)
