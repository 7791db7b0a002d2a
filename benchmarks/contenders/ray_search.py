"""Ray Tune with Optuna's TPE and ASHA, a trial on each core. Candor itself does not need `ray[tune]`."""

import os
import sys
from typing import Any

import optuna
import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from benchmarks.contenders.job import Job, fit
from benchmarks.contenders.suggested import Suggested

ENDLESS = 10_000


def space(trial: optuna.Trial) -> None:
    """Ask for every value, as the network will."""
    from benchmarks.contenders.network import augmented

    augmented(Suggested(trial))


class Given:
    """`hp` of a hypermodel whose values are there already."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def __getattr__(self, kind: str) -> Any:
        return lambda name, *_, **__: self._values[name]


def trainable(config: dict[str, Any], job: Job) -> None:
    """Train one network."""
    from benchmarks.contenders.network import augmented

    def report(epoch: int, logs: dict[str, float]) -> None:
        tune.report({"val_accuracy": logs["val_accuracy"]})

    fit(augmented(Given(config)), job, report)


def main(path: str) -> None:
    """Search."""
    job = Job.read(path)
    ray.init(num_cpus=os.cpu_count(), include_dashboard=False)
    goal = {"metric": "val_accuracy", "mode": "max"}
    tune.Tuner(
        tune.with_parameters(trainable, job=job),
        tune_config=tune.TuneConfig(
            num_samples=ENDLESS,
            search_alg=OptunaSearch(space, sampler=optuna.samplers.TPESampler(seed=job.seed), **goal),
            scheduler=ASHAScheduler(max_t=job.epochs, grace_period=3, **goal),
        ),
        run_config=tune.RunConfig(storage_path=job.folder, name="ray"),
    ).fit()


if __name__ == "__main__":
    main(*sys.argv[1:])
