"""Four machines, one PostgreSQL, one MLflow server: 200 evaluations of a second; one cut off, one killed.

    python -m benchmarks.many_machines [EVALUATIONS=200]      (root: it makes network namespaces)

Machines are processes in network namespaces of their own, joined by a bridge; the cut is the link taken down.
Evaluations sleep for one second; all else is real. It prints how many results there are, and the efficiency:
the seconds of evaluation done, over the seconds that the machines were there and joined in.
Measured: see docs/execution.md.
"""

import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import optuna
import sqlalchemy
from mlflow import MlflowClient

from search.tracking import names
from search.workspace import Workspace
from tests.support.processes.servers import mlflow_server, postgres
from tests.support.studies import small_study

MACHINES = 4
BRIDGE = "candor0"
HUB = "10.123.0.254"
GRACE = 12
CUT_SECONDS = 25


def main(evaluations: int = 200) -> int:
    """Run the machines, cut, heal, kill, count; the exit code."""
    folder = Path(tempfile.mkdtemp(prefix="candor-machines-"))
    try:
        with (
            _network(),
            postgres(HUB, "10.123.0.0/24") as storage,
            mlflow_server(folder / "server", HUB, store=_store(storage)) as web,
        ):
            machines = [_machine(n, folder, storage, web, evaluations) for n in range(MACHINES)]
            try:
                killed_at = _disturb(machines, storage)
                for machine in machines:
                    machine.wait(900)
            finally:
                for machine in machines:
                    _kill(machine)
            # What the killed machine had done and not yet told MLflow waits on its disk until it is back.
            _machine(2, folder, storage, web, evaluations).wait(900)
            return _report(storage, web, evaluations, killed_at)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _store(storage: str) -> str:
    """A database for MLflow beside Optuna's, as in deploy/compose.yaml."""
    engine = sqlalchemy.create_engine(storage, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("CREATE DATABASE mlflow"))
    engine.dispose()
    return str(engine.url.set(database="mlflow"))


@contextlib.contextmanager
def _network() -> Iterator[None]:
    _take_down()  # what a run left that was killed itself
    try:
        _ip(f"link add {BRIDGE} type bridge")
        _ip(f"addr add {HUB}/24 dev {BRIDGE}")
        _ip(f"link set {BRIDGE} up")
        for n in range(MACHINES):
            _ip(f"netns add candor{n}")
            _ip(f"link add veth{n} type veth peer name eth0 netns candor{n}")
            _ip(f"link set veth{n} master {BRIDGE} up")
            _ip(f"-n candor{n} addr add 10.123.0.{n + 1}/24 dev eth0")
            _ip(f"-n candor{n} link set eth0 up")
            _ip(f"-n candor{n} link set lo up")
        yield
    finally:
        _take_down()


def _take_down() -> None:
    for n in range(MACHINES):
        _ip(f"netns del candor{n}", check=False)
    _ip(f"link del {BRIDGE}", check=False)


def _ip(arguments: str, check: bool = True) -> None:
    subprocess.run(["ip", *arguments.split()], check=check, capture_output=not check)


def _machine(
    n: int, folder: Path, storage: str, tracking: str, evaluations: int
) -> "subprocess.Popen[bytes]":
    command = ["ip", "netns", "exec", f"candor{n}", sys.executable, "-m", "benchmarks.many_machines"]
    log = (folder / f"machine{n}.log").open("w")
    work = json.dumps([str(folder / f"machine{n}"), storage, tracking, evaluations])
    return subprocess.Popen([*command, "--work", work], stdout=log, stderr=log)


def _work(folder: str, storage: str, tracking: str, evaluations: int) -> None:
    """What each machine does."""
    cells = [{"cell": n, "epochs": 2, "seconds": 0.5} for n in range(evaluations)]
    setting = small_study.config(cells, seeds=1)
    workspace = Workspace.at(Path(folder))
    small_study.run(workspace, setting, 1, storage=storage, tracking=tracking, grace_seconds=GRACE)


