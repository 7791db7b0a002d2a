"""Samplers and pruners by what they have found when, on recorded learning curves replayed fast.

    python -m benchmarks.replay record [--trials 48]     a real study, trained to the end: six minutes
    python -m benchmarks.replay [--seeds 16]             the table: three minutes

The record (`recorded_curves.json`, from the drawn faces) is a random search without pruning: values, monitor
accuracy by epoch, seconds by epoch. A random forest learns curves and durations from it, so that any other
draw can be "trained" too (a surrogate benchmark: Eggensperger et al., Efficient Benchmarking of
Hyperparameter Optimizers via Surrogates, AAAI 2015); what the forest misses of a recorded curve is put back
as noise. Each replay is a whole search on two workers, by the study's own samplers and pruners, its clock
counted, not waited for. Regret: how far the network that the search would hand over lies below the best of
5,000 random ones, both without noise.
"""

import argparse
import heapq
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
    json_to_distribution,
)
from scipy.stats import spearmanr
from sklearn.ensemble import RandomForestRegressor

from search.samplers import make_pruner, make_sampler
from search.workspace import Workspace

RECORD = Path(__file__).with_name("recorded_curves.json")
EPOCHS, WORKERS = 12, 2
#: A list's values -> how many of them there are.
COUNTS = {"kernels": "conv_stages", "neurons": "dense_layers"}
EXPERIMENT = f"""
question = "What do learning curves of plain networks look like?"
space = "plain_cnn"

[fix]
convs_per_stage = 1
kernel_size = 3
head = "flatten"

[search]
conv_stages = [2, 3, 4]
kernels_1 = [16, 32, 64]
kernels_2 = [16, 32, 64]
kernels_3 = [16, 32, 64]
kernels_4 = [16, 32, 64]
batch_norm = [true, false]
dropout = {{ low = 0.0, high = 0.4, step = 0.2 }}
dense_layers = [1, 2]
neurons_1 = [64, 128, 256]
neurons_2 = [64, 128, 256]
recipe.learning_rate = {{ low = 1e-4, high = 1e-2, log = true }}

[recipe]
batch_size = 16
augmentation = "flip"

[protocol]
sampler = "random"
pruner = "none"
epochs = {EPOCHS}
patience = {EPOCHS}
monitor_fraction = 0.25
leaders = 1
seeds = 2
keep_models = "none"

[data]
source = "synthetic:train=1000,validation=200,test=100"
"""
Values = Mapping[str, Any]


def record(trials: int) -> None:
    """Train so many networks, and keep their curves."""
    with tempfile.TemporaryDirectory() as folder:
        experiment = Path(folder) / "curves.toml"
        experiment.write_text(EXPERIMENT)
        candor = str(Path(sys.executable).with_name("candor"))
        workspace = Path(folder) / "runs"
        command = [candor, "search", str(experiment), "--trials", str(trials), "--workspace", str(workspace)]
        subprocess.run(command, check=True)
        RECORD.write_text(json.dumps(_recorded(Workspace.at(workspace)), indent=1) + "\n")
    print(f"{RECORD} holds {len(json.loads(RECORD.read_text())['curves'])} curves")


def _recorded(workspace: Workspace) -> dict[str, Any]:
    from experiments.operations.lookup import newest_study
    from search.tracking import names

    newest = newest_study("curves", workspace.tracking_uri)
    study = newest.parent.tags[names.STUDY]
    runs = newest.store.runs(newest.store.experiments()["curves"], {names.STAGE: names.EXPLORE})
    points = newest.store.history([run.run_id for run in runs], ["monitor_accuracy", names.EPOCH_SECONDS])
    by_slot = {run.tags[names.TRIAL]: points[points.run_id == run.run_id] for run in runs}
    explored = optuna.load_study(
        study_name=f"curves-{study}/explore", storage=workspace.storage_url
    ).get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    curves, space = [], {}
    for trial in explored:
        own = by_slot.get(trial.user_attrs["key"].split("/")[2])
        if own is None or not trial.params:
            continue
        columns = {metric: list(rows.value) for metric, rows in own.groupby("metric")}
        if len(columns["monitor_accuracy"]) == EPOCHS:
            space |= trial.distributions
            seconds = [round(value, 3) for value in columns[names.EPOCH_SECONDS]]
            accuracy = [round(value, 4) for value in columns["monitor_accuracy"]]
            curves.append({"values": trial.params, "monitor_accuracy": accuracy, "epoch_seconds": seconds})
    return {"space": {k: distribution_to_json(v) for k, v in sorted(space.items())}, "curves": curves}


