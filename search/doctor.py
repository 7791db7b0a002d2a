"""Looks a workspace over and mends what can be mended: what `candor doctor` shows, line by line."""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from packaging.requirements import Requirement

from search.datasets.checksums import CHECKSUMS, damaged_files
from search.datasets.prepared import MANIFEST
from search.execution.devices import cores, gpus
from search.safety.import_path import safe_environment
from search.safety.secrets import masked, masked_address
from search.sqlite_files import is_absent, reading, sqlite_path
from search.study.storage import open_storage
from search.tracking.client import open_client
from search.tracking.delivery import Delivery
from search.tracking.mlflow_schema import misplaced, move_addresses
from search.tracking.spool import REFUSED, Spool, reasons_of, waits_for
from search.tracking.writer import Writer, process_is_gone
from search.workspace import Workspace
from spaces.errors import UserError

OK, NOTE, WRONG, MENDED = "ok", "note", "wrong", "mended"
_LOW_DISK_GIB = 1.0
_LOW_MEMORY_GIB = 1.0
_STAGING = ".making-*"
_COUNT_GPUS = {
    "tensorflow": "import tensorflow as tf; print(len(tf.config.list_physical_devices('GPU')))",
    "jax": "import jax; print(sum(device.platform == 'gpu' for device in jax.devices()))",
    "torch": "import torch; print(torch.cuda.device_count())",
}


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, the verdict (OK, NOTE, WRONG, MENDED), and what was found."""

    subject: str
    verdict: str
    detail: str


@dataclass(frozen=True)
class Checkup:
    """What is looked over. idle: nobody works in the workspace, so that it may be mended."""

    workspace: Workspace
    storage: str
    tracking: str
    idle: bool
    fix: bool

    def mend(self, subject: str, detail: str, act: Callable[[], None]) -> Finding:
        """The finding of something wrong, after mending it where that was asked for and is possible.

        Args:
            subject: What was looked at.
            detail: What is wrong.
            act: Mends it.
        """
        if not self.fix:
            return Finding(subject, WRONG, f"{detail}; --fix mends it")
        if not self.idle:
            return Finding(subject, WRONG, f"{detail}; to be mended when nobody works here")
        act()
        return Finding(subject, MENDED, detail)


def examine(workspace: Workspace, storage: str | None, tracking: str | None, fix: bool) -> Iterator[Finding]:
    """Every finding in its turn. Holds the workspace while it looks, if nobody else does.

    Args:
        workspace: The workspace.
        storage: Optuna's storage; None for the workspace's own.
        tracking: MLflow's address; None for the workspace's own store.
        fix: Mend what can be mended, while nobody works in the workspace.

    Yields:
        Findings, as soon as they are known.
    """
    with contextlib.ExitStack() as stack:
        processes = _orphans(workspace, fix)
        holder, state = "", "nobody works here"
        try:
            stack.enter_context(workspace.lock(wait_seconds=0.0))
        except UserError:
            holder = workspace.lock_file.read_text() or "another process"
            state = f"in use by {holder}"
        except OSError as error:
            holder, state = "nobody", f"cannot be written to ({error.strerror})"
        yield Finding("workspace", OK, f"{workspace.folder}: {state}")
        checkup = Checkup(
            workspace, storage or workspace.storage_url, tracking or workspace.tracking_uri, not holder, fix
        )
        yield processes
        for look in (_disk, _memory, _versions, _backend, _studies, _runs, _spool, _cache, _leftovers):
            try:
                yield from look(checkup)
            except Exception as error:
                reason = masked((str(error).strip() or type(error).__name__).splitlines()[0])
                yield Finding(look.__name__.strip("_"), WRONG, reason)


def waiting(workspace: Workspace) -> list[Path]:
    """The records that wait for MLflow in the whole workspace.

    Args:
        workspace: The workspace.
    """
    return list(workspace.spool.glob("*/*.json"))


def _orphans(workspace: Workspace, fix: bool) -> Finding:
    """Processes that have the workspace although their coordinator is gone."""
    holders = _holding(workspace.lock_file)
    with contextlib.suppress(FileNotFoundError, IndexError, ValueError):
        coordinator = int(workspace.lock_file.read_text().split()[1])
        if coordinator in holders:
            return Finding("processes", OK, f"{len(holders)}, of the coordinator {coordinator}")
    if not holders:
        return Finding("processes", OK, "none left behind")
    detail = f"{len(holders)} left behind: {', '.join(map(str, sorted(holders)))}"
    if not fix:
        return Finding("processes", WRONG, f"{detail}; --fix ends them")
    for pid in holders:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    time.sleep(0.2)
    return Finding("processes", MENDED, detail)


def _holding(file: Path) -> set[int]:
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if link.readlink() == file and int(link.parts[2]) != os.getpid():
                found.add(int(link.parts[2]))
    return found


def _disk(checkup: Checkup) -> Iterator[Finding]:
    free = shutil.disk_usage(checkup.workspace.folder).free / 2**30
    yield Finding("disk", OK if free >= _LOW_DISK_GIB else WRONG, f"{free:.1f} GiB free")


def _memory(checkup: Checkup) -> Iterator[Finding]:
    lines = Path("/proc/meminfo").read_text().splitlines()
    available = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) / 2**20
    verdict = OK if available >= _LOW_MEMORY_GIB else WRONG
    yield Finding("memory", verdict, f"{available:.1f} GiB available; a child needs about 0.5")


def _versions(checkup: Checkup) -> Iterator[Finding]:
    wrong = []
    for text in metadata.requires("candor") or ():
        wanted = Requirement(text)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            found = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            found = "missing"
        if found == "missing" or not wanted.specifier.contains(found, prereleases=True):
            wrong.append(f"{wanted.name} is {found}, wanted {wanted.specifier}")
    yield Finding("versions", WRONG if wrong else OK, "; ".join(wrong) or "as required")


def _backend(checkup: Checkup) -> Iterator[Finding]:
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if importlib.util.find_spec(backend) is None:
        yield Finding("backend", WRONG, f"{backend} is not installed")
    elif not gpus():
        yield Finding("backend", OK, f"{backend}; no GPU, {cores()} cores")
    else:
        seen, wanted = _gpus_seen(backend), len(gpus())
        detail = f"{backend} sees {seen} of {wanted} GPUs ({', '.join(gpus())})"
        yield Finding("backend", OK if seen == wanted else WRONG, detail)


def _gpus_seen(backend: str) -> int:
    """How many GPUs the backend can use, by its own word, from a process of its own."""
    command = [sys.executable, "-P", "-c", _COUNT_GPUS.get(backend, "print(0)")]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env=safe_environment()
    )
    return int(done.stdout.split()[-1]) if done.returncode == 0 else 0


def _studies(checkup: Checkup) -> Iterator[Finding]:
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


def _runs(checkup: Checkup) -> Iterator[Finding]:
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


def _spool(checkup: Checkup) -> Iterator[Finding]:
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


def _cache(checkup: Checkup) -> Iterator[Finding]:
    """Prepared images: every file has the bytes that were written."""
    entries = [manifest.parent for manifest in sorted(checkup.workspace.cache.glob(f"*/{MANIFEST}"))]
    entries = [entry for entry in entries if (entry / CHECKSUMS).exists()]  # else of an earlier version
    damaged = {entry: files for entry in entries if (files := damaged_files(entry))}
    if not damaged:
        yield Finding("prepared images", OK, f"{len(entries)} data sets, as they were written")
    for entry, files in damaged.items():
        detail = f"{entry.name} is damaged ({', '.join(files[:3])}); the next search makes it again"
        yield checkup.mend("prepared images", detail, partial(shutil.rmtree, entry))


def _leftovers(checkup: Checkup) -> Iterator[Finding]:
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
