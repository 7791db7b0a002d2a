"""Studies whose truth is known: do the intervals cover, are false winners rare, are true differences found?

    python -m benchmarks.statistics_simulation [--studies 400] [--workers 2]

Every study draws new images, new candidates and new seeds (`simulated_studies.py`) and goes through the
functions that the report calls; whole studies go all the way through `compare` and `decide`. Two worlds, both
with 3,589 validation images and 67% accuracy: `usual`, what small networks on FER-2013 are taken to show, and
`noisy`, with more of every noise.
"""

import argparse
import functools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np

from benchmarks.simulated_studies import (
    CLASSES,
    IMAGES,
    RULE,
    Floats,
    Labels,
    Plan,
    World,
    concluded,
    guesses,
    leaders_of,
)
from reports import statistics

CHUNK = 50  # studies a process does at a time


USUAL = World("usual")
NOISY = World("noisy", seed_sd=0.0085, same=0.25, other=0.29)


@dataclass(frozen=True)
class Finding:
    """One line of the table: what was measured, under which conditions, what is wanted, what came out."""

    what: str
    conditions: str
    wanted: str
    measured: str


# One study each: a seeded generator in, numbers out.


def one_pair(world: World, seeds: int, gap: float, random: np.random.Generator) -> Floats:
    """Difference covered, accuracy covered, found at the first look, found at alpha itself."""
    truth = world.accuracy + np.array([gap / 2.0, -gap / 2.0])
    right = world.draw(truth, seeds, random)
    difference = statistics.paired_difference(right[0], right[1])
    accuracy = statistics.accuracy_interval(right[0])
    return np.array(
        [
            difference.low <= gap <= difference.high,
            accuracy.low <= truth[0] <= accuracy.high,
            difference.p < statistics.alpha_of_look(1) and difference.estimate * gap >= 0.0,
            difference.p < RULE.alpha and difference.estimate * gap >= 0.0,
        ],
        dtype=np.float64,
    )


def one_extended(world: World, random: np.random.Generator) -> Floats:
    """Two equal candidates seen with 5, 10 and 20 seeds: claimed at alpha / 2^k, claimed at alpha each."""
    right = world.draw(np.full(2, world.accuracy), 20, random)
    p = np.array([statistics.paired_difference(right[0, :s], right[1, :s]).p for s in (5, 10, 20)])
    spent = np.array([statistics.alpha_of_look(look) for look in (1, 2, 3)])
    return np.array([(p < spent).any(), (p < RULE.alpha).any()], dtype=np.float64)


def one_study(world: World, plan: Plan, random: np.random.Generator) -> Floats:
    """What a study says, one number for each of WHOLE_STUDY; NaN where that is no question."""
    accuracies = np.array(plan.truth)
    if plan.explored:
        accuracies = accuracies[: leaders_of(world, plan.explored, len(plan.truth), random)]
    if len(accuracies) < 2:
        return np.full(len(WHOLE_STUDY), np.nan)
    comparison, verdict = concluded(world.draw(accuracies, plan.seeds, random, plan.unsteady), random)
    true = {f"{index}": accuracy for index, accuracy in enumerate(accuracies)}
    top = max(true.values())
    worse = [one.candidate for one in verdict.judgements if one.relation == "worse"]
    lower = [name for name, accuracy in true.items() if accuracy < top]
    rightly = plan.one_is_best and verdict.winner is not None and true[verdict.winner] == top
    wrongly = verdict.winner is not None and not rightly
    tied = {row.candidate for row in comparison.rows if row.tied_for_best}
    covered = [
        pair.difference.low <= true[pair.a] - true[pair.b] <= pair.difference.high
        for pair in comparison.pairs.values()
    ]
    return np.array(
        [
            comparison.rows[0].score > comparison.rows[1].score,
            wrongly,
            wrongly or any(true[name] >= true[verdict.best] for name in worse),
            any(accuracy == top and name not in tied for name, accuracy in true.items()),
            np.mean(covered),
            np.mean([name in worse for name in lower]) if lower else np.nan,
            rightly if plan.one_is_best else np.nan,
        ],
        dtype=np.float64,
    )


#: What one_study tells, and what is wanted of it.
WHOLE_STUDY = (
    ("winner drawn by the highest score", ""),
    ("winner claimed wrongly", "at most 5 %"),
    ("anything claimed wrongly", "at most 5 %"),
    ("a best one is missing from the tied set", "at most 5 %"),
    ("interval of a difference covers, all pairs", ""),
    ("a lower one is called worse", ""),
    ("winner claimed rightly", ""),
)


