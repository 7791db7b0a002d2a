"""Projects of Keras Tuner: what its own files say, and what they cannot say. Nothing in a folder is executed.

`keras_tuner_projects.json` holds the files that Keras Tuner 1.4.8 wrote: `RandomSearch` with four trials and
`executions_per_trial=3`, and `Hyperband` with `max_epochs=4`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from search.imports.evaluations import Results
from search.imports.find_reader import results_from
from search.imports.request import Request
from spaces.errors import UserError

HELD = json.loads(Path(__file__).with_name("keras_tuner_projects.json").read_text())


@pytest.fixture
def projects(tmp_path: Path) -> Path:
    for name, content in HELD.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))
    return tmp_path


def _read(folder: Path, **more: object) -> Results:
    return results_from(f"keras-tuner:{folder}", Request(**more))[1]


def test_a_random_search_has_one_score_for_each_candidate(projects: Path) -> None:
    results = _read(projects / "random", images=20)
    assert [one.label for one in results.complete] == [
        f"lr {one['hyperparameters']['values']['lr']}, units {one['hyperparameters']['values']['units']}"
        for name, one in HELD.items()
        if name.startswith("random/trial")
    ]
    first = HELD["random/trial_0/trial.json"]
    assert results.complete[0].metrics["val_accuracy"] == first["score"]
    assert results.complete[0].metrics["train_accuracy"] == 0.375
    assert results.guess[0] == "4 candidates by `lr`, `units`; 1 run each"
    assert "the mean over executions_per_trial trainings" in results.findings[0]


def test_hyperband_counts_the_longest_training_of_a_candidate(projects: Path) -> None:
    results = _read(projects / "band", images=20)
    assert len({one.identity for one in results.complete}) == len(results.complete)
    shorter = [one for one in results.evaluations if one.reason == "a later trial trained it for more epochs"]
    assert shorter
    assert {one.state for one in shorter} == {"pruned"}
    longest = {one.identity for one in results.complete}
    assert {one.identity for one in shorter} <= longest
    assert any(
        "candidates were trained for different numbers of epochs (1 to 4)" in one for one in results.findings
    )
    assert not any("tuner/" in name for one in results.evaluations for name in one.candidate)


def test_failed_trials_are_listed_with_their_reason(projects: Path) -> None:
    file = projects / "random" / "trial_1" / "trial.json"
    failed = HELD["random/trial_1/trial.json"] | {
        "status": "FAILED", "score": None, "metrics": {"metrics": {}}, "message": "Trace\nValueError: no\n",
    }  # fmt: skip
    file.write_text(json.dumps(failed))
    ended = [one for one in _read(projects / "random").evaluations if one.state == "failed"]
    assert [one.reason for one in ended] == ["ValueError: no"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"trial_id": "0", "status": "COMPLETED"}', "\0"])
def test_a_broken_trial_is_named(content: str, projects: Path) -> None:
    (projects / "random" / "trial_2" / "trial.json").write_text(content)
    with pytest.raises(UserError, match=r"trial_2/trial\.json") as refused:
        _read(projects / "random")
    assert "\n" not in str(refused.value)


def test_what_is_no_project_gets_one_sentence(projects: Path) -> None:
    with pytest.raises(UserError, match="the projects below it are band, random"):
        _read(projects)
    with pytest.raises(UserError, match="has no oracle"):
        _read(projects / "none")
    empty = projects / "empty"
    empty.mkdir()
    (empty / "oracle.json").write_text("{}")
    with pytest.raises(UserError, match="has 0 trials"):
        _read(empty)


PROGRAM = """
import sys, warnings
import numpy as np, keras, keras_tuner, mlflow
warnings.simplefilter("ignore")
folder = sys.argv[1]
random = np.random.default_rng(0)
x = random.random((20, 4), dtype="float32")
y = (x.sum(1) > 2).astype("int32")
data = {"x": x[:12], "y": y[:12], "validation_data": (x[12:], y[12:]), "epochs": 1, "verbose": 0}

def build(hp):
    layers = [keras.Input((4,)), keras.layers.Dense(2 * hp.Int("units", 1, 2), activation="softmax")]
    model = keras.Sequential(layers)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
    return model

options = {"max_trials": 2, "executions_per_trial": 2, "directory": folder, "project_name": "project"}
keras_tuner.RandomSearch(build, objective="val_accuracy", **options).search(**data)
mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
mlflow.set_experiment(experiment_id=mlflow.create_experiment("loop", f"file://{folder}/art"))
mlflow.keras.autolog(log_models=False, log_datasets=False)
for units in (1, 2):
    for seed in (1, 2):
        with mlflow.start_run():
            mlflow.log_params({"units": units, "seed": seed})
            keras.utils.set_random_seed(seed)
            hp = keras_tuner.HyperParameters()
            hp.Fixed("units", units)
            build(hp).fit(**data)
"""


@pytest.mark.trains
def test_what_keras_tuner_and_autolog_write_today_is_read(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        env={**os.environ, "KERAS_BACKEND": "jax", "MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    tuned = _read(tmp_path / "project", images=8)
    assert tuned.guess[0] == "2 candidates by `units`; 1 run each"
    logged = results_from(
        "mlflow:loop", Request(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db", curve="val_accuracy")
    )[1]
    assert logged.guess[0] == "2 candidates by `units`; 2 seeds each by `seed`"
    assert {len(one.curves["val_accuracy"]) for one in logged.complete} == {1}
    assert "train_accuracy" in logged.complete[0].metrics
