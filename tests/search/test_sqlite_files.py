"""Database files with odd names, and in odd states, are read as they are or refused in one sentence."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from search.sqlite_files import is_absent, reading, sqlite_path, sqlite_url
from spaces.errors import UnavailableError, UserError


@pytest.mark.parametrize(
    "name", ["plain.db", "w?x=1.db", "h#sh.db", "100%25.db", "Ünï code.db", "a&b=c@d:e.db"]
)
def test_an_address_leads_to_the_very_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    url = sqlite_url(path)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE numbers (n INTEGER)"))
    engine.dispose()
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert sqlite_path(url) == path
    assert not is_absent(url)
    with reading(path) as connection:
        assert connection.execute("SELECT count(*) FROM numbers").fetchone() == (0,)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:5000", "postgresql://u:p@h/db", "sqlite://", "", "sqlite:"]
)
def test_other_addresses_name_no_file(url: str) -> None:
    assert sqlite_path(url) is None
    assert not is_absent(url)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.write_text("this is no database " * 100)
    with pytest.raises(UserError, match=rf"{path} is damaged \(file is not a database\)"), reading(path):
        pass


def test_a_locked_file_is_named_and_may_be_read_later(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE numbers (n INTEGER)")
        other.commit()
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UnavailableError, match=rf"{path} cannot be read now"), reading(path, 0.1):
            pass
    with reading(path) as connection:
        assert connection.execute("SELECT count(*) FROM numbers").fetchone() == (0,)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A folder that nobody can write to, not even root: the last write of its store is still in the log."""
    folder, view = tmp_path / "written", tmp_path / "view"
    folder.mkdir()
    view.mkdir()
    writer = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('PRAGMA journal_mode=WAL');"
        "c.execute('CREATE TABLE numbers (n INTEGER)'); c.execute('INSERT INTO numbers VALUES (7)');"
        "c.commit(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", writer, str(folder / "mlflow.db")], check=True)
    (folder / "mlflow.db-shm").unlink()
    bind = subprocess.run(["mount", "--bind", "-o", "ro", str(folder), str(view)], capture_output=True)
    if bind.returncode or os.access(view, os.W_OK):
        subprocess.run(["umount", str(view)], capture_output=True)
        pytest.skip("needs the right to mount a folder read-only")
    yield view
    subprocess.run(["umount", str(view)], check=True)


def test_a_read_only_store_is_read_with_what_is_in_its_log(mounted: Path) -> None:
    for _ in range(2):
        with reading(mounted / "mlflow.db") as connection:
            assert connection.execute("SELECT n FROM numbers").fetchall() == [(7,)]


def test_a_read_only_store_without_a_log_is_read_in_place(mounted: Path) -> None:
    written = mounted.parent / "written" / "mlflow.db"
    with closing(sqlite3.connect(written)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with reading(mounted / "mlflow.db") as connection:
        assert connection.execute("SELECT n FROM numbers").fetchall() == [(7,)]
