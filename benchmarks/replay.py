"""Samplers and pruners by what they have found when, on recorded learning curves replayed fast.

    python -m benchmarks.replay [--seeds 16]             three tables: six minutes

Each replay is a whole search on two workers, by the study's own samplers and pruners, on networks that answer
at once (`benchmarks.surrogate`), its clock counted, not waited for. Regret: how far the network that the
search would hand over lies below the best of 5,000 random ones, both without noise.
"""

import argparse
import heapq
import json
import os
import platform
import statistics
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import optuna
from optuna.trial import TrialState
from scipy.stats import spearmanr

from benchmarks.surrogate import EPOCHS, Surrogate, Values, surrogate
from search.explore import DUPLICATES_IN_A_ROW
from search.samplers import make_pruner, make_sampler

WORKERS = 2
#: Of the time that random search takes for TRIALS whole trainings.
MOMENTS, TRIALS = (0.1, 0.25, 0.5, 1.0), 40
Options = tuple[tuple[str, Any], ...]
#: A space of 162 networks, so that draws come twice.
SMALL: Options = (("conv_stages", 2), ("dense_layers", 1), ("recipe.learning_rate", 1e-3))


class Contest(NamedTuple):
    """How a search goes about it, by the names that experiment files use."""

    sampler: str = "tpe"
    pruner: str = "median"
    options: Options = ()  # of the pruner
    sampler_options: Options = ()
    fixed: Options = ()  # what all networks have
    patience: int = EPOCHS  # epochs without a better one
    repeats: bool = False  # whether what was drawn before is trained again

    def __str__(self) -> str:
        return f"{self.sampler}{_listed(self.sampler_options)} | {self.pruner}{_listed(self.options)}"


def _listed(options: Options) -> str:
    return f" ({', '.join(f'{name} {value}' for name, value in options)})" if options else ""


CONTESTS = (
    *(Contest(sampler, "none") for sampler in ("random", "qmc", "nsga2", "tpe")),
    *(Contest("tpe", pruner) for pruner in ("median", "percentile", "patient", "hyperband")),
    Contest("tpe", "successive_halving"),
    Contest("tpe", "successive_halving", (("min_resource", 3), ("reduction_factor", 3))),
    Contest("tpe", "median", (("n_startup_trials", 4),), (("n_startup_trials", 8),)),
    Contest("random", "median"),
)
_WHOLE = Contest(patience=3)
PARTS = {
    "nothing": _WHOLE,
    "pruning": _WHOLE._replace(pruner="none"),
    "TPE (random draws)": _WHOLE._replace(sampler="random"),
    "early stopping": _WHOLE._replace(patience=EPOCHS),
    "nothing, among 162 networks": _WHOLE._replace(fixed=SMALL),
    "refusal of repeats, among 162 networks": _WHOLE._replace(fixed=SMALL, repeats=True),
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
        self.world: Surrogate = surrogate()
        self.budget = self.world.mean_seconds * TRIALS / WORKERS
        self.seen: list[Seen] = []
        self._rng = np.random.default_rng(seed)
        self._known: dict[str, float] = {}  # what was trained to its end -> its score
        self._study = optuna.create_study(
            direction="maximize",
            sampler=make_sampler(contest.sampler, dict(contest.sampler_options), seed),
            pruner=make_pruner(contest.pruner, dict(contest.options), EPOCHS),
        )
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
            score = float(now.curve[: now.epoch].max())
            if not self.seen or score > self.seen[-1].score:
                self.seen.append(Seen(now.at, score, now.values))
            now.trial.report(float(now.curve[now.epoch - 1]), now.epoch)
            if now.over(self.contest.patience):
                self._known[_key(now.values)] = score
                self._study.tell(now.trial, score)
            elif now.trial.should_prune():
                self._known[_key(now.values)] = float("nan")
                self._study.tell(now.trial, state=TrialState.PRUNED)
            else:
                step = now._replace(at=now.at + now.seconds[now.epoch], epoch=now.epoch + 1)
                heapq.heappush(workers, step)
                continue
            self._begin(workers, now.at)

    def _begin(self, workers: list[Running], at: float) -> None:
        """Let a worker train the next draw. A known one costs nothing; too many in a row end the search."""
        for _ in range(DUPLICATES_IN_A_ROW):
            trial = self._study.ask()
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
    parser.add_argument("--seeds", type=int, default=16, help="searches for each row")
    asked = parser.parse_args()
    print(
        f"{surrogate().count} recorded curves of {EPOCHS} epochs; {asked.seeds} searches a row, "
        f"{WORKERS} workers, as long as {TRIALS} whole trainings take; {platform.machine()}, "
        f"{os.cpu_count()} cores.\n"
        "Regret in points of monitor accuracy, mean ± standard error, after a share of that time."
    )
    with ProcessPoolExecutor() as pool:
        for title, rows in (
            ("sampler | pruner", {str(contest): contest for contest in CONTESTS}),
            ("without", PARTS),
        ):
            print(f"\n| {title} | " + " | ".join(f"{moment:.0%}" for moment in MOMENTS) + " | mean |")
            print("|---" * len(title.split(" | ")) + "|" + "---:|" * (len(MOMENTS) + 1))
            for name, contest in rows.items():
                told = list(pool.map(regrets, [contest] * asked.seeds, range(asked.seeds)))
                cells = [_spread(column) for column in zip(*told, strict=True)]
                mean = _spread([statistics.mean(row) for row in told])
                print(f"| {name} | {' | '.join(cells)} | {mean} |", flush=True)
    print("\nRank correlation of the best accuracy after so many epochs with that of the whole training:\n")
    print("| " + " | ".join(map(str, range(1, EPOCHS + 1))) + " |")
    print("|" + "---:|" * EPOCHS)
    print("| " + " | ".join(f"{value:.2f}" for value in foretold(surrogate().recorded)) + " |")


def _spread(values: Sequence[float]) -> str:
    points = [100 * value for value in values]
    return f"{statistics.mean(points):.2f} ± {statistics.stdev(points) / len(points) ** 0.5:.2f}"


if __name__ == "__main__":
    main()