def one_selection(world: World, random: np.random.Generator) -> Floats:
    """Ten similar candidates: the winner's apparent, corrected and shrunk accuracy minus its true one."""
    truth = world.accuracy + 0.003 * random.standard_normal(10)
    right = world.draw(truth, 5, random)
    comparison, _ = concluded(right, random)
    row, selection = comparison.best, comparison.selection
    assert selection is not None
    own = truth[int(row.candidate)]
    return np.array([row.val_accuracy - own, selection.corrected - own, row.val_accuracy_shrunk - own])


def one_nonlinear(world: World, seeds: int, random: np.random.Generator) -> Floats:
    """Covered: macro F1's difference of two equals (influence, crossed bootstrap); relative overfit."""
    right = world.draw(np.full(2, world.accuracy), seeds, random)
    labels, predictions = guesses(right, random)
    by_image = [statistics.macro_f1_by_image(labels, own, CLASSES) for own in predictions]
    influence = statistics.paired_difference(by_image[0], by_image[1])
    draws = [
        statistics.crossed_bootstrap(
            functools.partial(_macro_f1, labels, own), seeds, IMAGES, resamples=300, seed=int(labels.sum())
        )
        for own in predictions
    ]
    low, high = statistics.percentile_interval(draws[0] - draws[1])
    train = world.draw(np.array([0.8]), seeds, random)[0].mean(axis=1)
    overfit = statistics.relative_overfit(labels, predictions[0], train, CLASSES)
    truth = (0.8 - world.accuracy) / (1.0 - 1.0 / CLASSES - 0.2)
    return np.array(
        [influence.low <= 0.0 <= influence.high, low <= 0.0 <= high, overfit.low <= truth <= overfit.high],
        dtype=np.float64,
    )


def _macro_f1(labels: Labels, predictions: Labels, weights: Floats) -> Floats:
    return statistics.macro_f1(labels, predictions, CLASSES, weights)


# Many studies, summed up.

Study = Callable[[np.random.Generator], Floats]


@dataclass(frozen=True)
class Experiment:
    """A kind of study, how often it is repeated (in units of --studies), and how to read its numbers."""

    study: Study
    times: int
    read: Callable[[Floats], list[Finding]]


def repeated(study: Study, first: int, last: int) -> Floats:
    """Numbers of independent studies, (studies, numbers)."""
    return np.stack([study(np.random.default_rng(index)) for index in range(first, last)])


def findings(experiments: Sequence[Experiment], studies: int, workers: int) -> Iterator[Finding]:
    """The table's lines."""
    with ProcessPoolExecutor(workers) as pool:
        parts = [
            [
                pool.submit(repeated, one.study, first, min(first + CHUNK, one.times * studies))
                for first in range(0, one.times * studies, CHUNK)
            ]
            for one in experiments
        ]
        for experiment, futures in zip(experiments, parts, strict=True):
            yield from experiment.read(np.concatenate([future.result() for future in futures]))


def percent(values: Floats) -> str:
    """A share in percent with its own standard error."""
    share = float(np.nanmean(values))
    error = np.sqrt(share * (1.0 - share) / np.isfinite(values).sum())
    return f"{100.0 * share:.1f} ± {100.0 * error:.1f} %"


def points(values: Floats) -> str:
    """A mean in points of accuracy with its standard error."""
    return f"{100.0 * values.mean():+.2f} ± {100.0 * values.std() / np.sqrt(len(values)):.2f} points"


def pairs(world: World, seeds: int) -> Experiment:
    """Equal pairs: coverage and false winners."""
    wanted = "90 to 97 %" if seeds < 5 else "93 to 97 %"
    where = f"{world.name}, {seeds} seeds"

    def read(numbers: Floats) -> list[Finding]:
        return [
            Finding("interval of a difference covers", where, wanted, percent(numbers[:, 0])),
            Finding("interval of an accuracy covers", where, wanted, percent(numbers[:, 1])),
            Finding("winner claimed of two equal", where, "at most 5 %", percent(numbers[:, 2])),
        ]

    return Experiment(functools.partial(one_pair, world, seeds, 0.0), 3, read)


def power(world: World, seeds: int, gap: float, wanted: str, at_once: str = "") -> Experiment:
    """Unequal pairs: how often the difference is found; at_once: what is wanted at the full 5%."""

    def read(numbers: Floats) -> list[Finding]:
        where = f"{world.name}, {seeds} seeds, {100 * gap:.1f} points"
        return [
            Finding("difference found, first look", where, wanted, percent(numbers[:, 2])),
            Finding("difference found, all error spent at once", where, at_once, percent(numbers[:, 3])),
        ]

    return Experiment(functools.partial(one_pair, world, seeds, gap), 3, read)


