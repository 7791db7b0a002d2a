"""Database files on this machine: their addresses, and how they are read without being changed.

SQLAlchemy's grammar builds and reads the addresses, so that a path may hold any character.
"""

import atexit
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from spaces.errors import UnavailableError, UserError

#: Characters of a path that an address would take for something else.
_SPECIAL = frozenset("?#%")
_copies: dict[Any, Path] = {}
_BUSY = ("database is locked", "database table is locked", "disk I/O error")


def sqlite_url(path: Path) -> str:
    """The address of a database file, for MLflow and for Optuna.

    Args:
        path: The file; it need not exist.

    Returns:
        An address that begins with `sqlite:///`.
    """
    if not _SPECIAL & set(str(path)):
        return f"sqlite:///{path}"  # SQLAlchemy would also escape letters with accents, for no need
    from sqlalchemy import URL

    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def sqlite_path(url: str) -> Path | None:
    """The file that an address names.

    Args:
        url: An address of a database, of an MLflow server, or anything else.

    Returns:
        None where the address is not that of a SQLite file.
    """
    if not url.startswith("sqlite"):
        return None
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        database = make_url(url).database
    except ArgumentError:
        return None
    return Path(database) if database and database != ":memory:" else None


def is_absent(url: str) -> bool:
    """Whether an address names a SQLite file that does not exist: who only looks does not make one.

    Args:
        url: Any address; only that of a SQLite file can be absent.
    """
    path = sqlite_path(url)
    return path is not None and not path.exists()


@contextmanager
def reading(path: Path, seconds: float = 10) -> Iterator[sqlite3.Connection]:
    """Read a database file, and never write to it, also where its folder is read-only.

    Args:
        path: The file.
        seconds: How long to wait for another process that has locked it.

    Yields:
        A connection.

    Raises:
        UserError: The file is damaged, or no database.
        UnavailableError: The file is locked, or cannot be opened.
    """
    with translated_errors(path), _connection(path, seconds) as connection:
        yield connection


@contextmanager
def translated_errors(path: Path) -> Iterator[None]:
    """Raise SQLite's errors as sentences that name the file. Raises UserError and UnavailableError.

    Args:
        path: The database file that is used meanwhile.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise describe(error, path) from error


def describe(error: BaseException, path: Path) -> UserError | UnavailableError:
    """What an error of SQLite means for the person who typed the command.

    Args:
        error: Of the module `sqlite3`.
        path: The database file.

    Returns:
        The exception to raise in its place.
    """
    text = str(error)
    if any(busy in text for busy in _BUSY):
        return UnavailableError(
            f"{path} cannot be read now ({text}): another program holds it; end that, then try again"
        )
    if "readonly" in text:
        return UserError(f"{path} cannot be written to ({text}): use a workspace that can be written to")
    if isinstance(error, sqlite3.OperationalError):
        return UnavailableError(f"{path} cannot be read: {text}")
    return UserError(f"{path} is damaged ({text}): put back a copy of it, or take another workspace")


@contextmanager
def _connection(path: Path, seconds: float) -> Iterator[sqlite3.Connection]:
    address = path.absolute().as_uri()
    with closing(sqlite3.connect(f"{address}?mode=ro", uri=True, timeout=seconds)) as connection:
        try:
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
        except sqlite3.OperationalError as error:
            if not _log_needs_room(path, error):
                raise
        else:
            yield connection
            return
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:
        with closing(sqlite3.connect(_copy(path, log))) as connection:
            yield connection
    else:
        with closing(sqlite3.connect(f"{address}?immutable=1", uri=True)) as connection:
            yield connection


def _log_needs_room(path: Path, error: sqlite3.OperationalError) -> bool:
    """Whether SQLite only misses the right to make its log, or the log's index, beside the file."""
    missing = "unable to open" in str(error) or "readonly" in str(error)
    return missing and path.is_file()


def _copy(path: Path, log: Path) -> Path:
    """A copy of the file and of its log in a temporary folder, the same one until they change."""
    stamp = tuple((file.stat().st_mtime_ns, file.stat().st_size) for file in (path, log))
    if (path, stamp) not in _copies:
        folder = Path(tempfile.mkdtemp(prefix="candor-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        for file in (path, log):
            shutil.copyfile(file, folder / file.name)
        _copies[path, stamp] = folder / path.name
    return _copies[path, stamp]
