"""Learning curves of a real study: a random search without pruning, for `replay` and `fidelities`.

    python -m benchmarks.recording                               drawn faces: six minutes
    python -m benchmarks.recording fer2013 --data fer2013.zip    real ones: twelve

Kept in `benchmarks/curves`: of every network its values, monitor accuracy by epoch, and seconds by epoch.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import distribution_to_json

from benchmarks.surrogate import CURVES, EPOCHS
from search.workspace import Workspace

EXPERIMENT = f"""
question = "What do learning curves of plain networks look like?"
space = "plain_cnn"

[fix]
convs_per_stage = 1
kernel_size = 3
head = "flatten"

[search]
conv_stages = [2, 3, 4]
kernels_1 = [16, 32, 64]
kernels_2 = [16, 32, 64]
kernels_3 = [16, 32, 64]
kernels_4 = [16, 32, 64]
batch_norm = [true, false]
dropout = {{ low = 0.0, high = 0.4, step = 0.2 }}
dense_layers = [1, 2]
neurons_1 = [64, 128, 256]
neurons_2 = [64, 128, 256]
recipe.learning_rate = {{ low = 1e-4, high = 1e-2, log = true }}

[recipe]
batch_size = 16
augmentation = "flip"

[protocol]
sampler = "random"
pruner = "none"
epochs = {EPOCHS}
patience = {EPOCHS}
monitor_fraction = 0.25
leaders = 1
seeds = 2
keep_models = "none"

[data]
"""
#: name -> the rest of the experiment.
IMAGES = {
    "faces": 'source = "synthetic:train=1000,validation=200,test=100"',
    "fer2013": 'source = "fer2013.zip"\nlimit = 2000\nclasses = ["happy", "sad", "surprise"]',
}


def experiment(images: str) -> str:
    """The TOML of the study whose curves are recorded."""
    return EXPERIMENT + IMAGES[images] + "\n"


def record(images: str, data: str | None, trials: int) -> None:
    """Train so many networks, and keep their curves. data: where the images are, if not where it says."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "curves.toml"
        file.write_text(experiment(images))
        candor = str(Path(sys.executable).with_name("candor"))
        workspace = Path(folder) / "runs"
        command = [candor, "search", str(file), "--trials", str(trials), "--workspace", str(workspace)]
        subprocess.run([*command, *(["--data", data] if data else [])], check=True)
        held = _recorded(Workspace.at(workspace))
    record = CURVES / f"{images}.json"
    record.write_text(json.dumps(held, indent=1) + "\n")
    print(f"{record} holds {len(held['curves'])} curves")


def _recorded(workspace: Workspace) -> dict[str, Any]:
    from experiments.workflows.lookup import newest_study
    from search.tracking import names

    newest = newest_study("curves", workspace.tracking_uri)
    study = newest.parent.tags[names.STUDY]
    runs = newest.store.runs(newest.store.experiments()["curves"], {names.STAGE: names.EXPLORE})
    points = newest.store.history([run.run_id for run in runs], ["monitor_accuracy", names.EPOCH_SECONDS])
    by_slot = {run.tags[names.TRIAL]: points[points.run_id == run.run_id] for run in runs}
    explored = optuna.load_study(
        study_name=f"curves-{study}/explore", storage=workspace.storage_url
    ).get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    curves, space = [], {}
    for trial in explored:
        own = by_slot.get(trial.user_attrs["key"].split("/")[2])
        if own is None or not trial.params:
            continue
        columns = {metric: list(rows.value) for metric, rows in own.groupby("metric")}
        if len(columns["monitor_accuracy"]) == EPOCHS:
            space |= trial.distributions
            seconds = [round(value, 3) for value in columns[names.EPOCH_SECONDS]]
            accuracy = [round(value, 4) for value in columns["monitor_accuracy"]]
            curves.append({"values": trial.params, "monitor_accuracy": accuracy, "epoch_seconds": seconds})
    return {"space": {k: distribution_to_json(v) for k, v in sorted(space.items())}, "curves": curves}


def main() -> None:
    """Record one set of curves."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", nargs="?", choices=tuple(IMAGES), default="faces")
    parser.add_argument("--data", help="where they are")
    parser.add_argument("--trials", type=int, default=48, help="networks to train")
    asked = parser.parse_args()
    record(asked.images, asked.data, asked.trials)


if __name__ == "__main__":
    main()
