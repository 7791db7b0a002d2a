"""The doctor names what is wrong, mends it when asked to, and leaves a workspace at work alone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from search.doctor import (
    MENDED,
    OK,
    WRONG,
    examine,
    waiting,
)
from search.study.optuna.storage import open_storage
from search.tracking import names
from search.tracking.spool import Spool
from search.workspace import Workspace
from tests.support.studies.stores import new_store
from tests.support.studies.studies import Started


def _verdicts(workspace: Workspace, fix: bool = False) -> dict[str, str]:
    return {f.subject: f.verdict for f in examine(workspace, None, None, fix)}


def test_an_empty_workspace_is_well(tmp_path: Path) -> None:
    """Every line says ok; what the machine has left is its own affair."""
    verdicts = _verdicts(Workspace.at(tmp_path))
    assert {verdict for name, verdict in verdicts.items() if name not in ("disk", "memory")} == {OK}
    assert set(verdicts) >= {"workspace", "processes", "disk", "memory", "versions", "backend", "spool"}


def test_what_a_killed_study_left_is_found_and_mended(tmp_path: Path) -> None:
    """Records that wait, a run that says it is running, folders nobody needs: named, then mended."""
    workspace = Workspace.at(tmp_path)
    new_store(tmp_path)
    client = MlflowClient(workspace.tracking_uri)
    experiment = client.create_experiment("small", artifact_location=workspace.artifacts.as_uri())
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    tags = {names.HOST: os.uname().nodename, names.PID: str(dead.pid), names.KEY: "s/explore/0/0"}
    run = client.create_run(experiment, tags=tags).info.run_id
    spool = Spool(workspace.spool / "small")
    spool.append("study", key="s", name="study", tags={})
    spool.append("close", key="s", status="FINISHED")
    spool.close()
    (workspace.cache / ".making-dead").mkdir(parents=True)
    wrong = {name for name, verdict in _verdicts(workspace).items() if verdict == WRONG}
    assert wrong == {"MLflow", "spool", "temporary files"}
    assert len(waiting(workspace)) == 2
    mended = {name for name, verdict in _verdicts(workspace, fix=True).items() if verdict == MENDED}
    assert mended == wrong
    assert WRONG not in _verdicts(workspace).values()
    assert client.get_run(run).info.status == "KILLED"


def test_what_waits_for_a_server_is_not_given_to_the_workspaces_own_store(tmp_path: Path) -> None:
    """It would never arrive; nor are the checkpoints of a study of another storage anybody's leftovers."""
    workspace = Workspace.at(tmp_path)
    spool = Spool.claim(workspace.spool / "shared", "http://127.0.0.1:9")
    spool.append("study", key="abc", name="study", tags={})
    spool.close()
    theirs = workspace.checkpoints / "abc-explore-0-0"
    theirs.mkdir(parents=True)
    findings = [f for f in examine(workspace, None, None, fix=True) if f.subject == "spool"]
    assert [f.verdict for f in findings] == [WRONG]
    assert "wait for http://127.0.0.1:9: give --tracking-uri" in findings[0].detail
    assert len(waiting(workspace)) == 1
    assert not (tmp_path / "mlflow.db").exists()
    open_storage(workspace.storage_url).close()  # of another study, made here before
    examined = {f.subject: f.verdict for f in examine(workspace, None, None, fix=True)}
    assert (examined["temporary files"], theirs.is_dir()) == (OK, True)
    again = Spool.claim(workspace.spool / "shared")
    assert (again.folder.name, again.pending()) == ("shared+1", [])


def test_a_gpu_that_the_backend_does_not_see_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backend itself is asked: a driver alone trains nothing."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "97")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    findings = {f.subject: f for f in examine(Workspace.at(tmp_path), None, None, fix=False)}
    assert findings["backend"].verdict == WRONG
    assert "jax sees 0 of 1 GPUs (97)" in findings["backend"].detail


def test_a_damaged_store_is_wrong(tmp_path: Path) -> None:
    """It cannot be mended, and it is not hidden."""
    (tmp_path / "studies.db").write_bytes(b"this is no database, and never was one" * 100)
    assert _verdicts(Workspace.at(tmp_path), fix=True)["studies"] == WRONG


def test_refused_records_are_shown_with_the_reason_and_sent_again(tmp_path: Path) -> None:
    """They are not forgotten, and what stood in the way may be gone."""
    spool = Spool(tmp_path / "spool" / "small")
    spool.append("study", key="s")
    spool.set_aside(spool.read(spool.pending()[0]), "the run was deleted")
    spool.close()
    workspace = Workspace.at(tmp_path)
    found = {f.verdict: f.detail for f in examine(workspace, None, None, fix=False) if f.subject == "spool"}
    assert "1 records that MLflow refused" in found[WRONG]
    assert "the run was deleted" in found[WRONG]
    found = {f.verdict: f.detail for f in examine(workspace, None, None, fix=True) if f.subject == "spool"}
    assert MENDED in found
    assert not list(tmp_path.glob("spool/*/*.json")) + list(tmp_path.glob("spool/*/refused/*"))
    (run,) = MlflowClient(workspace.tracking_uri).search_runs(["1"])
    assert run.data.tags[names.KEY] == "s"


def test_a_workspace_at_work_is_left_alone(begun: Callable[..., Started]) -> None:
    """The doctor says who works there and mends nothing; orphans are told from a coordinator's children."""
    study = begun([{"cell": 1, "epochs": 500, "seconds": 0.2}], workers=1)
    with study.begin() as process:
        while process.poll() is None and not list(study.workspace.glob("checkpoints/*/checkpoint/state.npz")):
            time.sleep(0.05)
        findings = {f.subject: f for f in examine(Workspace.at(study.workspace), None, None, fix=True)}
        process.send_signal(signal.SIGKILL)
    assert f"process {process.pid}" in findings["workspace"].detail
    assert findings["processes"].verdict == OK
    assert MENDED not in {f.verdict for f in findings.values()}


def test_the_command_prints_a_line_each_and_exits_with_1_when_something_is_wrong(tmp_path: Path) -> None:
    """A script can ask, too."""
    Spool(tmp_path / "spool" / "small").append("close", key="s", status="FINISHED")
    command = [sys.executable, "-m", "experiments", "doctor", "--workspace", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "1 records wait for MLflow" in done.stdout) == (1, True)


@pytest.mark.parametrize("text", ["postgresql+psycopg://user:secret@host/db", "http://me:secret@host:5000"])
def test_passwords_are_masked(text: str) -> None:
    """In every message, log and tag."""
    from search.safety.secrets import masked

    assert "secret" not in masked(f"cannot reach {text}, sorry")
    assert masked(text).count("***") == 1
