"""What MLflow holds, as plain records: runs, metric histories, artifacts.

Two readers give the same records: read-only SQL on a SQLite store whose schema is known (reading
10,000 runs takes about a second), and MLflow's public client for everything else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pandas as pd

from search.tracking.artifact_places import OutsideError, path_in

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

    @property
    def home(self) -> Path | None:
        """The workspace that the store belongs to; None for a server, or a store of another kind."""

    def experiments(self) -> dict[str, str]:
        """Name to id of every active experiment, sorted by name."""

    def runs(self, experiment_id: str, tags: Mapping[str, str]) -> list[Run]:
        """Active runs that carry all of these tags, oldest first.

        Args:
            experiment_id: MLflow's id.
            tags: All of them.
        """

    def history(self, run_ids: Sequence[str], metrics: Sequence[str]) -> pd.DataFrame:
        """Every logged point: columns HISTORY_COLUMNS, sorted by run, metric and step.

        Args:
            run_ids: The runs.
            metrics: Names of metrics.
        """

    def artifact(self, run: Run, path: str) -> Path:
        """A local file with this artifact; raises MissingArtifactError.

        Args:
            run: The run.
            path: The artifact's name.
        """


def folder_of(run: Run, home: Path | None) -> Path | None:
    """Where a run's artifacts lie on this machine.

    Args:
        run: The run.
        home: The workspace of its store, out of which no address is followed; None if it has none.

    Returns:
        None where they are kept elsewhere than in files, or outside of the workspace.
    """
    try:
        return path_in(home, run.artifact_uri)
    except OutsideError:
        return None


def local_artifact(run: Run, path: str, home: Path | None = None) -> Path | None:
    """One artifact where it lies on this machine.

    Args:
        run: The run.
        path: The artifact's name, below the run's own folder.
        home: The workspace of its store; None if it has none.

    Returns:
        None where artifacts are kept elsewhere than in files.

    Raises:
        MissingArtifactError: It is not there, or lies outside of the workspace.
    """
    try:
        folder = path_in(home, run.artifact_uri)
    except OutsideError as error:
        raise MissingArtifactError(f"{path} is not read: {error}") from None
    if folder is None:
        return None
    if not (folder / path).is_file():
        raise MissingArtifactError(f"{path} is not among the run's artifacts")
    return folder / path


def in_order(runs: Sequence[Run]) -> list[Run]:
    """Oldest first; the id breaks ties, so that the order never depends on the reader.

    Args:
        runs: In any order.
    """
    return sorted(runs, key=lambda run: (run.started or 0, run.run_id))


def history_frame(points: Sequence[tuple[str, str, int, float]]) -> pd.DataFrame:
    """Points (run, metric, step, value) as the frame that `Store.history` promises; no point twice.

    Args:
        points: In any order; a point may come twice.
    """
    frame = pd.DataFrame(points, columns=list(HISTORY_COLUMNS))
    frame = frame.astype({"run_id": "str", "metric": "str", "step": "int64", "value": "float64"})
    frame = frame.drop_duplicates()
    return frame.sort_values(["run_id", "metric", "step", "value"], kind="stable", ignore_index=True)
