"""The fast reader: the tables of an MLflow SQLite file whose schema is known."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from reports.records.mlflow_client import ClientStore
from reports.records.store import Run, history_frame, in_order, local_artifact
from search.tracking.mlflow_schema import MlflowFile, RunRow


@dataclass(frozen=True)
class SqliteStore:
    """Reads runs, parameters and metrics with a handful of queries instead of thousands of calls."""

    tracking_uri: str
    file: MlflowFile

    @classmethod
    def open(cls, tracking_uri: str) -> "SqliteStore | None":
        """None when the address is no SQLite file, or one of an unknown schema: see MlflowFile."""
        file = MlflowFile.open(tracking_uri)
        return None if file is None else cls(tracking_uri, file)

    @property
    def home(self) -> Path | None:
        """See Store."""
        return self.file.home

    def experiments(self) -> dict[str, str]:
        """See Store."""
        return self.file.experiments()

    def runs(self, experiment_id: str, tags: Mapping[str, str]) -> list[Run]:
        """See Store."""
        return in_order([_run(row) for row in self.file.runs(experiment_id, tags)])

    def history(self, run_ids: Sequence[str], metrics: Sequence[str]) -> pd.DataFrame:
        """See Store."""
        return history_frame(self.file.points(run_ids, metrics))

    def artifact(self, run: Run, path: str) -> Path:
        """See Store. Artifacts kept elsewhere than on this machine are fetched by the client."""
        found = local_artifact(run, path, self.home)
        return ClientStore(self.tracking_uri).artifact(run, path) if found is None else found


def _run(row: RunRow) -> Run:
    values = {key: math.nan if value is None else float(value) for key, value in row.metrics.items()}
    return Run(*row[:-1], metrics=values)
