"""One child from its task to its end: what it asks, what it reports, how it died.

Storage and disk may be away while a child waits for its answer: then it waits longer, and nothing is lost.
"""

import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import partial
from pathlib import Path
from typing import Protocol

from optuna.exceptions import UpdateFinishedTrialError

from search.execution.fork_client import SERVER_DIED, Child, Spare
from search.execution.limits import Limits, Watch, shell_limit_mb
from search.execution.messages import (
    LOST,
    Built,
    Closing,
    Decision,
    Epoch,
    EvaluationResult,
    Failed,
    Infeasible,
    Round,
    Suggest,
    answer,
    receive,
    send,
)
from search.study.optuna.retry import BrokenStudy, RetryPolicy
from search.study.stages.evaluation import ActiveEvaluation
from search.study.stages.stage import Stage
from search.tracking import names
from search.workers.claims import Claims
from spaces.domains import domain_from_dict
from spaces.errors import UserError

_POLL_SECONDS = 0.25
_CRASHES = (127, -signal.SIGABRT, -signal.SIGSEGV)
#: Nothing in a child sends these to itself: an operator, or a kernel that does not say it was for memory.
_FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM)
_LOOK_SECONDS = 5.0  # between two looks whether an evaluation is still this machine's


class Observer(Protocol):
    """Sees what happens to evaluations. Called from worker threads, before Optuna is told."""

    def begun(self, evaluation: ActiveEvaluation) -> None: ...  # noqa: D102
    def built(self, evaluation: ActiveEvaluation) -> None: ...  # noqa: D102
    def epoch(self, evaluation: ActiveEvaluation, message: Epoch) -> None: ...  # noqa: D102
    def ended(self, evaluation: ActiveEvaluation, result: EvaluationResult) -> None: ...  # noqa: D102


class Cause(Enum):
    """Why a child died, as far as it decides what is done about it."""

    UNKNOWN = auto()
    SILENCE = auto()
    MEMORY = auto()
    DISK = auto()
    SERVER = auto()
    KILLED = auto()


@dataclass(frozen=True)
class Died:
    """A child ended without a result."""

    reason: str
    cause: Cause = Cause.UNKNOWN


@dataclass(frozen=True)
class ChildSession:
    """What the child sessions of one worker slot share.

    environment: variables of its children. spare: its next child. claims: where its next evaluation is from.
    """

    stage: Stage
    observers: Sequence[Observer]
    retry_policy: RetryPolicy
    stopping: threading.Event
    forced: threading.Event
    environment: Mapping[str, str]
    spare: Spare
    claims: Claims

    def serve(self, evaluation: ActiveEvaluation, child: Child) -> EvaluationResult | Died:
        """Serve one child. Raises UserError for a mistake of the user's that the child met."""
        protocol = self.stage.config.protocol
        watch = Watch(Limits(protocol.max_seconds, protocol.max_memory_mb, protocol.stall_seconds))
        oom_kills = _oom_kills()
        try:
            send(child.pipe, replace(evaluation.task, environment=self.environment))
            while not self.forced.is_set():
                if child.pipe.poll(_POLL_SECONDS):
                    since = time.monotonic()
                    result = self._handle(evaluation, child)
                    watch.hear(time.monotonic() - since)
                    if result is not None:
                        return result
                if excess := watch.excess(child.pid):
                    if excess.violation is None:
                        return Died(excess.reason, Cause.SILENCE)
                    return EvaluationResult(
                        names.INFEASIBLE, excess.reason, violations={"limits": excess.violation}
                    )
            return Died("stopped by force")
        except UpdateFinishedTrialError:
            return EvaluationResult(LOST, "another machine has finished it")
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return _after_death(child, oom_kills)
        finally:
            child.end()

    def _handle(self, evaluation: ActiveEvaluation, child: Child) -> EvaluationResult | Died | None:
        """Answer one message; an outcome when it was the last.

        What observers do about it need not be waited for: who dies meanwhile is told all of it again.
        """
        stage, keep_trying = self.stage, self.retry_policy.keep_trying
        match receive(child.pipe):
            case Suggest(name, domain):
                value = keep_trying(partial(stage.suggest, evaluation, name, domain_from_dict(domain)))
                answer(child.pipe, value)
            case Built() as built:
                verdict = keep_trying(partial(stage.built, evaluation, built))
                if verdict == Decision.SKIP:
                    return evaluation.known
                answer(child.pipe, verdict)
                for observer in self.observers:
                    keep_trying(partial(observer.built, evaluation))
            case Epoch() as message:
                if keep_trying(partial(stage.lost, evaluation, since=_LOOK_SECONDS)):
                    return EvaluationResult(LOST, "another machine has taken it over")
                verdict = keep_trying(partial(stage.epoch, evaluation, message))
                answer(child.pipe, Decision.STOP if self.stopping.is_set() else verdict)
                for observer in self.observers:
                    keep_trying(partial(observer.epoch, evaluation, message))
            case Round(number, score):
                verdict = keep_trying(partial(stage.round, evaluation, number, score))
                answer(child.pipe, Decision.STOP if self.stopping.is_set() else verdict)
            case Closing():
                self.claims.ahead()
            case EvaluationResult() as result:
                return result
            case Infeasible() as refused:
                return _infeasible(refused)
            case Failed() as failed:
                return _after_failure(failed)
        return None


def _after_failure(failed: Failed) -> EvaluationResult | Died:
    if failed.kind == "user":
        raise UserError(failed.message)
    if failed.kind == "machine":
        raise BrokenStudy(f"nothing can be evaluated on this machine until this is mended: {failed.message}")
    if failed.kind == "diverged":
        return EvaluationResult(names.DIVERGED, failed.message)
    cause = {"memory": Cause.MEMORY, "disk": Cause.DISK}.get(failed.kind, Cause.UNKNOWN)
    prefix = "out of memory: " if cause is Cause.MEMORY else ""
    return Died(f"{prefix}{failed.message}\n{failed.detail}".strip(), cause)


def _infeasible(refused: Infeasible) -> EvaluationResult:
    counts = {names.PARAMETERS: refused.parameters, names.MACS: refused.macs}
    return EvaluationResult(
        names.INFEASIBLE,
        refused.reason,
        metrics={name: float(value) for name, value in counts.items() if value is not None},
        violations={"budget": max(refused.violation, 1e-9)},
    )


def _after_death(child: Child, oom_kills: int) -> Died:
    ending = child.wait(10)
    if ending is None:
        return Died("the process closed its pipe and went on")
    if ending.code == -signal.SIGBUS:  # a file that is mapped into memory has lost its end
        raise BrokenStudy(
            "a file was cut short while an evaluation read it, or a disk fails: `candor doctor` says which"
        )
    if ending.code == -signal.SIGKILL and _oom_kills() > oom_kills:
        return Died(f"killed for want of memory at {ending.peak_mib:.0f} MiB", Cause.MEMORY)
    if ending is SERVER_DIED:
        return Died("the process that starts evaluations was killed", Cause.SERVER)
    if ending.code in _FROM_OUTSIDE:
        return Died(f"the process ended without a result: {ending}", Cause.KILLED)
    limited = shell_limit_mb() is not None
    if ending.code in _CRASHES and limited:  # native code ends so where it gets no memory
        return Died(f"the process ended without a result: {ending}", Cause.MEMORY)
    return Died(f"the process ended without a result: {ending}")


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
