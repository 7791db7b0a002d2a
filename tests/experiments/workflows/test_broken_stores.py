"""A store that is locked, newer, broken or only to be read ends a command with one sentence, or is read."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import DatabaseError

from experiments.cli import main
from experiments.failures import damaged_store
from search.workspace import Workspace
from tests.support.studies import mlflow_study
from tests.support.studies.simulated import Simulation


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original") / "runs"
    mlflow_study.write(folder, Simulation(experiment="joint", explore=8, seeds=3, leaders=2))
    return folder


@pytest.fixture
def runs(original: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "runs"
    shutil.copytree(original, copy, ignore=shutil.ignore_patterns("mlflow.db*"))
    source, target = (closing(sqlite3.connect(folder / "mlflow.db")) for folder in (original, copy))
    with source as held, target as copied:  # MLflow still has the original's log open
        held.backup(copied)
    return copy


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of a command in this process; 0 where it ends by itself."""
    monkeypatch.setattr(sys, "argv", ["candor", *arguments])
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    try:
        main()
    except SystemExit as ending:
        return int(ending.code or 0)
    return 0


COMMANDS = (
    ["report", "joint"],
    ["runs"],
    ["unseal", "joint"],
    ["promote", "joint"],
    ["rm", "joint", "--yes"],
)


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments[0])
@pytest.mark.parametrize("damage", ["text", "cut short"])
@pytest.mark.slow
def test_a_damaged_store_is_named(
    runs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    damage: str,
    arguments: list[str],
) -> None:
    database = runs / "mlflow.db"
    database.write_bytes(b"no database" * 500 if damage == "text" else database.read_bytes()[:30_000])
    assert command(monkeypatch, *arguments, "--workspace", str(runs)) == 2
    printed = capfd.readouterr().err
    assert f"{database} is damaged" in printed
    assert "Traceback" not in printed


@pytest.mark.slow
def test_doctor_shows_a_damaged_store_and_goes_on(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (runs / "mlflow.db").write_bytes(b"no database" * 500)
    monkeypatch.setenv("COLUMNS", "300")
    assert command(monkeypatch, "doctor", "--workspace", str(runs)) == 1
    printed = capfd.readouterr()
    assert "is damaged" in printed.out
    assert "temporary files" in printed.out
    assert "Traceback" not in printed.err


@pytest.mark.slow
def test_a_store_of_another_mlflow_is_named(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(runs / "mlflow.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
        database.commit()
    assert command(monkeypatch, "report", "joint", "--workspace", str(runs)) == 2
    printed = capfd.readouterr().err
    assert f"{runs / 'mlflow.db'} was written by another version of MLflow" in printed
    assert "Traceback" not in printed


def test_a_locked_store_is_named_and_is_no_wrong_usage(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("search.tracking.mlflow_schema.WAIT_SECONDS", 0.1)
    with closing(sqlite3.connect(runs / "mlflow.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert command(monkeypatch, "report", "joint", "--workspace", str(runs)) == 1
    printed = capfd.readouterr().err
    assert f"{runs / 'mlflow.db'} cannot be read now" in printed
    assert "Traceback" not in printed


def test_damage_that_mlflow_meets_later_is_named_too() -> None:
    """A page in the middle of the file: the store opens, and a query fails within MLflow and SQLAlchemy."""
    damage = sqlite3.DatabaseError("database disk image is malformed")
    query, error = DatabaseError("SELECT 1", {}, damage), MlflowException("no answer")
    query.__cause__, error.__cause__ = damage, query
    said = damaged_store(error)
    assert said.startswith("a database of the workspace is damaged (database disk image is malformed)")
    assert damaged_store(sqlite3.OperationalError("database is locked")) == ""
    assert damaged_store(ValueError("malformed")) == ""


@pytest.mark.parametrize("address", ["file:/tmp/mlruns", "http://127.0.0.1:9", "http://127.0.0.1:port"])
def test_an_address_that_cannot_be_used_takes_one_sentence_and_no_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], address: str
) -> None:
    arguments = ["report", "joint", "--workspace", str(tmp_path), "--tracking-uri", address]
    assert command(monkeypatch, *arguments) == (1 if address.endswith(":9") else 2)
    printed = capfd.readouterr().err
    assert "MLflow" in printed
    assert address in printed or "no valid port" in printed
    assert "Traceback" not in printed


@pytest.fixture
def read_only(runs: Path, tmp_path: Path) -> Iterator[Path]:
    view = tmp_path / "view"
    view.mkdir()
    bind = subprocess.run(["mount", "--bind", "-o", "ro", str(runs), str(view)], capture_output=True)
    if bind.returncode or os.access(view, os.W_OK):
        subprocess.run(["umount", str(view)], capture_output=True)
        pytest.skip("needs the right to mount a folder read-only")
    yield view
    subprocess.run(["umount", str(view)], check=True)


@pytest.mark.slow
def test_a_read_only_workspace_is_listed_and_reported(
    read_only: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    place = ["--workspace", str(read_only)]
    assert command(monkeypatch, "runs", *place) == 0
    assert "joint" in capfd.readouterr().out
    assert command(monkeypatch, "report", "joint", *place, "--out", str(tmp_path / "out")) == 0
    assert (tmp_path / "out" / "joint" / "index.html").is_file()
    assert command(monkeypatch, "report", "joint", *place) == 2
    assert "name another" in capfd.readouterr().err
    assert Workspace.view(read_only).folder == read_only
