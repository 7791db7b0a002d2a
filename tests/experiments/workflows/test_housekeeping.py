"""Studies are listed with what they take, removed everywhere, and keep their models within a budget."""

import json
import os
import socket
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient
from trained_study import Trained
from typer.testing import CliRunner

from experiments.cli import app
from experiments.workflows.records.rm import registered, remove, unused
from experiments.workflows.records.runs import StoredStudy, find_study, stored_studies
from experiments.workflows.study.context import RunContext
from reports.records.study import load_study
from search.tracking import names
from search.tracking.client import open_client
from search.tracking.spool import Spool
from search.workspace import DEFAULT_FOLDER, Workspace, option
from spaces.errors import UserError


@pytest.mark.trains
def test_models_of_explored_candidates_are_kept_then_trimmed_to_the_budget(trained: Trained) -> None:
    told = [sentence for sentence in trained.sentences if "models were removed" in sentence]
    assert told
    assert told[0].startswith("2 of 4 models were removed to keep within 0.001 MB; what has to stay takes")
    study = trained.study()
    kept = {run.tags[names.STAGE] for run in study.runs.values() if _has_model(run.artifact_uri)}
    assert kept == {names.CONFIRM}


def _has_model(artifact_uri: str) -> bool:
    return (Path(artifact_uri.removeprefix("file://")) / names.MODEL_KERAS).is_file()


@pytest.mark.trains
def test_a_study_is_listed_with_its_size(trained: Trained) -> None:
    stored = find_study("recorded", stored_studies(trained.workspace, trained.tracking))
    files = trained.workspace.artifacts.rglob("*")
    logged = sum(path.stat().st_size for path in files if path.is_file())
    assert stored.sizes["artifacts"] + stored.sizes["models"] == logged
    assert stored.sizes["reports"] > 0
    assert (stored.state, stored.newest) == ("finished", True)
    assert find_study(stored.study[:6], [stored]) == stored
    with pytest.raises(UserError, match=r"there is no study other; there is recorded"):
        find_study("other", [stored])


@pytest.fixture
def two(tmp_path: Path) -> RunContext:
    """A workspace with studies aaaa0001 and bbbb0002 of one experiment, each with one run, trial and file."""
    workspace = Workspace.at(tmp_path / "runs")
    client = MlflowClient(workspace.tracking_uri)
    place = (workspace.artifacts / "pair").as_uri()
    experiment = client.create_experiment("pair", artifact_location=place)
    for number, study in enumerate(("aaaa0001", "bbbb0002")):
        tags = {names.STUDY: study, names.EXPERIMENT: "pair"}
        parent = client.create_run(experiment, number + 1, {**tags, names.KIND: names.STUDY_KIND})
        run = client.create_run(experiment, number + 2, {**tags, names.KIND: names.EVALUATION_KIND})
        client.log_metric(run.info.run_id, "val_accuracy", 0.5)
        client.log_text(run.info.run_id, "epoch", names.HISTORY_CSV)
        for one in (parent, run):
            client.set_terminated(one.info.run_id)
        optuna.create_study(storage=workspace.storage_url, study_name=f"pair-{study}/explore").ask()
        (workspace.checkpoints / f"{study}-explore-0-0").mkdir(parents=True)
    with closing(Spool(workspace.spool / "pair")) as spool:
        for study in ("aaaa0001", "bbbb0002"):
            spool.append("epoch", key=f"{study}/explore/0/0", step=1)
    (workspace.reports / "pair").mkdir(parents=True)
    (workspace.reports / "pair" / "comparison.csv").touch()
    return RunContext(workspace)


@pytest.mark.slow
def test_a_removed_study_is_gone_everywhere_and_the_other_stays(two: RunContext) -> None:
    workspace = two.workspace
    newest = _held(two, "bbbb0002")
    assert registered(newest, two.tracking) == []
    with unused(newest, two) as storage:
        remove(newest, two, storage, print)
        assert [s.study_name for s in storage.get_all_studies()] == ["pair-aaaa0001/explore"]
    assert [one.study for one in stored_studies(workspace, two.tracking)] == ["aaaa0001"]
    assert _rows(workspace, "runs") == 2
    assert _rows(workspace, "metrics") == 1
    assert len(list(workspace.artifacts.rglob(names.HISTORY_CSV))) == 1
    assert [path.name for path in workspace.checkpoints.iterdir()] == ["aaaa0001-explore-0-0"]
    waiting = [json.loads(path.read_text()) for path in workspace.spool.glob("pair/*.json")]
    assert [record["content"]["key"] for record in waiting] == ["aaaa0001/explore/0/0"]
    assert not (workspace.reports / "pair").exists()
    last = _held(two, "pair")
    with unused(last, two) as storage:
        remove(last, two, storage, print)
    assert stored_studies(workspace, two.tracking) == []
    assert MlflowClient(two.tracking).get_experiment_by_name("pair") is None
    left = [path for path in (workspace.artifacts, workspace.spool) for path in path.iterdir()]
    assert left == []


