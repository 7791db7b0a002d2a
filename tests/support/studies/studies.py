"""Small studies of stand-in evaluations, run here or in a process of their own, and what became of them."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import optuna
from mlflow import MlflowClient

from search.execution.messages import Epoch, EvaluationResult
from search.study.stages.evaluation import ActiveEvaluation
from search.tracking import names
from tests.support.studies.stores import new_store


class Seen:
    """An observer that remembers how evaluations ended, by the number of their cell."""

    def __init__(self) -> None:
        self.outcomes: dict[int, EvaluationResult] = {}
        self.epochs: Counter[int] = Counter()
        self.built_times: Counter[int] = Counter()

    def begun(self, evaluation: ActiveEvaluation) -> None:
        pass

    def built(self, evaluation: ActiveEvaluation) -> None:
        self.built_times[evaluation.slot] += 1

    def epoch(self, evaluation: ActiveEvaluation, message: Epoch) -> None:
        self.epochs[evaluation.slot] += 1

    def ended(self, evaluation: ActiveEvaluation, result: EvaluationResult) -> None:
        self.outcomes[evaluation.slot] = result


class Started:
    """A study in a process of its own."""

    def __init__(self, folder: Path, description: dict[str, Any]) -> None:
        self.workspace = folder / "runs"
        new_store(self.workspace)
        self._description = folder / "study.json"
        self._description.write_text(json.dumps(description))

    def begin(self, **options: Any) -> "subprocess.Popen[str]":
        command = [
            sys.executable,
            "-m",
            "tests.support.studies.small_study",
            str(self.workspace),
            str(self._description),
        ]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
        )

    def finish(self, timeout: float = 400) -> str:
        """Run to the end; what was printed."""
        with self.begin() as process:
            printed, _ = process.communicate(timeout=timeout)
        assert process.returncode == 0, printed
        return printed

    def trials(self) -> list[optuna.trial.FrozenTrial]:
        storage = f"sqlite:///{self.workspace / 'studies.db'}"
        found = [
            optuna.load_study(study_name=n, storage=storage) for n in optuna.get_all_study_names(storage)
        ]
        return [trial for study in found for trial in study.get_trials()]

    def table(self) -> dict[str, tuple[str, str, float, tuple[int, ...]]]:
        """Key -> status, state, final score and epochs of each run in MLflow; "study" is the parent's."""
        client = MlflowClient(f"sqlite:///{self.workspace / 'mlflow.db'}")
        experiment = client.get_experiment_by_name("small")
        assert experiment is not None
        rows = {}
        for run in client.search_runs([experiment.experiment_id], max_results=1000):
            key, state = run.data.tags[names.KEY], run.data.tags.get(names.STATE, "")
            assert key not in rows, f"two runs of {key}"
            steps = [m.step for m in client.get_metric_history(run.info.run_id, "train_loss")]
            score = run.data.metrics.get("val_accuracy", -1.0)
            rows["study" if "/" not in key else key] = (run.info.status, state, score, tuple(steps))
        return rows

    def left_behind(self) -> list[str]:
        """Files that should be gone when a study is over."""
        places = (
            self.workspace / "checkpoints",
            self.workspace / "spool" / "small",
            self.workspace / "spool" / "small" / "files",
        )
        found = [path.name for place in places if place.exists() for path in place.iterdir()]
        return sorted(set(found) - {"files", "lock"})

    def processes(self) -> list[int]:
        """Processes that hold the workspace's lock file open."""
        found = []
        for link in Path("/proc").glob("[0-9]*/fd/*"):
            try:
                if link.readlink() == (self.workspace / "lock"):
                    found.append(int(link.parts[2]))
            except OSError:
                continue
        return found
