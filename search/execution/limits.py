"""What one evaluation may use. A child over its limit is ended, and the sampler learns of it."""

import time
from dataclasses import dataclass, field
from pathlib import Path

_LOOK_SECONDS = 0.25


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
