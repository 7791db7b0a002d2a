"""Machines that share the records of a study, as a person starts them."""

import socket
from pathlib import Path

import pytest
from mlflow import MlflowClient

from search.tracking import names
from tests.support.processes.command_line import candor
from tests.support.processes.servers import free_port, mlflow_server, postgres, postgres_binaries
from tests.support.studies.small_grid import small_grid

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.trains,
    pytest.mark.skipif(postgres_binaries() is None, reason="PostgreSQL's programs are not installed"),
]
EXPERIMENT = small_grid("seeds = 2\nepochs = 1", neurons=64)


def _candor(*arguments: str) -> str:
    done = candor(*arguments)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def test_what_a_machine_did_not_deliver_is_named_and_mended_there(tmp_path: Path) -> None:
    """One trains everything and cannot reach MLflow; the other draws the verdict once all has arrived."""
    experiment = tmp_path / "shared.toml"
    experiment.write_text(EXPERIMENT)
    port = free_port()
    tracking = f"http://127.0.0.1:{port}"
    here, there = (["--workspace", str(tmp_path / name)] for name in ("here", "there"))
    with postgres() as storage:
        shared = ["--storage", storage, "--tracking-uri"]
        search = ["search", str(experiment)]
        assert "records wait for MLflow" in _candor(*search, *here, *shared, tracking)
        with mlflow_server(tmp_path / "server", port=port):  # it was away, and is back
            told = _candor(*search, *there, *shared, tracking)
            assert f"still on their way to MLflow: 4 from {socket.gethostname()}." in told
            mended = _candor("doctor", "--fix", *here, *shared, tracking)
            assert "records wait for MLflow" in mended
            assert "Report:" in (told := _candor(*search, *there, *shared, tracking))
            assert "on their way" not in told
            _check_runs(MlflowClient(tracking))


def _check_runs(client: MlflowClient) -> None:
    """Every evaluation has one finished run, and so has the study."""
    found = client.get_experiment_by_name("shared")
    assert found is not None
    runs = client.search_runs([found.experiment_id])
    kinds = [run.data.tags[names.KIND] for run in runs]
    assert (kinds.count(names.EVALUATION_KIND), len(kinds)) == (4, 5)
    assert all(run.info.status == "FINISHED" for run in runs)
