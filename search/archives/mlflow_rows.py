"""One study's rows in MLflow's tables: read from any store, written to a SQLite file.

MLflow's public interface lets nobody choose a run's id, start or end, and a study that changed those would be
another. So rows are copied, by the names of their columns, between tables that MLflow itself has made.
"""

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from search.archives.client_rows import rows_from_client
from search.archives.tables import OF_RUNS, Row, Rows
from search.sqlite_files import sqlite_url
from search.tracking import names
from search.tracking.client import open_client
from search.tracking.mlflow_schema import MlflowFile
from spaces.errors import UserError


def read_rows(tracking_uri: str, experiment_id: str, study: str, test_digest: str) -> Rows:
    """Everything that MLflow's tables hold of one study.

    Args:
        tracking_uri: A SQLite file of a known schema is read with SQL; all else through MLflow's client.
        experiment_id: MLflow's number of the experiment.
        study: The study's id.
        test_digest: Openings of this test set by other studies are read too; "" for none.

    Returns:
        Table to rows, each a dict by column.
    """
    file = MlflowFile.open(tracking_uri)
    if file is not None:
        return _from_sqlite(file.database, experiment_id, study, test_digest)
    return rows_from_client(open_client(tracking_uri), experiment_id, study, test_digest)


def create_store(database: Path, experiment_id: str, experiment: str) -> None:
    """Let MLflow make its tables in a new SQLite file, with one experiment that has this number."""
    database.write_bytes(_empty_store())
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.row_factory = sqlite3.Row
        default = dict(connection.execute("SELECT * FROM experiments WHERE experiment_id = 0").fetchone())
        connection.execute(
            "UPDATE experiments SET artifact_location = 'artifacts', creation_time = 0, last_update_time = 0"
        )
        one = default | {
            "experiment_id": int(experiment_id),
            "name": experiment,
            "artifact_location": "artifacts",
            "creation_time": 0,
            "last_update_time": 0,
        }
        _insert(connection, "experiments", [one])


@cache
def _empty_store() -> bytes:
    """MLflow's tables without a row of ours: to make them takes MLflow seconds."""
    with TemporaryDirectory(prefix="candor-") as folder:
        file = Path(folder) / "new.db"
        open_client(sqlite_url(file), create=True).search_experiments(max_results=1)
        compact(file)
        return file.read_bytes()


def write_rows(database: Path, rows: Rows, experiment_id: str, *, replaced: Collection[str] = ()) -> None:
    """Write rows into the tables of a SQLite store, all of them or none.

    Args:
        database: The store's file, its tables made by MLflow.
        rows: Table to rows. Columns that the store does not have are left out.
        experiment_id: MLflow's number of the experiment in this store.
        replaced: Ids of runs that are there and are written anew.

    Raises:
        UserError: The store refuses a row.
    """
    numbered = {
        **rows,
        "runs": [{**row, "experiment_id": int(experiment_id)} for row in rows["runs"]],
        "datasets": [{**row, "experiment_id": int(experiment_id)} for row in rows["datasets"]],
    }
    try:
        with closing(sqlite3.connect(database, 60)) as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            for run in replaced:
                for table, column in reversed(OF_RUNS.items()):
                    connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (run,))  # noqa: S608
            for table in OF_RUNS:
                _insert(connection, table, numbered[table])
            _insert_datasets(connection, numbered)
    except sqlite3.Error as error:
        raise UserError(f"MLflow's store {database} does not take the study ({error})") from error


def compact(database: Path) -> None:
    """Leave one file that holds the rows and no trace of earlier ones."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("VACUUM")


def check_database(database: Path, tables: Collection[str]) -> None:
    """See that a file is a sound SQLite database in which these names are plain tables. It is only read.

    Raises:
        ValueError: It is not.
    """
    try:
        with closing(_read_only(database)) as connection:
            sound = connection.execute("PRAGMA quick_check(1)").fetchone()
            kinds = dict(connection.execute("SELECT name, type FROM sqlite_schema").fetchall())
    except sqlite3.Error as error:
        raise ValueError(f"{database.name} is no database ({error})") from error
    if sound != ("ok",):
        raise ValueError(f"{database.name} is broken")
    missing = [table for table in tables if kinds.get(table) != "table"]
    if missing:
        raise ValueError(f"{database.name} has no table {missing[0]}")


def known_runs(database: Path) -> dict[str, bool]:
    """The ids of all runs in a store's file, of every experiment, and whether each is deleted."""
    with closing(_read_only(database)) as connection:
        rows = connection.execute("SELECT run_uuid, lifecycle_stage FROM runs")
        return {run: stage == "deleted" for run, stage in rows}


