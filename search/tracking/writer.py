"""Writes records to MLflow, so that writing one twice changes nothing.

A run is found by its `candor.key` before it is created; metrics carry the time at which they were
spooled, and MLflow keeps one of two equal points. The run of an evaluation ends once: whatever comes
later, from a machine that was thought lost, or from before a crash, finds it ended and leaves it so.
"""

import contextlib
import fcntl
import math
import os
import socket
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.sqlite_files import sqlite_path, translated_errors
from search.tracking import names
from search.tracking.client import check_address, open_client
from search.tracking.failures import ArtifactError, ConflictError
from search.tracking.recorded import experiment_of
from search.tracking.spool import Record

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

#: MLflow takes so many params, and so many tags, in one request, and 1,000 of all together.
_LABELS = 100
_METRICS = 800
_FINAL = set(names.STATES) - {names.RUNNING}


def prepare_store(tracking_uri: str, lock: Path) -> None:
    """Import MLflow, which takes seconds; create or migrate a SQLite store before anybody else opens it.

    Two that do so at once would break it.

    Args:
        tracking_uri: MLflow's address; nothing is done for a server.
        lock: A file that only this function locks.

    Raises:
        UserError: The store is damaged, read-only, or of another version of MLflow.
        UnavailableError: Another program has locked the store.
    """
    database = sqlite_path(tracking_uri)
    if database is None:
        check_address(tracking_uri, connect=False)
        import mlflow  # noqa: F401

        return
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        open_client(tracking_uri, create=True)
        with translated_errors(database), contextlib.closing(sqlite3.connect(database, 60)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            # Without statistics SQLite reads every point of a metric to find the curve of one run.
            connection.execute("PRAGMA analysis_limit=400")
            connection.execute("ANALYZE")


class Writer:
    """Applies records to MLflow. One instance, one thread.

    Args:
        tracking_uri: MLflow's address.
        experiment: The experiment's name.
        artifacts: The folder for artifacts on this machine; None where a server keeps them.
        alone: Lets one machine at a time in, by a run's key, to look for the run and to create it: MLflow
            would let two machines create it twice.
        study: The id of the study whose records they are: its experiment may have been renamed in MLflow.
    """

    def __init__(
        self,
        tracking_uri: str,
        experiment: str,
        artifacts: Path | None,
        alone: Callable[[str], AbstractContextManager[Any]] = nullcontext,
        study: str | None = None,
    ) -> None:
        os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        self._uri = tracking_uri
        self._experiment_name = experiment
        self._artifacts = artifacts
        self._alone = alone
        self._study = study
        self._client: MlflowClient | None = None
        self._experiment: str | None = None
        self._runs: dict[str, str] = {}
        #: Keys of evaluations that ended before this writer came to them, and their candidates.
        self._ended: dict[str, str] = {}
        self._steps: dict[str, set[int]] = {}  # epochs that the runs have already

    def write(self, record: Record) -> None:
        """Apply one record. Raises what MLflow raises.

        Args:
            record: One of a spool.

        Raises:
            ArtifactError: The artifact store takes no files.
            ConflictError: The record contradicts what MLflow holds.
        """
        kinds: dict[str, Callable[[Record], None]] = {
            "sweep": self._sweep,
            "study": self._begin,
            "begin": self._begin,
            "epoch": self._epoch,
            "end": self._end,
            "files": self._files,
            "close": self._close,
        }
        kinds[record.kind](record)

    @property
    def tracking_uri(self) -> str:
        """MLflow's address."""
        return self._uri

    def forget(self) -> None:
        """Remember nothing of the runs: after trouble, another machine may have been there."""
        for memory in (self._runs, self._ended, self._steps):
            memory.clear()

    @property
    def client(self) -> "MlflowClient":
        """MLflow's client, made at the first use: importing MLflow takes seconds."""
        if self._client is None:
            self._client = open_client(self._uri, create=True)
        return self._client

    def experiment_id(self) -> str:
        """The MLflow experiment, created when it is missing."""
        if self._experiment is None:
            found = experiment_of(self.client, self._experiment_name, self._study)
            if found is None:
                location = (self._artifacts / self._experiment_name).as_uri() if self._artifacts else None
                found = self.client.create_experiment(self._experiment_name, artifact_location=location)
            self._experiment = found
        return self._experiment

    def run_id(self, key: str) -> str | None:
        """The run of this key, if there is one.

        Args:
            key: Of an evaluation or a study.

        Returns:
            MLflow's id.
        """
        if key not in self._runs:
            found = self.client.search_runs(
                [self.experiment_id()], filter_string=f"tags.`{names.KEY}` = '{key}'", max_results=1
            )
            if not found:
                return None
            self._runs[key] = found[0].info.run_id
            if found[0].data.tags.get(names.STATE) in _FINAL and found[0].info.status != "RUNNING":
                self._ended[key] = found[0].data.tags.get(names.CANDIDATE, "")
        return self._runs[key]

    def _run(self, record: Record) -> str:
        """The record's run, created when it is missing."""
        key = record.content["key"]
        if key in self._runs:
            return self._runs[key]
        with self._alone(key):
            return self.run_id(key) or self._create(record)

    def _create(self, record: Record) -> str:
        content = record.content
        tags = {names.KEY: content["key"], **content.get("tags", {})}
        parent = content.get("parent")
        if parent is not None and (parent_run := self.run_id(parent)) is not None:
            tags["mlflow.parentRunId"] = parent_run
        created = self.client.create_run(
            self.experiment_id(), start_time=record.time, tags=tags, run_name=content.get("name")
        )
        self._runs[content["key"]] = created.info.run_id
        self._steps[content["key"]] = set()
        return str(created.info.run_id)

    def _sweep(self, record: Record) -> None:
        """Close the runs that processes of this machine left open and nobody is going to close."""
        for run in self.open_runs():
            if process_is_gone(run):
                self.client.set_terminated(run.info.run_id, status="KILLED", end_time=record.time)

    def open_runs(self) -> "list[Run]":
        """The experiment's runs that say they are running."""
        wanted = "attributes.status = 'RUNNING'"
        return list(self.client.search_runs([self.experiment_id()], filter_string=wanted, max_results=1000))

    def _begin(self, record: Record) -> None:
        key, run = record.content["key"], self._run(record)
        if key in self._ended:
            self._check_candidate(record)
            return
        self._log(run, record)
        self._datasets(run, record)
        if key not in self._steps:  # it was there: begun before, and closed perhaps
            self.client.update_run(run, status="RUNNING")

    def _check_candidate(self, record: Record) -> None:
        """Raises ConflictError where the run that has ended is another candidate's."""
        key = record.content["key"]
        ended, own = self._ended[key], record.content.get("tags", {}).get(names.CANDIDATE, "")
        if ended and own and ended != own:
            raise ConflictError(
                f"MLflow holds the evaluation {key} of candidate {ended}, this record is of {own}"
            )

    def _epoch(self, record: Record) -> None:
        from mlflow.entities import Metric

        key, step = record.content["key"], record.content["step"]
        run = self.run_id(key)
        if run is None or key in self._ended or step in self._steps_of(key, run):
            return
        self._steps[key].add(step)
        at = record.content["at"]
        metrics = [Metric(k, v, at, step) for k, v in record.content["metrics"].items()]
        self.client.log_batch(run, metrics=metrics)

    def _steps_of(self, key: str, run: str) -> set[int]:
        """The epochs that a run has: told again after a resumption, they are not to be drawn twice."""
        if key not in self._steps:
            history = self.client.get_metric_history(run, names.EPOCH_SECONDS)
            self._steps[key] = {metric.step for metric in history}
        return self._steps[key]

    def _end(self, record: Record) -> None:
        key, run = record.content["key"], self._run(record)
        if key not in self._ended:
            self._log(run, record)
            self._files(record)
            status = names.MLFLOW_STATUS[record.content["state"]]
            self.client.set_terminated(run, status=status, end_time=record.time)
        else:
            self._check_candidate(record)
        self._steps.pop(key, None)
        del self._runs[key]  # over: so many evaluations need no more memory than few
        self._ended.pop(key, None)

    def _files(self, record: Record) -> None:
        """Log a folder's files, each under its own name."""
        run = self._run(record)
        folder = record.content.get("files")
        try:
            if folder and Path(folder).exists():
                self.client.log_artifacts(run, folder)
            for name, text in record.content.get("texts", {}).items():
                self.client.log_text(run, text, name)
        except Exception as error:
            raise ArtifactError(f"files of {record.content['key']}") from error
        if record.kind == "files":
            self._log(run, record)

    def _close(self, record: Record) -> None:
        run = self.run_id(record.content["key"])
        if run is not None and record.content["key"] not in self._ended:
            self._log(run, record)
            self.client.set_terminated(run, status=record.content["status"], end_time=record.time)

    def _log(self, run: str, record: Record) -> None:
        from mlflow.entities import Metric, Param, RunTag

        content = record.content
        metrics = [Metric(k, v, record.time, 0) for k, v in content.get("metrics", {}).items()]
        params = [Param(k, str(v)[:6000]) for k, v in content.get("params", {}).items()]
        tags = [RunTag(k, str(v)[:8000]) for k, v in content.get("tags", {}).items()]
        most = max(math.ceil(len(metrics) / _METRICS), math.ceil(max(len(params), len(tags)) / _LABELS))
        for n in range(most):
            self.client.log_batch(
                run,
                metrics=metrics[n * _METRICS : (n + 1) * _METRICS],
                params=params[n * _LABELS : (n + 1) * _LABELS],
                tags=tags[n * _LABELS : (n + 1) * _LABELS],
            )

    def _datasets(self, run: str, record: Record) -> None:
        datasets = record.content.get("datasets", ())
        if not datasets or self.client.get_run(run).inputs.dataset_inputs:
            return
        from mlflow.entities import Dataset, DatasetInput, InputTag

        self.client.log_inputs(
            run,
            datasets=[
                DatasetInput(
                    Dataset(**fields["dataset"]), [InputTag("mlflow.data.context", fields["context"])]
                )
                for fields in datasets
            ],
        )


def process_is_gone(run: "Run") -> bool:
    """Whether a process of this machine wrote the run, and is there no more.

    Args:
        run: One that says it is running.
    """
    host, pid = run.data.tags.get(names.HOST), run.data.tags.get(names.PID, "")
    return host == socket.gethostname() and not Path(f"/proc/{pid}").exists()
