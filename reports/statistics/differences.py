"""How far apart two candidates are: over the same images, and over the seeds of each.

Every candidate is judged by its own seeds: no noise is pooled across candidates. The images are shared, so
their part of the noise is that of the per-image differences. With s seeds of a and t seeds of b,

    Var(mean a - mean b) = images + seeds_a / s + seeds_b / t,

Welch's comparison of two means of unequal variance (Welch 1947) on top of the two-way random-effects model
(Searle, Casella and McCulloch, Variance Components, 1992, chapter 4). Degrees of freedom are Satterthwaite's
(1946).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

Floats = NDArray[np.float64]

#: So many images more on which one of two candidates is right and the other is not: on few images two
#: networks can agree by chance (Bonett and Price 2012 add as many for an interval of paired proportions).
EXTRA_IMAGES = 2.0


@dataclass(frozen=True, eq=False)
class Sample:
    """What one candidate's table of scores says about its mean."""

    seeds: int
    mean: float
    by_image: Floats  # (images,), mean over seeds
    seed_variance: float  # of one seed's score, not below chance_variance; NaN with one seed
    chance_variance: float  # of one seed's score, if all seeds were equally good

    @property
    def images(self) -> int:
        """The number of different images."""
        return len(self.by_image)

    @property
    def excess(self) -> float:
        """The part of seed_variance that the answers' chance does not explain."""
        return self.seed_variance - self.chance_variance


def sample(values: Floats) -> Sample:
    """Sum up one candidate's scores.

    Args:
        values: (seeds, images), whose mean is the candidate's score. Higher is better.

    Returns:
        Its mean, its mean by image, and the two parts of the noise between its seeds. One seed leaves
        seed_variance unknown (NaN), and so does a single image.
    """
    seeds, images = values.shape
    by_image = values.mean(axis=0)
    if seeds == 1 or images == 1:
        return Sample(seeds, float(values.mean()), by_image, math.nan, math.nan)
    by_seed = values.mean(axis=1)
    mean = float(by_seed.mean())
    # einsum, not BLAS: its threads cost more than this sum.
    total = float(np.einsum("ij,ij->", values, values)) - values.size * mean**2
    explained = seeds * float(((by_image - mean) ** 2).sum()) + images * float(((by_seed - mean) ** 2).sum())
    # Cancellation can leave a tiny negative number where nothing is left.
    chance = max(total - explained, 0.0) / ((images - 1) * (seeds - 1)) / images
    return Sample(seeds, mean, by_image, max(float(by_seed.var(ddof=1)), chance), chance)


@dataclass(frozen=True)
class Difference:
    """One candidate minus another, in the units of the scores. NaN where too little is known."""

    estimate: float
    se: float
    df: float
    image_variance: float  # what more seeds do not shrink
    seed_variances: tuple[float, float]  # of one seed's score, of either candidate
    seeds: tuple[int, int]
    images: int

    def reversed(self) -> "Difference":
        """The same pair seen from the other side."""
        return replace(
            self,
            estimate=-self.estimate,
            seed_variances=self.seed_variances[::-1],
            seeds=self.seeds[::-1],
        )

    def reach(self, level: float, pairs: int = 1) -> float:
        """Half the width of the interval.

        Args:
            level: the error of all intervals together, two-sided, in (0, 1).
            pairs: how many intervals are to hold together (Sidak 1967).
        """
        return self.se * critical(level, pairs, self.df)

    def p(self, pairs: int = 1) -> float:
        """Two-sided p-value of "no difference", adjusted for so many pairs (Sidak 1967)."""
        if math.isnan(self.se):
            return math.nan
        single = 2.0 * float(special.stdtr(self.df, -abs(self.estimate) / self.se))
        return float(-np.expm1(pairs * np.log1p(-min(single, 1.0 - 1e-16))))

    def shares(self, margin: float) -> tuple[float, float, float]:
        """Probabilities that the true difference is above, within and below the margin; they sum to one.

        The region of practical equivalence (Benavoli, Corani, Demsar and Zaffalon 2017), with Student's
        distribution around the estimate. NaN where the standard error is unknown.
        """
        if math.isnan(self.se):
            return math.nan, math.nan, math.nan
        below = float(special.stdtr(self.df, (-margin - self.estimate) / self.se))
        above = float(special.stdtr(self.df, (self.estimate - margin) / self.se))
        return above, max(1.0 - above - below, 0.0), below

    def with_seeds(self, seeds: int) -> "Difference":
        """What this pair would look like with so many seeds of each, at the same estimate."""
        variances = [one / seeds for one in self.seed_variances]
        variance = self.image_variance + sum(variances)
        spread = self.image_variance**2 / (self.images - 1) + sum(v**2 for v in variances) / (seeds - 1)
        df = variance**2 / spread if spread > 0.0 else self.images - 1.0
        return replace(self, se=math.sqrt(variance), df=max(df, seeds - 1.0), seeds=(seeds, seeds))


