"""What a study could have seen, and what it would take to see more."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from reports.statistics.twoway import Estimate, Floats, Parts

Counts = NDArray[np.int64]

#: More seeds than anybody would train; beyond it the answer is "more images".
MOST_SEEDS = 1000


def pooled(estimates: Sequence[Estimate], alpha: float = 0.05) -> Estimate:
    """The typical difference of a study: variances averaged over its pairs with two seeds or more.

    Its estimate is 0. Raises ValueError without such a pair: one seed says nothing of the seeds' noise.
    """
    known = [one for one in estimates if one.seeds > 1]
    if not known:
        raise ValueError("The seeds' noise needs at least one pair with two seeds in common.")
    parts = Parts(
        seeds=int(np.median([one.seeds for one in known])),
        images=known[0].images,
        image_variance=float(np.mean([one.image_variance for one in known])),
        seed_variance=float(np.mean([one.seed_variance for one in known])),
        chance_variance=float(np.mean([one.chance_variance for one in known])),
        seed_df=float(np.mean([one.seed_df for one in known])),
    )
    return parts.around(0.0, alpha, 0.0)


def smallest_detectable(difference: Estimate, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest true difference that a study with these seeds and images finds with the given power.

    (t_{1 - alpha/2} + t_{power}) se, the usual two-sided formula (Cohen 1988), with Student's quantiles; NaN
    with one seed.
    """
    if difference.seeds < 2:
        return float("nan")
    return float(_detectable(difference, np.array([difference.seeds]), alpha, power)[0])


def seeds_needed(
    difference: Estimate, wanted: float, *, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """How many seeds in all would find a true difference of `wanted`; None if only more images could.

    More seeds shrink the seeds' part of the variance alone; the images' part stays.
    """
    if difference.seeds < 2:
        raise ValueError("The seeds' noise is unknown with one seed.")
    seeds = np.arange(2, MOST_SEEDS + 1)
    enough = _detectable(difference, seeds, alpha, power) <= wanted
    return int(seeds[enough.argmax()]) if enough.any() else None


def _detectable(difference: Estimate, seeds: Counts, alpha: float, power: float) -> Floats:
    of_seeds = difference.seed_variance / seeds
    variance = difference.image_variance + of_seeds
    # Degrees of freedom grow with the seeds, as many for each seed as now.
    seed_df = difference.seed_df * (seeds - 1) / (difference.seeds - 1)
    spread = difference.image_variance**2 / (difference.images - 1) + of_seeds**2 / seed_df
    df = np.divide(variance**2, spread, out=np.ones(len(seeds)), where=spread > 0)
    return np.asarray((stats.t.ppf(1.0 - alpha / 2.0, df) + stats.t.ppf(power, df)) * np.sqrt(variance))
