"""What a machine has for children to run on: its GPUs, else its cores."""

import os
from collections.abc import Mapping
from pathlib import Path

#: Memory that one child is reckoned to need, in GiB, when the number of workers is left open.
_CHILD_GIB = 1.0
#: What the children of one GPU may take of its memory together; the rest is the driver's.
_GPU_MEMORY = 0.9


def environments(workers: int | None, threads: int, gpu_share: int = 1) -> tuple[Mapping[str, str], ...]:
    """The variables of each worker slot's children; as many as there are to be workers.

    With GPUs, a child sees one alone; left open, there are `gpu_share` workers for each. Without, as many as
    keep every core busy at `threads` threads each.
    """
    pinned = [_pinned(gpu, gpu_share) for _ in range(gpu_share) for gpu in gpus()]
    count = workers or len(pinned) or _cpu_workers(threads)
    return tuple(pinned[n % len(pinned)] if pinned else {} for n in range(count))


def gpus() -> tuple[str, ...]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them. Asks no library."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        return tuple(name.strip() for name in allowed.split(",") if name.strip() not in ("", "-1"))
    return tuple(str(n) for n, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*")))


def _pinned(gpu: str, share: int) -> dict[str, str]:
    """One GPU for a child, and memory as it needs it: children of one GPU share it, whatever the backend."""
    memory = {"XLA_PYTHON_CLIENT_MEM_FRACTION": f"{_GPU_MEMORY / share:.2f}"} if share > 1 else {}
    return {"CUDA_VISIBLE_DEVICES": gpu, "TF_FORCE_GPU_ALLOW_GROWTH": "true", **memory}


def cores() -> int:
    """Cores that this process may use: its affinity and its control group's quota."""
    allowed = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return allowed
    return allowed if quota == "max" else max(1, min(allowed, int(quota) // int(period)))


def _cpu_workers(threads: int) -> int:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return max(1, min(cores() // threads, int(memory / _CHILD_GIB) - 1))
