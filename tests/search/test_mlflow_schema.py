"""What relies on MLflow's tables and private parts is there, in the MLflow that is installed."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from search.sqlite_files import sqlite_url
from search.tracking import mlflow_schema, names
from search.tracking.client import open_client
from search.tracking.mlflow_schema import ADDRESSES, KNOWN_SCHEMAS, MlflowFile

CHANGED = (
    "this MLflow keeps its records otherwise: compare its tables with the queries in "
    "search/tracking/mlflow_schema.py, then add its version to KNOWN_SCHEMAS"
)
READ = {
    "experiments": {"experiment_id", "name", "artifact_location", "lifecycle_stage"},
    "runs": {"run_uuid", "name", "status", "start_time", "end_time", "artifact_uri", "experiment_id"}
    | {"lifecycle_stage"},
    "tags": {"run_uuid", "key", "value"},
    "params": {"run_uuid", "key", "value"},
    "latest_metrics": {"run_uuid", "key", "value", "is_nan"},
    "metrics": {"run_uuid", "key", "value", "step", "is_nan"},
    "registered_models": {"name"},
    "registered_model_aliases": {"name", "alias", "version"},
    "model_versions": {"name", "version", "source", "run_id", "storage_location"},
    "logged_models": {"model_id", "artifact_location"},
}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store as the installed MLflow makes it, with one run."""
    path = tmp_path_factory.mktemp("schema") / "mlflow.db"
    client = open_client(sqlite_url(path), create=True)
    experiment = client.create_experiment("one", artifact_location=(path.parent / "artifacts").as_uri())
    client.create_run(experiment, tags={names.KIND: names.STUDY_KIND})
    return path


def test_the_schema_is_the_known_one_with_every_column_that_is_read(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        versions = {number for (number,) in connection.execute("SELECT version_num FROM alembic_version")}
        assert versions <= KNOWN_SCHEMAS, CHANGED
        for table, columns in READ.items():
            there = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
            assert columns <= there, f"{table} lacks {columns - there}: {CHANGED}"
        for table, column in ADDRESSES:
            assert column in {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}, CHANGED


def test_no_other_column_keeps_an_address_of_artifacts(database: Path) -> None:
    """Else it would go on leading to the old place after a workspace was moved."""
    known = {*ADDRESSES, ("model_versions", "run_link"), ("workspaces", "default_artifact_root")}
    known |= {("workspaces", "trace_archival_location")}
    with closing(sqlite3.connect(database)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        found = {
            (table, row[1])
            for table in tables
            for row in connection.execute(f"PRAGMA table_info({table})")
            if row[1].endswith(("_uri", "_location", "_root")) or (table, row[1]) in ADDRESSES
        }
    assert found <= known, f"{found - known} may be addresses: {CHANGED}"


def test_a_run_is_deleted_for_good_by_the_store(database: Path) -> None:
    client = open_client(sqlite_url(database))
    experiment = client.get_experiment_by_name("one")
    assert experiment is not None
    run = client.create_run(experiment.experiment_id).info.run_id
    client.delete_run(run)
    assert mlflow_schema.delete_for_good(client, "run", run), CHANGED
    with closing(sqlite3.connect(database)) as connection:
        assert not connection.execute("SELECT 1 FROM runs WHERE run_uuid = ?", (run,)).fetchall()


def test_artifacts_are_deleted_by_their_address(database: Path) -> None:
    client = open_client(sqlite_url(database))
    run = client.search_runs(["1"])[0].info
    client.log_text(run.run_id, "text", "deleted.txt")
    mlflow_schema.artifact_store(run.artifact_uri).delete_artifacts("deleted.txt")
    assert "deleted.txt" not in [item.path for item in client.list_artifacts(run.run_id)], CHANGED


def test_an_unknown_schema_is_left_to_the_client(database: Path, tmp_path: Path) -> None:
    copy = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        target.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
        target.commit()
    assert MlflowFile.open(sqlite_url(database)) is not None
    assert MlflowFile.open(sqlite_url(copy)) is None


def test_mlflow_remembers_artifact_places_where_they_can_be_forgotten(database: Path) -> None:
    from mlflow.tracking._tracking_service import utils

    client = open_client(sqlite_url(database))
    run = client.search_runs(["1"])[0].info.run_id
    client.log_text(run, "text", "text.txt")
    assert run in utils._artifact_repos_cache, CHANGED
    mlflow_schema.forget_artifact_places()
    assert run not in utils._artifact_repos_cache
