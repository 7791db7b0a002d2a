"""Which settings the best candidates share: an importance that needs no model of the scores."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reports.statistics.resampling import percentile_interval

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
#: The best tenth, as in the paper; but never fewer than this many candidates.
TENTH, FEWEST = 0.1, 10


@dataclass(frozen=True)
class Importance:
    """Of one factor: its divergence, the bootstrap's interval, and what 95% of shuffled scores stay below."""

    estimate: float
    low: float
    high: float
    chance: float


def importance(
    codes: Codes, scores: Floats, *, alpha: float = 0.05, resamples: int = 500, seed: int = 0
) -> tuple[Importance, ...]:
    """PED-ANOVA (Watanabe, Bansal and Hutter 2023) on factors with levels.

    codes: (candidates, factors) levels as 0, 1, ...; scores: (candidates,), higher is better. The importance
    of a factor is the Pearson divergence of its levels among the best tenth from those among all: 0 when both
    are spread alike. Candidates are resampled for the interval. The divergence is never negative, so noise
    makes it grow: `chance` says how far, by shuffled scores.
    """
    random = np.random.default_rng(seed)
    count = len(scores)
    drawn = [random.integers(count, size=count) for _ in range(resamples)]
    shuffled = [random.permutation(count) for _ in range(resamples)]
    found = []
    for column in codes.T:
        again = np.array([_divergence(column[rows], scores[rows]) for rows in drawn])
        by_chance = np.array([_divergence(column, scores[rows]) for rows in shuffled])
        low, high = percentile_interval(again, alpha)
        limit = float(np.quantile(by_chance, 1.0 - alpha))
        found.append(Importance(_divergence(column, scores), low, high, limit))
    return tuple(found)


def _divergence(codes: Codes, scores: Floats) -> float:
    """Sum over levels of (share in the best - share in all)^2 / share in all."""
    best = np.argsort(-scores, kind="stable")[: max(FEWEST, round(TENTH * len(scores)))]
    levels = int(codes.max()) + 1
    everywhere = np.bincount(codes, minlength=levels) / len(codes)
    above = np.bincount(codes[best], minlength=levels) / len(best)
    used = everywhere > 0
    return float(((above[used] - everywhere[used]) ** 2 / everywhere[used]).sum())
