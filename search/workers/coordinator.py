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
from search.execution.messages import RESULT, Result
from search.execution.retry import BrokenStudy, Patience
from search.study.evaluation import (
    LOST,
    STOPPED,
    Outcome,
    Work,
)
from search.study.stage import Stage
from search.tracking import names
from search.workers.claims import Claims
from search.workers.session import (
    Cause,
    Conversation,
    Died,
    Observer,
)

_POLL_SECONDS = 0.25
_HUNG_RETRIES = 1
_START_SECONDS = 180
#: How an evaluation ends that says: training works here. Draws that are not trained say nothing of it.
_TRAINED = (names.COMPLETE, names.PRUNED, names.DIVERGED)
#: What the sampler is told of a candidate that the kernel killed for want of memory.
_OUT_OF_MEMORY = {"memory": 1.0}


class Coordinator:
    """Runs stages one after the other with the same workers.

    environments: variables of the children, by worker slot; fewer than workers are shared in turn.
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
        self._patience = Patience(self._stopping, say)
        self._errors: list[Exception] = []
        self._failures_in_a_row = 0
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

    def _beat(self, stage: Stage, over: threading.Event) -> None:
        while not over.wait(stage.storage.heartbeat_interval):
            stage.beat()

    def _work_on(self, stage: Stage, worker: int) -> None:
        environment = self._environments[worker % len(self._environments)]
        spare = Spare(self._server)
        try:
            with ThreadPoolExecutor(1, f"worker-{worker}-beside") as beside:  # waits for the last end
                claims = Claims(stage, worker, self._patience, self._stopping, beside)
                conversation = Conversation(
                    stage=stage,
                    observers=self._observers,
                    patience=self._patience,
                    stopping=self._stopping,
                    forced=self._forced,
                    environment=environment,
                    spare=spare,
                    claims=claims,
                )
                try:
                    self._take_turns(conversation, beside)
                finally:
                    claims.give_back()
        except Exception as error:
            self._break_off(error)
        finally:
            spare.end()

    def _take_turns(self, conversation: Conversation, beside: Executor) -> None:
        while not self._stopping.is_set():
            conversation.spare.prepare()
            work = conversation.claims.take()
            if work is None:
                return
            if isinstance(work, Work):
                self._evaluate(conversation, work, beside)
            else:
                self._stopping.wait(_POLL_SECONDS)

    def _break_off(self, error: Exception) -> None:
        with self._lock:
            self._errors.append(error)
        self._stopping.set()

    def _evaluate(self, conversation: Conversation, work: Work, beside: Executor) -> None:
        for observer in self._observers:
            observer.begun(work)
        try:
            outcome = self._try(conversation, work)
        except Exception:
            self._end(conversation.stage, work, Outcome(STOPPED))
            raise
        over = beside.submit(self._pass_on, conversation.stage, work, outcome)
        if conversation.stage.learns:
            over.result()

    def _pass_on(self, stage: Stage, work: Work, outcome: Outcome) -> None:
        try:
            self._end(stage, work, outcome)
            self._count_failure(stage, outcome)
        except Exception as error:
            self._break_off(error)

    def _end(self, stage: Stage, work: Work, outcome: Outcome) -> None:
        """Decide, record, tell, forget: after a kill in between, what follows is repeated, the same."""
        insist = self._patience.insist
        if insist(partial(stage.lost, work)):
            outcome = Outcome(LOST, "another machine has taken it over")
        insist(partial(_decide, work, outcome))
        for observer in self._observers:
            insist(partial(observer.ended, work, outcome))
        insist(partial(stage.finish, work, outcome))
        if outcome.state not in (STOPPED, LOST):
            shutil.rmtree(work.task.folder, ignore_errors=True)

    def _count_failure(self, stage: Stage, outcome: Outcome) -> None:
        limit = stage.setting.protocol.max_consecutive_failures
        with self._lock:
            if outcome.state == names.FAILED:
                self._failures_in_a_row += 1
            elif outcome.state in _TRAINED:
                self._failures_in_a_row = 0
            if self._failures_in_a_row >= limit:
                raise BrokenStudy(
                    f"{limit} evaluations failed one after the other; the last one: {outcome.reason}"
                )

    def _try(self, conversation: Conversation, work: Work) -> Outcome:
        """Evaluate, again from the checkpoint where a child died; a full disk is only waited for."""
        retries, waits = conversation.stage.setting.protocol.retries, 0
        try:
            while True:
                result = self._converse(conversation, work)
                if isinstance(result, Outcome):
                    return result
                if self._stopping.is_set():
                    return Outcome(STOPPED, result.reason)
                if result.cause is Cause.DISK:
                    self._patience.pause(result.reason.splitlines()[0], waits)
                    waits += 1
                elif work.attempts >= (
                    min(retries, _HUNG_RETRIES) if result.cause is Cause.SILENCE else retries
                ):
                    return _given_up(result, work.attempts + 1)
                else:
                    work.attempts += 1
        finally:
            self._patience.resume(waits)

    def _converse(self, conversation: Conversation, work: Work) -> Outcome | Died:
        self._patience.insist(partial(Path(work.task.folder).mkdir, parents=True, exist_ok=True))
        work.trained_seconds = 0.0
        child = conversation.spare.take()
        self._server.wait_until_ready(_START_SECONDS)  # a server that begins anew is not the child's silence
        return conversation.hold(work, child)


def _decide(work: Work, outcome: Outcome) -> None:
    """Keep how it ended, so that whoever repeats what follows after a kill finds it decided."""
    file = Path(work.task.folder) / RESULT
    if outcome.state in (STOPPED, LOST) or work.built is None or file.exists():
        return
    result = Result(outcome.state, outcome.score, outcome.metrics, outcome.reason, outcome.violations)
    write_whole(file, json.dumps(asdict(result)))


def _given_up(died: Died, attempts: int) -> Outcome:
    reason = f"{died.reason} ({attempts} attempts)"
    if died.cause is Cause.MEMORY:
        return Outcome(names.INFEASIBLE, reason, violations=_OUT_OF_MEMORY)
    return Outcome(names.FAILED, reason)
