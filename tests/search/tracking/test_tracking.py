"""The way to MLflow: durable, in order, the same however often it is walked. A real store and server."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from search.tracking import names
from search.tracking.delivery import Delivery
from search.tracking.params import as_params
from search.tracking.spool import Spool
from search.tracking.writer import Writer
from tests.support.studies.stores import new_store


@pytest.fixture
def store(tmp_path: Path) -> str:
    return new_store(tmp_path)


def _records(spool: Spool, folder: Path) -> None:
    """One study with one evaluation of two epochs, with an artifact."""
    spool.append("study", key="s", name="study", tags={names.KIND: names.STUDY_KIND})
    spool.append("begin", key="s/explore/0/0", parent="s", name="trial 0", tags={names.STATE: names.RUNNING})
    for step in (1, 2):
        spool.append(
            "epoch", key="s/explore/0/0", step=step, at=1000 * step, metrics={"train_loss": 1.0 / step}
        )
    artifacts = folder / "artifacts"
    artifacts.mkdir(parents=True)
    (artifacts / "history.csv").write_text("epoch\n1\n2\n")
    files = spool.keep_files(artifacts, "s/explore/0/0")
    spool.append(
        "end",
        key="s/explore/0/0",
        parent="s",
        state=names.PRUNED,
        metrics={"epochs": 2.0},
        tags={names.STATE: names.PRUNED},
        params={"trial": 0},
        files=files,
    )
    spool.append("close", key="s", status="FINISHED")


def _content(uri: str) -> dict[str, Any]:
    """Everything that a reader could see, without times of arrival."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    return {
        run.data.tags[names.KEY]: (
            run.info.status,
            run.data.params,
            run.data.metrics,
            [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "train_loss")],
            [a.path for a in client.list_artifacts(run.info.run_id)],
            "mlflow.parentRunId" in run.data.tags,
        )
        for run in client.search_runs([experiment.experiment_id])
    }


EXPECTED = {
    "s": ("FINISHED", {}, {}, [], [], False),
    "s/explore/0/0": (
        "KILLED",
        {"trial": "0"},
        {"train_loss": 0.5, "epochs": 2.0},
        [(1, 1.0), (2, 0.5)],
        ["history.csv"],
        True,
    ),
}


def test_records_become_runs_with_parents_curves_and_artifacts(store: str, tmp_path: Path) -> None:
    """What was spooled is what MLflow's own client reads, and the spool is empty."""
    spool = Spool(tmp_path / "spool")
    _records(spool, tmp_path)
    assert Delivery(spool, Writer(store, "small", tmp_path / "artifacts")).close() == 0
    assert _content(store) == EXPECTED
    assert sorted(p.name for p in (tmp_path / "spool").iterdir()) == ["files", "lock"]


def test_sending_everything_twice_changes_nothing(store: str, tmp_path: Path) -> None:
    """After a crash between sending and removing, the same records arrive again."""
    spool = Spool(tmp_path / "spool")
    _records(spool, tmp_path)
    records = [spool.read(path) for path in spool.pending()]
    for _ in range(2):
        writer = Writer(store, "small", tmp_path / "artifacts")
        for record in records:
            writer.write(record)
    assert _content(store) == EXPECTED


def test_records_survive_the_process_that_spooled_them(store: str, tmp_path: Path) -> None:
    """A new process finds the spool and delivers in order; a half-written file is no record."""
    _records(Spool(tmp_path / "spool"), tmp_path)
    (tmp_path / "spool" / ".torn.json.123").write_text('{"kind": "be')
    assert Delivery(Spool(tmp_path / "spool"), Writer(store, "small", tmp_path / "artifacts")).close() == 0
    assert _content(store) == EXPECTED


