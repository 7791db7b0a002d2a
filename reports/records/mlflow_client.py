"""The general reader: MLflow's public client, for tracking servers and schemas that we do not know."""

import atexit
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from reports.records.store import (
    MissingArtifactError,
    Run,
    history_frame,
    in_order,
    local_artifact,
)
from search.safety.paths import below
from search.sqlite_files import sqlite_path
from search.tracking.artifact_places import home_of
from search.tracking.client import open_client
from spaces.errors import UserError

PAGE = 1000


@dataclass(frozen=True)
class ClientStore:
    """Reads through `MlflowClient`; artifacts of a server are fetched once into a temporary folder."""

    tracking_uri: str

    @cached_property
    def _client(self) -> Any:
        return open_client(self.tracking_uri)

    @property
    def home(self) -> Path | None:
        """See Store."""
        database = sqlite_path(self.tracking_uri)
        return None if database is None else home_of(database)

    def experiments(self) -> dict[str, str]:
        """See Store."""
        found = _pages(lambda token: self._client.search_experiments(page_token=token))
        return dict(sorted((each.name, str(each.experiment_id)) for each in found))

    def runs(self, experiment_id: str, tags: Mapping[str, str]) -> list[Run]:
        """See Store."""
        wanted = " and ".join(f"tags.`{key}` = '{value}'" for key, value in sorted(tags.items()))
        found = _pages(
            lambda token: self._client.search_runs(
                [experiment_id], wanted, max_results=PAGE, page_token=token
            )
        )
        return in_order([_run(each) for each in found])

    def history(self, run_ids: Sequence[str], metrics: Sequence[str]) -> pd.DataFrame:
        """See Store."""
        points = [
            (run, metric, point.step, point.value)
            for run in run_ids
            for metric in metrics
            for point in self._client.get_metric_history(run, metric)
        ]
        return history_frame(points)

    def artifact(self, run: Run, path: str) -> Path:
        """See Store."""
        found = local_artifact(run, path, self.home)
        return self._fetch(run, path) if found is None else found

    def _fetch(self, run: Run, path: str) -> Path:
        folder = below(_scratch(), run.run_id)
        if (folder / path).is_file():
            return folder / path
        folder.mkdir(exist_ok=True)
        try:
            return Path(self._client.download_artifacts(run.run_id, path, str(folder)))
        except Exception as error:  # every artifact store raises its own kind
            (folder / path).unlink(missing_ok=True)  # a part of it is not it
            if self._lists(run, path):
                raise _failed(run, path, error) from error
            raise MissingArtifactError(f"{path} is not among the run's artifacts") from error

    def _lists(self, run: Run, path: str) -> bool:
        """Whether the run has this artifact: a download says "not found" of a server that is away, too."""
        try:
            found = self._client.list_artifacts(run.run_id, path.rpartition("/")[0] or None)
        except Exception as error:
            raise _failed(run, path, error) from error
        return any(item.path == path for item in found)


def _failed(run: Run, path: str, error: Exception) -> UserError:
    """A verdict without this artifact would not be the study's, so nothing goes on without it."""
    return UserError(
        f"MLflow did not hand out {path} of run {run.run_id} ({type(error).__name__}): see that its server "
        "and its artifact store answer, and give the same command again."
    )


@cache
def _scratch() -> Path:
    """A folder for fetched artifacts that lives as long as the process."""
    folder = tempfile.mkdtemp(prefix="candor-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _pages(fetch: Any) -> list[Any]:
    """All items of a paged answer."""
    items: list[Any] = []
    token = None
    while True:
        page = fetch(token)
        items += page
        token = page.token
        if not token:
            return items


def _run(found: Any) -> Run:
    facts, held = found.info, found.data
    return Run(
        run_id=facts.run_id,
        name=facts.run_name or "",
        status=facts.status,
        started=facts.start_time,
        ended=facts.end_time,
        artifact_uri=facts.artifact_uri or "",
        tags=dict(held.tags),
        params=dict(held.params),
        metrics={key: float(value) for key, value in held.metrics.items()},
    )
