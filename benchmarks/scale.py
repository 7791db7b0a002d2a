"""What 1,000 and 10,000 evaluations cost: the report, the first page of MLflow's UI, one more record.

Asked for: a report of 10,000 evaluations with 40 epochs each under 60 s and 2 GB on two cores, pages of at
most 3 MB, and nothing that grows faster than the study. A study of 40 trials and six confirmed candidates on
ten seeds is written by MLflow's own client; its explored runs are then copied inside the SQLite file, since
writing 10,000 runs through the client takes ten minutes. Asking for a trial: `benchmarks.coordinator`.

    python -m benchmarks.scale [--evaluations 1000 10000] [--epochs 40] [--images 3589]
"""

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from search.tracking import names
from search.tracking.spool import Record
from search.tracking.writer import Writer, prepare_store
from tests.support.processes.servers import mlflow_server
from tests.support.studies.mlflow_study import write
from tests.support.studies.simulated import Simulation

ROOT = Path(__file__).parent.parent


NAME = "large"
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
    """Write the study, look at it at every size, print what it cost."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--evaluations", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--images", type=int, default=3_589)
    asked = parser.parse_args()
    print(f"{asked.epochs} epochs an evaluation, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print(
        "| evaluations | report | its memory | page | UI, first page | UI, one curve | one more evaluation |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|")
    with TemporaryDirectory(prefix="candor-") as scratch:
        folder = Path(scratch)
        simulation = Simulation(
            NAME, explore=40, leaders=5, seeds=10, epochs=asked.epochs, images=asked.images
        )
        uri = write(folder, simulation)
        for count in sorted(asked.evaluations):
            multiply(folder / "mlflow.db", count, asked.epochs)
            prepare_store(uri, folder / "lock")  # as every command does that opens it
            cells = (*report(folder, uri), *browse(folder, uri), log(uri, count, asked.epochs))
            print(f"| {count:,} | {' | '.join(cells)} |", flush=True)


def report(folder: Path, uri: str) -> tuple[str, str, str]:
    """Seconds, memory and size of the page of a report, made in a process of its own."""
    command = [sys.executable, "-c", REPORT, uri, str(folder / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    seconds, memory = map(float, done.stdout.split())
    page = (folder / "out" / NAME / "index.html").stat().st_size / 1e6
    return f"{seconds:.1f} s", f"{memory:.0f} MiB", f"{page:.2f} MB"


def browse(folder: Path, uri: str) -> tuple[str, str]:
    """What the UI asks of its server for its first page, and for one curve: medians of five, in seconds."""
    with mlflow_server(folder / "server", store=uri) as address:
        api = f"{address}/ajax-api/2.0/mlflow"
        with urllib.request.urlopen(f"{api}/experiments/get-by-name?experiment_name={NAME}") as answer:
            number = json.load(answer)["experiment"]["experiment_id"]
        page = {"experiment_ids": [number], "max_results": 100, "order_by": ["attributes.start_time DESC"]}

        def first_page() -> list[dict[str, dict[str, str]]]:
            request = urllib.request.Request(f"{api}/runs/search", json.dumps(page).encode())
            request.add_header("Content-Type", "application/json")
            with urllib.request.urlopen(request) as answer:
                return list(json.load(answer)["runs"])

        run = first_page()[0]["info"]["run_id"]

        def curve() -> None:
            asked = f"run_uuid={run}&metric_key=monitor_accuracy"
            with urllib.request.urlopen(f"{api}/metrics/get-history?{asked}") as answer:
                assert json.load(answer)["metrics"]

        return _median(first_page), _median(curve)


def _median(action: Callable[[], object]) -> str:
    def timed() -> float:
        began = time.perf_counter()
        action()
        return time.perf_counter() - began

    return f"{statistics.median(timed() for _ in range(5)):.3f} s"


def log(uri: str, count: int, epochs: int) -> str:
    """Seconds to deliver the records of one more evaluation, its epochs one by one, artifacts apart."""
    writer, number = Writer(uri, NAME, None), iter(range(count, count + 10))

    def evaluation() -> None:
        key = f"scale/{names.EXPLORE}/{next(number)}/0"
        now = int(time.time() * 1000)
        fields = {"key": key, "name": key, "tags": {names.KIND: names.EVALUATION_KIND}, "params": {"seed": 0}}
        metrics = dict.fromkeys(names.EPOCH_METRICS, 0.5)
        writer.write(Record(Path(), "begin", now, fields))
        for epoch in range(1, epochs + 1):
            content = {"key": key, "step": epoch, "at": now, "metrics": metrics}
            writer.write(Record(Path(), "epoch", now, content))
        writer.write(Record(Path(), "end", now, {**fields, "state": names.COMPLETE, "metrics": metrics}))

    evaluation()  # the first imports MLflow and finds the experiment
    return _median(evaluation)


def multiply(database: Path, evaluations: int, epochs: int) -> None:
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
