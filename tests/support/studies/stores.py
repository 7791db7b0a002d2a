"""New MLflow stores: MLflow takes seconds to make one, so one is made for all tests, and copied."""

import contextlib
import functools
import sqlite3
import tempfile
from pathlib import Path

from search.tracking.writer import prepare_store


def new_store(folder: Path) -> str:
    """Put a store without runs into the folder, unless it has one; the tracking address."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder.absolute() / "mlflow.db"
    if not path.exists():
        path.write_bytes(_empty())
    return f"sqlite:///{path}"


@functools.cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mlflow.db"
        prepare_store(f"sqlite:///{path}", Path(folder) / "lock")
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return path.read_bytes()
