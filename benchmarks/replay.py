"""Samplers and pruners by what they have found when, on recorded learning curves replayed fast.

    python -m benchmarks.replay [TABLE ...] [--seeds 40]       all tables: half an hour
    python -m benchmarks.replay parts fidelity beginnings      these: ten minutes

Each replay is a whole search on two workers, by the study's own samplers and pruners, on networks that answer
at once (`benchmarks.surrogate`), its clock counted, not waited for. Regret: how far the network that the
search would hand over lies below the best of 5,000 random ones, both without noise. The last column is the
difference of the means to the first row of the table, seed by seed.
"""

import argparse
import heapq
import json
import os
import platform
import statistics
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from typing import NamedTuple

import numpy as np
import optuna
from optuna.trial import TrialState
from scipy.stats import spearmanr

from benchmarks.contests import OTHER, TABLES, WHOLE, Contest
from benchmarks.surrogate import EPOCHS, Surrogate, Values, surrogate
from search.study.explore import DUPLICATES_IN_A_ROW
from search.study.samplers import make_pruner, make_sampler
from search.tracking import names

WORKERS = 2
#: Shares of a search's time at which it is looked at.
MOMENTS = (0.1, 0.25, 0.5, 1.0)
#: The architecture that people know, as far as this space goes: `plain_cnn.published_2`.
BASELINE: Values = {
    "conv_stages": 4,
    **{f"kernels_{stage}": 64 for stage in range(1, 5)},
    "dense_layers": 2,
    **{"neurons_1": 256, "neurons_2": 256},
    **{"batch_norm": False, "dropout": 0.2, "recipe.learning_rate": 1e-3},
}


class Running(NamedTuple):
    """What a worker is at: ordered by the time when its next epoch ends."""

    at: float
    number: int
    trial: optuna.Trial
    values: Values
    curve: np.ndarray
    seconds: np.ndarray
    epoch: int

    @property
    def score(self) -> float:
        """The best so far."""
        return float(self.curve[: self.epoch].max())

    def next(self, at: float) -> "Running":
        """One epoch on, begun at that time."""
        return self._replace(at=at + self.seconds[self.epoch], epoch=self.epoch + 1)

    def over(self, patience: int) -> bool:
        """Whether its training is: at its last epoch, or so many after its best."""
        return self.epoch == EPOCHS or self.epoch - 1 - self.curve[: self.epoch].argmax() >= patience


class Seen(NamedTuple):
    """A network that became the best there was, and when."""

    at: float
    score: float
    values: Values


