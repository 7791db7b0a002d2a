"""A workspace that was moved or copied is a workspace of its own: nothing leads to the place before."""

import hashlib
import io
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from rich.console import Console
from trained_study import EXPERIMENT, Trained

import reports
from experiments.schema.experiment import ExperimentConfig
from experiments.workflows.console.progress import Progress
from experiments.workflows.records.rm import remove, unused
from experiments.workflows.records.runs import find_study, stored_studies
from experiments.workflows.study import search
from experiments.workflows.study.context import RunContext
from reports.records.mlflow_client import ClientStore
from reports.records.store import MissingArtifactError
from reports.records.study import load_study
from search.doctor import MENDED, WRONG, examine
from search.models.registry.queries import SqliteRegistry
from search.tracking import names
from search.tracking.client import open_client
from search.tracking.mlflow_schema import delete_for_good
from search.workspace import Workspace
from spaces.errors import UserError
from tests.support.studies import mlflow_study
from tests.support.studies.simulated import Simulation


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with one simulated study, and nothing else."""
    folder = tmp_path_factory.mktemp("original") / "runs"
    mlflow_study.write(folder, Simulation(experiment="joint"))
    return folder


def content(folder: Path) -> dict[str, str]:
    """A digest of every file below a folder, but of the lock, which every reader may take."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "lock")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def addresses(workspace: Workspace) -> list[str]:
    with closing(sqlite3.connect(workspace.folder / "mlflow.db")) as database:
        runs = database.execute("SELECT artifact_uri FROM runs").fetchall()
        places = database.execute(
            "SELECT artifact_location FROM experiments WHERE name <> 'Default'"
        ).fetchall()
        models = database.execute("SELECT artifact_location FROM logged_models").fetchall()
    return [address for (address,) in (*runs, *places, *models)]


@pytest.mark.parametrize("name", ["copy", "with space", "w?x=1", "h#sh", "50%25", "Ünïcode", "a/artifacts/b"])
@pytest.mark.slow
def test_a_copy_reads_its_own_files_whatever_it_is_called(original: Path, tmp_path: Path, name: str) -> None:
    before = content(original)
    shutil.copytree(original, tmp_path / name)
    workspace = Workspace.view(tmp_path / name)
    assert addresses(workspace)
    assert all(address.startswith(workspace.artifacts.as_uri() + "/") for address in addresses(workspace))
    study = load_study("joint", workspace.tracking_uri)
    place = study.store.artifact(study.run, names.STUDY_JSON)
    assert place.is_relative_to(workspace.folder)
    asked = ClientStore(workspace.tracking_uri)
    assert asked.artifact(study.run, names.STUDY_JSON).read_bytes() == place.read_bytes()
    assert asked.artifact(study.run, names.STUDY_JSON).is_relative_to(workspace.folder)
    assert content(original) == before
    assert {path.name for path in tmp_path.iterdir()} == {name.partition("/")[0]}


@pytest.mark.slow
def test_a_reader_follows_no_address_out_before_anything_is_corrected(original: Path, tmp_path: Path) -> None:
    """As on a disk that cannot be written to."""
    copy = tmp_path / "copy"
    shutil.copytree(original, copy)
    tracking = f"sqlite:///{copy / 'mlflow.db'}"
    study = load_study("joint", tracking)
    place = study.store.artifact(study.run, names.STUDY_JSON)
    assert place.is_relative_to(copy)
    place.unlink()  # the original still has it
    with pytest.raises(MissingArtifactError, match="not among the run's artifacts"):
        study.store.artifact(study.run, names.STUDY_JSON)


def test_an_address_that_leads_elsewhere_is_not_followed(original: Path, tmp_path: Path) -> None:
    copy, secret = tmp_path / "copy", tmp_path / "elsewhere"
    shutil.copytree(original, copy)
    secret.mkdir()
    (secret / names.STUDY_JSON).write_text(json.dumps({"question": "from elsewhere"}))
    for address in (secret.as_uri(), str(secret), f"{copy.as_uri()}/artifacts/../../elsewhere"):
        with closing(sqlite3.connect(copy / "mlflow.db")) as database:
            database.execute("UPDATE runs SET artifact_uri = ?", (address,))
            database.commit()
        study = load_study("joint", f"sqlite:///{copy / 'mlflow.db'}")
        assert study.about == {}
        assert "outside of the workspace" in study.notes[0]


