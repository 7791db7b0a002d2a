"""Records on their way to MLflow, on disk, in order: one file each, whole or absent.

Whoever appends is done as soon as the file is on disk; a delivery thread sends the files and removes
them. So an MLflow server that is away stops nobody, and a crash loses nothing.
"""

import fcntl
import json
import os
import shutil
import threading
import time
import weakref
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Self

from search.execution.atomic_files import settle, write_whole
from search.safety.paths import below

REFUSED = "refused"  # the folder of records that MLflow will never take, with the reasons
_LOCK = "lock"
_SERVER = "server"
_REASONS = "reasons"


@dataclass(frozen=True)
class Record:
    """One record. kind: a method of the writer; time: milliseconds since the epoch, fixed when spooled."""

    path: Path
    kind: str
    time: int
    content: Mapping[str, Any]


class Spool:
    """An ordered queue in a folder. Safe for many threads of one process.

    Raises BlockingIOError where another process has the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = folder / "files"
        self.files.mkdir(parents=True, exist_ok=True)
        held = os.open(folder / _LOCK, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self.close = weakref.finalize(self, os.close, held)  # locked as long as this object lives
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for leftover in folder.glob(".*"):
            leftover.unlink()
        self._lock = threading.Lock()
        self._last = max((int(p.stem) for p in folder.glob("*.json")), default=0)
        self.appended = threading.Condition()

    @classmethod
    def claim(cls, folder: Path, server: str | None = None) -> Self:
        """The first of folder, folder+1, ... that no process has, with what dead ones left waiting.

        server: the address that its records are for, without a password; None: the workspace's own store.
        That one gets nothing that waits for a server: it would never arrive there.

        Args:
            folder: The first folder to try; it need not exist.
            server: See above.

        Returns:
            The spool, locked until it is closed.
        """
        mine = None
        for number in count():
            name = folder if number == 0 else folder.with_name(f"{folder.name}+{number}")
            if mine is not None and not name.exists():
                return mine
            try:
                spool = cls(name)
            except BlockingIOError:
                continue
            if server is None and waits_for(name):
                spool.close()
            elif mine is None:
                mine = spool
                mine._address(server)
            else:
                mine._take_over(spool)
        raise AssertionError("counting never ends")

    def _address(self, server: str | None) -> None:
        if server is None:
            (self.folder / _SERVER).unlink(missing_ok=True)
        else:
            write_whole(self.folder / _SERVER, server)

    def _take_over(self, other: Self) -> None:
        """Records are named by their time, so that order is kept; their files are found where they are."""
        for path in other.pending():
            path.replace(self.folder / path.name)
        settle(self.folder)
        self._last = max(self._last, other._last)
        other.close()

    def append(self, kind: str, **content: Any) -> None:
        """Add a record; on disk when this returns.

        Args:
            kind: A method of the writer, such as "begin" or "end".
            **content: JSON-ready fields; `key` names the run, `parent` its study's.
        """
        now = time.time_ns()
        with self._lock:
            self._last = max(self._last + 1, now)
            text = json.dumps({"kind": kind, "time": now // 1_000_000, "content": content})
            write_whole(self.folder / f"{self._last:020d}.json", text)
        with self.appended:
            self.appended.notify_all()

    def keep_files(self, source: Path, key: str) -> str:
        """Move a folder of artifacts here, to wait for delivery; its new path. Moved already: the same.

        Args:
            source: The folder; it may be gone.
            key: Of the evaluation.
        """
        kept = below(self.files, key.replace("/", "-"))
        if source.exists():
            shutil.rmtree(kept, ignore_errors=True)
            shutil.move(source, kept)
            settle(self.files)
        return str(kept)

    def copy_files(self, source: Path, key: str, name: str) -> str:
        """Copy a folder here under a name, to wait for delivery; the path of the folder that holds it.

        Args:
            source: The folder; it may be missing.
            key: Of the run.
            name: What the copy is called among the run's artifacts.
        """
        kept = below(self.files, key.replace("/", "-"))
        if source.exists():
            shutil.copytree(source, kept / name, dirs_exist_ok=True)
            settle(kept / name, files=True)
        return str(kept)

    def pending(self) -> list[Path]:
        """The records that wait, oldest first."""
        return sorted(self.folder.glob("*.json"))

    def read(self, path: Path) -> Record:
        """One record.

        Args:
            path: One of `pending`.

        Returns:
            The record; its files are looked for in this workspace, wherever it was when the record was made.

        Raises:
            ValueError: The file is no whole record.
            UserError: Its files would lie outside of the spool.
        """
        fields = json.loads(path.read_text())
        content: dict[str, Any] = _as_text(fields["content"])
        if files := content.get("files"):  # where the workspace lies now, which may have been moved
            spool, _, folder = Path(files).parts[-3:]
            content["files"] = str(below(self.folder.parent, spool, self.files.name, folder))
        return Record(path, fields["kind"], fields["time"], content)

    def remove(self, record: Record) -> None:
        """Forget a delivered record and the files that went with it: these first, lest they stay for ever.

        Args:
            record: As `read` gave it.
        """
        if files := record.content.get("files"):
            shutil.rmtree(files, ignore_errors=True)
        record.path.unlink(missing_ok=True)

    def explain(self, reasons: Mapping[str, str]) -> None:
        """Keep why records wait, for whoever looks.

        Args:
            reasons: By the names of the records' files; the others wait for their turn.
        """
        with suppress(OSError):
            if reasons:
                write_whole(self.folder / _REASONS, json.dumps(reasons))
            else:
                (self.folder / _REASONS).unlink(missing_ok=True)

    def send_again(self) -> int:
        """Let the records wait once more that MLflow refused; how many they are."""
        refused = sorted((self.folder / REFUSED).glob("*.json"))
        for path in refused:
            path.replace(self.folder / path.name)
            path.with_suffix(".txt").unlink(missing_ok=True)
        with suppress(OSError):
            (self.folder / REFUSED).rmdir()
        return len(refused)

    def set_aside(self, record: Record, reason: str) -> None:
        """Put a record that MLflow refuses for good out of the way, with the reason, and lose nothing.

        Args:
            record: As `read` gave it.
            reason: MLflow's words.
        """
        refused = self.folder / REFUSED
        refused.mkdir(exist_ok=True)
        (refused / f"{record.path.stem}.txt").write_text(reason)
        record.path.replace(refused / record.path.name)


def waits_for(folder: Path) -> str:
    """The server that a spool's records wait for; "" if none do, or for the workspace's own store.

    Args:
        folder: Of the spool.
    """
    told = folder / _SERVER
    return told.read_text() if told.exists() and any(folder.glob("*.json")) else ""


def reasons_of(folder: Path) -> list[str]:
    """Why records of a spool wait, the most frequent reason first; [] where they wait for their turn.

    Args:
        folder: Of the spool.
    """
    try:
        held = json.loads((folder / _REASONS).read_text())
    except (OSError, ValueError):
        return []
    waiting = Counter(reason for name, reason in held.items() if (folder / name).exists())
    return [reason for reason, _ in waiting.most_common()]


def _as_text(value: Any) -> Any:
    """The same value with text that every store takes: no lone surrogates, no zero bytes."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")
    if isinstance(value, dict):
        return {_as_text(key): _as_text(one) for key, one in value.items()}
    return [_as_text(one) for one in value] if isinstance(value, list) else value


def ended_keys(folder: Path, experiment: str) -> set[str]:
    """The keys of the evaluations whose end waits to be delivered, or was refused.

    Args:
        folder: Where all spools of a workspace lie.
        experiment: The experiment's name.
    """
    spools = [path for path in folder.glob("*") if path.name.partition("+")[0] == experiment]
    records = [
        record for spool in spools for record in (*spool.glob("*.json"), *spool.glob(f"{REFUSED}/*.json"))
    ]
    held = []
    for record in records:
        with suppress(OSError, ValueError):  # delivered meanwhile
            held.append(json.loads(record.read_text()))
    return {str(one["content"]["key"]) for one in held if one["kind"] == "end"}
