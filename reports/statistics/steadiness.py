"""The seeds' noise of a study, judged by all its candidates together, but not by the unsteady ones.

Three seeds say little about the noise between seeds of one pair; those of five candidates say more. But
a candidate that learns with some seeds and not with others says nothing about the rest: it is found by
Cochran's test for an outlying variance (Cochran 1941; ISO 5725-2, section 7.3.3) and judged by itself.
"""

from collections.abc import Collection, Mapping

import numpy as np
from scipy import stats

from reports.statistics.twoway import Estimate, Floats, Parts

#: An outlier by chance costs little, but Cochran's test is to leave equal candidates alone.
_LEVEL = 0.01

Pairs = Mapping[tuple[str, str], Estimate]


def unsteady(scores: Mapping[str, Floats], level: float = _LEVEL) -> frozenset[str]:
    """The candidates whose scores vary between seeds surely more than those of the others.

    scores: by candidate, the score of each seed, (seeds,). Cochran's test is repeated without the candidate
    that it found, among those with the commonest number of seeds, as long as three are left.
    """
    sizes = [len(one) for one in scores.values() if len(one) > 1]
    if not sizes:
        return frozenset()
    seeds = max(set(sizes), key=lambda size: (sizes.count(size), size))
    variances = {name: float(one.var(ddof=1)) for name, one in scores.items() if len(one) == seeds}
    found: set[str] = set()
    while len(variances) > 2:
        widest = max(variances, key=lambda name: variances[name])
        share = variances[widest] / (sum(variances.values()) or 1.0)
        if share <= _critical_share(len(variances), seeds, level):
            break
        found.add(widest)
        del variances[widest]
    return frozenset(found)


def _critical_share(groups: int, size: int, level: float) -> float:
    """The share of their sum that the largest of so many equal variances exceeds with probability `level`."""
    ratio = stats.f.isf(level / groups, size - 1, (groups - 1) * (size - 1))
    return float(1.0 / (1.0 + (groups - 1) / ratio))


def steadied(
    differences: Pairs, unsteady: Collection[str] = (), *, alpha: float = 0.05
) -> dict[tuple[str, str], Estimate]:
    """The paired differences of a study's candidates, their seeds' noise judged by all of them together.

    The seeds' part of each pair becomes the larger of its own and the average of all, with the degrees of
    freedom of all, (candidates - 1) (seeds - 1). The larger one, so that a candidate less steady than the
    rest is not taken for steady. Pairs with an unsteady candidate, a single pair, and pairs with one seed
    stay as they are.
    """
    steady = {
        pair: one for pair, one in differences.items() if one.seeds > 1 and not set(pair) & set(unsteady)
    }
    if not steady:
        return dict(differences)
    weights = np.array([one.seeds - 1.0 for one in steady.values()])
    average = float(np.average([one.seed_variance for one in steady.values()], weights=weights))
    together = 2.0 * weights.sum() / len({name for pair in steady for name in pair})
    return {
        pair: _steadied(one, average, together, alpha) if pair in steady else one
        for pair, one in differences.items()
    }


def _steadied(one: Estimate, average: float, together: float, alpha: float) -> Estimate:
    parts = Parts(
        seeds=one.seeds,
        images=one.images,
        image_variance=one.image_variance,
        seed_variance=max(one.seed_variance, average),
        chance_variance=one.chance_variance,
        seed_df=max(one.seed_df, together),
    )
    return parts.around(one.estimate, alpha, 1.0 / one.images)
