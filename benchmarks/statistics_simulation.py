"""Studies whose truth is known: do the intervals cover, are false winners rare, are true differences found?

    python benchmarks/statistics_simulation.py [--studies 400] [--workers 2]

Every study draws new images, new candidates and new seeds, and goes through the functions that the report
calls; the winners go all the way through `compare` and `decide`. A network is right on an image when

    quality + difficulty[image] + taste[candidate, image] + luck[candidate, seed] + chance > 0,

all four normal. Difficulty is shared by all candidates, so their errors are correlated; with normal parts the
true accuracy, the share of images on which two networks disagree and the spread between seeds are known
exactly, and are set to what is seen on FER-2013 (3,589 validation images): `usual`, and `noisy` with more of
each.
"""

import argparse
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq
from scipy.special import owens_t

from reports import statistics
from reports.comparison import Comparison, Evaluation, Rule, compare
from reports.verdict import Verdict, decide

Floats = NDArray[np.float64]
IMAGES, CLASSES = 3589, 7
MONITOR = 2871  # a tenth of FER-2013's training images
RULE = Rule()
CHUNK = 50  # studies a process does at a time


@dataclass(frozen=True)
class World:
    """How noisy networks are: shares of images and of accuracy."""

    name: str
    accuracy: float = 0.67
    seed_sd: float = 0.006  # of accuracy on one validation set, between seeds of one candidate
    same: float = 0.22  # images on which two seeds of one candidate differ in being right
    other: float = 0.24  # the same for two candidates

    @functools.cached_property
    def parts(self) -> tuple[float, float, float, float]:
        """Standard deviations of difficulty, taste, luck and chance; their squares sum to one."""
        level = stats.norm.ppf(self.accuracy)
        within, between = _correlation(level, self.same), _correlation(level, self.other)
        luck = np.sqrt(max(self.seed_sd**2 - self.same / 2.0 / IMAGES, 0.0)) / stats.norm.pdf(level)
        return np.sqrt(between), np.sqrt(within - between), luck, np.sqrt(1.0 - within - luck**2)

    def draw(self, accuracies: Floats, seeds: int, random: np.random.Generator) -> Floats:
        """Right answers (candidates, seeds, images) of candidates with these true accuracies."""
        difficulty, own, luck, chance = self.parts
        size = (len(accuracies), seeds, IMAGES)
        latent = chance * random.standard_normal(size, dtype=np.float32)
        latent += luck * random.standard_normal((*size[:2], 1), dtype=np.float32)
        latent += own * random.standard_normal((size[0], 1, IMAGES), dtype=np.float32)
        latent += difficulty * random.standard_normal(IMAGES, dtype=np.float32)
        latent += stats.norm.ppf(accuracies).astype(np.float32)[:, None, None]
        return (latent > 0).astype(np.float64)


def _correlation(level: float, disagreement: float) -> float:
    """Of two normal variables that lie on two sides of the level with this probability (Owen 1956)."""

    def excess(correlation: float) -> float:
        return float(4.0 * owens_t(level, np.sqrt((1.0 - correlation) / (1.0 + correlation))) - disagreement)

    return float(brentq(excess, 0.01, 0.999))


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


def one_study(
    world: World, truth: tuple[float, ...], seeds: int, random: np.random.Generator, explored: int = 0
) -> Floats:
    """False winner, any false claim, tied set without a best one, share of truly lower ones called worse."""
    accuracies = np.array(truth)
    if explored:
        accuracies = np.full(len(leaders_of(world, explored, len(truth), random)), world.accuracy)
    comparison, verdict = concluded(world.draw(accuracies, seeds, random), random)
    if len(accuracies) == 1:
        return np.array([0.0, 0.0, 0.0, np.nan])
    true = {f"{index}": accuracy for index, accuracy in enumerate(accuracies)}
    top = max(true.values())
    unique = sum(value == top for value in true.values()) == 1
    worse = [one.candidate for one in verdict.judgements if one.relation == "worse"]
    false_winner = verdict.winner is not None and not (unique and true[verdict.winner] == top)
    false_worse = any(true[name] >= true[verdict.best] for name in worse)
    tied = {row.candidate for row in comparison.rows if row.tied_for_best}
    missed = any(value == top and name not in tied for name, value in true.items())
    lower = [name for name, value in true.items() if value < top]
    found = np.mean([name in worse for name in lower]) if lower else np.nan
    return np.array([false_winner, false_winner or false_worse, missed, found], dtype=np.float64)


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


