"""Runs a stage: one thread for each worker slot, one child for each evaluation, no Keras here.

A slot claims an evaluation, forks a child, answers what the child asks, and passes on what it says:
first to the observers (the recorder spools it to disk), then to the stage (Optuna is told). A child
that dies is tried again from its checkpoint; a user's mistake ends the stage.
"""

import shutil
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from search.execution.children import Child, ForkServer
from search.execution.limits import Limits, Watch
from search.execution.protocol import (
    Answer,
    Built,
    Epoch,
    Failed,
    Infeasible,
    Result,
    Suggest,
    answer,
    receive,
    send,
)
from search.stage import HEARTBEAT_SECONDS, Outcome, Stage, Work
from search.tracking import names
from spaces.domains import domain_from_dict
from spaces.errors import UserError

_POLL_SECONDS = 0.25


class Observer(Protocol):
    """Sees what happens to evaluations. Called from worker threads, before Optuna is told."""

    def begun(self, work: Work) -> None: ...  # noqa: D102
    def built(self, work: Work) -> None: ...  # noqa: D102
    def epoch(self, work: Work, message: Epoch) -> None: ...  # noqa: D102
    def ended(self, work: Work, outcome: Outcome) -> None: ...  # noqa: D102


class BrokenStudy(Exception):
    """Too many different evaluations failed one after the other. Everything done is kept."""


@dataclass(frozen=True)
class _Died:
    """A child ended without a result."""

    reason: str


class Coordinator:
    """Runs stages one after the other with the same workers."""

    def __init__(self, server: ForkServer, workers: int, observers: Sequence[Observer]) -> None:
        self._server = server
        self._workers = workers
        self._observers = observers
        self._stopping = threading.Event()
        self._forced = False
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
            self._forced = True
            self._server.close()
        self._stopping.set()

    def run(self, stage: Stage) -> None:
        """Run until the stage has nothing left or a stop was asked for. Raises the first error."""
        stage.workers = self._workers
        over = threading.Event()
        beating = threading.Thread(target=self._beat, args=(stage, over), name="heartbeat", daemon=True)
        slots = [
            threading.Thread(target=self._work_on, args=(stage, n), name=f"worker-{n}")
            for n in range(self._workers)
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
        while not over.wait(HEARTBEAT_SECONDS):
            stage.beat()

    def _work_on(self, stage: Stage, worker: int) -> None:
        try:
            while not self._stopping.is_set():
                work = stage.claim(worker)
                if work is None:
                    return
                if isinstance(work, Work):
                    self._evaluate(stage, work)
                else:
                    self._stopping.wait(_POLL_SECONDS)
        except Exception as error:
            with self._lock:
                self._errors.append(error)
            self._stopping.set()

    def _evaluate(self, stage: Stage, work: Work) -> None:
        for observer in self._observers:
            observer.begun(work)
        outcome = self._try(stage, work)
        for observer in self._observers:
            observer.ended(work, outcome)
        stage.finish(work, outcome)
        if outcome.state != "stopped":
            shutil.rmtree(work.task.folder, ignore_errors=True)
        self._count_failure(stage, outcome)

    def _count_failure(self, stage: Stage, outcome: Outcome) -> None:
        limit = stage.setting.protocol.max_consecutive_failures
        with self._lock:
            failed = outcome.state == names.FAILED
            self._failures_in_a_row = self._failures_in_a_row + 1 if failed else 0
            if self._failures_in_a_row >= limit:
                raise BrokenStudy(
                    f"{limit} evaluations failed one after the other; the last one: {outcome.reason}"
                )

    def _try(self, stage: Stage, work: Work) -> Outcome:
        """Evaluate, again from the checkpoint where a child died."""
        retries = stage.setting.protocol.retries
        while True:
            result = self._converse(stage, work)
            if isinstance(result, Outcome):
                return result
            if self._stopping.is_set():
                return Outcome("stopped", result.reason)
            if work.attempts >= retries:
                return Outcome(names.FAILED, f"{result.reason} ({work.attempts + 1} attempts)")
            work.attempts += 1

    def _converse(self, stage: Stage, work: Work) -> Outcome | _Died:
        """Serve one child from its task to its end."""
        protocol = stage.setting.protocol
        watch = Watch(Limits(protocol.max_seconds, protocol.max_memory_mb, protocol.stall_seconds))
        Path(work.task.folder).mkdir(parents=True, exist_ok=True)
        work.trained_seconds = 0.0
        oom_kills = _oom_kills()
        child = self._server.fork()
        try:
            send(child.pipe, work.task)
            while True:
                if self._forced:
                    return _Died("stopped by force")
                if child.pipe.poll(_POLL_SECONDS):
                    watch.hear()
                    outcome = self._hear(stage, work, child)
                    if outcome is not None:
                        return outcome
                elif excess := watch.excess(child.pid):
                    if excess.violation is None:
                        return _Died(excess.reason)
                    return Outcome(names.INFEASIBLE, excess.reason, violations={"limits": excess.violation})
        except (EOFError, OSError):
            return _after_death(child, oom_kills)
        finally:
            child.kill()
            child.wait(10)
            child.pipe.close()

    def _hear(self, stage: Stage, work: Work, child: Child) -> Outcome | _Died | None:
        """Answer one message; an outcome when it was the last."""
        match receive(child.pipe):
            case Suggest(name, domain):
                answer(child.pipe, stage.suggest(work, name, domain_from_dict(domain)))
            case Built() as built:
                verdict = stage.built(work, built)
                if verdict == Answer.DUPLICATE:
                    return work.known
                for observer in self._observers:
                    observer.built(work)
                answer(child.pipe, verdict)
            case Epoch() as message:
                verdict = stage.epoch(work, message)
                for observer in self._observers:
                    observer.epoch(work, message)
                answer(child.pipe, Answer.STOP if self._stopping.is_set() else verdict)
            case Result(outcome, score, metrics):
                return Outcome(outcome, score=score, metrics=metrics)
            case Infeasible() as refused:
                return _infeasible(refused)
            case Failed() as failed:
                return self._after_failure(failed)
        return None

    def _after_failure(self, failed: Failed) -> Outcome | _Died:
        if failed.kind == "user":
            raise UserError(failed.message)
        if failed.kind == "diverged":
            return Outcome(names.DIVERGED, failed.message)
        return _Died(failed.message if not failed.detail else f"{failed.message}\n{failed.detail}")


def _infeasible(refused: Infeasible) -> Outcome:
    counts = {names.PARAMETERS: refused.parameters, names.MACS: refused.macs}
    return Outcome(
        names.INFEASIBLE,
        refused.reason,
        metrics={name: float(value) for name, value in counts.items() if value is not None},
        violations={"budget": max(refused.violation, 1e-9)},
    )


def _after_death(child: Child, oom_kills: int) -> _Died:
    ending = child.wait(10)
    if ending is None:
        return _Died("the process closed its pipe and went on")
    if ending.code == -signal.SIGKILL and _oom_kills() > oom_kills:
        return _Died(f"killed for want of memory at {ending.peak_mib:.0f} MiB")
    return _Died(f"the process ended without a result: {ending}")


def _oom_kills() -> int:
    """How often the kernel has killed for want of memory, in this control group or on this machine."""
    for path in (Path("/sys/fs/cgroup/memory.events"), Path("/proc/vmstat")):
        try:
            lines = path.read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
