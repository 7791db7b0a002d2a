"""What one evaluation may use. A child over its limit is ended, and the sampler learns of it."""

import os
import resource
import time
from dataclasses import dataclass, field
from pathlib import Path

_LOOK_SECONDS = 0.25
#: A silent child that uses more of a core than this is at work on a long epoch, for so many times the limit.
_AT_WORK, _LONGEST = 0.01, 10
#: Address space for the threads and buffers of the smallest training, in MiB (measured: 1,130).
_ROOM_MB = 1_024


@dataclass(frozen=True)
class Limits:
    """Wall-clock seconds in all, memory in MB (proportional set size), seconds without an epoch or work."""

    max_seconds: float | None = None
    max_memory_mb: float | None = None
    stall_seconds: float | None = None


@dataclass(frozen=True)
class Excess:
    """A limit that was passed. violation: value / limit - 1; None where a retry is due instead."""

    reason: str
    violation: float | None


@dataclass
class Watch:
    """Watches one child against the limits."""

    limits: Limits
    started: float = field(default_factory=time.monotonic)
    heard: float = field(default_factory=time.monotonic)
    looked: float = 0.0
    _idle_since: float = field(default_factory=time.monotonic)
    _used: float | None = None  # processor seconds at that moment

    def hear(self, waited: float) -> None:
        """The child has said something, and waited so many seconds for an answer: these are not its own."""
        self.heard = self._idle_since = time.monotonic()
        self._used = None
        self.started += waited

    def excess(self, pid: int | None) -> Excess | None:
        """The first limit passed, if any; looked for now and then."""
        now, limits = time.monotonic(), self.limits
        if now - self.looked < _LOOK_SECONDS:
            return None
        self.looked = now
        if limits.max_seconds and now - self.started > limits.max_seconds:
            return _over("seconds", now - self.started, limits.max_seconds)
        if limits.max_memory_mb and pid is not None:
            used = proportional_mb(pid)
            if used > limits.max_memory_mb:
                return _over("MB of memory", used, limits.max_memory_mb)
        if limits.stall_seconds and self._hung(pid, limits.stall_seconds, now):
            return Excess(f"no sign of life for {now - self.heard:.0f} seconds", None)
        return None

    def _hung(self, pid: int | None, seconds: float, now: float) -> bool:
        """Whether a child is silent and idle. An epoch may be long: of large images, or on a busy machine."""
        if self._used is None:
            self._used = processor_seconds(pid)
        if now - self._idle_since <= seconds:
            return False
        used = processor_seconds(pid)
        if used - self._used < _AT_WORK * seconds or now - self.heard > _LONGEST * seconds:
            return True
        self._idle_since, self._used = now, used
        return False


def shell_limit_mb() -> float | None:
    """The address space that this process may use, in MiB; None without a limit (`ulimit -v`)."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit / 2**20


def too_little_room() -> str:
    """Say what is wrong where the shell's limit leaves too little address space for any training.

    Returns:
        The reason without a full stop; "" where there is room or no limit.
    """
    limit = shell_limit_mb()
    if limit is None:
        return ""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    room = limit - pages * resource.getpagesize() / 2**20
    if room >= _ROOM_MB:
        return ""
    return (
        f"the limit of {limit:.0f} MiB of address space (`ulimit -v`) leaves {max(room, 0):.0f} MiB "
        f"to train in, of at least {_ROOM_MB}: raise it, or set `max_memory_mb` in [protocol] instead"
    )


def _over(unit: str, value: float, limit: float) -> Excess:
    return Excess(f"took more than {limit:g} {unit} ({value:.0f})", value / limit - 1)


def processor_seconds(pid: int | None) -> float:
    """Return what all threads of a process have used of all processors; 0 when it is gone or not known yet.

    Args:
        pid: The process.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def proportional_mb(pid: int) -> float:
    """A process's proportional set size: what it shares with the fork server counts in part. 0 when gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    line = next((line for line in text.splitlines() if line.startswith("Pss:")), "Pss: 0 kB")
    return float(line.split()[1]) / 1024