def _disturb(machines: "list[subprocess.Popen[bytes]]", storage: str) -> float:
    """A quarter in, cut machine 1 off; half-way, kill machine 2 for good; when it was."""
    _wait_for(storage, 0.2, machines)
    _ip("link set veth1 down")
    time.sleep(CUT_SECONDS)
    _ip("link set veth1 up")
    _wait_for(storage, 0.5, machines)
    _kill(machines[2])
    return time.time()


def _kill(machine: "subprocess.Popen[bytes]") -> None:
    """With all that it started, if it still runs."""
    for pid in _tree(machine.pid) if machine.poll() is None else ():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _tree(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(grandchild for child in children for grandchild in _tree(int(child)))]


def _trials(storage: str) -> list[optuna.trial.FrozenTrial]:
    found = [optuna.load_study(study_name=n, storage=storage) for n in optuna.get_all_study_names(storage)]
    return [trial for study in found for trial in study.get_trials()]


def _wait_for(storage: str, share: float, machines: "list[subprocess.Popen[bytes]]") -> None:
    # One question, on one connection: it is asked beside what is measured.
    question = sqlalchemy.text("SELECT avg(CAST(state = 'COMPLETE' AS int)) FROM trials")
    engine = sqlalchemy.create_engine(storage)
    while all(machine.poll() is None for machine in machines):
        with contextlib.suppress(sqlalchemy.exc.SQLAlchemyError), engine.connect() as connection:
            if (connection.execute(question).scalar() or 0) >= share:
                return
        time.sleep(1)
    raise SystemExit("a machine ended before the study did")


def _report(storage: str, tracking: str, evaluations: int, killed_at: float) -> int:
    trials = _trials(storage)
    client = MlflowClient(tracking)
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    studies = sum(run.data.tags[names.KIND] == names.STUDY_KIND for run in runs)
    runs = [run for run in runs if run.data.tags[names.KIND] == names.EVALUATION_KIND]
    keys = Counter(run.data.tags[names.KEY] for run in runs)
    ended = sum(run.info.status == "FINISHED" for run in runs)
    last = max(t.datetime_complete.timestamp() for t in trials if t.datetime_complete)
    there = _machine_seconds(trials, killed_at, last)
    print(f"results in Optuna        {sum(t.state.name == 'COMPLETE' for t in trials)} of {evaluations}")
    twice = sum(n - 1 for n in keys.values())
    print(f"runs in MLflow           {len(keys)}, ended {ended}, twice {twice}; of the study {studies}")
    print(f"machine-seconds          {there:.1f}")
    print(f"efficiency               {evaluations / there:.3f}")
    print(f"where the rest went      {_gaps(trials)}")
    return int((len(keys), ended, studies) != (evaluations, evaluations, 1) or set(keys.values()) != {1})


def _machine_seconds(trials: list[optuna.trial.FrozenTrial], killed_at: float, last: float) -> float:
    """From each machine's first claim to the last result, without the cut and what came after the kill."""
    joined: dict[str, float] = {}
    for trial in sorted(trials, key=lambda t: t.number):
        assert trial.datetime_start is not None
        joined.setdefault(trial.user_attrs["owner"], trial.datetime_start.timestamp())
    return sum(last - first for first in joined.values()) - CUT_SECONDS - (last - killed_at)


def _gaps(trials: list[optuna.trial.FrozenTrial]) -> str:
    """How long evaluations took from claim to end, and each machine's time between one and the next."""
    took, between = [], []
    for owner in sorted({trial.user_attrs["owner"] for trial in trials}):
        own = [
            t for t in trials if t.user_attrs["owner"] == owner and t.datetime_start and t.datetime_complete
        ]
        times = sorted((t.datetime_start.timestamp(), t.datetime_complete.timestamp()) for t in own)
        took += [end - begin for begin, end in times]
        between += [after[0] - before[1] for before, after in pairwise(times)]
    longest = ", ".join(f"{gap:.1f}" for gap in sorted(between)[-3:])
    return (
        f"median evaluation {statistics.median(took):.3f} s, "
        f"median gap {statistics.median(between):.3f} s, longest gaps {longest} s"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        _work(*json.loads(sys.argv[2]))
    else:
        sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
