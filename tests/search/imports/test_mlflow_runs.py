"""Runs in MLflow stores of other people, read through MLflow's client; the store stays as it is."""

import hashlib
import os
import sqlite3
import warnings
from contextlib import closing
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna_integration.mlflow import MLflowCallback

from search.imports.evaluations import Results
from search.imports.find_reader import results_from
from search.imports.request import Request
from spaces.errors import UserError
from tests.support.processes.servers import free_port, mlflow_server
from tests.support.studies.stores import new_store

LABELS = np.random.default_rng(0).integers(0, 2, 50)


def _log(address: str, folder: Path) -> None:
    """What a loop of a person's own logs, as `mlflow.keras.autolog` names it: a sweep with its runs below."""
    from mlflow import MlflowClient

    client = MlflowClient(address)
    number = client.create_experiment("theirs", artifact_location=folder.as_uri() if folder else None)
    parent = client.create_run(number, run_name="sweep")
    for units in (8, 16):
        for seed in (1, 2):
            run = client.create_run(
                number, run_name=f"{units}-{seed}", tags={"mlflow.parentRunId": parent.info.run_id}
            ).info.run_id
            params = {"units": units, "random_state": seed, "epochs": 3, "shuffle": "True", "workers": seed}
            params["optimizer_name"] = f"adam_{units + seed}"
            for name, value in params.items():
                client.log_param(run, name, value)
            said = np.where(np.arange(50) < 2 * units + seed, LABELS, 1 - LABELS)
            accuracy = float((said == LABELS).mean())
            for step, less in enumerate((0.2, 0.1, 0.0)):
                client.log_metric(run, "val_accuracy", accuracy - less, step=step)
                client.log_metric(run, "accuracy", accuracy + less / 2, step=step)
            client.log_metric(run, "validation_accuracy", accuracy)
            file = folder.parent / "said.npz"
            np.savez(file, y_true=LABELS, y_pred=np.eye(2)[said])
            client.log_artifact(run, str(file), "out")
            client.set_terminated(run)
    client.set_terminated(client.create_run(number, run_name="crash").info.run_id, "FAILED")
    client.create_run(number, run_name="still running")
    client.set_terminated(parent.info.run_id)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("theirs")
    address = new_store(folder)
    _log(address, folder / "art")
    return address


def _read(address: str, name: str = "theirs", **more: object) -> Results:
    return results_from(f"mlflow:{name}", Request(tracking_uri=address, **more))[1]


def test_runs_become_evaluations(theirs: str) -> None:
    results = _read(theirs)
    told = [(one.label, one.seed) for one in results.complete]
    assert told == [("units 8", 1), ("units 8", 2), ("units 16", 1), ("units 16", 2)]
    assert [(one.state, one.reason) for one in results.evaluations if one not in results.complete] == [
        ("failed", "MLflow's status is FAILED")
    ]
    first = results.complete[0]
    assert first.metrics == pytest.approx({"val_accuracy": 0.34, "train_accuracy": 0.34})
    assert first.candidate == {"units": "8", "epochs": "3", "optimizer_name": "adam"}
    assert "2 candidates by `units`" in results.guess[0]
    assert "2 seeds each by `random_state`" in results.guess[0]
    assert "1 runs are not over and are left out: import again later" in results.guess
    assert "1 parent runs without a metric are left out" in results.guess


def test_histories_and_predictions_are_read_where_they_are_asked_for(theirs: str) -> None:
    results = _read(theirs, curve="val_accuracy,accuracy", predictions="out/said.npz")
    first = results.complete[0]
    assert [epoch for epoch, _ in first.curves["val_accuracy"]] == [1, 2, 3]
    assert [value for _, value in first.curves["train_accuracy"]] == pytest.approx([0.44, 0.39, 0.34])
    assert first.predictions is not None
    assert list(first.predictions.labels) == list(LABELS)
    assert results.images == 50
    with pytest.raises(UserError, match='metric "val_acc" by epoch'):
        _read(theirs, curve="val_acc")
    with pytest.raises(UserError, match=r"no run has the artifact none\.npz"):
        _read(theirs, predictions="none.npz")


def test_the_store_stays_as_it_is(theirs: str) -> None:
    def content() -> str:
        with closing(sqlite3.connect(theirs.removeprefix("sqlite:///"))) as connection:
            return hashlib.sha256("\n".join(connection.iterdump()).encode()).hexdigest()

    before = content()
    _read(theirs)
    assert content() == before


