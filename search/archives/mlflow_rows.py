"""One study's rows in MLflow's tables: read from any store, written to a SQLite file.

MLflow's public interface lets nobody choose a run's id, start or end, and a study that changed those would be
another. So rows are copied, by the names of their columns, between tables that MLflow itself has made.
"""

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from search.sqlite_files import sqlite_url
from search.tracking import names
from search.tracking.client import open_client
from search.tracking.mlflow_schema import MlflowFile
from search.tracking.privacy import public_source, public_text
from spaces.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

Row = dict[str, Any]
Rows = dict[str, list[Row]]

#: The tables that hold a run, in an order in which they can be filled, with the column that names the run.
_OF_RUNS: Final = {
    "runs": "run_uuid",
    "tags": "run_uuid",
    "params": "run_uuid",
    "metrics": "run_uuid",
    "latest_metrics": "run_uuid",
}
_DATASETS: Final = ("datasets", "inputs", "input_tags")
TABLES: Final = (*_OF_RUNS, *_DATASETS)
#: MLflow's own tags that say nothing of a machine or a person.
_KEPT: Final = ("mlflow.parentRunId", "mlflow.runName", "mlflow.note.content")
#: Tags whose values are identifiers or numbers: nothing in them is to be shortened.
_IDENTITY: Final = (names.KEY, names.STUDY, names.EXPERIMENT, "mlflow.parentRunId")
#: What is left of another study's opening of the same test set: enough to count it.
_COUNTED: Final = (names.KIND, names.STUDY, names.TEST_DIGEST, names.VERDICT_HASH)


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
    return _from_client(open_client(tracking_uri), experiment_id, study, test_digest)


def without_machine(rows: Rows, study: str) -> Rows:
    """The rows without what belongs to a machine or a person.

    Users, sources and process ids go; hosts become "machine 1", "machine 2", in the order of their first
    runs; artifact addresses become relative ("artifacts/RUN/artifacts").

    Args:
        rows: What `read_rows` returns.
        study: The study's id; of other studies only the opening of the test set is kept.
    """
    by_run: dict[str, dict[str, str]] = {}
    for tag in rows["tags"]:
        by_run.setdefault(tag["run_uuid"], {})[tag["key"]] = tag["value"]
    own = {run for run, tags in by_run.items() if tags.get(names.STUDY) == study}
    machines = _machines(rows["runs"], by_run)
    tags = [
        {**tag, "value": _tag(tag["key"], tag["value"], machines)}
        for tag in rows["tags"]
        if _is_kept(tag["key"], tag["run_uuid"] in own)
    ]
    shown: Rows = {table: [row for row in rows[table] if row["run_uuid"] in own] for table in _OF_RUNS}
    shown["runs"] = [_run(row) for row in rows["runs"]]
    shown["tags"] = tags
    shown["params"] = [{**row, "value": public_text(row["value"])} for row in shown["params"]]
    shown["datasets"] = [
        {**row, "dataset_source": _source(row["dataset_source"])} for row in rows["datasets"]
    ]
    return shown | {table: rows[table] for table in ("inputs", "input_tags")}


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
                for table, column in reversed(_OF_RUNS.items()):
                    connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (run,))  # noqa: S608
            for table in _OF_RUNS:
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
    found: Rows = {table: _select(connection, table, column, run_ids) for table, column in _OF_RUNS.items()}
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


def _from_client(client: "MlflowClient", experiment_id: str, study: str, test_digest: str) -> Rows:
    own = _search(client, [experiment_id], {names.STUDY: study})
    if test_digest:
        everywhere = [each.experiment_id for each in client.search_experiments()]
        wanted = {names.KIND: names.UNSEALING_KIND, names.TEST_DIGEST: test_digest}
        known = {run.info.run_id for run in own}
        own += [run for run in _search(client, everywhere, wanted) if run.info.run_id not in known]
    rows: Rows = {table: [] for table in TABLES}
    for run in own:
        _add_run(rows, run)
        for name, value in run.data.metrics.items():
            points = client.get_metric_history(run.info.run_id, name) if name in names.EPOCH_METRICS else []
            _add_metric(rows, run, name, value, points)
        _add_datasets(rows, run)
    rows["datasets"] = list({row["dataset_uuid"]: row for row in rows["datasets"]}.values())
    return rows