def _macro_f1(labels: NDArray[np.int64], predictions: NDArray[np.int64], weights: Floats) -> Floats:
    return statistics.macro_f1(labels, predictions, CLASSES, weights)


def leaders_of(world: World, explored: int, most: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Who is confirmed: within one standard error of the best on monitor, one seed each, other images."""
    right = world.draw(np.full(explored, world.accuracy), 1, random)[:, 0, :MONITOR]
    scores = right.mean(axis=1)
    best = scores.max()
    near = np.flatnonzero(scores >= best - np.sqrt(best * (1.0 - best) / MONITOR))
    return near[np.argsort(-scores[near])][:most]


def guesses(right: Floats, random: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Labels (images,) and predicted classes, wrong ones spread evenly, shaped like `right`."""
    labels = random.integers(CLASSES, size=IMAGES)
    wrong = (labels + random.integers(1, CLASSES, size=right.shape)) % CLASSES
    return labels, np.where(right > 0.5, labels, wrong)


def concluded(right: Floats, random: np.random.Generator) -> tuple[Comparison, Verdict]:
    """The report's own way from predictions to a verdict; candidate names are their indices."""
    labels, predictions = guesses(right, random)
    sure = np.eye(CLASSES, dtype=np.float32)
    ids, groups, twins = np.arange(IMAGES).astype(str), np.arange(IMAGES), np.zeros(IMAGES, dtype=np.bool_)
    evaluations = [
        Evaluation(
            candidate=f"{index}",
            architecture=f"{index}",
            label=f"network {index}",
            family="plain_cnn",
            variant="",
            seed=seed,
            parameters=1_000_000 + index,
            baseline=False,
            ids=ids,
            labels=labels,
            probabilities=sure[predictions[index, seed]],
            groups=groups,
            has_twin=twins,
            train_clean_accuracy=0.75,
        )
        for index in range(right.shape[0])
        for seed in range(right.shape[1])
    ]
    comparison = compare(evaluations, RULE)
    return comparison, decide(comparison, RULE)


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


def power(world: World, seeds: int, gap: float, wanted: str) -> Experiment:
    """Unequal pairs: how often the difference is found."""

    def read(numbers: Floats) -> list[Finding]:
        where = f"{world.name}, {seeds} seeds, {100 * gap:.1f} points"
        return [
            Finding("difference found, first look", where, wanted, percent(numbers[:, 2])),
            Finding("difference found, all error spent at once", where, "", percent(numbers[:, 3])),
        ]

    return Experiment(functools.partial(one_pair, world, seeds, gap), 3, read)


def equals(world: World, truth: tuple[float, ...], seeds: int, what: str, explored: int = 0) -> Experiment:
    """Whole studies with more than one best candidate: who is claimed to win."""

    def read(numbers: Floats) -> list[Finding]:
        where = f"{world.name}, {what}, {seeds} seeds"
        lines = [
            Finding("winner drawn by the highest score", where, "", "100 %"),
            Finding("winner claimed", where, "at most 5 %", percent(numbers[:, 0])),
            Finding("anything false claimed", where, "at most 5 %", percent(numbers[:, 1])),
            Finding("a best one is missing from the tied set", where, "at most 5 %", percent(numbers[:, 2])),
        ]
        if np.isfinite(numbers[:, 3]).any():
            lines.append(Finding("a lower one is called worse", where, "", percent(numbers[:, 3])))
        return lines

    return Experiment(functools.partial(one_study, world, truth, seeds, explored=explored), 1, read)


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
    return [
        *(pairs(world, seeds) for world in (USUAL, NOISY) for seeds in (3, 4, 5, 10, 20, 30)),
        power(USUAL, 10, 0.02, "at least 95 %"),
        power(USUAL, 10, 0.015, "at least 75 %"),
        power(USUAL, 5, 0.02, ""),
        power(USUAL, 5, 0.015, ""),
        power(NOISY, 10, 0.02, "at least 95 %"),
        power(NOISY, 10, 0.015, "at least 75 %"),
        looks(USUAL),
        equals(NOISY, (level,) * 5, 3, "five equal"),
        equals(USUAL, (level,) * 5, 10, "five equal"),
        equals(NOISY, (level,) * 5, 5, "the leaders of forty equal", explored=40),
        equals(
            USUAL,
            (level, level, level - 0.02, level - 0.02, level - 0.02),
            10,
            "two equal, three 2 points lower",
        ),
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
    seconds = time.perf_counter() - started
    print(f"\n{chosen.studies} studies a line, {3 * chosen.studies} pairs; {seconds:.0f} s.")


if __name__ == "__main__":
    main()
