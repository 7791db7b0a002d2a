"""Whether a leader that says 80% is right in 80%."""

from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure
from numpy.typing import NDArray

from reports import style
from reports.analysis import Analysis
from reports.figures import NothingToDraw

TITLE = "Can the stated confidence be believed"
READING = (
    "Validation images sorted by the confidence of the answer, in ten bins, all seeds together; a larger "
    "dot holds more images. On the diagonal, confidence is honest; below it, the network is surer than it "
    "should be. ECE is the mean distance from the diagonal."
)
SECTION = "errors"
ORDER = 30
MOST = 3
BINS = 10
FEWEST = 10  # answers in a bin; fewer say nothing


class Curve(NamedTuple):
    """One candidate: confidence, accuracy and share of the answers in each bin that is filled."""

    label: str
    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]
    share: tuple[float, ...]
    error: float


class Numbers(NamedTuple):
    """The first leaders."""

    curves: tuple[Curve, ...]


def compute(analysis: Analysis) -> Numbers:
    """Bin every answer of every seed by its confidence; ECE as logged, mean over seeds."""
    if not analysis.rows:
        raise NothingToDraw("no confirmed candidate has stored predictions")
    curves = []
    for row in analysis.rows[:MOST]:
        evaluations = analysis.evaluations_of(row.candidate)
        confidence = np.concatenate([one.probabilities.max(axis=1) for one in evaluations]).astype(float)
        right = np.concatenate([one.probabilities.argmax(axis=1) == one.labels for one in evaluations])
        error = float(analysis.runs_of(row.candidate).ece.mean())
        curves.append(_curve(analysis.labels[row.candidate], confidence, right, error))
    return Numbers(tuple(curves))


def _curve(label: str, confidence: NDArray[np.float64], right: NDArray[np.bool_], error: float) -> Curve:
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    filled = [b for b in range(BINS) if (place == b).sum() >= FEWEST]
    return Curve(
        label,
        tuple(float(confidence[place == b].mean()) for b in filled),
        tuple(float(right[place == b].mean()) for b in filled),
        tuple(float((place == b).mean()) for b in filled),
        error,
    )


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


def _name(curve: Curve) -> str:
    return f"{style.short(curve.label)} (ECE {curve.error:.3f})" if np.isfinite(curve.error) else curve.label


def _sizes(curve: Curve) -> list[float]:
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
