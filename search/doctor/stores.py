"""Checks of the workspace's content: Optuna's storage, MLflow's store, waiting records, images."""

import contextlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from search.datasets.cache.checksums import CHECKSUMS, damaged_files
from search.datasets.cache.prepared import MANIFEST
from search.doctor.checkup import OK, WRONG, Checkup, Finding
from search.safety.secrets import masked, masked_address
from search.sqlite_files import is_absent, reading, sqlite_path
from search.study.optuna.storage import open_storage
from search.tracking.client import open_client
from search.tracking.delivery import Delivery
from search.tracking.mlflow_schema import misplaced, move_addresses
from search.tracking.spool import REFUSED, Spool, reasons_of, waits_for
from search.tracking.writer import Writer, process_is_gone
from search.workspace import Workspace

_STAGING = ".making-*"


def studies(checkup: Checkup) -> Iterator[Finding]:
    """Optuna's storage: it opens, is whole, has today's schema; what was interrupted."""
    if is_absent(checkup.storage):
        yield Finding("studies", OK, "none yet")
        return
    _check_integrity(checkup.storage)
    plain = RDBStorage(checkup.storage, skip_compatibility_check=True)
    current, head = plain.get_current_version(), plain.get_head_version()
    plain.engine.dispose()
    if current != head:
        yield checkup.mend("studies", f"the schema is {current}, wanted {head}", plain.upgrade)
    storage = open_storage(checkup.storage)
    try:
        studies = optuna.get_all_study_names(storage)
        running = sum(
            len(optuna.load_study(study_name=n, storage=storage).get_trials(states=[TrialState.RUNNING]))
            for n in studies
        )
    finally:
        storage.close()
    what = (
        "run" if storage.shared or not checkup.idle else "were interrupted; the next search goes on with them"
    )
    yield Finding("studies", OK, f"{len(studies)} stages" + (f"; {running} trials {what}" if running else ""))


def runs(checkup: Checkup) -> Iterator[Finding]:
    """MLflow's store: it opens and is whole; runs that say they are running although nobody is there."""
    if is_absent(checkup.tracking):
        yield Finding("MLflow", OK, "none yet")
        return
    _check_integrity(checkup.tracking)
    home = checkup.workspace.folder
    wrong = misplaced(checkup.workspace.store, home)
    if wrong:
        detail = "addresses of artifacts lead out of this workspace, which was moved or copied"
        if wrong.stranded:
            yield Finding("MLflow", WRONG, f"the artifacts lie in {wrong.stranded[0]}: copy them here too")
            return
        yield checkup.mend("MLflow", detail, partial(move_addresses, checkup.workspace.store, wrong.moves))
        if misplaced(checkup.workspace.store, home):
            return
    writers = [Writer(checkup.tracking, name, None) for name in _experiments(checkup.tracking)]
    stale = [(w, run.info.run_id) for w in writers for run in w.open_runs() if process_is_gone(run)]

    def close() -> None:
        for writer, run in stale:
            writer.client.set_terminated(run, status="KILLED")

    if stale:
        yield checkup.mend(
            "MLflow", f"{len(stale)} runs say they are running; their processes are gone", close
        )
    else:
        yield Finding("MLflow", OK, f"{masked_address(checkup.tracking)}: {len(writers)} experiments")


def _experiments(tracking: str) -> list[str]:
    return [e.name for e in open_client(tracking).search_experiments() if e.name != "Default"]


def spool(checkup: Checkup) -> Iterator[Finding]:
    """Records that wait for MLflow or were refused, and why."""
    refused = list(checkup.workspace.spool.glob(f"*/{REFUSED}/*.json"))
    if refused:
        where = checkup.workspace.spool / "*" / REFUSED
        why = masked(_reason(refused[0]))[:200]
        detail = f"{len(refused)} records that MLflow refused lie, with the reasons, in {where} ({why})"
        spools = {path.parents[1] for path in refused}
        yield checkup.mend("spool", detail, partial(_deliver, checkup, spools))
    records = waiting(checkup.workspace)
    own = checkup.tracking == checkup.workspace.tracking_uri
    far = [record for record in records if own and waits_for(record.parent)]
    for server in sorted({waits_for(record.parent) for record in far}):
        waits = [path for path in far if waits_for(path.parent) == server]
        detail = f"{len(waits)} records wait for {server}{_why(waits)}: give --tracking-uri with that address"
        yield Finding("spool", WRONG, f"{detail}, and --fix delivers them")
    if len(records) > len(far):
        near = [path for path in records if path not in far]
        detail = f"{len(near)} records wait for MLflow{_why(near)}"
        yield checkup.mend("spool", detail, partial(_deliver, checkup, {path.parent for path in near}))
    elif not records:
        yield Finding("spool", OK, "nothing waits for MLflow")