class Surrogate:
    """What a training of any values would have said, epoch by epoch."""

    def __init__(self) -> None:
        held = json.loads(RECORD.read_text())
        self.space = {name: json_to_distribution(text) for name, text in held["space"].items()}
        self.count = len(held["curves"])
        features = np.array([self._features(curve["values"]) for curve in held["curves"]])
        self.recorded = curves = np.array([curve["monitor_accuracy"] for curve in held["curves"]])
        seconds = np.array([curve["epoch_seconds"] for curve in held["curves"]])
        self._curves = _forest(features, curves)
        self._seconds = _forest(features, np.log(seconds))
        self._noise = curves - self._curves.oob_prediction_
        self.mean_seconds = float(seconds.sum(axis=1).mean())
        rng = np.random.default_rng(0)
        drawn = [self._features(self.draw(_Random(rng))) for _ in range(5000)]
        self.best = float(self._curves.predict(np.array(drawn)).max(axis=1).max())

    def draw(self, trial: Any) -> Values:
        """Ask a trial for every value that these networks have."""
        drawn: dict[str, Any] = {}
        for name, distribution in sorted(
            self.space.items(), key=lambda entry: entry[0] not in COUNTS.values()
        ):
            stem, _, number = name.rpartition("_")
            if stem not in COUNTS or int(number) <= drawn[COUNTS[stem]]:
                drawn[name] = _suggested(trial, name, distribution)
        return drawn

    def curve(self, values: Values, rng: np.random.Generator) -> np.ndarray:
        """Monitor accuracy by epoch, of shape (epochs,)."""
        noise = self._noise[rng.integers(len(self._noise))]
        return self._curves.predict(np.array([self._features(values)]))[0] + noise

    def seconds(self, values: Values) -> np.ndarray:
        """Seconds by epoch, of shape (epochs,)."""
        return np.exp(self._seconds.predict(np.array([self._features(values)]))[0])

    def truth(self, values: Values) -> float:
        """The best accuracy of a whole training, without noise."""
        return float(self._curves.predict(np.array([self._features(values)])).max())

    def _features(self, values: Values) -> list[float]:
        return [_number(values.get(name), distribution) for name, distribution in self.space.items()]


def _forest(features: np.ndarray, answers: np.ndarray) -> RandomForestRegressor:
    forest = RandomForestRegressor(200, oob_score=True, random_state=0, min_samples_leaf=2)
    return forest.fit(features, answers)


def _number(value: Any, distribution: BaseDistribution) -> float:
    if value is None:
        return -1.0
    if isinstance(distribution, CategoricalDistribution):
        return float(distribution.choices.index(value))
    logarithmic = isinstance(distribution, FloatDistribution) and distribution.log
    return float(np.log(value)) if logarithmic else float(value)


