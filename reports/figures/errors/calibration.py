"""Whether a leader that says 80% is right in 80%."""

import functools
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure

from reports import style
from reports.analysis import Analysis
from reports.figures import NothingToDraw
from reports.records.evaluation import Evaluation
from reports.statistics import crossed_bootstrap, expected_calibration_error, percentile_interval

TITLE = "Can the stated confidence be believed"
READING = (
    "Validation images sorted by the confidence of the answer, in ten bins, all seeds together; a larger "
    "dot holds more images. On the diagonal, confidence is honest; below it, the network is surer than it "
    "should be. ECE, the expected calibration error, is the mean distance from the diagonal in fifteen such "
    "bins, over seeds, with its bootstrap interval over seeds and images. Noise makes such a distance "
    "larger than it is; the interval allows for that and may lie below."
)
SECTION = "errors"
ORDER = 30
MOST = 3
BINS = 10
RESAMPLES = 400
FEWEST = 10  # answers in a bin; fewer say nothing


class ReliabilityCurve(NamedTuple):
    """One candidate: confidence, accuracy and share of the answers in each bin that is filled."""

    label: str
    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]
    share: tuple[float, ...]
    error: float
    error_low: float
    error_high: float


class Numbers(NamedTuple):
    """The first leaders."""

    curves: tuple[ReliabilityCurve, ...]


def compute(analysis: Analysis) -> Numbers:
    """Bin every answer of every seed by its confidence."""
    if not analysis.rows:
        raise NothingToDraw("no confirmed candidate has stored predictions")
    curves = []
    for row in analysis.rows[:MOST]:
        evaluations = analysis.evaluations_of(row.candidate)
        curves.append(_curve(analysis.labels[row.candidate], evaluations, analysis.alpha_of_intervals))
    return Numbers(tuple(curves))


def _curve(label: str, evaluations: list[Evaluation], alpha: float) -> ReliabilityCurve:
    confidence = np.concatenate([one.probabilities.max(axis=1) for one in evaluations]).astype(float)
    right = np.concatenate([one.probabilities.argmax(axis=1) == one.labels for one in evaluations])
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    filled = [b for b in range(BINS) if (place == b).sum() >= FEWEST]
    return ReliabilityCurve(
        label,
        tuple(float(confidence[place == b].mean()) for b in filled),
        tuple(float(right[place == b].mean()) for b in filled),
        tuple(float((place == b).mean()) for b in filled),
        *_error(evaluations, alpha),
    )


def _error(evaluations: list[Evaluation], alpha: float) -> tuple[float, float, float]:
    """ECE and its interval. Noise makes distances grow, so the draws are turned round the estimate."""
    labels, groups = evaluations[0].labels, evaluations[0].groups
    shares = np.stack([one.probabilities for one in evaluations])
    ece = functools.partial(expected_calibration_error, labels, shares)
    estimate = float(ece().mean())
    draws = crossed_bootstrap(
        lambda weights: ece(weights=weights), *shares.shape[:2], groups=groups, resamples=RESAMPLES
    )
    low, high = percentile_interval(2.0 * estimate - draws, alpha)
    return estimate, max(low, 0.0), max(high, 0.0)


def draw(numbers: Numbers) -> go.Figure:
    """Confidence against accuracy, with the diagonal."""
    figure = style.plot(
        height=460,
        xaxis=style.axis("stated confidence", range=[0, 1.02], **style.PERCENT),
        yaxis=style.axis("share that was right", range=[0, 1.02], **style.PERCENT),
    )
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": style.LIGHT.muted, "width": 1, "dash": "dash"},
        hoverinfo="skip",
        showlegend=False,
    )
    for index, curve in enumerate(numbers.curves):
        colour = style.colour(index)
        figure.add_scatter(
            x=style.points(curve.confidence), y=style.points(curve.accuracy), mode="lines+markers",
            name=_name(curve), line={"color": colour, "width": 1.6}, customdata=style.points(curve.share),
            marker={"color": colour, "size": _sizes(curve), "symbol": style.SYMBOLS[index]},
            hovertemplate=f"<b>{curve.label}</b><br>says %{{x:.0%}}, right in %{{y:.0%}} "
                          "(%{customdata:.0%} of its answers)<extra></extra>",
        )  # fmt: skip
    return figure


def _name(curve: ReliabilityCurve) -> str:
    interval = f"{curve.error_low:.3f} to {curve.error_high:.3f}"
    return f"{style.short(curve.label)} (ECE {curve.error:.3f}, {interval})"


def _sizes(curve: ReliabilityCurve) -> list[float]:
    return [round(6 + 22 * share**0.5, 1) for share in curve.share]


def picture(numbers: Numbers) -> Figure:
    """The same on paper."""
    with mpl.rc_context(style.RC):
        figure, axes = style.canvas(4.6, 4.6)
        axes.plot([0, 1], [0, 1], "--", color=style.LIGHT.muted, lw=0.8)
        for index, curve in enumerate(numbers.curves):
            colour = style.colour(index)
            axes.plot(curve.confidence, curve.accuracy, color=colour, lw=1.2)
            areas = [(0.6 * size) ** 2 for size in _sizes(curve)]
            axes.scatter(curve.confidence, curve.accuracy, areas, color=colour, label=_name(curve),
                         marker=style.MARKERS[index])  # fmt: skip
        axes.set_xlabel("stated confidence")
        axes.set_ylabel("share that was right")
        for side in (axes.xaxis, axes.yaxis):
            style.as_percent(side)
        figure.legend(loc="outside upper left", markerscale=0.5)
    return figure
