"""Text from a store, a file or a class list never leads a command out of its own folder."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient

from experiments.workflows.records.rm import remove, unused
from experiments.workflows.records.runs import stored_studies
from experiments.workflows.study.context import RunContext
from reports.writer import build, forget
from search.safety.paths import (
    below,
    checked_name,
    file_name,
    starting_with,
)
from search.tracking import names
from search.tracking.spool import Spool
from search.workspace import Workspace
from spaces.errors import UserError

OUTSIDE = ("..", "../x", "a/../../x", "/etc/x", "link/x", "link", "", ".", "a/..")


@pytest.mark.parametrize("part", OUTSIDE)
def test_a_path_that_leaves_its_folder_is_refused(tmp_path: Path, part: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path)
    with pytest.raises(UserError, match="leads out of"):
        below(root, part)


def test_a_path_within_its_folder_is_joined(tmp_path: Path) -> None:
    assert below(tmp_path, "a", "b..c.png") == tmp_path.resolve() / "a" / "b..c.png"


@pytest.mark.parametrize(
    "text", ["", "*", "..", "../x", "a/b", "a\n", "-rf", ".hidden", "x" * 101, "a b", "é"]
)
def test_a_name_that_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="has a name that Candor does not give"):
        checked_name(text, "study")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("/../../victim/x", "victim_x"), ("happy", "happy"), ("..", "_"), ("", "_"), ("a\x00b\n", "a_b"),
        ("very happy!", "very_happy"), ("glücklich", "glücklich"), ("高兴", "高兴"),
    ],
)  # fmt: skip
def test_a_class_becomes_one_file_name(text: str, name: str) -> None:
    assert file_name(text) == name


def test_a_long_class_becomes_a_short_file_name() -> None:
    assert len(file_name("é" * 500).encode()) == 80


def test_signs_of_a_shell_are_plain_text(tmp_path: Path) -> None:
    for name in ("*-a", "b-a"):
        (tmp_path / name).mkdir()
    assert [path.name for path in starting_with(tmp_path, "*")] == ["*-a"]


class Hostile:
    """A workspace with one study whose store was edited by hand, and a victim outside of the workspace."""

    def __init__(self, folder: Path, experiment: str = "pair", study: str = "aaaa0001") -> None:
        self.victim = folder / "victim"
        (self.victim / "a").mkdir(parents=True)
        (self.victim / "index.html").write_text("mine")
        self.workspace = Workspace.at(folder / "runs")
        self.context = RunContext(self.workspace)
        client = MlflowClient(self.workspace.tracking_uri)
        place = (self.workspace.artifacts / "pair").as_uri()
        number = client.create_experiment(experiment, artifact_location=place)
        tags = {names.STUDY: study, names.EXPERIMENT: experiment}
        parent = client.create_run(number, 1, {**tags, names.KIND: names.STUDY_KIND})
        child = client.create_run(number, 2, {**tags, names.KIND: names.EVALUATION_KIND})
        self.parent, self.child = parent.info.run_id, child.info.run_id
        client.log_text(self.child, "epoch", names.HISTORY_CSV)
        for run in (self.parent, self.child):
            client.set_terminated(run)
        optuna.create_study(
            storage=self.workspace.storage_url, study_name=f"{experiment}-{study}/explore"
        ).ask()
        self.checkpoint = self.workspace.checkpoints / "bbbb0002-explore-0-0"
        self.checkpoint.mkdir(parents=True)
        self.workspace.reports.mkdir()

    def redirect(self, run: str, folder: Path) -> None:
        """Let a run name another folder as its own."""
        with closing(sqlite3.connect(self.workspace.folder / "mlflow.db")) as database:
            database.execute("UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", (folder.as_uri(), run))
            database.commit()

    def remove(self) -> None:
        """What `candor rm` does."""
        (stored,) = stored_studies(self.workspace, self.context.tracking)
        with unused(stored, self.context) as storage:
            remove(stored, self.context, storage, print)

    def check_unharmed(self) -> None:
        """Nothing outside, nothing of another study, and no run of the study is gone."""
        assert (self.victim / "a").is_dir()
        assert (self.victim / "index.html").read_text() == "mine"
        assert self.checkpoint.is_dir()
        assert MlflowClient(self.context.tracking).get_run(self.child).info.lifecycle_stage == "active"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("experiment", "study"),
    [("../../victim", "aaaa0001"), ("pair", "../../victim/a"), ("pair", "*"), ("pair", ""), ("pair", "..")],
)
def test_a_study_with_the_name_of_a_path_removes_nothing(tmp_path: Path, experiment: str, study: str) -> None:
    hostile = Hostile(tmp_path, experiment, study)
    with pytest.raises(UserError, match="has a name that Candor does not give"):
        hostile.remove()
    hostile.check_unharmed()


def test_a_run_whose_artifacts_lie_elsewhere_removes_nothing(tmp_path: Path) -> None:
    hostile = Hostile(tmp_path)
    hostile.redirect(hostile.child, hostile.victim)
    with pytest.raises(UserError, match="outside of this workspace"):
        hostile.remove()
    hostile.redirect(hostile.child, hostile.workspace.checkpoints)
    with pytest.raises(UserError, match="is not where MLflow keeps the files"):
        hostile.remove()
    hostile.check_unharmed()


@pytest.mark.slow
def test_a_server_does_not_name_local_folders_to_remove(tmp_path: Path) -> None:
    hostile = Hostile(tmp_path)
    hostile.redirect(hostile.child, hostile.victim)
    hostile.context = RunContext(hostile.workspace, tracking_uri=hostile.workspace.tracking_uri)
    with pytest.raises(UserError, match="is not where MLflow keeps the files"):
        hostile.remove()
    hostile.check_unharmed()


@pytest.mark.slow
def test_no_report_is_written_outside(tmp_path: Path) -> None:
    hostile = Hostile(tmp_path, "../../victim")
    for wanted in (["../../victim"], []):
        with pytest.raises(UserError, match="has a name that Candor does not give"):
            build(wanted, hostile.context.tracking, hostile.workspace.reports)
    with pytest.raises(UserError):
        forget(hostile.workspace.reports, "../../victim")
    hostile.check_unharmed()
    assert list(hostile.workspace.reports.iterdir()) == []


@pytest.mark.slow
def test_a_link_in_place_of_a_report_is_not_followed(tmp_path: Path) -> None:
    hostile = Hostile(tmp_path)
    (hostile.workspace.reports / "pair").symlink_to(hostile.victim)
    with pytest.raises(UserError, match="leads out of"):
        build(["pair"], hostile.context.tracking, hostile.workspace.reports)
    hostile.check_unharmed()


def test_a_waiting_record_removes_only_its_own_files(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    with closing(Spool(tmp_path / "spool" / "pair")) as spool:
        own = spool.files / "key"
        own.mkdir()
        for files in (victim, tmp_path / "spool", spool.files, spool.folder, own):
            spool.append("files", files=str(files))
        for path in spool.pending():
            assert json.loads(path.read_text())["content"]["files"]
            spool.remove(spool.read(path))
        assert victim.is_dir()
        assert spool.files.is_dir()
        assert not own.exists()
