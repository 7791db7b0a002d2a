"""What may be said about many candidates at once."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def holm(p_values: Floats) -> Floats:
    """Adjusted p-values (tests,) that keep the familywise error (Holm 1979).

    statsmodels has it too, but collects all garbage of the process at every call.
    """
    order = np.argsort(p_values, kind="stable")
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


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


def pareto_front(costs: Floats) -> Bools:
    """Which rows of costs (candidates, criteria), lower is better, no other row beats in everything.

    A missing criterion (NaN) counts as the worst possible.
    """
    known = np.where(np.isnan(costs), np.inf, costs)
    no_worse = (known[:, None, :] <= known[None, :, :]).all(axis=2)
    better = (known[:, None, :] < known[None, :, :]).any(axis=2)
    return np.asarray(~(no_worse & better).any(axis=0))
