"""What one evaluation may use. A child over its limit is ended, and the sampler learns of it."""

import resource
import time
from dataclasses import dataclass, field
from pathlib import Path

_LOOK_SECONDS = 0.25
#: Address space for the threads and buffers of the smallest training, in MiB (measured: 1,130).
_ROOM_MB = 1_024


@dataclass(frozen=True)
class Limits:
    """Wall-clock seconds in all, memory in MB (proportional set size), seconds without an epoch."""

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

    def hear(self, waited: float) -> None:
        """The child has said something, and waited so many seconds for an answer: these are not its own."""
        self.heard = time.monotonic()
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
        if limits.stall_seconds and now - self.heard > limits.stall_seconds:
            return Excess(f"no sign of life for {limits.stall_seconds:g} seconds", None)
        return None


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


def proportional_mb(pid: int) -> float:
    """A process's proportional set size: what it shares with the fork server counts in part. 0 when gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    line = next((line for line in text.splitlines() if line.startswith("Pss:")), "Pss: 0 kB")
    return float(line.split()[1]) / 1024
