"""Keras Tuner's three tuners, as its getting-started guide calls them, with early stopping."""

import sys

import keras
import keras_tuner

from benchmarks.contenders.job import BATCH_SIZE, PATIENCE, Job, diary_callback
from benchmarks.contenders.network import augmented

ENDLESS = 10_000


def tuner(kind: str, job: Job) -> keras_tuner.Tuner:
    """The tuner, which would go on for ever."""
    common = {
        "objective": "val_accuracy",
        "seed": job.seed + 1,  # 0 counts as unset
        "directory": job.folder,
        "project_name": "tuner",
    }
    if kind == "hyperband":
        return keras_tuner.Hyperband(
            augmented, max_epochs=job.epochs, factor=3, hyperband_iterations=ENDLESS, **common
        )
    tuners = {"random": keras_tuner.RandomSearch, "bayesian": keras_tuner.BayesianOptimization}
    return tuners[kind](augmented, max_trials=ENDLESS, **common)


def main(kind: str, path: str) -> None:
    """Search."""
    job = Job.read(path)
    x, y, x_monitor, y_monitor = job.arrays()
    tuner(kind, job).search(
        x,
        y,
        epochs=job.epochs,
        batch_size=BATCH_SIZE,
        validation_data=(x_monitor, y_monitor),
        callbacks=[keras.callbacks.EarlyStopping(patience=PATIENCE), diary_callback(job, len(x))],
        verbose=0,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
