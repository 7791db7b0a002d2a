"""Records on their way to MLflow, on disk, in order: one file each, whole or absent.

Whoever appends is done as soon as the file is on disk; a delivery thread sends the files and removes
them. So an MLflow server that is away stops nobody, and a crash loses nothing.
"""

import json
import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.execution.files import write_whole


@dataclass(frozen=True)
class Record:
    """One record. kind: a method of the writer; time: milliseconds since the epoch, fixed when spooled."""

    path: Path
    kind: str
    time: int
    content: Mapping[str, Any]


class Spool:
    """An ordered queue in a folder. Safe for many threads of one process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = folder / "files"
        self.files.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(".*"):
            leftover.unlink()
        self._lock = threading.Lock()
        self._last = max((int(p.stem) for p in folder.glob("*.json")), default=0)
        self.appended = threading.Condition()

    def append(self, kind: str, **content: Any) -> None:
        """Add a record; on disk when this returns."""
        now = time.time_ns()
        with self._lock:
            self._last = max(self._last + 1, now)
            text = json.dumps({"kind": kind, "time": now // 1_000_000, "content": content})
            write_whole(self.folder / f"{self._last:020d}.json", text)
        with self.appended:
            self.appended.notify_all()

    def keep_files(self, source: Path, key: str) -> str:
        """Move a folder of artifacts here, to wait for delivery; its new path. Moved already: the same."""
        kept = self.files / key.replace("/", "-")
        if source.exists():
            shutil.rmtree(kept, ignore_errors=True)
            shutil.move(source, kept)
        return str(kept)

    def pending(self) -> list[Path]:
        """The records that wait, oldest first."""
        return sorted(self.folder.glob("*.json"))

    def read(self, path: Path) -> Record:
        """One record."""
        fields = json.loads(path.read_text())
        return Record(path, fields["kind"], fields["time"], fields["content"])

    def remove(self, record: Record) -> None:
        """Forget a delivered record and the files that went with it."""
        record.path.unlink(missing_ok=True)
        files = record.content.get("files")
        if files:
            shutil.rmtree(files, ignore_errors=True)

    def set_aside(self, record: Record, reason: str) -> None:
        """Put a record that MLflow refuses for good out of the way, with the reason, and lose nothing."""
        refused = self.folder / "refused"
        refused.mkdir(exist_ok=True)
        (refused / f"{record.path.stem}.txt").write_text(reason)
        record.path.replace(refused / record.path.name)
