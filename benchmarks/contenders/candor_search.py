"""Candor: `candor search` on the hypermodel as it is; explore alone, since no peer confirms.

It is stopped as a user would stop it, by SIGTERM; the diary is what MLflow then holds.
"""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.contenders.job import BATCH_SIZE, PATIENCE, Job
from search.tracking import names
from search.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from reports.records.store import Run

NAME = "contest"
_STOPPED = 130  # its exit code when it was asked to stop
EXPERIMENT = """
question = "Which plain network learns these images best?"
space = "benchmarks.contenders.network:build"

[baseline]
conv_stages = 3

[recipe]
batch_size = {batch_size}
augmentation = "light"
augmentation_ramp = {epochs}

[protocol]
trials = 10000
patience = {patience}
monitor_fraction = 0.2
keep_models = "all"
"""


def main(path: str) -> None:
    """Search until SIGTERM, then write the diary."""
    job = Job.read(path)
    folder = Path(job.folder)
    experiment = folder / f"{NAME}.toml"
    experiment.write_text(EXPERIMENT.format(batch_size=BATCH_SIZE, epochs=job.epochs, patience=PATIENCE))
    signal.signal(signal.SIGTERM, lambda number, frame: None)  # the search gets it too, and ends in order
    program = [str(Path(sys.executable).with_name("candor"))]
    if job.without:
        program = [sys.executable, "-m", "benchmarks.contenders.without", job.without]
    command = [*program, "search", str(experiment), "--data", job.source]
    settings = ["--epochs", str(job.epochs), "--set", f"protocol.sampler_options={{seed={job.seed}}}"]
    workspace = ["--workspace", str(folder / "runs")]
    code = subprocess.call([*command, *settings, *workspace, *job.options])
    if code != _STOPPED:
        raise SystemExit(f"candor search ended with {code}")
    write_diary(job, Workspace.at(folder / "runs").tracking_uri)


def write_diary(job: Job, tracking: str) -> None:
    """From MLflow; the best model is the best of those that were trained to their end."""
    from mlflow import MlflowClient  # after the search: it takes seconds that are not the search's

    from reports.records.open_store import open_store
    from reports.records.store import local_artifact

    store = open_store(tracking)
    runs = store.runs(store.experiments()[NAME], {names.STAGE: names.EXPLORE})
    told = [line for run in runs for line in _lines(run, MlflowClient(tracking), len(job.arrays()[0]))]
    told.sort(key=lambda line: float(line["at"]))
    job.diary.write_text("".join(json.dumps(line) + "\n" for line in told))
    complete = [run for run in runs if run.tags[names.STATE] == names.COMPLETE]
    if complete:
        best = max(complete, key=lambda run: run.metrics[names.MONITOR_FINAL + "accuracy"])
        model = local_artifact(best, "model.keras")
        assert model is not None
        shutil.copy(model, job.best)


def _lines(run: "Run", client: "MlflowClient", images: int) -> Iterator[dict[str, Any]]:
    """The epochs of a run.

    An epoch's time in MLflow is the start of the evaluation and the training until then. Whatever else the
    evaluation did until it ended is taken to have come first, so that no epoch is dated too early.
    """
    points = client.get_metric_history(run.run_id, "monitor_accuracy")
    if not points:
        return
    late = max(0, run.ended - points[-1].timestamp) if run.ended else 0
    for point in points:
        line = {"at": (point.timestamp + late) / 1000, "trial": run.tags[names.TRIAL], "epoch": point.step}
        yield line | {"images": images, "score": point.value}


if __name__ == "__main__":
    main(*sys.argv[1:])