@pytest.mark.slow
def test_a_page_bears_a_missing_study_json(original: Path, tmp_path: Path) -> None:
    shutil.copytree(original, tmp_path / "copy")
    workspace = Workspace.at(tmp_path / "copy")
    study = load_study("joint", workspace.tracking_uri)
    study.store.artifact(study.run, names.STUDY_JSON).unlink()
    page = reports.build(["joint"], workspace.tracking_uri, workspace.reports)
    assert "What this study was is not known in full" in page.read_text()


def test_doctor_finds_a_moved_workspace_and_mends_it(original: Path, tmp_path: Path) -> None:
    shutil.copytree(original, tmp_path / "copy")
    workspace = Workspace(tmp_path / "copy")  # as it is found, before any command has corrected it

    def found(fix: bool) -> set[str]:
        return {one.verdict for one in examine(workspace, None, None, fix) if one.subject == "MLflow"}

    assert found(fix=False) == {WRONG}
    assert MENDED in found(fix=True)
    assert WRONG not in found(fix=False)
    assert all(address.startswith(workspace.artifacts.as_uri() + "/") for address in addresses(workspace))


def test_records_without_their_artifacts_are_refused_by_what_writes(original: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    (alone / "artifacts").mkdir(parents=True)
    shutil.copy(original / "mlflow.db", alone)
    workspace = Workspace.at(alone)
    with pytest.raises(UserError, match="copy the whole workspace"):
        open_client(workspace.tracking_uri)


@pytest.mark.trains
def test_a_search_in_a_copy_leaves_the_original_as_it_was(trained: Trained, tmp_path: Path) -> None:
    before = content(trained.workspace.folder)
    shutil.copytree(trained.workspace.folder, tmp_path / "copy")
    workspace = Workspace.at(tmp_path / "copy")
    file = tmp_path / "recorded.toml"
    file.write_text(EXPERIMENT.replace("seeds = 2", "seeds = 3"))
    progress = Progress(Console(file=io.StringIO()), quiet=True)
    finished = search.search(ExperimentConfig.load(file), RunContext(workspace, workers=2), progress)
    assert finished.over
    assert content(trained.workspace.folder) == before
    confirmed = load_study("recorded", workspace.tracking_uri).confirmations
    assert sorted(confirmed.seed) == [1, 2, 3]
    assert all(address.startswith(workspace.artifacts.as_uri() + "/") for address in addresses(workspace))
    registry = SqliteRegistry.open(workspace.tracking_uri)
    assert registry is not None
    for name, aliases in registry.aliases().items():
        for version in aliases.values():
            folder = registry.folder(name, version)
            assert folder is not None
            assert folder.is_relative_to(workspace.folder)


@pytest.mark.trains
def test_a_study_is_removed_from_a_copy_alone(trained: Trained, tmp_path: Path) -> None:
    before = content(trained.workspace.folder)
    shutil.copytree(trained.workspace.folder, tmp_path / "copy")
    context = RunContext(Workspace.at(tmp_path / "copy"))
    stored = find_study("recorded", stored_studies(context.workspace, context.tracking))
    assert sum(stored.sizes.values()) > 0
    with unused(stored, context) as storage:
        remove(stored, context, storage, print)
    assert stored_studies(context.workspace, context.tracking) == []
    assert content(trained.workspace.folder) == before


@pytest.mark.trains
def test_a_run_that_is_gone_is_trained_again_before_there_is_a_verdict(
    trained: Trained, tmp_path: Path
) -> None:
    shutil.copytree(trained.workspace.folder, tmp_path / "copy")
    workspace = Workspace.at(tmp_path / "copy")
    before = load_study("recorded", workspace.tracking_uri)
    gone = before.confirmations.iloc[0]
    client = open_client(workspace.tracking_uri)
    client.delete_run(gone.run_id)
    assert delete_for_good(client, "run", gone.run_id)
    file, printed = tmp_path / "recorded.toml", io.StringIO()
    file.write_text(EXPERIMENT)
    progress = Progress(Console(file=printed, width=300), quiet=False)
    finished = search.search(ExperimentConfig.load(file), RunContext(workspace, workers=2), progress)
    assert finished.over
    assert "trained again" in printed.getvalue()
    after = load_study("recorded", workspace.tracking_uri)
    again = after.confirmations[after.confirmations.key == gone.key].iloc[0]
    assert again.run_id != gone.run_id
    assert again.val_accuracy == gone.val_accuracy  # the same candidate, seed and images
    assert len(after.confirmations) == len(before.confirmations)
    assert after.looks == before.looks
