"""The best score so far by number of trials, for each family, against the same trials in random order."""

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.special import gammaln

from reports import style
from reports.analysis import Analysis
from reports.figures import NothingToDraw
from search.tracking import names

TITLE = "What more trials brought"
READING = (
    "Steps: the best monitor score so far, trial by trial, for each family. Band: where 80% of random "
    "orders of the very same trials would lie. Steps above the band mean that the sampler found good "
    "candidates sooner than chance, or was handed them (warm_start); a flat end means that more trials of "
    "this kind would bring little. Monitor chose these candidates, so it flatters them."
)
SECTION = "search"
ORDER = 10
LONGEST = 400  # points of one curve


class TuningCurve(NamedTuple):
    """One family: number of trials, best score so far, 10%, 50% and 90% over random orders."""

    family: str
    trials: tuple[int, ...]
    best: tuple[float, ...]
    low: tuple[float, ...]
    middle: tuple[float, ...]
    high: tuple[float, ...]


class Numbers(NamedTuple):
    """One curve a family; what the score is called; whether lower is better."""

    curves: tuple[TuningCurve, ...]
    score: str
    lower_is_better: bool


def compute(analysis: Analysis) -> Numbers:
    """Scores of completed explore trials in the order of their slots."""
    frame = analysis.study.evaluations
    metric, lower = analysis.objective_in_explore, analysis.rule.objective == "loss"
    done = frame[(frame.stage == names.EXPLORE) & (frame.state == names.COMPLETE)].dropna(subset=[metric])
    if len(done) < 3:
        raise NothingToDraw("fewer than three explored trials are complete")
    if done[metric].nunique() == 1:
        raise NothingToDraw("all explored trials scored alike")
    curves = tuple(_curve(str(family), group[metric], lower) for family, group in done.groupby("family"))
    score = metric.removeprefix(names.MONITOR_FINAL).replace("_", " ")
    return Numbers(curves, f"best monitor {score} so far", lower)


def _curve(family: str, scores: "pd.Series[float]", lower: bool) -> TuningCurve:
    sign = -1.0 if lower else 1.0
    values = np.asarray(sign * scores, np.float64)
    best = sign * np.maximum.accumulate(values)
    shown = np.unique(np.linspace(0, len(values) - 1, min(len(values), LONGEST)).astype(int))
    trials = tuple(int(at) + 1 for at in shown)
    low, middle, high = (sign * part for part in random_order(values, trials, (0.1, 0.5, 0.9)))
    return TuningCurve(
        family, trials, tuple(best[shown].tolist()),
        *(tuple(part.tolist()) for part in ((high, middle, low) if lower else (low, middle, high))),
    )  # fmt: skip


def random_order(
    values: NDArray[np.float64], draws: Sequence[int], quantiles: Sequence[float]
) -> list[NDArray[np.float64]]:
    """Quantiles of the best of k values drawn without replacement.

    P(best of k <= i-th smallest) = C(i, k) / C(n, k), the distribution of an order statistic.

    Args:
        values: Scores (n,).
        draws: The numbers k, from 1 to n.
        quantiles: Which quantiles, in (0, 1).

    Returns:
        For each quantile, its value for each k (draws,).
    """
    ordered, count = np.sort(values), len(values)
    ranks = np.arange(1, count + 1)
    found = [np.empty(len(draws)) for _ in quantiles]
    for place, drawn in enumerate(draws):
        chance = np.zeros(count)
        chance[drawn - 1 :] = np.exp(_log_choose(ranks[drawn - 1 :], drawn) - _log_choose(count, drawn))
        for quantile, into in zip(quantiles, found, strict=True):
            into[place] = ordered[min(int(np.searchsorted(chance, quantile)), count - 1)]
    return found


def _log_choose(n: NDArray[np.int64] | int, k: int) -> NDArray[np.float64]:
    return np.asarray(gammaln(np.add(n, 1)) - gammaln(k + 1) - gammaln(np.subtract(n, k) + 1))


def draw(numbers: Numbers) -> go.Figure:
    """Steps over bands."""
    figure = style.plot(
        height=420,
        xaxis=style.counted("completed trials of the family", max(max(c.trials) for c in numbers.curves)),
        yaxis=style.axis(numbers.score, tickformat=".2f" if numbers.lower_is_better else ".0%"),
    )
    for index, curve in enumerate(numbers.curves):
        colour, group = style.colour(index), curve.family
        figure.add_scatter(
            x=[*curve.trials, *reversed(curve.trials)], y=style.points([*curve.high, *reversed(curve.low)]),
            fill="toself", mode="lines", line={"width": 0}, fillcolor=style.clear(colour, 0.13),
            hoverinfo="skip", showlegend=False, legendgroup=group,
        )  # fmt: skip
        figure.add_scatter(
            x=curve.trials, y=style.points(curve.middle), mode="lines", showlegend=False, legendgroup=group,
            line={"color": colour, "width": 1, "dash": "dot"}, hoverinfo="skip",
        )  # fmt: skip
        figure.add_scatter(
            x=curve.trials, y=style.points(curve.best), mode="lines", name=curve.family, legendgroup=group,
            line={"color": colour, "width": 2, "shape": "hv", "dash": style.DASHES[index % 8]},
            hovertemplate=f"<b>{curve.family}</b><br>after %{{x}} trials: %{{y:.4f}}<extra></extra>",
        )  # fmt: skip
    return figure


def picture(numbers: Numbers) -> Figure:
    """The same on paper."""
    with mpl.rc_context(style.RC):
        figure, axes = style.canvas(6.4, 3.8)
        for index, curve in enumerate(numbers.curves):
            colour, dash = style.colour(index), ("-", "--", ":", "-.")[index % 4]
            axes.fill_between(curve.trials, curve.low, curve.high, color=colour, alpha=0.12, lw=0)
            axes.step(curve.trials, curve.best, dash, where="post", color=colour, lw=1.5, label=curve.family)
        axes.set_xlabel("completed trials of the family")
        style.as_counts(axes.xaxis)
        axes.set_ylabel(numbers.score)
        if not numbers.lower_is_better:
            style.as_percent(axes.yaxis)
        figure.legend(loc="outside upper left", ncols=3)
    return figure
