"""What MLflow holds, as plain records: runs, metric histories, artifacts.

Two readers give the same records: read-only SQL on a SQLite store whose schema is known (reading
10,000 runs takes about a second), and MLflow's public client for everything else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pandas as pd

HISTORY_COLUMNS = ("run_id", "metric", "step", "value")


class MissingArtifactError(Exception):
    """A run has no such artifact, or it cannot be read; the message is fit for a table's cell."""


@dataclass(frozen=True, slots=True)
class Run:
    """One MLflow run. Times are milliseconds since 1970; metrics are the values at the last step."""

    run_id: str
    name: str
    status: str
    started: int | None
    ended: int | None
    artifact_uri: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]


class Store(Protocol):
    """What a report needs of MLflow."""

    def experiments(self) -> dict[str, str]:
        """Name to id of every active experiment, sorted by name."""

    def runs(self, experiment_id: str, tags: Mapping[str, str]) -> list[Run]:
        """Active runs that carry all of these tags, oldest first."""

    def history(self, run_ids: Sequence[str], metrics: Sequence[str]) -> pd.DataFrame:
        """Every logged point: columns HISTORY_COLUMNS, sorted by run, metric and step."""

    def artifact(self, run: Run, path: str) -> Path:
        """A local file with this artifact; raises MissingArtifactError."""


def open_store(tracking_uri: str) -> Store:
    """The fastest reader that understands this store."""
    from reports.records.mlflow_client import ClientStore
    from reports.records.mlflow_sqlite import SqliteStore

    return SqliteStore.open(tracking_uri) or ClientStore(tracking_uri)


def local_folder(artifact_uri: str) -> Path | None:
    """The folder behind a file address, None if the artifacts are kept elsewhere."""
    parts = urlsplit(artifact_uri)
    if parts.scheme not in ("", "file"):
        return None
    return Path(url2pathname(parts.path))


def local_artifact(run: Run, path: str) -> Path | None:
    """The artifact where it lies on this machine, None if kept elsewhere; raises MissingArtifactError."""
    folder = local_folder(run.artifact_uri)
    if folder is None:
        return None
    if not (folder / path).is_file():
        raise MissingArtifactError(f"{path} is not among the run's artifacts")
    return folder / path


def in_order(runs: Sequence[Run]) -> list[Run]:
    """Oldest first; the id breaks ties, so that the order never depends on the reader."""
    return sorted(runs, key=lambda run: (run.started or 0, run.run_id))


def history_frame(points: Sequence[tuple[str, str, int, float]]) -> pd.DataFrame:
    """Points (run, metric, step, value) as the frame that `Store.history` promises; no point twice."""
    frame = pd.DataFrame(points, columns=list(HISTORY_COLUMNS))
    frame = frame.astype({"run_id": "str", "metric": "str", "step": "int64", "value": "float64"})
    frame = frame.drop_duplicates()
    return frame.sort_values(["run_id", "metric", "step", "value"], kind="stable", ignore_index=True)
