"""Kills at random moments, over coordinator, fork server and children of a small grid study; then the count.

    python -m benchmarks.chaos [KILLS=100] [SEED=0]

Everything is real but the training: processes, SQLite, spool, MLflow. Each round starts or continues the
study and sends SIGKILL, or to children another deadly signal, until the coordinator is dead or the study
over. At the end the table must be the undisturbed study's, and nothing may be left: else it exits with 1.
Measured: see docs/execution.md.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.support.studies.studies import Started

CELLS = [{"cell": n, "epochs": 4, "seconds": 0.25} for n in range(8)]
DEADLY = (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGABRT)


def main(kills: int = 100, seed: int = 0) -> int:
    """Run, kill, compare; the exit code."""
    folder = Path(tempfile.mkdtemp(prefix="candor-chaos-"))
    protocol = {"seeds": max(2, kills // 6), "retries": 1000}
    undisturbed, study = (
        Started(folder / name, {"cells": CELLS, "workers": 2, "protocol": protocol})
        for name in ("undisturbed", "killed")
    )
    with undisturbed.begin() as calm:
        victims = _rounds(study, kills, random.Random(seed))
        study.finish(timeout=1200)
        calm.communicate()
    expected, table = undisturbed.table(), study.table()
    told = Counter(t.user_attrs["key"] for t in study.trials() if t.state.name == "COMPLETE")
    outcome = {
        "kills": dict(victims),
        "evaluations": len(expected) - 1,
        "lost": len(expected.keys() - table.keys()) + sum(t.state.name != "COMPLETE" for t in study.trials()),
        "twice": sum(count - 1 for count in told.values()),
        "different rows": sum(expected[key] != table.get(key) for key in expected),
        "still running in MLflow": sum(row[0] == "RUNNING" for row in table.values()),
        "processes left": len(study.processes()),
        "files left": len(study.left_behind()),
    }
    for name, value in outcome.items():
        print(f"{name:24} {value}")
    shutil.rmtree(folder, ignore_errors=True)
    return int(any(outcome[name] for name in list(outcome)[2:]))


def _rounds(study: Started, kills: int, chance: random.Random) -> Counter[str]:
    victims: Counter[str] = Counter()
    while sum(victims.values()) < kills:
        with study.begin() as process:
            while process.poll() is None and sum(victims.values()) < kills:
                time.sleep(chance.uniform(0.05, 0.6))
                if hit := _kill_one(study, process, chance):
                    victims[hit] += 1
                if hit == "coordinator":
                    break
            finished = process.poll() == 0
            if not finished:
                process.kill()
        if finished:
            break
    return victims


def _kill_one(study: Started, process: "subprocess.Popen[str]", chance: random.Random) -> str:
    """Kill the coordinator one time in six, the server one time in six, else a child."""
    holders = [pid for pid in study.processes() if pid != process.pid]
    servers = [pid for pid in holders if _parent(pid) == process.pid]
    children = [pid for pid in holders if pid not in servers]
    kind, pids = chance.choice(
        [("coordinator", [process.pid]), ("server", servers), *[("child", children)] * 4]
    )
    if not pids or process.poll() is not None or not holders:
        return ""
    number = chance.choice(DEADLY) if kind == "child" else signal.SIGKILL
    try:
        os.kill(chance.choice(pids), number)
    except ProcessLookupError:
        return ""
    return kind


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