def _reason(refused: Path) -> str:
    """Why MLflow refused a record, in one line."""
    with contextlib.suppress(OSError, IndexError):
        return refused.with_suffix(".txt").read_text().splitlines()[0]
    return "the reason is gone"


def _why(records: Sequence[Path]) -> str:
    """Why records wait, as far as the last delivery said."""
    reasons = list(dict.fromkeys(reason for path in records for reason in reasons_of(path.parent)))
    return f" ({'; '.join(reasons[:3])})" if reasons else ""


def _deliver(checkup: Checkup, spools: set[Path]) -> None:
    """Send what waits and what was refused, one experiment after the other."""
    own = checkup.tracking == checkup.workspace.tracking_uri
    local = checkup.workspace.artifacts if checkup.tracking.startswith("sqlite") else None
    server = None if own else masked_address(checkup.tracking)
    for folder in spools:
        with contextlib.suppress(BlockingIOError), contextlib.closing(Spool(folder)) as spool:
            spool.send_again()
    with _exclusive(checkup.storage) as exclusive:
        for name in {spool.name.partition("+")[0] for spool in spools}:
            spool = Spool.claim(checkup.workspace.spool / name, server)
            delivery = Delivery(spool, Writer(checkup.tracking, name, local, exclusive))
            left = delivery.close(600)
            spool.close()
            if left or delivery.refused:
                reason = delivery.fault or delivery.trouble or "MLflow refused them again"
                raise RuntimeError(f"{left + delivery.refused} records still wait: {reason}")


@contextlib.contextmanager
def _exclusive(url: str) -> Iterator[Callable[[str], AbstractContextManager[Any]]]:
    """The lock under which runs are made: other machines may be at work. No storage is made for it."""
    if is_absent(url):
        yield contextlib.nullcontext
        return
    with contextlib.closing(open_storage(url)) as storage:
        yield storage.exclusive


def cache(checkup: Checkup) -> Iterator[Finding]:
    """Prepared images: every file has the bytes that were written."""
    entries = [manifest.parent for manifest in sorted(checkup.workspace.cache.glob(f"*/{MANIFEST}"))]
    entries = [entry for entry in entries if (entry / CHECKSUMS).exists()]  # else of an earlier version
    damaged = {entry: files for entry in entries if (files := damaged_files(entry))}
    if not damaged:
        yield Finding("prepared images", OK, f"{len(entries)} data sets, as they were written")
    for entry, files in damaged.items():
        detail = f"{entry.name} is damaged ({', '.join(files[:3])}); the next search makes it again"
        yield checkup.mend("prepared images", detail, partial(shutil.rmtree, entry))


def leftovers(checkup: Checkup) -> Iterator[Finding]:
    """Folders that no open trial needs, and half-made cache entries.

    What a study of another storage has here is its own affair.
    """
    folders = list(checkup.workspace.cache.glob(_STAGING))
    if checkup.storage == checkup.workspace.storage_url and not is_absent(checkup.storage):
        studies, needed = _studies_and_needs(checkup.storage)
        known = [f for f in checkup.workspace.checkpoints.glob("*") if f.name.partition("-")[0] in studies]
        folders += [folder for folder in known if folder.name not in needed]
    if not folders:
        yield Finding("temporary files", OK, "none")
        return

    def remove() -> None:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)

    yield checkup.mend("temporary files", f"{len(folders)} folders that nobody needs", remove)


def _studies_and_needs(url: str) -> tuple[set[str], set[str]]:
    """The ids of a storage's studies, and the folders that their open trials need."""
    states = (TrialState.RUNNING, TrialState.WAITING)
    with contextlib.closing(open_storage(url)) as storage:
        studies = storage.study_ids()
        trials = [t for number in studies.values() for t in storage.get_all_trials(number, states=states)]
    ids = {name.partition("/")[0].rpartition("-")[2] for name in studies}
    return ids, {trial.user_attrs["key"].replace("/", "-") for trial in trials}


def _check_integrity(url: str) -> None:
    path = sqlite_path(url)
    if path is None:
        return
    with reading(path) as connection:
        answer = connection.execute("PRAGMA quick_check").fetchone()[0]
    if answer != "ok":
        raise RuntimeError(f"{path} is damaged: {answer}")


def waiting(workspace: Workspace) -> list[Path]:
    """The records that wait for MLflow in the whole workspace.

    Args:
        workspace: The workspace.
    """
    return list(workspace.spool.glob("*/*.json"))