def test_what_is_not_there_gets_one_sentence(
    theirs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(UserError, match=r"has no experiment mine; it has Default, theirs"):
        _read(theirs, "mine")
    with pytest.raises(UserError, match=r"the experiment Default at .* has no run"):
        _read(theirs, "Default")
    with pytest.raises(UserError, match="name MLflow's address with --tracking-uri"):
        results_from("mlflow:theirs", Request())
    with pytest.raises(UserError, match="does not answer"):
        _read(f"http://127.0.0.1:{free_port()}")
    other = tmp_path / "other.db"
    with pytest.raises(UserError, match="there is no file"):
        _read(f"sqlite:///{other}")
    other.write_bytes(b"")
    with pytest.raises(UserError, match="is no store of MLflow"):
        _read(f"sqlite:///{other}")
    assert other.read_bytes() == b""
    with pytest.raises(UserError, match='has no column "val"'):
        _read(theirs, scores={"val_accuracy": "val"})


@pytest.mark.parametrize("metric", ["value", "val_accuracy"])
def test_trials_that_optuna_logged_keep_their_states(tmp_path: Path, metric: str) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    address = new_store(tmp_path)
    with warnings.catch_warnings(action="ignore"):  # the callback is experimental
        callback = MLflowCallback(tracking_uri=address, metric_name=metric, mlflow_kwargs={"nested": True})
    study = optuna.create_study(study_name="theirs", direction="maximize")
    for width in (8, 16, 8, 16):
        study.enqueue_trial({"width": width})

    def objective(trial: optuna.Trial) -> float:
        width = trial.suggest_categorical("width", [8, 16])
        if trial.number == 3:
            trial.report(0.9, 0)
            raise optuna.TrialPruned
        return 0.6 + width / 100 + trial.number / 1000

    study.optimize(objective, n_trials=4, callbacks=[callback])
    results = _read(address)
    assert [(one.label, one.seed, one.state) for one in results.evaluations] == [
        ("width 8", 1, "complete"),
        ("width 8", 2, "complete"),
        ("width 16", 1, "pruned"),
        ("width 16", 1, "complete"),
    ]
    assert results.complete[1].metrics == {"val_accuracy": pytest.approx(0.682)}
    assert ("`value` is to be maximised: taken for validation accuracy" in results.guess) == (
        metric == "value"
    )


@pytest.mark.slow
def test_a_folder_of_files_is_read_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    address = tmp_path / "mlruns"
    address.mkdir()
    _log(address.as_uri(), tmp_path / "art")
    assert len(_read(str(address)).complete) == 4


@pytest.mark.slow
def test_a_server_gives_the_same_runs(theirs: str, tmp_path: Path) -> None:
    with mlflow_server(tmp_path, store=theirs) as address:
        ours, served = _read(theirs), _read(address, curve="val_accuracy")
        assert [dict(one.metrics) for one in served.complete] == [dict(one.metrics) for one in ours.complete]
        assert served.complete[0].curves
    with pytest.raises(UserError, match="does not answer"):
        _read(address)
    assert "MLFLOW_TRACKING_URI" not in os.environ or os.environ["MLFLOW_TRACKING_URI"] != address


@pytest.mark.trains
def test_what_autolog_sends_to_a_server_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras
    import mlflow

    random = np.random.default_rng(0)
    images, labels = random.random((60, 4), dtype=np.float32), random.integers(0, 2, 60)
    scores = {}
    with mlflow_server(tmp_path) as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        mlflow.set_tracking_uri(address)
        mlflow.set_experiment("plain loop")
        mlflow.keras.autolog(log_models=False, log_datasets=False)
        try:
            for units in (2, 4):
                for seed in (1, 2):
                    keras.utils.set_random_seed(seed)
                    model = keras.Sequential(
                        [keras.layers.Dense(units, activation="relu"), keras.layers.Dense(2)]
                    )
                    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
                    model.compile("adam", loss, metrics=["accuracy"])
                    with mlflow.start_run():
                        mlflow.log_params({"units": units, "seed": seed})
                        history = model.fit(
                            images[:40], labels[:40], validation_data=(images[40:], labels[40:]), epochs=2,
                            verbose=0,
                        )  # fmt: skip
                    scores[f"units {units}", seed] = history.history["val_accuracy"][-1]
        finally:
            mlflow.keras.autolog(disable=True)
            mlflow.set_tracking_uri(None)
        results = _read(address, "plain loop", images=20, curve="val_accuracy,accuracy")
    found = {(one.label, one.seed): one.metrics["val_accuracy"] for one in results.complete}
    assert found == pytest.approx(scores)
    assert results.guess[0] == "2 candidates by `units`; 2 seeds each by `seed`"
    assert "`val_accuracy` is validation accuracy, 20 images" in results.guess
    assert [epoch for epoch, _ in results.complete[0].curves["val_accuracy"]] == [1, 2]
