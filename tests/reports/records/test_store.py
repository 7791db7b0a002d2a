"""Both readers of MLflow give the same records, and what is missing or damaged becomes a sentence."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from reports.records.mlflow_client import ClientStore
from reports.records.mlflow_sqlite import SqliteStore
from reports.records.open_store import open_store
from reports.records.predictions import read_predictions
from reports.records.store import MissingArtifactError, Run
from search.sqlite_files import reading
from search.tracking import names
from spaces.errors import UserError


@pytest.fixture
def fast(tracking_uri: str) -> SqliteStore:
    store = SqliteStore.open(tracking_uri)
    assert store is not None
    return store


def test_sql_and_client_list_the_same_experiments_and_runs(fast: SqliteStore, tracking_uri: str) -> None:
    slow = ClientStore(tracking_uri)
    assert fast.experiments() == slow.experiments()
    for number in fast.experiments().values():
        tags = {names.KIND: names.EVALUATION_KIND}
        assert fast.runs(number, tags) == slow.runs(number, tags)


def test_sql_and_client_read_the_same_histories(fast: SqliteStore, tracking_uri: str) -> None:
    runs = fast.runs(fast.experiments()["joint"], {names.STAGE: names.CONFIRM})
    ids = [run.run_id for run in runs[:4]]
    slow = ClientStore(tracking_uri).history(ids, ["train_loss", "monitor_loss"])
    pd.testing.assert_frame_equal(fast.history(ids, ["train_loss", "monitor_loss"]), slow)
    assert not slow.empty


def test_metrics_that_are_no_number_are_read_alike(tracking_uri: str, tmp_path: Path) -> None:
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri)
    experiment = client.create_experiment("numbers", artifact_location=(tmp_path / "a").as_uri())
    run = client.create_run(experiment, tags={"kind": "x"}).info.run_id
    values = [float("nan"), float("inf"), 1.5]
    client.log_batch(run, [Metric(f"m{i}", value, 1, 0) for i, value in enumerate(values)])
    fast, slow = (
        store.runs(experiment, {"kind": "x"})[0].metrics
        for store in (open_store(tracking_uri), ClientStore(tracking_uri))
    )
    assert np.isnan(fast["m0"])
    assert np.isnan(slow["m0"])
    assert (fast["m1"], fast["m2"]) == (slow["m1"], slow["m2"])


def test_a_schema_that_nobody_compared_is_left_to_the_client(tracking_uri: str, tmp_path: Path) -> None:
    copy = tmp_path / "mlflow.db"
    source = sqlite3.connect(tracking_uri.removeprefix("sqlite:///"))
    with closing(source), closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        target.execute("UPDATE alembic_version SET version_num = 'from the future'")
        target.commit()
    assert SqliteStore.open(f"sqlite:///{copy}") is None


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:5000", "sqlite:////nowhere/mlflow.db", "postgresql://h/db"]
)
def test_only_an_existing_sqlite_file_is_read_by_sql(uri: str) -> None:
    assert SqliteStore.open(uri) is None


def test_the_reader_never_writes(fast: SqliteStore) -> None:
    with reading(fast.file.database) as connection, pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("UPDATE runs SET name = 'x'")


def test_a_missing_artifact_says_so(fast: SqliteStore) -> None:
    run = fast.runs(fast.experiments()["joint"], {names.STAGE: names.CONFIRM})[0]
    with pytest.raises(MissingArtifactError, match=r"nothing\.txt is not among the run's artifacts"):
        fast.artifact(run, "nothing.txt")


class Server:
    """MLflow's client beside a server that breaks off: every download that fails is "not found" to it."""

    def __init__(self, *listed: str, away: bool = False) -> None:
        self.listed, self.away = listed, away

    def download_artifacts(self, run_id: str, path: str, folder: str) -> str:
        (Path(folder) / path).write_bytes(b"a half")
        raise LookupError(f"{path} was not found")

    def list_artifacts(self, run_id: str, path: str | None = None) -> list[SimpleNamespace]:
        if self.away:
            raise ConnectionError
        return [SimpleNamespace(path=name) for name in self.listed]


def fetched(run_id: str, server: Server) -> Path:
    store = ClientStore("http://127.0.0.1:9")
    vars(store)["_client"] = server
    run = Run(run_id, "", "FINISHED", 1, 2, f"mlflow-artifacts:/1/{run_id}/artifacts", {}, {}, {})
    return store.artifact(run, names.PREDICTIONS_NPZ)


def test_only_what_is_not_there_is_missing_on_a_server() -> None:
    with pytest.raises(MissingArtifactError, match="is not among the run's artifacts"):
        fetched("gone", Server(names.LAYERS_JSON))


@pytest.mark.parametrize("server", [Server(names.PREDICTIONS_NPZ), Server(away=True)])
def test_a_server_that_fails_loses_no_seed(server: Server) -> None:
    for _ in range(2):  # nor is what came of it taken for the whole
        with pytest.raises(UserError, match=r"did not hand out predictions\.npz of run broken"):
            fetched("broken", server)


@pytest.mark.parametrize("damage", ["truncated", "pickled", "short", "no zip"])
def test_damaged_predictions_are_refused(fast: SqliteStore, tmp_path: Path, damage: str) -> None:
    run = fast.runs(fast.experiments()["joint"], {names.STAGE: names.CONFIRM})[0]
    path = tmp_path / "predictions.npz"
    shutil.copy(fast.artifact(run, names.PREDICTIONS_NPZ), path)
    held = dict(np.load(path, allow_pickle=False))
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:200])
    elif damage == "pickled":
        np.savez(path, **{**held, "ids": held["ids"].astype(object)})
    elif damage == "short":
        np.savez(path, **{**held, "labels": held["labels"][:-1]})
    else:
        path.write_text("not an archive")
    with pytest.raises(MissingArtifactError, match=r"predictions\.npz cannot be read"):
        read_predictions(path)


def test_predictions_come_in_the_order_of_their_ids(tmp_path: Path) -> None:
    path = tmp_path / "predictions.npz"
    np.savez(path, ids=["b", "a"], labels=[1, 0], probabilities=np.array([[0.1, 0.9], [0.6, 0.4]], "f4"))
    found = read_predictions(path)
    assert found.ids.tolist() == ["a", "b"]
    assert found.labels.tolist() == [0, 1]
    assert found.accuracy == 1.0
    assert not found.has_twin.any()
