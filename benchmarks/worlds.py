"""Studies drawn from a truth that is known.

A network is right on an image when

    quality + difficulty[image] + taste[candidate, image] + luck[candidate, seed] + chance > 0,

all five normal or fixed. Difficulty is shared by all candidates, so their errors are correlated; with normal
parts the true accuracy, the share of images on which two networks disagree and the spread between seeds are
known exactly. On top of it come seeds that fail to learn, unsteady candidates, classes of FER-2013's sizes
with difficulties of their own, and images in clusters that the analysis does not know.
"""

import functools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq
from scipy.special import owens_t

from reports import statistics
from reports.records.evaluation import Objective, ScoreTable

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

#: FER-2013's PublicTest: images, their classes and how often each is recognised by a small network.
IMAGES = 3589
SIZES = (467, 56, 496, 895, 653, 415, 607)
RECALLS = (0.57, 0.52, 0.45, 0.86, 0.55, 0.78, 0.66)
#: Images whose labels and clusters are drawn with the same number of classes.
CLASSES = len(SIZES)
MAX_SEEDS = 20


@dataclass(frozen=True)
class World:
    """How noisy networks are: shares of images and of accuracy. The defaults are the usual world."""

    name: str
    accuracy: float = 0.67
    images: int = IMAGES
    seed_sd: float = 0.006  # of accuracy on 3,589 images, between seeds of one candidate
    same: float = 0.22  # images on which two seeds of one candidate differ in being right
    other: float = 0.24  # the same for two candidates
    unsteady: float = 1.0  # how many times more the last candidate's luck varies
    collapse: tuple[float, ...] = ()  # chance of a seed to fail, by candidate from the last; () for none
    forced: tuple[int, ...] = ()  # failed seeds among the first five, by candidate from the last
    lacking: int = 0  # seeds that the last candidate lacks
    classes: bool = False  # difficulties and luck by class
    cluster: int = 1  # images in a cluster of like ones
    folds: int = 1  # networks a seed, each judging a part of the images
    objective: Objective = "val_accuracy"

    @functools.cached_property
    def parts(self) -> tuple[float, float, float, float]:
        """Standard deviations of difficulty, taste, luck and chance; their squares sum to one."""
        level = stats.norm.ppf(self.accuracy)
        within, between = _correlation(level, self.same), _correlation(level, self.other)
        luck = np.sqrt(max(self.seed_sd**2 - self.same / 2.0 / IMAGES, 0.0)) / stats.norm.pdf(level)
        return np.sqrt(between), np.sqrt(within - between), luck, np.sqrt(1.0 - within - luck**2)

    def labels(self) -> Labels:
        """(images,), in FER-2013's proportions."""
        share = np.cumsum(SIZES) / sum(SIZES)
        return np.searchsorted(share, (np.arange(self.images) + 0.5) / self.images).astype(np.int64)

    @property
    def majority(self) -> float:
        """The share of the commonest class."""
        return statistics.majority_share(self.labels())

    def draw(
        self, accuracies: Floats, random: np.random.Generator, seeds: int = MAX_SEEDS
    ) -> list[ScoreTable]:
        """One table of scores for each candidate, the first the largest network.

        Args:
            accuracies: (candidates,), true accuracy of seeds that learn, best first.
            random: what everything is drawn with.
            seeds: of each candidate.
        """
        latent = self._latent(accuracies, random, seeds)
        labels = self.labels()
        failed = self._failed(len(accuracies), seeds, random)
        right = latent > 0.0
        right[failed] = labels == int(np.bincount(labels).argmax())
        accuracy = right.mean(axis=2)
        scores = self._scores(latent, right, failed, labels, random)
        found = []
        for index in range(len(accuracies)):
            left = seeds - self.lacking if index == len(accuracies) - 1 else seeds
            found.append(
                ScoreTable(
                    name=f"{index}",
                    label=f"network {index}",
                    parameters=1_000_000 - 50_000 * index,
                    seeds=tuple(range(1, left + 1)),
                    scores=scores[index, :left],
                    accuracy=accuracy[index, :left],
                )
            )
        return found

    def _latent(self, accuracies: Floats, random: np.random.Generator, seeds: int) -> NDArray[np.float32]:
        """How clearly each image is recognised, (candidates, seeds, images)."""
        difficulty, own, luck, chance = self.parts
        count = len(accuracies)
        lucks = np.full(count, luck)
        lucks[-1] *= self.unsteady
        spread = np.sqrt(1.0 + lucks**2 - luck**2)  # keeps the true accuracy what it should be
        latent = random.standard_normal((count, seeds, self.images), dtype=np.float32)
        latent *= np.float32(chance)
        if self.folds == 1:
            latent += _column(lucks) * random.standard_normal((count, seeds, 1), dtype=np.float32)
        else:
            ability = random.standard_normal((count, seeds, self.folds), dtype=np.float32)
            fold = np.stack([random.permutation(self.images) % self.folds for _ in range(seeds)])
            latent += _column(lucks) * np.take_along_axis(ability, fold[None].repeat(count, 0), axis=2)
        tastes = random.standard_normal((count, 1, -(-self.images // self.cluster)), dtype=np.float32)
        hard = random.standard_normal(-(-self.images // self.cluster), dtype=np.float32)
        latent += np.float32(own) * tastes.repeat(self.cluster, axis=2)[..., : self.images]
        latent += np.float32(difficulty) * hard.repeat(self.cluster)[: self.images]
        levels = (stats.norm.ppf(accuracies) * spread)[:, None]
        if self.classes:
            labels = self.labels()
            shift = stats.norm.ppf(RECALLS)[labels]
            levels = levels + shift - _same_mean(shift, stats.norm.ppf(self.accuracy), self.accuracy)
            bias = random.standard_normal((count, seeds, CLASSES), dtype=np.float32)
            bias -= (bias * np.array(SIZES, dtype=np.float32) / sum(SIZES)).sum(axis=2, keepdims=True)
            latent += np.float32(0.15) * bias[:, :, labels]
        latent += levels.astype(np.float32)[:, None, :]
        return latent

    def _failed(self, count: int, seeds: int, random: np.random.Generator) -> NDArray[np.bool_]:
        """Which seeds failed to learn, (candidates, seeds)."""
        failed = np.zeros((count, seeds), dtype=np.bool_)
        for place, rate in enumerate(self.collapse):
            if place < count:
                failed[-1 - place] = random.random(seeds) < rate
        for place, number in enumerate(self.forced):
            failed[-1 - place, random.permutation(5 - self.lacking)[:number]] = True
        return failed

    def _scores(
        self,
        latent: NDArray[np.float32],
        right: NDArray[np.bool_],
        failed: NDArray[np.bool_],
        labels: Labels,
        random: np.random.Generator,
    ) -> Floats:
        if self.objective == "val_accuracy":
            return right.astype(np.float64)
        if self.objective == "loss":
            loss = np.log1p(np.exp(-1.7 * latent.astype(np.float64)))
            loss[failed] = np.log(CLASSES)
            return -loss
        wrong = (labels + random.integers(1, CLASSES, size=right.shape)) % CLASSES
        guesses = np.where(right, labels, wrong)
        return np.stack([statistics.macro_f1_by_image(labels, one, CLASSES) for one in guesses])

    def named(self, name: str, **changes: object) -> "World":
        """The same with some changes."""
        return replace(self, name=name, **changes)  # type: ignore[arg-type]


def _same_mean(shift: Floats, level: float, accuracy: float) -> float:
    """What makes shifted levels as accurate as they were on average."""

    def excess(less: float) -> float:
        return float(stats.norm.cdf(level + shift - less).mean() - accuracy)

    return float(brentq(excess, -3.0, 3.0))


def _column(values: Floats) -> NDArray[np.float32]:
    return values.astype(np.float32)[:, None, None]


@functools.cache
def _correlation(level: float, disagreement: float) -> float:
    """Of two normal variables that lie on two sides of the level with this probability (Owen 1956)."""

    def excess(correlation: float) -> float:
        return float(4.0 * owens_t(level, np.sqrt((1.0 - correlation) / (1.0 + correlation))) - disagreement)

    return float(brentq(excess, 0.001, 0.9999))


USUAL = World("usual")
NOISY = World("noisy", seed_sd=0.0085, same=0.25, other=0.29)