def whole(world: World, plan: Plan) -> Experiment:
    """Whole studies: who is claimed to win, and who is."""

    def read(numbers: Floats) -> list[Finding]:
        where = f"{world.name}, {plan.what}, {plan.seeds} seeds"
        return [
            Finding(what, where, wanted, percent(column))
            for (what, wanted), column in zip(WHOLE_STUDY, numbers.T, strict=True)
            if np.isfinite(column).any()
        ]

    return Experiment(functools.partial(one_study, world, plan), 1, read)


def looks(world: World) -> Experiment:
    """A study of two equals, extended twice."""

    def read(numbers: Floats) -> list[Finding]:
        where = f"{world.name}, looks at 5, 10, 20 seeds"
        return [
            Finding("winner claimed of two equal", where, "at most 5 %", percent(numbers[:, 0])),
            Finding("the same at 5 % a look", where, "", percent(numbers[:, 1])),
        ]

    return Experiment(functools.partial(one_extended, world), 3, read)


def selection(world: World) -> Experiment:
    """What the winner's score owes to luck."""

    def read(numbers: Floats) -> list[Finding]:
        where = f"{world.name}, ten candidates (sd 0.3 points), 5 seeds"
        names = ("apparent", "bias-corrected", "shrunk")
        return [
            Finding(f"winner's {name} accuracy minus its true one", where, wanted, points(column))
            for name, wanted, column in zip(names, ("", "not above 0", "about 0"), numbers.T, strict=True)
        ]

    return Experiment(functools.partial(one_selection, world), 1, read)


def nonlinear(world: World, seeds: int) -> Experiment:
    """What is not a mean over images."""

    def read(numbers: Floats) -> list[Finding]:
        where = f"{world.name}, {seeds} seeds"
        return [
            Finding("macro F1's difference covers (influence)", where, "93 to 97 %", percent(numbers[:, 0])),
            Finding("macro F1's difference covers (crossed bootstrap)", where, "", percent(numbers[:, 1])),
            Finding("relative overfit covers", where, "93 to 97 %", percent(numbers[:, 2])),
        ]

    return Experiment(functools.partial(one_nonlinear, world, seeds), 1, read)


def all_experiments() -> list[Experiment]:
    """What the table shows."""
    level = USUAL.accuracy
    lower = (level - 0.02,) * 4
    return [
        *(pairs(world, seeds) for world in (USUAL, NOISY) for seeds in (3, 4, 5, 10, 20, 30)),
        power(USUAL, 10, 0.02, "at least 95 %"),
        power(USUAL, 10, 0.015, "at least 75 %"),
        power(USUAL, 5, 0.02, ""),
        power(USUAL, 5, 0.015, ""),
        # A first look spends half of the error, which this much noise does not forgive.
        power(NOISY, 10, 0.02, "", "at least 95 %"),
        power(NOISY, 10, 0.015, "", "at least 75 %"),
        looks(USUAL),
        whole(NOISY, Plan("five equal", (level,) * 5, 3)),
        whole(USUAL, Plan("five equal", (level,) * 5, 10)),
        whole(NOISY, Plan("the leaders of forty equal", (level,) * 5, 5, explored=40)),
        whole(NOISY, Plan("five equal, one three times as unsteady", (level,) * 5, 5, unsteady=3.0)),
        whole(USUAL, Plan("two equal, three 2 points lower", (level, level, *lower[:3]), 10)),
        whole(USUAL, Plan("one best, four 2 points lower", (level, *lower), 10)),
        selection(USUAL),
        nonlinear(USUAL, 10),
    ]


def description(world: World) -> str:
    """The world in one line, as it is drawn."""
    return (
        f"{world.name}: accuracy {world.accuracy:.0%}, {100 * world.seed_sd:.2f} points between seeds, two "
        f"seeds of a candidate differ on {world.same:.0%} of the images, two candidates on {world.other:.0%}"
    )


def main() -> None:
    """Print the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--studies", type=int, default=400, help="whole studies a line; pairs: three times as many"
    )
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    started = time.perf_counter()
    for world in (USUAL, NOISY):
        print(f"- {description(world)}")
    print("\n| what | studies | wanted | measured |\n|---|---|---|---|")
    for one in findings(all_experiments(), chosen.studies, chosen.workers):
        print(f"| {one.what} | {one.conditions} | {one.wanted} | {one.measured} |", flush=True)
    spent = os.times()
    seconds, processor = time.perf_counter() - started, spent.user + spent.children_user
    print(f"\n{chosen.studies} studies a line, {3 * chosen.studies} pairs.", end=" ")
    print(f"{seconds:.0f} s, of one processor {processor:.0f} s.")


if __name__ == "__main__":
    main()
