"""Waiting for what comes back: a storage server that is away, a disk that is full.

A study that meets one of these pauses, says so once, and goes on by itself. Nothing is given up.
"""

import threading
from collections.abc import Callable
from typing import TypeVar

from search.execution.atomic_files import disk_is_full
from search.safety.secrets import masked
from search.study.optuna.storage import is_passing

_T = TypeVar("_T")
_SECONDS = (0.2, 1, 2, 5, 10)


class BrokenStudy(Exception):
    """The study cannot go on now. Everything done is kept."""


def passing(error: BaseException) -> str:
    """Why something failed that will pass: a disk that is full, a storage that is away. "" for all else."""
    if not (disk_is_full(error) or is_passing(error)):
        return ""
    return masked(str(error.__cause__ or error).strip().splitlines()[0])


class RetryPolicy:
    """Repeats what fails for a reason that passes. For many threads; one message for all of them."""

    def __init__(self, stopping: threading.Event, say: Callable[[str], None]) -> None:
        self._stopping = stopping
        self._say = say
        self._lock = threading.Lock()
        self._waiting = 0

    def keep_trying(self, act: Callable[[], _T]) -> _T:
        """What `act` returns in the end. Raises BrokenStudy when a stop is asked for while it fails."""
        failures = 0
        while True:
            try:
                done = act()
            except Exception as error:
                reason = passing(error)
                if not reason:
                    raise
                self.pause(reason, failures)
                failures += 1
            else:
                self.resume(failures)
                return done

    def pause(self, reason: str, failures: int) -> None:
        """Wait a little, longer after each failure; the first one is announced."""
        with self._lock:
            self._waiting += failures == 0
            if failures == 0 and self._waiting == 1:  # said in turn with what another thread has to say
                self._say(f"paused: {reason}. It goes on by itself when this is over; nothing is lost")
        if self._stopping.wait(_SECONDS[min(failures, len(_SECONDS) - 1)]):
            raise BrokenStudy(f"stopped while waiting: {reason}")

    def resume(self, failures: int) -> None:
        """The wait of one thread is over."""
        if failures:
            with self._lock:
                self._waiting -= 1
                if self._waiting == 0:
                    self._say("going on")
