"""The mean of a table of seeds and images, and how far it may be from the truth.

A candidate trained with S seeds and judged on n images gives a table of S x n values. Both the seeds and the
images are samples: other seeds train other networks, other images are harder or easier. The two-way
random-effects analysis of variance splits the table's variance into images, seeds and what is left, and gives
the variance of the mean over new seeds *and* new images (Searle, Casella and McCulloch, Variance Components,
1992, chapter 4; for classifiers, Obuchowski and Rockette 1995). Degrees of freedom are Satterthwaite's
(1946).
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and images with its interval, in the units of the values.

    The variance of the mean with S seeds is image_variance + seed_variance / S: more seeds shrink the second
    part alone. Of seed_variance, chance_variance is what right and wrong answers falling by chance would give
    even if all seeds were equally good. With one seed the seeds' part cannot be known: seed_variance is NaN
    and the interval holds for that one trained network.
    """

    estimate: float
    se: float
    low: float
    high: float
    df: float
    p: float  # two-sided, of "the mean is zero"; NaN where that is no question
    seeds: int
    images: int
    image_variance: float
    seed_variance: float
    chance_variance: float
    seed_df: float  # degrees of freedom behind seed_variance

    def reversed(self) -> "Estimate":
        """The same for the negative of the values: b - a from a - b."""
        return replace(self, estimate=-self.estimate, low=-self.high, high=-self.low)


#: An estimate of which nothing is known.
UNKNOWN = Estimate(*(math.nan,) * 6, 0, 0, *(math.nan,) * 4)


