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

from search.execution.fork_client import Child, Spare
from search.execution.limits import Limits, Watch
from search.execution.messages import (
    Answer,
    Built,
    Closing,
    Epoch,
    Failed,
    Infeasible,
    Result,
    Round,
    Suggest,
    answer,
    receive,
    send,
)
from search.execution.retry import Patience
from search.study.evaluation import LOST, Outcome, Work
from search.study.stage import Stage
from search.tracking import names
from search.workers.claims import Claims
from spaces.domains import domain_from_dict
from spaces.errors import UserError

_POLL_SECONDS = 0.25
_LOOK_SECONDS = 5.0  # between two looks whether an evaluation is still this machine's


class Observer(Protocol):
    """Sees what happens to evaluations. Called from worker threads, before Optuna is told."""

    def begun(self, work: Work) -> None: ...  # noqa: D102
    def built(self, work: Work) -> None: ...  # noqa: D102
    def epoch(self, work: Work, message: Epoch) -> None: ...  # noqa: D102
    def ended(self, work: Work, outcome: Outcome) -> None: ...  # noqa: D102


class Cause(Enum):
    """Why a child died, as far as it decides what is done about it."""

    UNKNOWN = auto()
    SILENCE = auto()
    MEMORY = auto()
    DISK = auto()


@dataclass(frozen=True)
class Died:
    """A child ended without a result."""

    reason: str
    cause: Cause = Cause.UNKNOWN


@dataclass(frozen=True)
class Conversation:
    """What the conversations of one worker slot share.

    environment: variables of its children. spare: its next child. claims: where its next evaluation is from.
    """

    stage: Stage
    observers: Sequence[Observer]
    patience: Patience
    stopping: threading.Event
    forced: threading.Event
    environment: Mapping[str, str]
    spare: Spare
    claims: Claims

    def hold(self, work: Work, child: Child) -> Outcome | Died:
        """Serve one child. Raises UserError for a mistake of the user's that the child met."""
        protocol = self.stage.setting.protocol
        watch = Watch(Limits(protocol.max_seconds, protocol.max_memory_mb, protocol.stall_seconds))
        oom_kills = _oom_kills()
        try:
            send(child.pipe, replace(work.task, environment=self.environment))
            while not self.forced.is_set():
                if child.pipe.poll(_POLL_SECONDS):
                    since = time.monotonic()
                    outcome = self._hear(work, child)
                    watch.hear(time.monotonic() - since)
                    if outcome is not None:
                        return outcome
                if excess := watch.excess(child.pid):
                    if excess.violation is None:
                        return Died(excess.reason, Cause.SILENCE)
                    return Outcome(names.INFEASIBLE, excess.reason, violations={"limits": excess.violation})
            return Died("stopped by force")
        except UpdateFinishedTrialError:
            return Outcome(LOST, "another machine has finished it")
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return _after_death(child, oom_kills)
        finally:
            child.end()

    def _hear(self, work: Work, child: Child) -> Outcome | Died | None:
        """Answer one message; an outcome when it was the last.

        What observers do about it need not be waited for: who dies meanwhile is told all of it again.
        """
        stage, insist = self.stage, self.patience.insist
        match receive(child.pipe):
            case Suggest(name, domain):
                value = insist(partial(stage.suggest, work, name, domain_from_dict(domain)))
                answer(child.pipe, value)
            case Built() as built:
                verdict = insist(partial(stage.built, work, built))
                if verdict == Answer.DUPLICATE:
                    return work.known
                answer(child.pipe, verdict)
                for observer in self.observers:
                    insist(partial(observer.built, work))
            case Epoch() as message:
                if insist(partial(stage.lost, work, since=_LOOK_SECONDS)):
                    return Outcome(LOST, "another machine has taken it over")
                verdict = insist(partial(stage.epoch, work, message))
                answer(child.pipe, Answer.STOP if self.stopping.is_set() else verdict)
                for observer in self.observers:
                    insist(partial(observer.epoch, work, message))
            case Round(number, score):
                verdict = insist(partial(stage.round, work, number, score))
                answer(child.pipe, Answer.STOP if self.stopping.is_set() else verdict)
            case Closing():
                self.claims.ahead()
            case Result(outcome, score, metrics, reason, violations):
                return Outcome(outcome, reason, score, metrics, violations)
            case Infeasible() as refused:
                return _infeasible(refused)
            case Failed() as failed:
                return _after_failure(failed)
        return None


def _after_failure(failed: Failed) -> Outcome | Died:
    if failed.kind == "user":
        raise UserError(failed.message)
    if failed.kind == "diverged":
        return Outcome(names.DIVERGED, failed.message)
    cause = {"memory": Cause.MEMORY, "disk": Cause.DISK}.get(failed.kind, Cause.UNKNOWN)
    return Died(f"{failed.message}\n{failed.detail}".strip(), cause)


def _infeasible(refused: Infeasible) -> Outcome:
    counts = {names.PARAMETERS: refused.parameters, names.MACS: refused.macs}
    return Outcome(
        names.INFEASIBLE,
        refused.reason,
        metrics={name: float(value) for name, value in counts.items() if value is not None},
        violations={"budget": max(refused.violation, 1e-9)},
    )


def _after_death(child: Child, oom_kills: int) -> Died:
    ending = child.wait(10)
    if ending is None:
        return Died("the process closed its pipe and went on")
    if ending.code == -signal.SIGKILL and _oom_kills() > oom_kills:
        return Died(f"killed for want of memory at {ending.peak_mib:.0f} MiB", Cause.MEMORY)
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
