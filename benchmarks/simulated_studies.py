"""Studies drawn from a truth that is known.

A network is right on an image when

    quality + difficulty[image] + taste[candidate, image] + luck[candidate, seed] + chance > 0,

all five normal or fixed. Difficulty is shared by all candidates, so their errors are correlated; with normal
parts the true accuracy, the share of images on which two networks disagree and the spread between seeds are
known exactly.
"""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq
from scipy.special import owens_t

from reports.inference.comparison import (
    Comparison,
    Evaluation,
    Rule,
    compare,
)
from reports.inference.verdict import Verdict, decide

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
IMAGES, CLASSES = 3589, 7
MONITOR = 2871  # a tenth of FER-2013's training images
RULE = Rule()


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

    def draw(
        self, accuracies: Floats, seeds: int, random: np.random.Generator, unsteady: float = 1.0
    ) -> Floats:
        """Right answers (candidates, seeds, images) of candidates with these true accuracies.

        unsteady: how many times more the first candidate's luck varies than that of the others.
        """
        difficulty, own, luck, chance = self.parts
        size = (len(accuracies), seeds, IMAGES)
        lucks = np.full(len(accuracies), luck)
        lucks[0] *= unsteady
        spread = np.sqrt(1.0 + lucks**2 - luck**2)  # keeps the true accuracy what it should be
        latent = chance * random.standard_normal(size, dtype=np.float32)
        latent += _column(lucks) * random.standard_normal((*size[:2], 1), dtype=np.float32)
        latent += own * random.standard_normal((size[0], 1, IMAGES), dtype=np.float32)
        latent += difficulty * random.standard_normal(IMAGES, dtype=np.float32)
        latent += _column(stats.norm.ppf(accuracies) * spread)
        return (latent > 0).astype(np.float64)


def _column(values: Floats) -> NDArray[np.float32]:
    return values.astype(np.float32)[:, None, None]


def _correlation(level: float, disagreement: float) -> float:
    """Of two normal variables that lie on two sides of the level with this probability (Owen 1956)."""

    def excess(correlation: float) -> float:
        return float(4.0 * owens_t(level, np.sqrt((1.0 - correlation) / (1.0 + correlation))) - disagreement)

    return float(brentq(excess, 0.01, 0.999))


@dataclass(frozen=True)
class Plan:
    """A whole study: the true accuracies, the seeds, and what is special about it."""

    what: str
    truth: tuple[float, ...]
    seeds: int
    explored: int = (
        0  # candidates on monitor, all equal, whose leaders are confirmed; as many as truth at most
    )
    unsteady: float = 1.0

    @property
    def one_is_best(self) -> bool:
        """Whether there is a winner to be found."""
        return sorted(self.truth)[-1] > sorted(self.truth)[-2]


def leaders_of(world: World, explored: int, most: int, random: np.random.Generator) -> int:
    """How many equals are confirmed: within one standard error of the best on monitor, one seed each."""
    scores = world.draw(np.full(explored, world.accuracy), 1, random)[:, 0, :MONITOR].mean(axis=1)
    best = scores.max()
    near = scores >= best - np.sqrt(best * (1.0 - best) / MONITOR)
    return min(int(near.sum()), most)


def guesses(right: Floats, random: np.random.Generator) -> tuple[Labels, Labels]:
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