def test_a_run_that_has_ended_stays_ended_whoever_goes_on_with_it_later(store: str, tmp_path: Path) -> None:
    """A machine thought lost may report late: by then another one has finished the evaluation."""
    key = "s/explore/0/0"

    def deliver(machine: str, *records: tuple[str, dict[str, Any]]) -> tuple[str, str, list[int]]:
        spool = Spool(tmp_path / machine)
        for kind, fields in records:
            spool.append(kind, key=key, **fields)
        assert Delivery(spool, Writer(store, "small", tmp_path / "artifacts")).close() == 0
        spool.close()
        client = MlflowClient(store)
        experiment = client.get_experiment_by_name("small")
        assert experiment is not None
        (run,) = client.search_runs([experiment.experiment_id])
        steps = [m.step for m in client.get_metric_history(run.info.run_id, "epoch_seconds")]
        return run.info.status, run.data.tags[names.STATE], steps

    def epoch(step: int) -> tuple[str, dict[str, Any]]:
        return "epoch", {"step": step, "at": 1000 * step, "metrics": {"epoch_seconds": 1.0}}

    begin = ("begin", {"name": "trial 0", "tags": {names.STATE: names.RUNNING}})
    end = ("end", {"state": "complete", "tags": {names.STATE: "complete"}})

    assert deliver("a", begin, epoch(1)) == ("RUNNING", "running", [1])
    assert deliver("b", begin, epoch(1), epoch(2), end) == ("FINISHED", "complete", [1, 2])
    assert deliver("a", begin, epoch(2), epoch(3)) == ("FINISHED", "complete", [1, 2])


def test_a_record_that_mlflow_refuses_is_set_aside_and_stops_nobody(store: str, tmp_path: Path) -> None:
    """A parameter cannot change its value in MLflow: the refusal is kept, the rest goes on."""
    spool = Spool(tmp_path / "spool")
    for value in (1, 2):
        spool.append("begin", key="s", name="study", params={"trial": value})
    spool.append("close", key="s", status="FINISHED")
    assert Delivery(spool, Writer(store, "small", tmp_path / "artifacts")).close() == 0
    refused = sorted(p.suffix for p in (tmp_path / "spool" / "refused").iterdir())
    assert refused == [".json", ".txt"]
    assert _content(store)["s"][0] == "FINISHED"


def test_parameters_read_as_people_write_them() -> None:
    """Lists are joined by dashes, tables flattened with dots."""
    fields = {"kernels": [64, 128], "augmentation": {"flip": True}, "rate": 0.001}
    assert as_params("arch.", fields) == {
        "arch.kernels": "64-128",
        "arch.augmentation.flip": "True",
        "arch.rate": "0.001",
    }


@contextlib.contextmanager
def _server(folder: Path, port: int) -> Iterator[None]:
    light = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--backend-store-uri", f"sqlite:///{folder / 'server.db'}"]
    command += ["--serve-artifacts", "--artifacts-destination", (folder / "served").as_uri()]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            command, env={**os.environ, **light}, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield
        finally:
            os.killpg(process.pid, 15)
            process.wait(120)


def test_a_server_that_is_away_stops_nobody_and_gets_everything_later(tmp_path: Path) -> None:
    """Spooling goes on at full speed; once the server is there, all of it arrives in order."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    spool = Spool(tmp_path / "spool")
    delivery = Delivery(spool, Writer(uri, "small", None))
    started = time.monotonic()
    _records(spool, tmp_path)
    assert time.monotonic() - started < 10
    end = time.monotonic() + 120
    while delivery.trouble is None and time.monotonic() < end:
        time.sleep(0.1)
    assert delivery.trouble is not None
    assert delivery.drain(6) == 6
    with _server(tmp_path, port):
        end = time.monotonic() + 240
        while spool.pending() and time.monotonic() < end:
            time.sleep(0.2)
        assert delivery.drain(60) == 0
        assert _content(uri) == EXPECTED
    spool.append("study", key="t", name="study", tags={names.KIND: names.STUDY_KIND, names.STUDY: "t"})
    said: list[str] = []
    stops = iter([False, True])
    delivery.wait_for_server(lambda _: next(stops), said.append)
    assert next(stops, None) is None, "it tried until the stop"
    assert len(said) == 1
    assert said[0].startswith("1 records wait for MLflow (")
    delivery.close(0)
    assert len(spool.pending()) == 1