def rows_of_packed(database: Path, run_ids: Collection[str]) -> Rows:
    """The rows of these runs in a packed study's database."""
    with closing(_read_only(database)) as connection:
        return _of_runs(connection, sorted(run_ids))


def _read_only(database: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=30)
    connection.row_factory = None
    connection.execute("PRAGMA trusted_schema=OFF")
    return connection


def _from_sqlite(database: Path, experiment_id: str, study: str, test_digest: str) -> Rows:
    tagged = "SELECT run_uuid FROM tags WHERE key = ? AND value = ?"
    with closing(_read_only(database)) as connection:
        own = connection.execute(
            f"SELECT run_uuid FROM runs WHERE lifecycle_stage = 'active' AND experiment_id = ?"  # noqa: S608
            f" AND run_uuid IN ({tagged})",
            (int(experiment_id), names.STUDY, study),
        ).fetchall()
        others = connection.execute(
            f"SELECT run_uuid FROM runs WHERE lifecycle_stage = 'active' AND run_uuid IN ({tagged})"  # noqa: S608
            f" AND run_uuid IN ({tagged})",
            (names.TEST_DIGEST, test_digest, names.KIND, names.UNSEALING_KIND),
        ).fetchall()
        return _of_runs(connection, sorted({run for (run,) in [*own, *(others if test_digest else ())]}))


def _of_runs(connection: sqlite3.Connection, run_ids: Sequence[str]) -> Rows:
    found: Rows = {table: _select(connection, table, column, run_ids) for table, column in OF_RUNS.items()}
    found["inputs"] = _select(connection, "inputs", "destination_id", run_ids)
    found["datasets"] = _select(
        connection, "datasets", "dataset_uuid", [r["source_id"] for r in found["inputs"]]
    )
    found["input_tags"] = _select(
        connection, "input_tags", "input_uuid", [row["input_uuid"] for row in found["inputs"]]
    )
    return found


def _select(connection: sqlite3.Connection, table: str, column: str, values: Iterable[str]) -> list[Row]:
    found: list[Row] = []
    for value in dict.fromkeys(values):
        cursor = connection.execute(f"SELECT * FROM {table} WHERE {column} = ?", (value,))  # noqa: S608
        columns = [name for name, *_ in cursor.description]
        found += [dict(zip(columns, row, strict=True)) for row in cursor]
    return found


def _insert_datasets(connection: sqlite3.Connection, rows: Rows) -> None:
    """Insert data sets and their uses; one that several studies share is one row of MLflow's."""
    _insert(connection, "datasets", rows["datasets"], ignore=True)
    place = ("experiment_id", "name", "digest")
    held = connection.execute("SELECT experiment_id, name, digest, dataset_uuid FROM datasets").fetchall()
    known = {tuple(row[:3]): row[3] for row in held}
    here = {row["dataset_uuid"]: known[tuple(row[column] for column in place)] for row in rows["datasets"]}
    inputs = [{**row, "source_id": here.get(row["source_id"], row["source_id"])} for row in rows["inputs"]]
    _insert(connection, "inputs", inputs, ignore=True)
    _insert(connection, "input_tags", rows["input_tags"], ignore=True)


def _insert(connection: sqlite3.Connection, table: str, rows: Sequence[Row], *, ignore: bool = False) -> None:
    """Insert rows by the names of their columns, those that the table has."""
    known = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    how = "INSERT OR IGNORE" if ignore else "INSERT"
    for row in rows:
        columns = [column for column in known if column in row]
        marks = ", ".join("?" * len(columns))
        connection.execute(
            f"{how} INTO {table} ({', '.join(columns)}) VALUES ({marks})",
            [row[column] for column in columns],
        )
