"""What may be said about many candidates at once."""

import numpy as np
from arch.bootstrap import MCS
from numpy.typing import NDArray
from statsmodels.stats.multitest import multipletests

from reports.statistics.twoway import _mean_squares

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def alpha_of_look(look: int, alpha: float = 0.05) -> float:
    """The error the look-th look at one study may spend, alpha / 2^look, look counted from 1.

    The sum over all looks stays below alpha, however often a study is extended (Bonferroni over a geometric
    series).
    """
    if look < 1:
        raise ValueError(f"Looks are counted from 1. Received: {look}")
    return float(alpha / 2.0**look)


def holm(p_values: Floats) -> Floats:
    """Adjusted p-values (tests,) that keep the familywise error (Holm 1979)."""
    if len(p_values) == 0:
        return p_values
    return np.asarray(multipletests(p_values, method="holm")[1], dtype=np.float64)


def one_standard_error(differences: Floats, errors: Floats) -> Bools:
    """Which candidates lie within one standard error of the best (Breiman et al. 1984, CART, section 3.4.3).

    differences (candidates,) of candidate minus best, errors (candidates,) the standard errors of these
    paired differences; the best itself has 0 and 0.
    """
    return np.asarray(differences >= -errors)


def shrink(scores: Floats, variances: Floats) -> Floats:
    """Scores (candidates,) drawn to their mean, as much as noise explains their spread.

    theta_i = mu + tau2 / (tau2 + v_i) (y_i - mu), mu the mean, v_i = s2 / k_i the error variance
    (candidates,), tau2 the variance between true scores by moments (Efron and Morris 1973; DerSimonian and
    Laird 1986). It takes back what the winner owes to luck.
    """
    if len(scores) < 2:
        return scores.copy()
    mu = scores.mean()
    tau2 = max(float(scores.var(ddof=1) - variances.mean()), 0.0)
    weight = np.divide(tau2, tau2 + variances, out=np.ones_like(scores), where=tau2 + variances > 0)
    return np.asarray(mu + weight * (scores - mu))


def tied_set(values: Floats, *, alpha: float = 0.05, resamples: int = 1000, seed: int = 0) -> Bools:
    """Which candidates may be the best: the model confidence set (Hansen, Lunde and Nason 2011; arch's MCS).

    values: (candidates, seeds, images), higher is better. Returns (candidates,). The set holds the best with
    probability 1 - alpha. The library resamples rows, here images; the seeds' noise is dealt out over the
    rows so that the mean of resampled rows varies as much as over new seeds and new images.
    """
    candidates, seeds, images = values.shape
    by_image = values.mean(axis=1).T
    if seeds > 1:
        by_image = by_image + _seed_noise(values)[np.arange(images) % seeds]
    columns, column_of = np.unique(by_image, axis=1, return_inverse=True)
    if columns.shape[1] == 1:
        return np.ones(candidates, dtype=np.bool_)
    test = MCS(-columns, size=alpha, reps=resamples, block_size=1, bootstrap="circular", seed=seed)
    test.compute()
    return np.isin(column_of, np.asarray(test.included))


def _seed_noise(values: Floats) -> Floats:
    """(seeds, candidates): deviations that, dealt over the images, vary like the mean over seeds."""
    _, seeds, images = values.shape
    deviation = values.mean(axis=2) - values.mean(axis=(1, 2))[:, None]
    squares = np.array([_mean_squares(table - values.mean(axis=0)) for table in values])
    # What is left in the seeds' mean square is already in the images' rows.
    own = max(1.0 - squares[:, 2].sum() / max(squares[:, 1].sum(), np.finfo(float).tiny), 0.0)
    return np.asarray(deviation.T * np.sqrt(own * images / (seeds - 1)))


def pareto_front(costs: Floats) -> Bools:
    """Which rows of costs (candidates, criteria), lower is better, no other row beats in everything.

    A missing criterion (NaN) counts as the worst possible.
    """
    known = np.where(np.isnan(costs), np.inf, costs)
    no_worse = (known[:, None, :] <= known[None, :, :]).all(axis=2)
    better = (known[:, None, :] < known[None, :, :]).any(axis=2)
    return np.asarray(~(no_worse & better).any(axis=0))