class Replay:
    """One search; what it saw is in `seen`."""

    def __init__(self, contest: Contest, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        self.contest = contest
        self.world: Surrogate = surrogate(contest.images)
        self.budget = self.world.mean_seconds * contest.length / WORKERS
        self.seen: list[Seen] = []
        self._rng = np.random.default_rng(seed)
        self._known: dict[str, float] = {}  # what was trained to its end -> its score
        self._study = optuna.create_study(
            direction="maximize",
            sampler=make_sampler(contest.sampler, dict(contest.sampler_options), seed),
            pruner=make_pruner(contest.pruner, dict(contest.options), EPOCHS),
        )
        for slot, values in enumerate(_first(contest, seed)):
            self._study.enqueue_trial(dict(values), {"slot": slot})
        self._run()

    def regrets(self) -> list[float]:
        """At each of the moments; before anything is known, that of what is known first."""
        best = self.world.best(self.contest.fixed)
        latest = [
            [seen for seen in self.seen if seen.at <= moment * self.budget or seen is self.seen[0]][-1]
            for moment in MOMENTS
        ]
        return [best - self.world.truth(seen.values) for seen in latest]

    def _run(self) -> None:
        workers: list[Running] = []
        for _ in range(WORKERS):
            self._begin(workers, 0.0)
        while workers and workers[0].at < self.budget:
            now = heapq.heappop(workers)
            if not self.seen or now.score > self.seen[-1].score:
                self.seen.append(Seen(now.at, now.score, now.values))
            if self._ends(now):
                self._begin(workers, now.at)
            else:
                heapq.heappush(workers, now.next(now.at))

    def _ends(self, now: Running) -> bool:
        """Whether its training does, after this epoch; the study is told."""
        now.trial.report(float(now.curve[now.epoch - 1]), now.epoch)
        if now.over(self.contest.patience):
            self._known[_key(now.values)] = now.score
            self._tell(now, names.COMPLETE)
        elif now.trial.should_prune():
            self._known[_key(now.values)] = float("nan")
            self._tell(now, names.PRUNED)
        else:
            return False
        return True

    def _tell(self, now: Running, state: str) -> None:
        now.trial.set_user_attr("state", state)
        score, pruned = (None, TrialState.PRUNED) if state == names.PRUNED else (now.score, None)
        self._study.tell(now.trial, score, pruned)

    def _begin(self, workers: list[Running], at: float) -> None:
        """Let a worker train the next draw. A known one costs nothing; too many in a row end the search."""
        for _ in range(DUPLICATES_IN_A_ROW):
            trial = self._study.ask()
            trial.set_user_attr("slot", trial.number)
            values = self.world.draw(trial, dict(self.contest.fixed))
            score = self._known.get(_key(values))
            if score is None or self.contest.repeats:
                curve, seconds = self.world.curve(values, self._rng), self.world.seconds(values)
                running = Running(at + seconds[0], trial.number, trial, values, curve, seconds, 1)
                heapq.heappush(workers, running)
                return
            known = score == score
            self._study.tell(trial, score if known else None, None if known else TrialState.FAIL)


def _key(values: Values) -> str:
    return json.dumps(values, sort_keys=True)


def _first(contest: Contest, seed: int) -> Iterator[Values]:
    """What is trained before anything is drawn."""
    if contest.baseline:
        yield BASELINE
    if contest.leads:
        there = Replay(WHOLE._replace(images=OTHER[contest.images], baseline=True), 1000 + seed)
        trials = [trial for trial in there._study.trials if trial.state == TrialState.COMPLETE]
        for trial in sorted(trials, key=lambda trial: -float(trial.values[0]))[: contest.leads]:
            yield trial.params


def regrets(contest: Contest, seed: int) -> list[float]:
    """Those of one search at the moments."""
    return Replay(contest, seed).regrets()


def foretold(curves: np.ndarray) -> list[float]:
    """How well the best so far ranks networks: Spearman's correlation with the best of the whole training.

    curves: accuracy of shape (networks, epochs). One number for each epoch.
    """
    so_far = np.maximum.accumulate(curves, axis=1)
    return [float(spearmanr(column, so_far[:, -1]).statistic) for column in so_far.T]


def main() -> None:
    """Print the conditions and the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", nargs="*", help=f"those whose names begin so: {', '.join(TABLES)}")
    parser.add_argument("--seeds", type=int, default=40, help="searches for each row")
    asked = parser.parse_args()
    wanted = {name: table for name, table in TABLES.items() if name.startswith(tuple(asked.tables or [""]))}
    if not wanted:
        parser.error(f"there is no such table: they are {', '.join(TABLES)}")
    print(
        f"{surrogate('faces').count} recorded curves of {EPOCHS} epochs; {asked.seeds} searches a row, "
        f"{WORKERS} workers; {platform.machine()}, {os.cpu_count()} cores.\n"
        "Regret in points of monitor accuracy, mean ± standard error, after a share of the time that so many "
        "whole trainings take."
    )
    with ProcessPoolExecutor() as pool:
        for heading, rows in wanted.values():
            _print_table(pool, heading, rows, asked.seeds)
    if not asked.tables:
        _print_correlations()


def _print_table(pool: Executor, heading: str, rows: dict[str, Contest], seeds: int) -> None:
    length = next(iter(rows.values())).length
    columns = [f"{moment:.0%} of {length}" for moment in MOMENTS] + ["mean", "difference"]
    print(f"\n| {heading} | {' | '.join(columns)} |")
    print("|---" * len(heading.split(" | ")) + "|" + "---:|" * len(columns))
    first: list[float] = []
    for name, contest in rows.items():
        told = list(pool.map(regrets, [contest] * seeds, range(seeds)))
        means = [statistics.mean(row) for row in told]
        cells = [*(_spread(column) for column in zip(*told, strict=True)), _spread(means)]
        cells += [_spread([mean - other for mean, other in zip(means, first, strict=True)]) if first else ""]
        first = first or means
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def _print_correlations() -> None:
    print("\nRank correlation of the best accuracy after so many epochs with that of the whole training:\n")
    print("| " + " | ".join(["", *map(str, range(1, EPOCHS + 1))]) + " |")
    print("|---|" + "---:|" * EPOCHS)
    for images in OTHER:
        cells = [f"{value:.2f}" for value in foretold(surrogate(images).recorded)]
        print(f"| {images} | {' | '.join(cells)} |")


def _spread(values: Sequence[float]) -> str:
    points = [100 * value for value in values]
    return f"{statistics.mean(points):.2f} ± {statistics.stdev(points) / len(points) ** 0.5:.2f}"


if __name__ == "__main__":
    main()
