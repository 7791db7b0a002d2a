"""`candor rm`: a study goes from everywhere, its own run last, so that a removal cut off can be repeated."""

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from experiments.workflows.records.runs import StoredStudy
from experiments.workflows.study.context import RunContext
from search.safety.paths import checked_name, starting_with
from search.sqlite_files import sqlite_path
from search.study.optuna.storage import Storage, open_storage
from search.tracking import names
from search.tracking.artifact_places import path_in
from search.tracking.client import open_client
from search.tracking.erase import (
    check_artifacts,
    erase,
    models_of,
    registered_from,
    unregister,
)
from search.tracking.recorded import restore_all
from search.tracking.spool import REFUSED, Spool
from spaces.errors import UserError


def registered(stored: StoredStudy, tracking_uri: str) -> list[str]:
    """What of the registry a removal takes with it: "version 2 (champion)".

    Args:
        stored: The study.
        tracking_uri: MLflow's address.
    """
    client = open_client(tracking_uri)
    versions = registered_from(client, stored.experiment, {run.run_id for run in stored.runs})
    aliases = client.get_registered_model(stored.experiment).aliases if versions else {}
    told = []
    for version in versions:
        own = [alias for alias, number in aliases.items() if str(number) == str(version.version)]
        told.append(f"version {version.version}" + (f" ({', '.join(own)})" if own else ""))
    return told


@contextmanager
def unused(stored: StoredStudy, context: RunContext) -> Iterator[Storage]:
    """Optuna's storage, while nobody evaluates anything of the study. Raises UserError.

    Args:
        stored: The study.
        context: The workspace and the stores.

    Yields:
        The storage, while the workspace is held.
    """
    _check_paths(stored, context)
    lock = context.workspace.lock(0) if context.storage is None else contextlib.nullcontext()
    with lock:
        storage = open_storage(context.storage or context.workspace.storage_url, context.grace_seconds)
        for study in _studies(stored, storage):
            alive = storage.owners(study).keys() - storage.stale(study)
            if storage.shared and alive:
                count = len(alive)
                raise UserError(
                    f"study {stored.study} is being worked on ({count} evaluations): stop its workers first"
                )
        yield storage


def _check_paths(stored: StoredStudy, context: RunContext) -> None:
    """Refuse a study whose name or whose artifact addresses lead to somebody else's files.

    A workspace that was copied names the files of the one that it is a copy of; and what a store says is
    nothing to remove folders by.
    """
    checked_name(stored.experiment, "experiment")
    checked_name(stored.study, "study")
    root = context.workspace.folder if context.tracking_uri is None else None
    for run in (stored.parent, *stored.runs):
        check_artifacts(run.artifact_uri, run.run_id, root)


def remove(stored: StoredStudy, context: RunContext, storage: Storage, say: Callable[[str], None]) -> None:
    """Remove a study from the workspace, Optuna and MLflow, and let the databases shrink.

    That its test set was opened is not forgotten: these runs stay, without the study.

    Args:
        stored: The study.
        context: The workspace and the stores.
        storage: As `unused` gives it.
        say: Is told what stays.

    Raises:
        UserError: An address in the store leads to somebody else's files; nothing was removed.
    """
    client = open_client(context.tracking)
    root = context.workspace.folder if context.tracking_uri is None else None
    deleted = restore_all(client, stored.study)
    for run_id in deleted:
        check_artifacts(client.get_run(run_id).info.artifact_uri, run_id, root)
    every = {*deleted, stored.parent.run_id, *(run.run_id for run in stored.runs)}
    for model in models_of(client, stored.experiment_id, every):
        check_artifacts(model.artifact_location, model.model_id, root)
    _remove_files(stored, context)
    for study in _studies(stored, storage):
        storage.delete_study(study)
    openings = [run.run_id for run in stored.runs if run.tags.get(names.KIND) == names.UNSEALING_KIND]
    run_ids = [run.run_id for run in stored.runs if run.run_id not in openings]
    run_ids += [run_id for run_id in deleted if run_id != stored.parent.run_id]
    for run_id in openings:
        client.set_tag(run_id, names.STUDY, f"removed {stored.study}")
    unregister(client, registered_from(client, stored.experiment, run_ids))
    for_good = erase(client, stored.experiment_id, [*run_ids, stored.parent.run_id], root)
    _remove_shells(stored, context, root)
    if openings:
        say("That its test set was opened stays in MLflow: every look at it counts.")
    if not for_good:
        say("The tracking server keeps the rows of deleted runs until `mlflow gc` is run there.")
    for url in (context.tracking, context.storage or context.workspace.storage_url):
        _shrink(url)


def _studies(stored: StoredStudy, storage: Storage) -> list[int]:
    """Optuna's studies: the stages of this one."""
    prefix = f"{stored.experiment}-{stored.study}/"
    return [number for name, number in storage.study_ids().items() if name.startswith(prefix)]


def _remove_files(stored: StoredStudy, context: RunContext) -> None:
    from reports.writer import forget

    workspace = context.workspace
    for folder in starting_with(workspace.checkpoints, f"{stored.study}-"):
        shutil.rmtree(folder, ignore_errors=True)
    for folder in starting_with(workspace.spool, stored.experiment):
        _empty_spool(folder, stored.study)
    if stored.newest:
        forget(workspace.reports, stored.experiment)


def _empty_spool(folder: Path, study: str) -> None:
    """Records of the study that MLflow has not taken are not to bring it back."""
    try:
        spool = Spool(folder)
    except BlockingIOError:  # another process has it: of another study, or it would not have come to this
        return
    for path in spool.pending():
        key = str(json.loads(path.read_text())["content"].get("key", ""))
        if key.partition("/")[0] == study:
            spool.remove(spool.read(path))
    if not spool.pending() and not (folder / REFUSED).exists():
        shutil.rmtree(folder)
    spool.close()


def _remove_shells(stored: StoredStudy, context: RunContext, root: Path | None) -> None:
    """The empty folders that MLflow leaves behind."""
    for run in (stored.parent, *stored.runs):
        folder = path_in(root, run.artifact_uri)
        if folder is not None and folder.parent.name == run.run_id:
            shutil.rmtree(folder.parent, ignore_errors=True)
    folder = context.workspace.artifacts / stored.experiment
    for path in [*(folder / "models").glob("*"), folder / "models", folder]:
        if path.is_dir() and not any(path.rglob("*.*")):
            shutil.rmtree(path, ignore_errors=True)


def _shrink(url: str) -> None:
    """Give a SQLite file's free pages back to the disk; not while somebody reads it."""
    path = sqlite_path(url)
    if path is not None:
        with (
            contextlib.suppress(sqlite3.OperationalError),
            contextlib.closing(sqlite3.connect(path, timeout=1)) as database,
        ):
            database.execute("VACUUM")
