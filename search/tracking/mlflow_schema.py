"""Everything that relies on MLflow's private parts: the tables of its SQLite store, and hard deletion.

MLflow's public client answers the same questions, in seconds instead of milliseconds: it is used wherever
`MlflowFile.open` gives None. tests/tracking/test_mlflow_schema.py fails when an upgrade of MLflow changes
anything that this module relies on; then compare the tables, and add the version to KNOWN_SCHEMAS.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from search.sqlite_files import reading, sqlite_path, translated_errors
from search.tracking import names
from search.tracking.artifact_places import ARTIFACTS, home_of, is_below, local_path

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

#: Alembic versions of the schema for which the queries below were compared with MLflow's client.
KNOWN_SCHEMAS: Final = frozenset({"dc11669786a5"})
#: How long a correction of addresses waits for another process that has locked the file.
WAIT_SECONDS: Final = 30
#: The columns that hold addresses of artifacts.
ADDRESSES: Final = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
#: Of experiments with a run of Candor's, or with none at all.
_LOCATIONS = """
    SELECT DISTINCT artifact_location FROM experiments WHERE experiment_id IN (
        SELECT experiment_id FROM runs JOIN tags ON tags.run_uuid = runs.run_uuid WHERE tags.key = ?
    ) OR experiment_id NOT IN (SELECT experiment_id FROM runs)
"""
_RUNS = (
    "SELECT run_uuid, name, status, start_time, end_time, artifact_uri FROM runs WHERE run_uuid IN ({chosen})"
)
_FACTS = (
    "SELECT run_uuid, key, value FROM tags WHERE run_uuid IN ({chosen})",
    "SELECT run_uuid, key, value FROM params WHERE run_uuid IN ({chosen})",
    "SELECT run_uuid, key, CASE WHEN is_nan THEN NULL ELSE value END"
    " FROM latest_metrics WHERE run_uuid IN ({chosen})",
)
_MODEL_FOLDER = """
    SELECT logged_models.artifact_location FROM model_versions
    JOIN logged_models ON model_versions.source = 'models:/' || logged_models.model_id
    WHERE model_versions.name = ? AND model_versions.version = ?
"""
_TAG_OF_VERSION = """
    SELECT tags.value FROM model_versions JOIN tags ON tags.run_uuid = model_versions.run_id
    WHERE model_versions.name = ? AND model_versions.version = ? AND tags.key = ?
