"""Brings what the spool holds to MLflow, in order, beside whatever else goes on.

Records of one evaluation are delivered in their order, after those of its study. A record that cannot be sent
holds up its own evaluation, and no other one; it is tried again for as long as it waits.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from search.safety.secrets import masked
from search.sqlite_files import sqlite_path
from search.tracking.failures import Failure, failure_of, reason_of, sentence_of
from search.tracking.spool import Record, Spool
from search.tracking.writer import Writer

_RETRY_SECONDS = (1, 2, 5, 10, 30)
#: So long after the last record was sent, whoever waits for the rest is told of trouble.
_IDLE_SECONDS = 2.0
#: So long a machine that is done waits for a server that is away, and so often it tries.
_AWAY_SECONDS = 600.0
_POLL_SECONDS = 2.0
#: Failures that meet every record alike, so that the others need not be tried.
_OF_ALL = (Failure.AWAY, Failure.DENIED, Failure.NO_MLFLOW)


@dataclass
class _Held:
    """A record that could not be sent: why, how often, and when it is tried again."""

    failure: Failure
    reason: str
    times: int
    until: float


class Delivery:
    """The thread that empties the spool into MLflow. An absent server makes it wait, and nobody else."""

    def __init__(self, spool: Spool, writer: Writer) -> None:
        self._spool = spool
        self._writer = writer
        self._local = sqlite_path(writer.tracking_uri) is not None
        self._closing = threading.Event()
        self._held: dict[str, _Held] = {}  # by the record's file name
        self._progress = time.monotonic()  # when a record was last sent
        self._reached = False  # whether a record was ever sent
        self.trouble: str | None = None  # why records wait, in MLflow's words
        self.fault: str | None = None  # what the user has to mend before MLflow takes records, as a sentence
        self.refused = 0  # records to which MLflow said no
        self._thread = threading.Thread(target=self._deliver, name="delivery", daemon=True)
        self._thread.start()

    def drain(self, seconds: float) -> int:
        """Wait until all is delivered, the time is over, or there is trouble; how many still wait.

        Args:
            seconds: How long to wait at most.

        Returns:
            The number of records that wait.
        """
        for held in list(self._held.values()):
            held.until = 0.0  # tried at once: a server that was away may be back
        waited = 0.0
        while (pending := len(self._spool.pending())) and waited < seconds and self._thread.is_alive():
            idle = min(waited, time.monotonic() - self._progress)
            if self.trouble and idle > (_IDLE_SECONDS if self._waits_for_all() else 5 * _IDLE_SECONDS):
                break
            self._closing.wait(0.05)
            waited += 0.05
        return pending

    def wait_for_server(
        self, wait: Callable[[float], bool], say: Callable[[str], None], seconds: float = _AWAY_SECONDS
    ) -> None:
        """Wait for a server that went away, and say so once: this machine may never work on the study again.

        A server that never took a record from here is not waited for, nor one that is there and takes none.

        Args:
            wait: Waits for seconds and returns whether a stop was asked for meanwhile.
            say: Is told what is waited for.
            seconds: How long to wait at most.
        """
        end = time.monotonic() + seconds
        said = False
        while (waiting := self.drain(60)) and self._went_away() and time.monotonic() < end:
            if not said:
                say(
                    f"{waiting} records wait for MLflow ({self.trouble}). They are sent when it is back, "
                    f"within {seconds / 60:.0f} minutes. Ctrl-C keeps them for the next search"
                )
                said = True
            if wait(_POLL_SECONDS):
                return

    def _went_away(self) -> bool:
        return self._reached and any(held.failure is Failure.AWAY for held in list(self._held.values()))

    def close(self, seconds: float = 60) -> int:
        """Deliver what can be delivered and end; how many records still wait in the spool.

        Args:
            seconds: How long to deliver at most.

        Returns:
            The number of records that wait.
        """
        pending = self.drain(seconds)
        self._closing.set()
        with self._spool.appended:
            self._spool.appended.notify_all()
        self._thread.join(30)
        return pending

    def _waits_for_all(self) -> bool:
        return any(held.failure in _OF_ALL for held in list(self._held.values()))

    def _deliver(self) -> None:
        while not self._closing.is_set():
            with self._spool.appended:
                if not self._spool.pending():
                    self._spool.appended.wait(1)
                    continue
            if self._pass():
                self._progress = time.monotonic()
            else:
                self._closing.wait(0.5)

    def _pass(self) -> bool:
        """Try every record once that may be sent now; whether any was."""
        sent, stuck = False, set[str]()
        for path in self._spool.pending():
            if self._closing.is_set():
                return sent
            record = self._read(path)
            keys = _keys(record)
            held = self._held.get(path.name)
            if (held and held.until > time.monotonic()) or keys & stuck:
                stuck |= keys - _parents(record)
                if held and held.failure in _OF_ALL:
                    return sent
                continue
            failure = self._deliver_one(path, record)
            if failure is None:
                sent = True
            elif failure in _OF_ALL:
                return sent
            else:
                stuck |= keys - _parents(record)
        return sent

    def _read(self, path: Path) -> Record | None:
        try:
            return self._spool.read(path)
        except Exception:  # told when it is its turn
            return None

    def _deliver_one(self, path: Path, record: Record | None) -> Failure | None:
        """None: the record is out of the way. Nothing ends this thread: not a full disk, not MLflow."""
        try:
            record = record or self._spool.read(path)
            self._writer.write(record)
            self._reached = True
            self._spool.remove(record)
        except Exception as error:
            failure = failure_of(error, local=self._local)
            self._writer.forget()
            if failure is Failure.REFUSED and path.name in self._held and record is not None:
                return self._set_aside(path, record, error)
            self._hold(path, failure, error)
            return failure
        self._let_go(path)
        return None

    def _set_aside(self, path: Path, record: Record, error: Exception) -> Failure | None:
        """A record that was refused twice, the second time after all was looked up anew."""
        try:
            self._spool.set_aside(record, masked(f"{type(error).__name__}: {error}"))
        except OSError as full:
            self._hold(path, Failure.AWAY, full)
            return Failure.AWAY
        self.refused += 1
        self._let_go(path)
        return None

    def _hold(self, path: Path, failure: Failure, error: Exception) -> None:
        before = self._held.get(path.name)
        times = before.times + 1 if before else 0
        wait = 0 if failure is Failure.REFUSED else _RETRY_SECONDS[min(times, len(_RETRY_SECONDS) - 1)]
        self._held[path.name] = _Held(failure, reason_of(error), times, time.monotonic() + wait)
        if failure is not Failure.REFUSED:
            self.trouble = reason_of(error)
        if failure in (Failure.DENIED, Failure.NO_MLFLOW, Failure.ARTIFACTS):
            self.fault = sentence_of(failure, error, self._writer.tracking_uri)
        self._tell()

    def _let_go(self, path: Path) -> None:
        if self._held.pop(path.name, None) is None and self.trouble is None:
            return
        if not self._held:
            self.trouble = self.fault = None
        self._tell()

    def _tell(self) -> None:
        self._spool.explain({name: held.reason for name, held in self._held.items()})


def _keys(record: Record | None) -> set[str]:
    """The runs that a record needs: its own and its study's."""
    return set() if record is None else {record.content.get("key", "")} | _parents(record)


def _parents(record: Record | None) -> set[str]:
    parent = None if record is None else record.content.get("parent")
    return {parent} if parent else set()
