"""`candor unpack`: a packed study joins a workspace, and goes on there."""

import shlex
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from reports.records.open_store import open_store
from reports.records.packed import PackedStore, joined_parent, merged, parent_of
from reports.records.store import Run
from search.archives import content, mlflow_rows
from search.archives.tables import Row, Rows
from search.safety.paths import below
from search.study import transfer
from search.study.optuna.storage import open_storage
from search.tracking import names
from search.tracking.artifact_places import STORE_NAME
from search.tracking.privacy import public_text
from search.tracking.writer import Writer, prepare_store
from search.workspace import Workspace
from spaces.errors import UserError


@dataclass(frozen=True)
class Unpacked:
    """A study that was put into a workspace.

    Attributes:
        study: Its id.
        experiment: Its experiment's name.
        evaluations: How many it has in the workspace now.
        added: How many of them, or of its openings of the test set, came from the file.
        file: Its experiment file, resolved: with it the study goes on.
        source: Where its images came from, without the folder.
        data_digest: The digest of its images.
    """

    study: str
    experiment: str
    evaluations: int
    added: int
    file: Path
    source: str
    data_digest: str

    def go_on(self, workspace: Path) -> str:
        """The command with which it goes on."""
        own = self.source.startswith(("synthetic", "kaggle:"))
        data = [] if own else ["--data", f"PATH/{self.source}"]
        return shlex.join(["candor", "search", str(self.file), *data, "--workspace", str(workspace)])


def unpack(path: Path, workspace: Workspace) -> Unpacked:
    """Put a packed study into a workspace; evaluations that are there already stay.

    Doing it twice changes nothing. Before anything is written, the file is checked and compared with what is
    there.

    Args:
        path: A file that `candor pack` wrote.
        workspace: Where to.

    Raises:
        UserError: The file cannot be read; the workspace is in use; or an evaluation has other results there.
    """
    with workspace.lock(0), TemporaryDirectory(prefix=".unpacking-", dir=workspace.folder) as scratch:
        folder = Path(scratch)
        part = PackedStore.open(path, folder)
        study, experiment = part.manifest.study, part.manifest.experiment
        prepare_store(workspace.tracking_uri, workspace.folder / "mlflow.lock")
        ours = _held(workspace, experiment, study)
        theirs = part.runs(part.experiments()[experiment], {})
        own = [run for run in theirs if run.tags.get(names.STUDY) == study]
        merge = merged(ours, own, path.name)
        parent = parent_of(ours or own)
        joined = joined_parent(ours, own) if ours else parent
        known = mlflow_rows.known_runs(_database(workspace))
        counted = [run.run_id for run in theirs if run not in own and run.run_id not in known]
        taken = {*merge.taken, *counted} - {parent_of(own).run_id if ours else ""}
        writer = Writer(workspace.tracking_uri, experiment, workspace.artifacts)
        number = writer.experiment_id()
        places = {run: _place(workspace, experiment, run) for run in sorted({*taken, parent.run_id})}
        moved = {run: run for run in taken}
        if joined.artifact_uri == parent_of(own).artifact_uri:  # the file's study went further
            moved[parent_of(own).run_id] = parent.run_id
        for run, target in sorted(moved.items()):
            _copy(content.run_folder(folder, run), places[target])
        _add_trials(folder, workspace, experiment, study)
        rows = mlflow_rows.rows_of_packed(folder / content.MLFLOW_DB, taken)
        mlflow_rows.write_rows(
            _database(workspace),
            _placed(rows, places, parent.run_id),
            number,
            replaced=sorted({*(run.run_id for run in merge.replacing.values()), *_deleted(known, taken)}),
        )
        if ours:
            _update_parent(writer, parent, joined)
    return _unpacked(workspace, experiment, study, len(merge.taken), part)


def _held(workspace: Workspace, experiment: str, study: str) -> list[Run]:
    """The study's runs in the workspace, none where it is not there."""
    store = open_store(workspace.tracking_uri)
    number = store.experiments().get(experiment)
    runs = store.runs(number, {names.STUDY: study}) if number is not None else []
    if runs and not any(run.tags.get(names.KIND) == names.STUDY_KIND for run in runs):
        raise UserError(
            f"{workspace.folder} holds runs of study {study} and not the study's own run: see `candor doctor`"
        )
    return runs


def _deleted(known: Mapping[str, bool], taken: Collection[str]) -> set[str]:
    """Runs that were deleted in the workspace's MLflow and come again."""
    return {run for run in taken if known.get(run)}


def _database(workspace: Workspace) -> Path:
    return workspace.folder / STORE_NAME


def _place(workspace: Workspace, experiment: str, run_id: str) -> Path:
    return below(workspace.artifacts, experiment, run_id, "artifacts")


def _copy(source: Path, target: Path) -> None:
    """Copy a run's artifacts to their place, file by file over what an earlier try left."""
    target.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)


def _add_trials(folder: Path, workspace: Workspace, experiment: str, study: str) -> None:
    """Add the trials, and the state of those that are not over."""
    for place in sorted((folder / content.CHECKPOINTS).glob("*")):
        target = below(workspace.checkpoints, place.name)
        if not target.exists():
            shutil.copytree(place, target)
    storage = open_storage(workspace.storage_url)
    try:
        transfer.unpack_trials(folder / content.OPTUNA_DB, experiment, study, storage)
    finally:
        storage.close()


def _placed(rows: Rows, places: Mapping[str, Path], parent: str) -> Rows:
    """The rows with this workspace's addresses and its parent run."""

    def tag(row: Row) -> Row:
        return {**row, "value": parent} if row["key"] == "mlflow.parentRunId" else row

    runs = [{**row, "artifact_uri": places[row["run_uuid"]].as_uri()} for row in rows["runs"]]
    return {**rows, "runs": runs, "tags": [tag(row) for row in rows["tags"]]}


def _update_parent(writer: Writer, parent: Run, joined: Run) -> None:
    """Let the study's own run say what it says after the merge."""
    for key in (names.LOOKS, names.SEEN, names.VERDICT_HASH, names.RESUMED):
        if joined.tags.get(key, "") != parent.tags.get(key, "") and (
            key in joined.tags or key != names.LOOKS
        ):
            writer.client.set_tag(parent.run_id, key, joined.tags.get(key, ""))
    if joined.status != parent.status:
        writer.client.set_terminated(parent.run_id, joined.status, joined.ended)


def _unpacked(workspace: Workspace, experiment: str, study: str, added: int, part: PackedStore) -> Unpacked:
    held: Sequence[Run] = _held(workspace, experiment, study)
    parent = parent_of(held)
    about = part.manifest.about
    return Unpacked(
        study=study,
        experiment=experiment,
        evaluations=sum(run.tags.get(names.KIND) == names.EVALUATION_KIND for run in held),
        added=added,
        file=_place(workspace, experiment, parent.run_id) / names.EXPERIMENT_TOML,
        source=public_text(str(about.get("source", ""))),
        data_digest=parent.tags.get(names.DATA_DIGEST, ""),
    )
