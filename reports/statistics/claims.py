"""What may be said about many candidates at once."""

import numpy as np
from arch.bootstrap import MCS
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Rows handed to the library's bootstrap: enough for a normal mean, few enough to be fast.
ROWS = 250


def alpha_of_look(look: int, alpha: float = 0.05) -> float:
    """The error the look-th look at one study may spend, alpha / 2^look, look counted from 1.

    The sum over all looks stays below alpha, however often a study is extended (Bonferroni over a geometric
    series).
    """
    if look < 1:
        raise ValueError(f"Looks are counted from 1. Received: {look}")
    return float(alpha / 2.0**look)


def holm(p_values: Floats) -> Floats:
    """Adjusted p-values (tests,) that keep the familywise error (Holm 1979).

    statsmodels has it too, but collects all garbage of the process at every call.
    """
    order = np.argsort(p_values, kind="stable")
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


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


def tied_set(values: Floats, *, alpha: float = 0.05, resamples: int = 500, seed: int = 0) -> Bools:
    """Which candidates may be the best: the model confidence set (Hansen, Lunde and Nason 2011; arch's MCS).

    values: (candidates, seeds, images), higher is better. Returns (candidates,). The set holds the best with
    probability 1 - alpha. The library resamples rows and takes their means; it is given rows whose mean has
    the two-way covariance of the candidates' scores, so that new seeds count as well as new images.
    """
    column: dict[bytes, int] = {}  # candidates with the same answers everywhere are one to the library
    column_of = [column.setdefault(row.tobytes(), len(column)) for row in values.mean(axis=1)]
    if len(column) == 1:
        return np.ones(len(values), dtype=np.bool_)
    first = [column_of.index(index) for index in range(len(column))]
    deviations = np.random.default_rng(seed).standard_normal((ROWS, len(first)))
    deviations = np.linalg.qr(deviations - deviations.mean(axis=0))[0]  # orthonormal columns of mean 0
    scores = values[first].mean(axis=(1, 2))
    scores += 1e-9 * np.arange(len(first))  # the library breaks on exactly equal scores
    rows = scores + ROWS * deviations @ _root_of_covariance(values[first], alpha)
    test = MCS(-rows, size=alpha, reps=resamples, block_size=1, bootstrap="circular", seed=seed)
    test.compute()
    return np.isin(column_of, np.asarray(test.included))


def _root_of_covariance(values: Floats, alpha: float) -> Floats:
    """Symmetric root (candidates, candidates) of the two-way covariance of the mean scores.

    The covariance over images and over seeds each contain what is left once; it is taken off where both count
    it. Student's quantile in place of the normal's makes up for few seeds. As in a paired difference, no
    difference has a standard error below one image's weight.
    """
    candidates, seeds, images = values.shape
    by_image = np.cov(values.mean(axis=1)) / images + np.eye(candidates) / (2.0 * images**2)
    if seeds == 1:
        return _root(by_image)
    residual = values - values.mean(axis=1, keepdims=True) - values.mean(axis=2, keepdims=True)
    residual = (residual + values.mean(axis=(1, 2), keepdims=True)).reshape(len(values), -1)
    left = residual @ residual.T / ((seeds - 1) * (images - 1)) / (seeds * images)
    of_seeds = _root(np.cov(values.mean(axis=2)) / seeds - left)
    few = stats.t.ppf(1.0 - alpha / 2.0, seeds - 1) / stats.norm.ppf(1.0 - alpha / 2.0)
    return _root(by_image + of_seeds @ of_seeds * few**2)


def _root(covariance: Floats) -> Floats:
    """The symmetric square root, negative eigenvalues (estimation noise) counted as zero."""
    sizes, directions = np.linalg.eigh(covariance)
    return np.asarray((directions * np.sqrt(np.maximum(sizes, 0.0))) @ directions.T)


def pareto_front(costs: Floats) -> Bools:
    """Which rows of costs (candidates, criteria), lower is better, no other row beats in everything.

    A missing criterion (NaN) counts as the worst possible.
    """
    known = np.where(np.isnan(costs), np.inf, costs)
    no_worse = (known[:, None, :] <= known[None, :, :]).all(axis=2)
    better = (known[:, None, :] < known[None, :, :]).any(axis=2)
    return np.asarray(~(no_worse & better).any(axis=0))