"""


class RunRow(NamedTuple):
    """One run: times in milliseconds since 1970, metrics at their last step, NaN as None."""

    run_id: str
    name: str
    status: str
    started: int | None
    ended: int | None
    artifact_uri: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float | None]


@dataclass(frozen=True)
class MlflowFile:
    """Reads an MLflow store that is a SQLite file, and never writes to it."""

    database: Path

    @classmethod
    def open(cls, tracking_uri: str) -> "MlflowFile | None":
        """The store at this address.

        Args:
            tracking_uri: MLflow's address.

        Returns:
            None where it is no SQLite file, or one whose schema is not in KNOWN_SCHEMAS: then MLflow's
            client is to be asked.

        Raises:
            UserError: The file is damaged.
            UnavailableError: The file is locked.
        """
        database = sqlite_path(tracking_uri)
        if database is None or not database.is_file():
            return None
        with reading(database) as connection:
            return cls(database) if _versions(connection) <= KNOWN_SCHEMAS else None

    @property
    def home(self) -> Path | None:
        """The workspace that the store belongs to."""
        return home_of(self.database)

    def experiments(self) -> dict[str, str]:
        """Name to id of every active experiment, sorted by name."""
        rows = self._rows(
            "SELECT name, experiment_id FROM experiments WHERE lifecycle_stage = 'active' ORDER BY name"
        )
        return {name: str(number) for name, number in rows}

    def runs(self, experiment_id: str, tags: Mapping[str, str]) -> list[RunRow]:
        """Active runs of an experiment.

        Args:
            experiment_id: MLflow's id.
            tags: Tags that a run must carry, all of them.
        """
        chosen, values = _chosen(experiment_id, tags)
        with reading(self.database) as connection:
            rows = connection.execute(_RUNS.format(chosen=chosen), values).fetchall()
            facts = [_by_run(connection, query.format(chosen=chosen), values) for query in _FACTS]
        return [
            RunRow(
                row[0],
                row[1] or "",
                row[2],
                row[3],
                row[4],
                row[5] or "",
                *(f.get(row[0], {}) for f in facts),
            )
            for row in rows
        ]

    def points(self, run_ids: Sequence[str], metrics: Sequence[str]) -> list[tuple[str, str, int, float]]:
        """Every logged point of some metrics: run id, metric, step, value.

        Args:
            run_ids: The runs.
            metrics: Names of metrics.
        """
        wanted = ",".join("?" * len(metrics))
        query = (
            "SELECT run_uuid, key, step, CASE WHEN is_nan THEN NULL ELSE value END FROM metrics"  # noqa: S608
            f" WHERE run_uuid = ? AND key IN ({wanted})"
        )
        with reading(self.database) as connection:
            return [point for run in run_ids for point in connection.execute(query, (run, *metrics))]

    def aliases(self) -> dict[str, dict[str, str]]:
        """The aliases of every registered model: name to alias to version."""
        found: dict[str, dict[str, str]] = {
            name: {} for (name,) in self._rows("SELECT name FROM registered_models")
        }
        for name, alias, version in self._rows("SELECT name, alias, version FROM registered_model_aliases"):
            found[name][alias] = str(version)
        return found

    def model_address(self, name: str, version: str) -> str | None:
        """The address of a version's files; None where the store does not know it.

        Args:
            name: The registered model.
            version: Its version, a number.
        """
        found = self._rows(_MODEL_FOLDER, (name, int(version)))
        return str(found[0][0]) if found else None

    def tag_of_version(self, name: str, version: str, tag: str) -> str:
        """A tag of the run that a version's model comes from; "" where the run has none, or is gone.

        Args:
            name: The registered model.
            version: Its version, a number.
            tag: The tag's name.
        """
        found = self._rows(_TAG_OF_VERSION, (name, int(version), tag))
        return str(found[0][0]) if found else ""

    def _rows(self, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with reading(self.database) as connection:
            return connection.execute(query, values).fetchall()


@dataclass(frozen=True)
class Misplaced:
    """Addresses of a workspace's store that lead out of the workspace.

    moves: beginnings of addresses, each with what it is to be. stranded: folders whose artifacts are there
    and not in the workspace, so that nothing can be changed.
    """

    moves: Mapping[str, str]
    stranded: tuple[Path, ...]

    def __bool__(self) -> bool:
        return bool(self.moves or self.stranded)


def misplaced(database: Path, home: Path) -> Misplaced:
    """Find the addresses in a workspace's store that lead out of it: it was moved, copied or mounted anew.

    Args:
        database: The store; it need not exist.
        home: The workspace.

    Returns:
        What is to be changed. Experiments without a run of Candor's are left alone.
    """
    if not database.is_file():
        return Misplaced({}, ())
    with reading(database) as connection:
        if not _has_columns(connection):
            return Misplaced({}, ())
        locations = connection.execute(_LOCATIONS, (names.KIND,)).fetchall()
    moves, stranded = {}, []
    for (location,) in locations:
        path = local_path(location or "")
        if path is None or is_below(path, home) or path.parent.name != ARTIFACTS:
            continue
        here = home / ARTIFACTS / path.name
        if path.is_dir() and not here.is_dir() and any(path.iterdir()):
            stranded.append(path)
        else:
            moves[location] = here.as_uri()
    return Misplaced(moves, tuple(stranded))


def move_addresses(database: Path, moves: Mapping[str, str]) -> None:
    """Change the beginnings of addresses, in one transaction. Nobody else may use the workspace meanwhile.

    Args:
        database: The store.
        moves: See Misplaced.

    Raises:
        UserError: The store cannot be written to.
        UnavailableError: Another program has locked the store.
    """
    with (
        translated_errors(database),
        closing(sqlite3.connect(database, timeout=WAIT_SECONDS)) as connection,
        connection,
    ):
        for table, column in ADDRESSES:
            statement = (
                f"UPDATE {table} SET {column} = :new || substr({column}, length(:old) + 1)"  # noqa: S608
                f" WHERE {column} = :old OR substr({column}, 1, length(:old) + 1) = :old || '/'"
            )
            for old, new in moves.items():
                connection.execute(statement, {"old": old, "new": new})


def delete_for_good(
    client: "MlflowClient", kind: Literal["run", "logged_model", "experiment"], number: str
) -> bool:
    """Remove rows that are marked as deleted, for this one alone: `mlflow gc` would take all others too.

    Args:
        client: MLflow's client.
        kind: What is removed.
        number: Its id.

    Returns:
        False where the store cannot do it, as a tracking server: there `mlflow gc` ends it.
    """
    delete = getattr(_store_of(client), f"_hard_delete_{kind}", None)
    if delete is None:
        return False
    delete(number)
    return True


def deletes_for_good(client: "MlflowClient") -> bool:
    """Whether `delete_for_good` can remove rows of this client's store."""
    return hasattr(_store_of(client), "_hard_delete_run")


def _store_of(client: "MlflowClient") -> object:
    return getattr(getattr(client, "_tracking_client", None), "store", None)


def artifact_store(address: str) -> "ArtifactRepository":
    """What deletes artifacts: MLflow's client only writes and reads them.

    Args:
        address: Of a run's or a model's artifacts.
    """
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(address)


def forget_artifact_places() -> None:
    """Let MLflow look up again where runs keep their artifacts: it remembers that by run for all stores."""
    from mlflow.tracking._tracking_service import utils

    getattr(utils, "_artifact_repos_cache", {}).clear()


def _versions(connection: sqlite3.Connection) -> set[str]:
    try:
        return {version for (version,) in connection.execute("SELECT version_num FROM alembic_version")}
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return {"none"}
        raise


def _has_columns(connection: sqlite3.Connection) -> bool:
    """Whether the tables have the columns whose values are to be changed, whatever else they have."""
    wanted = {*ADDRESSES, ("runs", "run_uuid"), ("tags", "run_uuid"), ("tags", "key")}
    there = {
        (table, row[1])
        for table in {table for table, _ in wanted}
        for row in connection.execute(f"PRAGMA table_info({table})")
    }
    return wanted <= there


def _chosen(experiment_id: str, tags: Mapping[str, str]) -> tuple[str, list[str]]:
    """A query for the ids of active runs with all tags, and its values."""
    query = "SELECT run_uuid FROM runs WHERE experiment_id = ? AND lifecycle_stage = 'active'"
    for _ in tags:
        query += " AND run_uuid IN (SELECT run_uuid FROM tags WHERE key = ? AND value = ?)"
    return query, [experiment_id, *(part for tag in sorted(tags.items()) for part in tag)]


def _by_run(
    connection: sqlite3.Connection, query: str, values: Sequence[str]
) -> defaultdict[str, dict[str, Any]]:
    grouped: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for run, key, value in connection.execute(query, values):
        grouped[run][key] = value
    return grouped
