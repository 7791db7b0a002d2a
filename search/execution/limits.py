"""What one evaluation may use. A child over its limit is ended, and the sampler learns of it."""

import time
from dataclasses import dataclass, field
from pathlib import Path


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

    def hear(self) -> None:
        """The child has said something."""
        self.heard = time.monotonic()

    def excess(self, pid: int | None) -> Excess | None:
        """The first limit passed, if any."""
        now, limits = time.monotonic(), self.limits
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