class _Random:
    """A trial that draws at random, for those that no search draws."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return choices[self._rng.integers(len(choices))]

    def suggest_int(self, name: str, low: int, high: int, **_: Any) -> int:
        return int(self._rng.integers(low, high + 1))

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float:
        if step:
            return low + step * float(self._rng.integers(round((high - low) / step) + 1))
        return (
            float(np.exp(self._rng.uniform(np.log(low), np.log(high))))
            if log
            else self._rng.uniform(low, high)
        )


def _suggested(trial: Any, name: str, distribution: BaseDistribution) -> Any:
    match distribution:
        case CategoricalDistribution():
            return trial.suggest_categorical(name, distribution.choices)
        case IntDistribution():
            return trial.suggest_int(name, distribution.low, distribution.high, log=distribution.log)
        case FloatDistribution():
            low, high = distribution.low, distribution.high
            return trial.suggest_float(name, low, high, step=distribution.step, log=distribution.log)
    raise TypeError(f"nothing is known of {distribution}")


@cache
def surrogate() -> Surrogate:
    """One for each process."""
    return Surrogate()


class Contest(NamedTuple):
    """A sampler and a pruner by the names that experiment files use."""

    sampler: str
    pruner: str
    options: tuple[tuple[str, Any], ...] = ()  # of the pruner
    sampler_options: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        return f"{self.sampler}{_listed(self.sampler_options)} | {self.pruner}{_listed(self.options)}"


def _listed(options: tuple[tuple[str, Any], ...]) -> str:
    return f" ({', '.join(f'{name} {value}' for name, value in options)})" if options else ""


CONTESTS = (
    *(Contest(sampler, "none") for sampler in ("random", "qmc", "nsga2", "tpe")),
    *(Contest("tpe", pruner) for pruner in ("median", "percentile", "patient", "hyperband")),
    Contest("tpe", "successive_halving"),
    Contest("tpe", "successive_halving", (("min_resource", 3), ("reduction_factor", 3))),
    Contest("tpe", "median", (("n_startup_trials", 4),), (("n_startup_trials", 8),)),
    Contest("random", "median"),
)
#: Of the time that random search takes for TRIALS whole trainings.
MOMENTS, TRIALS = (0.1, 0.25, 0.5, 1.0), 40


class Running(NamedTuple):
    """What a worker is at: ordered by the time when its next epoch ends."""

    at: float
    number: int
    trial: optuna.Trial
    values: Values
    curve: np.ndarray
    seconds: np.ndarray
    epoch: int


def replay(contest: Contest, seed: int) -> list[float]:
    """The regrets of one search at the moments."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    world, rng = surrogate(), np.random.default_rng(seed)
    sampler = make_sampler(contest.sampler, dict(contest.sampler_options), seed)
    pruner = make_pruner(contest.pruner, dict(contest.options), EPOCHS)
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
    budget = world.mean_seconds * TRIALS / WORKERS

    def begin(at: float) -> Running:
        trial = study.ask()
        values = world.draw(trial)
        curve, seconds = world.curve(values, rng), world.seconds(values)
        return Running(at + seconds[0], trial.number, trial, values, curve, seconds, 1)

    best, regrets = (-1.0, 0.0), []
    found: list[tuple[float, float]] = []  # seconds, regret of what is the best since then
    workers = [begin(0.0) for _ in range(WORKERS)]
    heapq.heapify(workers)
    while workers[0].at < budget:
        now = heapq.heappop(workers)
        score = float(now.curve[: now.epoch].max())
        if score > best[0]:
            best = (score, world.best - world.truth(now.values))
            found.append((now.at, best[1]))
        now.trial.report(float(now.curve[now.epoch - 1]), now.epoch)
        if now.epoch == EPOCHS:
            study.tell(now.trial, score)
            heapq.heappush(workers, begin(now.at))
        elif now.trial.should_prune():
            study.tell(now.trial, state=optuna.trial.TrialState.PRUNED)
            heapq.heappush(workers, begin(now.at))
        else:
            step = now._replace(at=now.at + now.seconds[now.epoch], epoch=now.epoch + 1)
            heapq.heappush(workers, step)
    for moment in MOMENTS:
        regrets.append([regret for at, regret in found if at <= moment * budget or at == found[0][0]][-1])
    return regrets


def main() -> None:
    """Record, or print the conditions and the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=("record", "replay"), default="replay")
    parser.add_argument("--trials", type=int, default=48, help="networks to record")
    parser.add_argument("--seeds", type=int, default=16, help="searches for each row")
    asked = parser.parse_args()
    if asked.what == "record":
        record(asked.trials)
        return
    world = surrogate()
    print(
        f"{world.count} recorded curves of {EPOCHS} epochs; {asked.seeds} searches a row, {WORKERS} workers, "
        f"as long as {TRIALS} whole trainings take; {platform.machine()}, {os.cpu_count()} cores.\n"
        "Regret in points of monitor accuracy, mean ± standard error, after a share of that time.\n"
    )
    print("| sampler | pruner | " + " | ".join(f"{moment:.0%}" for moment in MOMENTS) + " | mean |")
    print("|---|---|" + "---:|" * (len(MOMENTS) + 1))
    with ProcessPoolExecutor() as pool:
        for contest in CONTESTS:
            regrets = list(pool.map(replay, [contest] * asked.seeds, range(asked.seeds)))
            columns = [_spread(column) for column in zip(*regrets, strict=True)]
            mean = _spread([statistics.mean(row) for row in regrets])
            print(f"| {contest} | {' | '.join(columns)} | {mean} |", flush=True)
    print("\nRank correlation of the best accuracy after so many epochs with that of the whole training:\n")
    print("| " + " | ".join(map(str, range(1, EPOCHS + 1))) + " |")
    print("|" + "---:|" * EPOCHS)
    print("| " + " | ".join(f"{value:.2f}" for value in foretold(world.recorded)) + " |")


def foretold(curves: np.ndarray) -> list[float]:
    """How well the best so far ranks networks: Spearman's correlation with the best of the whole training.

    curves: accuracy of shape (networks, epochs). One number for each epoch.
    """
    so_far = np.maximum.accumulate(curves, axis=1)
    return [float(spearmanr(column, so_far[:, -1]).statistic) for column in so_far.T]


def _spread(values: Sequence[float]) -> str:
    points = [100 * value for value in values]
    return f"{statistics.mean(points):.2f} ± {statistics.stdev(points) / len(points) ** 0.5:.2f}"


if __name__ == "__main__":
    main()
