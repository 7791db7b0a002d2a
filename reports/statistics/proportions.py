"""One run each: what can be said from a single proportion, or from two networks on the same images."""

import math

import numpy as np
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.proportion import proportion_confint

from reports.statistics.twoway import Floats

#: Discordant images below which McNemar's test is exact.
EXACT_BELOW = 25


def wilson(accuracy: float, images: int, alpha: float = 0.05) -> tuple[float, float]:
    """Wilson's interval (1927) of an accuracy measured on so many images, images alone being random."""
    low, high = proportion_confint(round(accuracy * images), images, alpha=alpha, method="wilson")
    return float(low), float(high)


def mcnemar(a: Floats, b: Floats) -> float:
    """Two-sided p-value that two trained networks are right equally often; a, b (images,) of 0/1.

    McNemar (1947), exact if fewer than 25 images tell them apart. It speaks of these two networks, not of
    their architectures: another seed is another network.
    """
    right_a, right_b = a > 0.5, b > 0.5
    table = np.array(
        [
            [np.sum(right_a & right_b), np.sum(right_a & ~right_b)],
            [np.sum(~right_a & right_b), np.sum(~right_a & ~right_b)],
        ]
    )
    discordant = int(table[0, 1] + table[1, 0])
    if discordant == 0:
        return 1.0
    return float(statsmodels_mcnemar(table, exact=discordant < EXACT_BELOW).pvalue)


def noise_of_one_run(images: int, disagreement: float = 0.2, alpha: float = 0.05) -> float:
    """The difference in accuracy that two single runs on the same images must exceed to be more than noise.

    disagreement: the share of images on which exactly one of the two is right. McNemar's statistic turned
    around: z sqrt(disagreement / images).
    """
    return float(stats.norm.ppf(1.0 - alpha / 2.0) * math.sqrt(disagreement / images))
