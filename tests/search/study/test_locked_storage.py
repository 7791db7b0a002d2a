"""A storage that another program holds costs a sentence at once, not a minute."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from search.study.optuna import storage as storages
from search.study.optuna.storage import open_storage
from spaces.errors import UnavailableError


@pytest.mark.parametrize("lock", ["IMMEDIATE", "EXCLUSIVE"])
def test_a_storage_that_another_program_has_locked_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lock: str
) -> None:
    file = tmp_path / "studies.db"
    open_storage(f"sqlite:///{file}").close()
    monkeypatch.setattr(storages, "_OPENING_SECONDS", 0.1)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute(f"BEGIN {lock}")
        with pytest.raises(UnavailableError, match=f"{file} cannot be read now .*another program holds it"):
            open_storage(f"sqlite:///{file}")
        other.execute("ROLLBACK")
    open_storage(f"sqlite:///{file}").close()
