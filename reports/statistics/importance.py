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
    """The importance of each factor by PED-ANOVA (Watanabe, Bansal and Hutter 2023).

    It is the Pearson divergence of a factor's levels among the best tenth of the candidates from those
    among all: 0 when both are spread alike. The divergence is never negative, so noise makes it grow:
    `chance` says how far, by shuffled scores.

    Args:
        codes: Levels as 0, 1, ..., (candidates, factors).
        scores: Scores, (candidates,); higher is better.
        alpha: What an interval leaves out, in (0, 1).
        resamples: The number of resamples of candidates, and of shuffles.
        seed: Of the resamples.

    Returns:
        One importance for each factor, in the order of `codes`.
    """
    random = np.random.default_rng(seed)
    count, factors = codes.shape
    again, by_chance = np.empty((2, resamples, factors))
    for draw in range(resamples):
        rows = random.integers(count, size=count)
        again[draw] = _divergences(codes[rows], _best(scores[rows]))
        by_chance[draw] = _divergences(codes, _best(random.permutation(scores)))
    limits = np.quantile(by_chance, 1.0 - alpha, axis=0)
    estimates = _divergences(codes, _best(scores))
    return tuple(
        Importance(float(estimate), *percentile_interval(draws, alpha), float(limit))
        for estimate, draws, limit in zip(estimates, again.T, limits, strict=True)
    )


def _best(scores: Floats) -> NDArray[np.intp]:
    """Places of the best tenth."""
    return np.argsort(-scores, kind="stable")[: max(FEWEST, round(TENTH * len(scores)))]


def _divergences(codes: Codes, best: NDArray[np.intp]) -> Floats:
    """Of each factor: the sum over levels of (share in the best - share in all)^2 / share in all."""
    found = []
    for column in codes.T:
        everywhere = np.bincount(column) / len(column)
        above = np.bincount(column[best], minlength=len(everywhere)) / len(best)
        used = everywhere > 0
        found.append(((above[used] - everywhere[used]) ** 2 / everywhere[used]).sum())
    return np.array(found)
