"""Checks of the machine: processes, disk, memory, packages, the backend."""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from search.doctor.checkup import MENDED, OK, WRONG, Checkup, Finding
from search.execution.devices import cores, gpus
from search.safety.import_path import safe_environment
from search.workspace import Workspace

_LOW_DISK_GIB = 1.0
_LOW_MEMORY_GIB = 1.0
_COUNT_GPUS = {
    "tensorflow": "import tensorflow as tf; print(len(tf.config.list_physical_devices('GPU')))",
    "jax": "import jax; print(sum(device.platform == 'gpu' for device in jax.devices()))",
    "torch": "import torch; print(torch.cuda.device_count())",
}


def orphans(workspace: Workspace, fix: bool) -> Finding:
    """Processes that have the workspace although their coordinator is gone."""
    holders = _holding(workspace.lock_file)
    with contextlib.suppress(FileNotFoundError, IndexError, ValueError):
        coordinator = int(workspace.lock_file.read_text().split()[1])
        if coordinator in holders:
            return Finding("processes", OK, f"{len(holders)}, of the coordinator {coordinator}")
    if not holders:
        return Finding("processes", OK, "none left behind")
    detail = f"{len(holders)} left behind: {', '.join(map(str, sorted(holders)))}"
    if not fix:
        return Finding("processes", WRONG, f"{detail}; --fix ends them")
    for pid in holders:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    time.sleep(0.2)
    return Finding("processes", MENDED, detail)


def _holding(file: Path) -> set[int]:
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if link.readlink() == file and int(link.parts[2]) != os.getpid():
                found.add(int(link.parts[2]))
    return found


def disk(checkup: Checkup) -> Iterator[Finding]:
    """Room on the workspace's disk."""
    free = shutil.disk_usage(checkup.workspace.folder).free / 2**30
    yield Finding("disk", OK if free >= _LOW_DISK_GIB else WRONG, f"{free:.1f} GiB free")


def memory(checkup: Checkup) -> Iterator[Finding]:
    """Memory for at least one child."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    available = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) / 2**20
    verdict = OK if available >= _LOW_MEMORY_GIB else WRONG
    yield Finding("memory", verdict, f"{available:.1f} GiB available; a child needs about 0.5")


def versions(checkup: Checkup) -> Iterator[Finding]:
    """The packages that Candor needs, in the versions that it needs."""
    wrong = []
    for text in metadata.requires("candor") or ():
        wanted = Requirement(text)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            found = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            found = "missing"
        if found == "missing" or not wanted.specifier.contains(found, prereleases=True):
            wrong.append(f"{wanted.name} is {found}, wanted {wanted.specifier}")
    yield Finding("versions", WRONG if wrong else OK, "; ".join(wrong) or "as required")


def backend(checkup: Checkup) -> Iterator[Finding]:
    """Keras' backend is installed, and uses the GPUs that are there."""
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if importlib.util.find_spec(backend) is None:
        yield Finding("backend", WRONG, f"{backend} is not installed")
    elif not gpus():
        yield Finding("backend", OK, f"{backend}; no GPU, {cores()} cores")
    else:
        seen, wanted = _gpus_seen(backend), len(gpus())
        detail = f"{backend} sees {seen} of {wanted} GPUs ({', '.join(gpus())})"
        yield Finding("backend", OK if seen == wanted else WRONG, detail)


def _gpus_seen(backend: str) -> int:
    """How many GPUs the backend can use, by its own word, from a process of its own."""
    command = [sys.executable, "-P", "-c", _COUNT_GPUS.get(backend, "print(0)")]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env=safe_environment()
    )
    return int(done.stdout.split()[-1]) if done.returncode == 0 else 0
