"""The fast reader: read-only SQL on an MLflow SQLite file whose schema version is known."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from reports.records.store import (
    Run,
    history_frame,
    in_order,
    local_artifact,
)

#: Alembic versions of MLflow's schema for which the queries below were compared with the client.
KNOWN_SCHEMAS = frozenset({"dc11669786a5"})
PREFIX = "sqlite:///"


@dataclass(frozen=True)
class SqliteStore:
    """Reads runs, parameters and metrics with a handful of queries instead of thousands of calls."""

    tracking_uri: str
    database: Path

    @classmethod
    def open(cls, tracking_uri: str) -> "SqliteStore | None":
        """None when the address is no SQLite file, or its schema is not one of KNOWN_SCHEMAS."""
        database = Path(tracking_uri.removeprefix(PREFIX))
        if not tracking_uri.startswith(PREFIX) or not database.is_file():
            return None
        store = cls(tracking_uri, database)
        try:
            versions = store._rows("SELECT version_num FROM alembic_version")
        except sqlite3.DatabaseError:
            return None
        return store if {version for (version,) in versions} <= KNOWN_SCHEMAS else None

    def experiments(self) -> dict[str, str]:
        """See Store."""
        rows = self._rows(
            "SELECT name, experiment_id FROM experiments WHERE lifecycle_stage = 'active' ORDER BY name"
        )
        return {name: str(number) for name, number in rows}

    def runs(self, experiment_id: str, tags: Mapping[str, str]) -> list[Run]:
        """See Store."""
        chosen, values = _chosen(experiment_id, tags)
        with closing(self._connect()) as connection:
            rows = connection.execute(
                "SELECT run_uuid, name, status, start_time, end_time, artifact_uri FROM runs"  # noqa: S608
                f" WHERE run_uuid IN ({chosen})",
                values,
            ).fetchall()
            facts = [
                _by_run(connection.execute(query.format(chosen=chosen), values))
                for query in (
                    "SELECT run_uuid, key, value FROM tags WHERE run_uuid IN ({chosen})",
                    "SELECT run_uuid, key, value FROM params WHERE run_uuid IN ({chosen})",
                    "SELECT run_uuid, key, CASE WHEN is_nan THEN NULL ELSE value END"
                    " FROM latest_metrics WHERE run_uuid IN ({chosen})",
                )
            ]
        tagged, parameters, metrics = facts
        return in_order(
            [
                Run(row[0], row[1] or "", row[2], row[3], row[4], row[5] or "",
                    tagged[row[0]], parameters[row[0]], _floats(metrics[row[0]]))
                for row in rows
            ]
        )  # fmt: skip

    def history(self, run_ids: Sequence[str], metrics: Sequence[str]) -> pd.DataFrame:
        """See Store."""
        names = ",".join("?" * len(metrics))
        query = (
            "SELECT run_uuid, key, step, CASE WHEN is_nan THEN NULL ELSE value END FROM metrics"  # noqa: S608
            f" WHERE run_uuid = ? AND key IN ({names})"
        )
        with closing(self._connect()) as connection:
            points = [
                point for run in run_ids for point in connection.execute(query, (run, *metrics)).fetchall()
            ]
        return history_frame(points)

    def artifact(self, run: Run, path: str) -> Path:
        """See Store. Artifacts kept elsewhere than on this machine are fetched by the client."""
        found = local_artifact(run, path)
        if found is None:
            from reports.records.mlflow_client import ClientStore

            return ClientStore(self.tracking_uri).artifact(run, path)
        return found

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(f"{self.database.absolute().as_uri()}?mode=ro", uri=True, timeout=30)

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        with closing(self._connect()) as connection:
            return connection.execute(query).fetchall()


def _chosen(experiment_id: str, tags: Mapping[str, str]) -> tuple[str, list[str]]:
    """A query for the ids of active runs with all tags, and its values."""
    query = "SELECT run_uuid FROM runs WHERE experiment_id = ? AND lifecycle_stage = 'active'"
    for _ in tags:
        query += " AND run_uuid IN (SELECT run_uuid FROM tags WHERE key = ? AND value = ?)"
    return query, [experiment_id, *(part for tag in sorted(tags.items()) for part in tag)]


def _by_run(rows: Iterable[tuple[str, str, Any]]) -> defaultdict[str, dict[str, Any]]:
    grouped: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for run, key, value in rows:
        grouped[run][key] = value
    return grouped


def _floats(metrics: dict[str, float | None]) -> dict[str, float]:
    return {key: float("nan") if value is None else float(value) for key, value in metrics.items()}