def by_twins(values: Floats, groups: NDArray[np.int64] | None) -> Floats:
    """Let a group of twins count as one image.

    values: (..., images). groups: (images,), twins share a number; None if there are no twins. Returns (...,
    groups): each group's sum, centred and scaled so that the mean over groups equals the mean over images.
    The estimate stays what was measured; the uncertainty is that of the number of different images (the
    linearised ratio estimator of cluster sampling: Cochran, Sampling Techniques, 1977, section 9A).
    """
    if groups is None:
        return values
    _, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(sizes) == len(groups):
        return values
    order = np.argsort(member, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    means = values.mean(axis=-1, keepdims=True)
    sums = np.add.reduceat(values[..., order] - means, starts, axis=-1)
    return np.asarray(sums * (len(sizes) / len(groups)) + means)


def two_way(values: Floats, *, alpha: float = 0.05, floor: float = 0.0) -> Estimate:
    """Mean of values (seeds, images), both random samples; floor is the smallest standard error allowed.

    Var(mean) = (MS_images + MS_seeds - MS_error) / (S n), the images' part, MS_images - MS_error, not below
    zero. For p the seeds' part is not below MS_error either: a few seeds that happen to agree leave the
    interval too short in the far tails, where claims are made (with three seeds 1.6% of equal pairs would
    reach p < 0.0025).
    """
    seeds, images = values.shape
    if images < 2:
        raise ValueError(f"An interval needs at least two different images. Received: {images}")
    between_images, between_seeds, error = _mean_squares(values)
    parts = Parts(
        seeds=seeds,
        images=images,
        image_variance=max(between_images - error, 0.0) / (seeds * images),
        seed_variance=between_seeds / images if seeds > 1 else math.nan,
        chance_variance=error / images,
        seed_df=seeds - 1.0,
    )
    return parts.around(float(values.mean()), alpha, floor)


@dataclass(frozen=True)
class Parts:
    """Where the variance of a mean comes from; the fields are those of Estimate."""

    seeds: int
    images: int
    image_variance: float
    seed_variance: float
    chance_variance: float
    seed_df: float

    def around(self, mean: float, alpha: float, floor: float) -> Estimate:
        """The estimate of this mean, with interval and p."""
        se, df = self._error_and_df(floor)
        careful = replace(self, seed_variance=max(self.seed_variance, self.chance_variance))
        reach = float(stats.t.ppf(1.0 - alpha / 2.0, df)) * se
        p = _two_sided(mean, *careful._error_and_df(floor))
        return Estimate(mean, se, mean - reach, mean + reach, df, p, **vars(self))

    def _error_and_df(self, floor: float) -> tuple[float, float]:
        """Standard error of the mean and Satterthwaite's degrees of freedom."""
        if self.seeds == 1:
            return max(math.sqrt(self.image_variance), floor), self.images - 1.0
        of_seeds, chance = self.seed_variance / self.seeds, self.chance_variance / self.seeds
        variance = self.image_variance + of_seeds
        spread = (self.image_variance + chance) ** 2 / (self.images - 1) + of_seeds**2 / self.seed_df
        spread += chance**2 / ((self.images - 1) * (self.seeds - 1))
        if spread == 0.0:
            return max(math.sqrt(variance), floor), self.images - 1.0
        # A sum is known no worse than the least known of its parts. Satterthwaite's quotient forgets that
        # where seeds and images agree better than by chance: towards no variance it falls to zero.
        least = min(self.seed_df, self.images - 1.0)
        return max(math.sqrt(variance), floor), max(variance**2 / spread, least)


def _mean_squares(values: Floats) -> tuple[float, float, float]:
    """Mean squares of images, seeds and error of values (seeds, images); one seed leaves images alone."""
    seeds, images = values.shape
    by_image = values.mean(axis=0)
    if seeds == 1:
        return float(by_image.var(ddof=1)), 0.0, 0.0
    by_seed = values.mean(axis=1)
    between_images = seeds * by_image.var(ddof=1)
    between_seeds = images * by_seed.var(ddof=1)
    # einsum, not BLAS: its threads cost more than this sum.
    total = np.einsum("ij,ij->", values, values) - values.size * by_seed.mean() ** 2
    error = total - between_images * (images - 1) - between_seeds * (seeds - 1)
    # Cancellation can leave a tiny negative number where the error is zero.
    return float(between_images), float(between_seeds), max(float(error), 0.0) / ((images - 1) * (seeds - 1))


def _two_sided(mean: float, se: float, df: float) -> float:
    if se == 0.0:
        return 1.0 if mean == 0.0 else 0.0
    return float(2.0 * stats.t.sf(abs(mean) / se, df))


def paired_difference(
    a: Floats, b: Floats, *, groups: NDArray[np.int64] | None = None, alpha: float = 0.05
) -> Estimate:
    """How much better candidate a is than b, on the same seeds and the same images.

    a, b: (seeds, images), row s of both from the same seed: 0/1 for accuracy, or any value per image whose
    mean is the score. groups: (images,), twins share a number. Returns the estimate of mean(a - b) with se,
    low, high, df and p. The standard error is never below one image's weight, 1 / images: on twenty images
    that two networks both get right, nothing proves that they are equal.
    """
    if a.shape != b.shape:
        raise ValueError(
            f"Paired tables must have one shape (seeds, images). Received: {a.shape} and {b.shape}"
        )
    difference = by_twins(np.subtract(a, b, dtype=np.float64), groups)
    return two_way(difference, alpha=alpha, floor=1.0 / difference.shape[1])


def accuracy_interval(
    correct: Floats, *, groups: NDArray[np.int64] | None = None, alpha: float = 0.05
) -> Estimate:
    """Accuracy of one candidate over new seeds and new images.

    correct: (seeds, images) of 0/1. Wilson's interval at the effective number of images p (1 - p) / se^2,
    with Student's quantile (Wilson for complex samples: Franco, Little, Louis and Slud 2019): it stays within
    0 and 1 and does not collapse when every answer is right. One image, or the twins of one, has no interval:
    its ends are NaN.
    """
    values = by_twins(correct.astype(np.float64), groups)
    if values.shape[1] == 1:
        return _of_one_image(values)
    plain = two_way(values, alpha=alpha)
    p = min(max(plain.estimate, 0.0), 1.0)
    effective = p * (1.0 - p) / plain.se**2 if plain.se > 0.0 else float(plain.images)
    # By hand: statsmodels takes a level, and Student's quantile of one degree of freedom has none to give.
    z = float(stats.t.ppf(1.0 - alpha / 2.0, plain.df))
    shrinkage = 1.0 + z**2 / effective
    middle = (p + z**2 / (2.0 * effective)) / shrinkage
    reach = z * math.sqrt(p * (1.0 - p) / effective + z**2 / (4.0 * effective**2)) / shrinkage
    return replace(plain, estimate=p, low=max(middle - reach, 0.0), high=min(middle + reach, 1.0), p=math.nan)


def _of_one_image(values: Floats) -> Estimate:
    """The mean of values (seeds, 1); how far it is from the truth cannot be known."""
    nan = math.nan
    return Estimate(float(values.mean()), nan, nan, nan, nan, nan, len(values), 1, nan, nan, nan, nan)
