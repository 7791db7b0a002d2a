"""The system kills a child for want of memory: it is told apart from every other death."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.tracking import names

PROGRAM = """
import os, sys
from pathlib import Path
from tests.support.studies import small_study
from search.study.stages.confirm import Confirm
from search.execution.fork_client import ForkServer
from search.workers.coordinator import Coordinator
from search.study.optuna.storage import open_storage
from tests.support.studies.studies import Seen

group, folder = Path(sys.argv[1]), Path(sys.argv[2])
(group / "cgroup.procs").write_text(str(os.getpid()))
cells = [{"megabytes": 3000, "seconds": 1}, {"megabytes": 0}]
stage = Confirm(
    small_study.config(cells, seeds=1, retries=1),
    open_storage(f"sqlite:///{folder / 's.db'}"),
    folder,
    "s/confirm",
)
stage.plan_cells()
server, seen = ForkServer(folder / "log", small_study.BODY), Seen()
Coordinator(server, 1, [seen]).run(stage)
server.close()
for number, outcome in sorted(seen.outcomes.items()):
    print(number, outcome.state, dict(outcome.violations), outcome.reason)
"""


@pytest.fixture
def little_memory() -> Iterator[Path]:
    """A control group of 1 GB without swap."""
    root = Path("/sys/fs/cgroup")
    version_1 = (root / "memory").is_dir()
    group = (root / "memory" if version_1 else root) / f"candor-test-{os.getpid()}"
    limit = group / ("memory.limit_in_bytes" if version_1 else "memory.max")
    try:
        group.mkdir()
        limit.write_text(str(2**30))
    except OSError:
        pytest.skip("no control group can be made here")
    yield group
    end = time.monotonic() + 30
    while (group / "cgroup.procs").read_text() and time.monotonic() < end:
        time.sleep(0.1)
    group.rmdir()


@pytest.mark.slow
@pytest.mark.skipif("oom_kill " not in Path("/proc/vmstat").read_text(), reason="the kernel does not count")
def test_a_child_killed_for_want_of_memory_is_infeasible_and_named(
    little_memory: Path, tmp_path: Path
) -> None:
    """After the retries the sampler learns of it; the next candidate trains, and the coordinator lives."""
    command = [sys.executable, "-c", PROGRAM, str(little_memory), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith(f"1 {names.INFEASIBLE} {{'memory': 1.0}} killed for want of memory at ")
    assert second.startswith(f"2 {names.COMPLETE} ")
