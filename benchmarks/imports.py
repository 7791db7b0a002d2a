"""Time and memory of `candor import`: 10,000 MLflow runs from a real server, and 1,000 Optuna trials.

    python -m benchmarks imports [RUNS [TRIALS]]

The runs are put into a SQLite store: three seeds of each candidate, with five params and six metrics.
MLflow's own server, with one worker, serves it on this machine. The trials are Optuna's own, without
training. Both are imported twice: the second time nothing has changed.
"""

import re
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import numpy as np

from search.archives import mlflow_rows
from search.archives.tables import TABLES, Rows
from tests.support.processes.servers import mlflow_server

#: What an import may take.
SECONDS, MIB = 120.0, 1024.0


def main(runs: int = 10_000, trials: int = 1_000) -> int:
    """Import both twice; 1 if the first import from MLflow takes longer, or more memory, than it may.

    Args:
        runs: Number of MLflow runs.
        trials: Number of Optuna trials.
    """
    slow = False
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _make_runs(folder / "mlflow.db", runs)
        with mlflow_server(folder / "server", store=f"sqlite:///{folder / 'mlflow.db'}") as address:
            for again in ("", ", again"):
                command = ["mlflow:theirs", "--tracking-uri", address, "--images", "3589"]
                seconds, memory = _import(command, folder / "runs")
                slow |= seconds > SECONDS or memory > MIB
                print(f"{runs:,} MLflow runs{again}: {seconds:.0f} s, {memory:,.0f} MiB", flush=True)
        storage = f"sqlite:///{folder / 'optuna.db'}"
        _make_trials(storage, trials)
        for again in ("", ", again"):
            seconds, memory = _import([f"optuna:{storage}", "--images", "3589"], folder / "runs")
            print(f"{trials:,} Optuna trials{again}: {seconds:.0f} s, {memory:,.0f} MiB", flush=True)
    return int(slow)


def _import(source: list[str], workspace: Path) -> tuple[float, float]:
    """Seconds and MiB of one import, the start of Python included."""
    command = [sys.executable, "-m", "experiments", "import", *source, "--workspace", str(workspace)]
    began = time.perf_counter()
    done = subprocess.run(_measured(command), capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    found = re.search(r"peak (\d+)", done.stderr)
    if done.returncode or not found:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    return seconds, int(found[1]) / 1024


def _measured(command: list[str]) -> list[str]:
    """The command as a child of a process that says how much memory it had at most."""
    program = (
        "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]);"
        " print('peak', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr);"
        " sys.exit(code)"
    )
    return [sys.executable, "-c", program, *command]


def _make_runs(database: Path, count: int) -> None:
    generator = np.random.default_rng(0)
    mlflow_rows.create_store(database, "1", "theirs")
    rows: Rows = {table: [] for table in TABLES}
    for number in range(count):
        run = uuid.UUID(int=generator.integers(2**62)).hex
        rows["runs"].append(
            {
                "run_uuid": run, "name": f"run-{number}", "source_type": "LOCAL", "source_name": "",
                "entry_point_name": "", "user_id": "", "status": "FINISHED", "start_time": number,
                "end_time": number + 1, "source_version": "", "lifecycle_stage": "active",
                "artifact_uri": f"mlflow-artifacts:/1/{run}/artifacts", "deleted_time": None,
            }
        )  # fmt: skip
        candidate = number // 3
        params = {"width": 8 * (candidate % 64), "depth": candidate // 64, "lr": 0.001, "batch": 128}
        params["seed"] = number % 3
        rows["params"] += [
            {"run_uuid": run, "key": key, "value": str(value)} for key, value in params.items()
        ]
        for key in ("accuracy", "loss", "val_accuracy", "val_loss", "seconds", "learning_rate"):
            point = {
                "run_uuid": run, "key": key, "value": float(generator.uniform(0.4, 0.9)), "timestamp": number,
                "step": 9, "is_nan": False,
            }  # fmt: skip
            rows["metrics"].append(point)
            rows["latest_metrics"].append(point)
    mlflow_rows.write_rows(database, rows, "1")


def _make_trials(storage: str, count: int) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(storage=storage, study_name="trials", direction="maximize")
    generator = np.random.default_rng(0)
    kinds = {
        "width": optuna.distributions.IntDistribution(8, 512),
        "lr": optuna.distributions.FloatDistribution(1e-4, 1e-1, log=True),
    }
    study.add_trials(
        [
            optuna.trial.create_trial(
                params={"width": int(generator.integers(8, 512)), "lr": float(generator.uniform(1e-4, 1e-1))},
                distributions=kinds,
                value=float(generator.uniform(0.4, 0.9)),
            )
            for _ in range(count)
        ]
    )


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
