"""How long, and in how much memory, a report of 10,000 evaluations with 40 epochs each is made.

Asked for: under 60 s and 2 GB on two cores, and pages of at most 3 MB. A study of 40 trials and six confirmed
candidates on ten seeds is written by MLflow's own client; its explored runs are then copied inside the SQLite
file, since writing 10,000 runs through the client takes ten minutes.

    python benchmarks/report_scale.py [--evaluations 10000] [--epochs 40] [--images 3589]
"""

import argparse
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "reports")]

from mlflow_study import write  # noqa: E402 (the path is set above)
from simulated import Simulation  # noqa: E402

from search.tracking import names  # noqa: E402

REPORT = """
import sys, time, resource
from pathlib import Path
import reports
began = time.perf_counter()
reports.build(["large"], sys.argv[1], Path(sys.argv[2]))
seconds = time.perf_counter() - began
print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def main() -> None:
    """Write the study, report on it in a fresh process, print what it cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evaluations", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--images", type=int, default=3_589)
    asked = parser.parse_args()
    with TemporaryDirectory(prefix="candor-") as scratch:
        folder = Path(scratch)
        simulation = Simulation(
            "large", explore=40, leaders=5, seeds=10, epochs=asked.epochs, images=asked.images
        )
        began = time.perf_counter()
        uri = write(folder, simulation)
        copies = multiply(folder / "mlflow.db", asked.evaluations, asked.epochs)
        print(
            f"written in {time.perf_counter() - began:.0f} s: {copies:,} evaluations, {asked.epochs} epochs"
        )
        command = [sys.executable, "-c", REPORT, uri, str(folder / "out")]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        seconds, memory = map(float, done.stdout.split())
        page = (folder / "out" / "large" / "index.html").stat().st_size / 1e6
    print("| evaluations | epochs | cores | load | seconds | peak MiB | page MB |")
    conditions = f"{copies:,} | {asked.epochs} | {os.cpu_count()} | {os.getloadavg()[0]:.1f}"
    print(f"| {conditions} | {seconds:.1f} | {memory:.0f} | {page:.2f} |")


def multiply(database: Path, evaluations: int, epochs: int) -> int:
    """Copy completed explore runs, with slightly other scores, until there are so many evaluations."""
    generator = np.random.default_rng(0)
    with closing(sqlite3.connect(database)) as store:
        models = [
            run
            for (run,) in store.execute(
                "SELECT a.run_uuid FROM tags a JOIN tags b USING (run_uuid) WHERE a.key = ? AND a.value = ?"
                " AND b.key = ? AND b.value = ? ORDER BY a.run_uuid",
                (names.STAGE, names.EXPLORE, names.STATE, names.COMPLETE),
            )
        ]
        kind = (names.KIND, names.EVALUATION_KIND)
        (count,) = store.execute("SELECT count(*) FROM tags WHERE key = ? AND value = ?", kind).fetchone()
        for number in range(count, evaluations):
            copy(store, models[number % len(models)], number, float(generator.normal(0, 0.01)), epochs)
        store.commit()
    return max(count, evaluations)


def copy(store: sqlite3.Connection, model: str, number: int, shift: float, epochs: int) -> None:
    """One more run like the model, under its own key and candidate, its curves stretched to all epochs."""
    run = f"{number:032x}"
    store.execute(
        "INSERT INTO runs SELECT ?, name, source_type, source_name, entry_point_name, user_id, status,"
        " start_time, end_time, source_version, lifecycle_stage, artifact_uri, experiment_id, deleted_time"
        " FROM runs WHERE run_uuid = ?",
        (run, model),
    )
    store.execute("INSERT INTO params SELECT key, value, ? FROM params WHERE run_uuid = ?", (run, model))
    own = {
        names.TRIAL: str(number),
        names.KEY: f"copy/{names.EXPLORE}/{number}/0",
        names.CANDIDATE: f"{number:012x}",
        names.BASELINE: "false",
    }
    tags = dict(store.execute("SELECT key, value FROM tags WHERE run_uuid = ?", (model,)).fetchall())
    tags[names.LABEL] = f"{tags[names.LABEL]} #{number}"
    rows = [(key, value, run) for key, value in {**tags, **own}.items()]
    store.executemany("INSERT INTO tags VALUES (?, ?, ?)", rows)
    store.execute(
        "INSERT INTO latest_metrics SELECT key, value + iif(key LIKE '%accuracy', ?, 0), timestamp, step,"
        " is_nan, ? FROM latest_metrics WHERE run_uuid = ?",
        (shift, run, model),
    )
    points = [
        (metric, 0.5 + 0.01 * epoch + shift, 1_760_000_000_000 + epoch, run, epoch, 0)
        for metric in names.EPOCH_METRICS
        for epoch in range(1, epochs + 1)
    ]
    store.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?)", points)


if __name__ == "__main__":
    main()