def difference(a: Sample, b: Sample) -> Difference:
    """How much better candidate a is than b on the same images.

    Args:
        a: the one candidate.
        b: the other, judged on the same images in the same order.

    Returns:
        The difference of their means with its standard error and degrees of freedom: unknown (NaN) with
        one seed of either, or with one image.
    """
    estimate = a.mean - b.mean
    seeds = (a.seeds, b.seeds)
    if min(seeds) < 2 or a.images < 2:
        nan = math.nan
        return Difference(estimate, nan, nan, nan, (nan, nan), seeds, a.images)
    images = a.images
    apart = a.by_image - b.by_image
    shared = (float(apart.var(ddof=1)) + EXTRA_IMAGES / images) / images  # with the answers' chance in it
    chance = a.chance_variance / a.seeds + b.chance_variance / b.seeds
    variance = shared + a.excess / a.seeds + b.excess / b.seeds
    parts = [(one.seed_variance / one.seeds) ** 2 / (one.seeds - 1) for one in (a, b)]
    df = variance**2 / (shared**2 / (images - 1) + sum(parts))
    # A sum is known no worse than the least known of its parts. Satterthwaite's quotient forgets that where
    # seeds agree better than by chance.
    least = min(a.seeds - 1, b.seeds - 1, images - 1)
    return Difference(
        estimate=estimate,
        se=math.sqrt(variance),
        df=max(df, float(least)),
        image_variance=max(shared - chance, 0.0),
        seed_variances=(a.seed_variance, b.seed_variance),
        seeds=seeds,
        images=images,
    )


def critical(level: float, pairs: int, df: float) -> float:
    """Student's quantile of so many two-sided intervals that hold together (Sidak 1967; Dunnett 1980, T3)."""
    single = -math.expm1(math.log1p(-level) / max(pairs, 1))
    return float(-special.stdtrit(df, single / 2.0))


def detectable(one: Difference, level: float, pairs: int = 1, power: float = 0.8) -> float:
    """The true difference that a pair like this one finds with the given power; NaN where it is unknown.

    Solved with the noncentral t distribution, since with few seeds the quantiles' sum is too small (Cohen
    1988, section 2.2).
    """
    if math.isnan(one.se):
        return math.nan
    reach = critical(level, pairs, one.df)
    low, high = 0.0, 4.0 * reach + 8.0
    for _ in range(50):
        middle = (low + high) / 2.0
        low, high = (low, middle) if stats.nct.sf(reach, one.df, middle) >= power else (middle, high)
    return high * one.se


def family(p_values: Sequence[float], level: float) -> list[int]:
    """How many pairs each comparison with the best is to hold together with, in steps (Holm 1979).

    All pairs of candidates count, since any of them could have come out best. Candidates that are surely
    worse leave, the surest first, and the rest is compared among fewer.

    Args:
        p_values: of each other candidate against the best, two-sided and unadjusted.
        level: the error of all comparisons together.

    Returns:
        For each candidate the number of pairs, k (k - 1) / 2 of the k candidates that were left.
    """
    left = len(p_values) + 1
    found = [0] * len(p_values)
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    for place, index in enumerate(order):
        pairs = left * (left - 1) // 2
        if p_values[index] >= -math.expm1(math.log1p(-level) / pairs):
            for rest in order[place:]:
                found[rest] = pairs
            break
        found[index] = pairs
        left -= 1
    return found


#: More seeds than anybody would train; beyond it the answer is "more images".
MOST_SEEDS = 1000


def seeds_needed(
    one: Difference, wanted: float, level: float, pairs: int = 1, power: float = 0.8
) -> int | None:
    """How many seeds of each candidate would find a true difference.

    More seeds shrink the seeds' part of the variance alone; the images' part stays. Two quantiles make the
    usual formula (Cohen 1988).

    Args:
        one: The difference that was measured.
        wanted: The true difference to find, in the same unit.
        level: The significance level, in (0, 1).
        pairs: The number of pairs that share the level.
        power: The probability of finding it, in (0, 1).

    Returns:
        The number of seeds; None if only more images could.
    """
    if math.isnan(one.se):
        return None
    low, high = 2, MOST_SEEDS
    if not _finds(one.with_seeds(high), wanted, level, pairs, power):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (
            (low, middle) if _finds(one.with_seeds(middle), wanted, level, pairs, power) else (middle, high)
        )
    return high


def _finds(one: Difference, wanted: float, level: float, pairs: int, power: float) -> bool:
    reach = critical(level, pairs, one.df) + float(special.stdtrit(one.df, power))
    return reach * one.se <= wanted