def _search(client: "MlflowClient", experiments: Sequence[str], tags: Mapping[str, str]) -> "list[Run]":
    wanted = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
    found: list[Run] = []
    token = None
    while True:
        page = client.search_runs(list(experiments), wanted, max_results=1000, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _add_run(rows: Rows, run: "Run") -> None:
    facts = run.info
    rows["runs"].append(
        {
            "run_uuid": facts.run_id,
            "name": facts.run_name or "",
            "source_type": "LOCAL",
            "source_name": "",
            "entry_point_name": "",
            "user_id": "",
            "status": facts.status,
            "start_time": facts.start_time,
            "end_time": facts.end_time,
            "source_version": "",
            "lifecycle_stage": "active",
            "artifact_uri": facts.artifact_uri,
            "deleted_time": None,
        }
    )
    for table, held in (("tags", run.data.tags), ("params", run.data.params)):
        rows[table] += [{"run_uuid": facts.run_id, "key": key, "value": value} for key, value in held.items()]


def _add_metric(rows: Rows, run: "Run", name: str, value: float, points: Sequence[Any]) -> None:
    """A metric's points; a final one has a single point, at step 0."""
    at = run.info.end_time or run.info.start_time
    held = [(point.value, point.timestamp, point.step) for point in points] or [(value, at, 0)]
    for number, time, step in held:
        rows["metrics"].append(_point(run.info.run_id, name, number, time, step))
    number, time, step = max(held, key=lambda point: (point[2], point[1]))
    rows["latest_metrics"].append(_point(run.info.run_id, name, number, time, step))


def _point(run: str, name: str, value: float, time: int, step: int) -> Row:
    nan = value != value
    number = 0.0 if nan else min(max(value, -1.7976931348623157e308), 1.7976931348623157e308)
    return {
        "run_uuid": run, "key": name, "value": number, "timestamp": time, "step": step, "is_nan": nan,
    }  # fmt: skip


def _add_datasets(rows: Rows, run: "Run") -> None:
    for place, used in enumerate(run.inputs.dataset_inputs if run.inputs else ()):
        dataset = used.dataset
        number = f"{dataset.digest}-{dataset.name}"[:36]
        link = f"{run.info.run_id[:30]}-{place}"
        rows["datasets"].append(
            {
                "dataset_uuid": number,
                "name": dataset.name,
                "digest": dataset.digest,
                "dataset_source_type": dataset.source_type,
                "dataset_source": dataset.source,
                "dataset_schema": dataset.schema,
                "dataset_profile": dataset.profile,
            }
        )
        rows["inputs"].append(
            {
                "input_uuid": link,
                "source_type": "DATASET",
                "source_id": number,
                "destination_type": "RUN",
                "destination_id": run.info.run_id,
                "step": 0,
            }
        )
        rows["input_tags"] += [{"input_uuid": link, "name": tag.key, "value": tag.value} for tag in used.tags]


def _machines(runs: Sequence[Row], tags: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """What each host is called, in the order in which they first began a run."""
    ordered = sorted(runs, key=lambda row: (row["start_time"] or 0, row["run_uuid"]))
    hosts = dict.fromkeys(host for row in ordered if (host := tags.get(row["run_uuid"], {}).get(names.HOST)))
    return {host: f"machine {number}" for number, host in enumerate(hosts, start=1)}


def _is_kept(key: str, own: bool) -> bool:
    if not own:
        return key in _COUNTED
    return key in _KEPT or not (key.startswith("mlflow.") or key == names.PID)


def _tag(key: str, value: str, machines: Mapping[str, str]) -> str:
    if key == names.HOST:
        return machines[value]
    return value if key in _IDENTITY else public_text(value or "")


def _run(row: Row) -> Row:
    kept = {
        "source_type": "LOCAL",
        "source_name": "",
        "entry_point_name": "",
        "user_id": "",
        "source_version": "",
        "artifact_uri": f"artifacts/{row['run_uuid']}/artifacts",
        "name": public_text(row["name"] or ""),
    }
    return row | kept


def _source(text: str) -> str:
    try:
        held = json.loads(text)
        return json.dumps({**held, "uri": public_source(str(held["uri"]))})
    except (ValueError, KeyError, TypeError):
        return json.dumps({"uri": public_source(text)})


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
