"""Plain Optuna: TPE and the median pruner around a Keras objective, MLflow's autologger on."""

import sys
from pathlib import Path

import keras
import mlflow
import optuna

from benchmarks.contenders.job import Job, fit
from benchmarks.contenders.network import augmented
from benchmarks.contenders.suggested import Suggested


def main(path: str) -> None:
    """Search."""
    job = Job.read(path)
    folder = Path(job.folder)
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.tensorflow.autolog()

    def objective(trial: optuna.Trial) -> float:
        keras.backend.clear_session()
        model = augmented(Suggested(trial))

        def report(epoch: int, logs: dict[str, float]) -> None:
            trial.report(logs["val_accuracy"], epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        with mlflow.start_run():
            history = fit(model, job, report)
        return max(history.history["val_accuracy"])

    study = optuna.create_study(
        direction="maximize",
        storage=f"sqlite:///{folder / 'optuna.db'}",
        sampler=optuna.samplers.TPESampler(seed=job.seed),
        pruner=optuna.pruners.MedianPruner(),
    )
    study.optimize(objective)


if __name__ == "__main__":
    main(*sys.argv[1:])
