"""An MLflow server that is down for the middle third of a study: is anything missing, is order kept?

    python -m benchmarks.server_away [EVALUATIONS=60]

A real server is ended when a third of the evaluations is done, and another started on the same port and store
when two thirds are. Evaluations are stand-ins of one second. What MLflow holds at the end is compared with
an undisturbed study; it exits with 1 unless both are equal. Measured: see docs/execution.md.
"""

import contextlib
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from search.execution.messages import Epoch, EvaluationResult
from search.study.stages.evaluation import ActiveEvaluation
from search.tracking import names
from search.workspace import Workspace
from tests.support.processes.servers import free_port, mlflow_server
from tests.support.studies import small_study

Table = dict[str, tuple[str, dict[str, float], list[int], list[float]]]


class At:
    """An observer that calls when so many evaluations have ended."""

    def __init__(self, calls: dict[int, Callable[[], None]]) -> None:
        self._calls, self._ended, self._lock = calls, 0, threading.Lock()

    def begun(self, evaluation: ActiveEvaluation) -> None:
        """Nothing to do."""

    def built(self, evaluation: ActiveEvaluation) -> None:
        """Nothing to do."""

    def epoch(self, evaluation: ActiveEvaluation, message: Epoch) -> None:
        """Nothing to do."""

    def ended(self, evaluation: ActiveEvaluation, result: EvaluationResult) -> None:
        """Count."""
        with self._lock:
            self._ended += 1
            call = self._calls.get(self._ended)
        if call is not None:
            call()


def main(evaluations: int = 60) -> int:
    """Run the study undisturbed and disturbed; the exit code."""
    setting = small_study.config(
        [{"cell": n, "epochs": 4, "seconds": 0.25} for n in range(evaluations)], seeds=1
    )
    with tempfile.TemporaryDirectory(prefix="candor-away-", ignore_cleanup_errors=True) as place:
        calm, away = Path(place, "calm"), Path(place, "away")
        with mlflow_server(calm / "server") as address:
            small_study.run(Workspace.at(calm / "runs"), setting, tracking=address, say=lambda text: None)
            expected = _table(address)
        table, waited = _disturbed(away, setting, evaluations)
    missing = expected.keys() - table.keys()
    different = [key for key in expected.keys() & table.keys() if expected[key][:3] != table[key][:3]]
    unordered = [key for key, (_, _, _, times) in table.items() if times != sorted(times)]
    print(f"{evaluations} evaluations, {waited} records waited when the server came back")
    print(f"runs missing {len(missing)}, different {len(different)}, out of order {len(unordered)}")
    return int(bool(missing or different or unordered or len(expected) != evaluations + 1 or not waited))


def _disturbed(folder: Path, setting: Any, evaluations: int) -> tuple[Table, int]:
    port, server = free_port(), contextlib.ExitStack()
    workspace, waited = Workspace.at(folder / "runs"), []

    def start() -> None:
        waited.append(len(list(workspace.spool.glob("small/*.json"))))
        server.enter_context(mlflow_server(folder / "server", port=port))

    starting = threading.Thread(target=start)
    calls = {evaluations // 3: server.close, 2 * evaluations // 3: starting.start}
    with server:
        start()
        address = f"http://127.0.0.1:{port}"
        small_study.run(workspace, setting, tracking=address, observers=[At(calls)], say=lambda text: None)
        starting.join()
        # A server that is slow to come back is met by the next start: the same command again.
        small_study.run(workspace, setting, tracking=address, say=lambda text: None)
        return _table(address), waited[-1]


def _table(address: str) -> Table:
    """Key -> status, final metrics, steps and times of the curve."""
    client = MlflowClient(address)
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    rows = {}
    for run in client.search_runs([experiment.experiment_id], max_results=1000):
        curve = client.get_metric_history(run.info.run_id, "train_loss")
        same = ("val_accuracy", "train_loss", names.EPOCHS)  # the others are times and memory
        metrics = {name: run.data.metrics[name] for name in same if name in run.data.metrics}
        rows[run.data.tags[names.KEY]] = (
            run.info.status,
            metrics,
            [point.step for point in curve],
            [float(point.timestamp) for point in curve],
        )
    return {key.split("/", 1)[-1] if "/" in key else "study": row for key, row in rows.items()}


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