@pytest.mark.slow
def test_a_study_goes_with_its_deleted_runs_and_with_both_of_its_own(two: RunContext) -> None:
    client = open_client(two.tracking)
    study = _held(two, "bbbb0002")
    tags = {names.STUDY: study.study, names.EXPERIMENT: "pair"}
    again = client.create_run(study.experiment_id, tags={**tags, names.KIND: names.STUDY_KIND})
    client.delete_run(study.runs[0].run_id)
    client.rename_experiment(study.experiment_id, "renamed in the pages")
    stored = _held(two, "bbbb0002")
    assert stored.experiment == "pair"
    assert again.info.run_id in {stored.parent.run_id, *(run.run_id for run in stored.runs)}
    with unused(stored, two) as storage:
        remove(stored, two, storage, print)
        assert list(storage.study_ids()) == ["pair-aaaa0001/explore"]
    assert [one.study for one in stored_studies(two.workspace, two.tracking)] == ["aaaa0001"]
    assert _rows(two.workspace, "runs") == 2


@pytest.mark.slow
def test_that_a_test_set_was_opened_outlasts_the_study(two: RunContext) -> None:
    client = MlflowClient(two.tracking)
    removed, left = _held(two, "bbbb0002"), _held(two, "aaaa0001")
    client.set_tag(left.parent.run_id, names.TEST_DIGEST, "images")
    opened = {names.STUDY: removed.study, names.KIND: names.UNSEALING_KIND, names.TEST_DIGEST: "images"}
    client.create_run(removed.experiment_id, 9, {**opened, names.VERDICT_HASH: "frozen"})
    removed, said = _held(two, "bbbb0002"), []
    with unused(removed, two) as storage:
        remove(removed, two, storage, said.append)
    assert [one.study for one in stored_studies(two.workspace, two.tracking)] == ["aaaa0001"]
    study = load_study("pair", two.tracking)
    assert (study.openings, len(study.unsealings)) == (1, 0)
    assert said == ["That its test set was opened stays in MLflow: every look at it counts."]


@pytest.mark.slow
def test_nothing_is_removed_while_somebody_works_or_from_a_copy(two: RunContext, tmp_path: Path) -> None:
    stored = _held(two, "aaaa0001")
    with (
        two.workspace.lock(),
        pytest.raises(UserError, match="is in use by"),
        unused(stored, two),
    ):
        pass
    elsewhere = RunContext(Workspace.at(tmp_path / "copy"))
    with pytest.raises(UserError, match="outside of this workspace"), unused(stored, elsewhere):
        pass
    with pytest.raises(UserError, match="pair has 2 studies"):
        _held(two, "pair")


def _held(context: RunContext, text: str) -> StoredStudy:
    return find_study(text, stored_studies(context.workspace, context.tracking))


def _rows(workspace: Workspace, table: str) -> int:
    with closing(sqlite3.connect(workspace.folder / "mlflow.db")) as database:
        return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_a_study_whose_process_is_gone_was_interrupted(tmp_path: Path) -> None:
    """MLflow says RUNNING of it for ever; the process that holds the workspace, or is alive, says more."""
    workspace = Workspace.at(tmp_path / "runs")
    workspace.artifacts.mkdir()
    client = MlflowClient(workspace.tracking_uri)
    experiment = client.create_experiment("cut", artifact_location=(workspace.artifacts / "cut").as_uri())
    gone = subprocess.Popen(["true"])
    gone.wait()
    tags = {names.STUDY: "cccc0003", names.EXPERIMENT: "cut", names.KIND: names.STUDY_KIND}
    run = client.create_run(
        experiment, 1, {**tags, names.HOST: socket.gethostname(), names.PID: str(gone.pid)}
    )

    def state() -> str:
        return stored_studies(workspace, workspace.tracking_uri)[0].state

    assert state() == "interrupted"
    with workspace.lock():
        assert state() == "running"
    client.set_tag(run.info.run_id, names.PID, str(os.getpid()))
    assert state() == "running"
    client.set_tag(run.info.run_id, names.PID, str(gone.pid))
    client.set_tag(run.info.run_id, names.HOST, "another-machine")
    assert state() == "running"


@pytest.mark.parametrize("command", ["runs", "doctor"])
def test_a_workspace_that_is_not_there_is_named(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slip in a path looked like an empty workspace; the default one is made by the first study."""
    monkeypatch.chdir(tmp_path)
    Path("notes").write_text("")
    for folder, what in (("rusn", "does not exist"), ("notes", "is a file")):
        done = CliRunner().invoke(app, [command, "--workspace", folder])
        assert isinstance(done.exception, UserError)
        assert f"the workspace {folder} {what}" in str(done.exception)
    assert not Path("rusn").exists()
    assert Workspace.existing(DEFAULT_FOLDER).folder == tmp_path / "runs"


def test_a_hint_at_a_command_names_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert option(Path("runs")) == ""
    assert option(Path("my runs")) == " --workspace 'my runs'"
