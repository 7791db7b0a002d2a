"""Every candidate beside the best: one interval each, and the word that follows from it.

The best is the candidate with the highest mean. It was picked from the data that test it, so each interval
holds together with those of all pairs (`statistics.family`). A candidate is

    worse         if the interval of its difference from the best lies below zero,
    tied          if it lies within the margin,
    underpowered  otherwise: the study cannot tell;

and the best is `better` if all others are worse, `tied` if each is worse or tied. Nothing else decides.

Seeds that failed to learn are counted, not averaged: a candidate is judged by its seeds that learned, unless
it failed with most of them. Then all of its seeds are its mean.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reports import statistics
from reports.records.evaluation import ScoreTable
from reports.statistics import Difference, Sample

Bools = NDArray[np.bool_]
Relation = Literal["better", "worse", "tied", "underpowered"]

#: With fewer seeds that count, the seeds' share of the noise is as good as unknown: nothing is claimed.
FEWEST_SEEDS = 3


@dataclass(frozen=True, eq=False)
class Standing:
    """One candidate beside the best. Differences are advantages over the best: minus is worse."""

    table: ScoreTable
    failed: Bools  # (seeds,), which seeds failed to learn
    counted: Bools  # (seeds,), which seeds its mean is made of
    sample: Sample
    difference: Difference | None  # None for the best
    pairs: int  # how many intervals hold together with this one
    low: float  # NaN for the best, and where too few seeds count
    high: float
    p: float  # adjusted; of the best: the largest of the others
    relation: Relation

    @property
    def name(self) -> str:
        """The candidate's fingerprint."""
        return self.table.name

    @property
    def comparable(self) -> bool:
        """Whether enough of its seeds count for a claim."""
        return self.sample.seeds >= FEWEST_SEEDS


def standings(
    tables: Sequence[ScoreTable], majority: float, level: float, margin: float, near_chance: float = 0.1
) -> tuple[Standing, ...]:
    """Compare candidates with the best of them.

    Args:
        tables: one for each candidate, judged on the same images; at least one seed each.
        majority: the share of the commonest class among the judged images.
        level: the two-sided error of all intervals together.
        margin: within it two candidates are as good as the same, in units of the scores.
        near_chance: see `statistics.failed_to_learn`.

    Returns:
        One standing each, best first. Candidates with too few seeds that count come last.
    """
    images = tables[0].scores.shape[1]
    accuracies = {one.name: one.accuracy for one in tables}
    failed = statistics.failed_to_learn(accuracies, majority, images, near_chance)
    entries = [_entry(one, failed[one.name]) for one in tables]
    entries.sort(key=_rank)
    best, others = entries[0], entries[1:]
    differences = [statistics.difference(one[2], best[2]) for one in others]
    enough = best[2].seeds >= FEWEST_SEEDS and images > 1
    known = [index for index, one in enumerate(others) if enough and one[2].seeds >= FEWEST_SEEDS]
    pairs = dict(zip(known, statistics.family([differences[i].p() for i in known], level), strict=True))
    adjusted = _adjusted({index: differences[index] for index in known})
    found = []
    for index, (table, counted, sample) in enumerate(others):
        one, count = differences[index], pairs.get(index, 0)
        reach = one.reach(level, count) if count else math.nan
        low, high = one.estimate - reach, one.estimate + reach
        p = adjusted.get(index, math.nan)
        relation = relation_of(low, high, margin)
        found.append(Standing(table, failed[table.name], counted, sample, one, count, low, high, p, relation))
    table, counted, sample = best
    p = max((one.p for one in found), default=math.nan)
    p = math.nan if any(math.isnan(one.p) for one in found) else p
    relation = _of_best([one.relation for one in found])
    first = Standing(table, failed[table.name], counted, sample, None, 0, math.nan, math.nan, p, relation)
    return (first, *found)


def relation_of(low: float, high: float, margin: float) -> Relation:
    """The word of a candidate whose difference from the best has this interval; NaN: nothing is known."""
    if high < 0.0:
        return "worse"
    return "tied" if -margin < low and high < margin else "underpowered"


def near_best(one: Standing, margin: float) -> bool:
    """Whether a candidate is near enough to the best to be selected for its size.

    It is not worse, and tied or within one standard error, but never measured more than the margin below. The
    seeds' part of that error is twice the smaller one of the two, so that an unsteady candidate cannot widen
    its own limit.
    """
    if one.difference is None:
        return one.comparable
    if not one.pairs or one.relation == "worse":
        return False
    steadier = min(
        variance / seeds
        for variance, seeds in zip(one.difference.seed_variances, one.difference.seeds, strict=True)
    )
    limit = math.sqrt(one.difference.image_variance + 2.0 * steadier)
    return one.relation == "tied" or one.difference.estimate >= -min(limit, margin)


def _of_best(others: Sequence[Relation]) -> Relation:
    relations = set(others)
    if relations == {"worse"}:
        return "better"
    return "tied" if relations in ({"tied"}, {"tied", "worse"}) else "underpowered"


def _entry(table: ScoreTable, failed: Bools) -> tuple[ScoreTable, Bools, Sample]:
    """A candidate with the seeds that count: those that learned, or all where most failed."""
    most_failed = 2 * int(failed.sum()) > len(failed)
    counted = np.ones_like(failed) if most_failed else ~failed
    return table, counted, statistics.sample(table.scores[counted])


def _rank(entry: tuple[ScoreTable, Bools, Sample]) -> tuple[bool, float, int, str]:
    table, _, sample = entry
    return sample.seeds < FEWEST_SEEDS, -sample.mean, table.parameters, table.name


def _adjusted(differences: Mapping[int, Difference]) -> dict[int, float]:
    """The p-value of each difference, adjusted in steps as `statistics.family` does."""
    order = sorted(differences, key=lambda index: differences[index].p())
    found, largest, left = {}, 0.0, len(order) + 1
    for index in order:
        largest = max(largest, differences[index].p(left * (left - 1) // 2))
        found[index] = largest
        left -= 1
    return found
