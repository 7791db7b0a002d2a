"""Validation accuracy against relative overfitting: what a candidate's score costs in memorised images."""

from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure

from reports import style
from reports.analysis import Analysis
from reports.figures import NothingToDraw
from reports.statistics import pareto_front

TITLE = "Accuracy against relative overfitting"
READING = (
    "Up is more accurate, left is less overfitted; a larger circle has more parameters. Crosses are the "
    "intervals. No candidate beats one on the dashed line in both ways at once. Right of the dotted line "
    "(tau, set before the search) a candidate overfits too much to be selected."
)
SECTION = "overfit"
ORDER = 20
LARGEST = 34  # pixels across


class OverfitPoint(NamedTuple):
    """One candidate; shares, except parameters."""

    label: str
    word: str
    baseline: bool
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    overfit: float
    overfit_low: float
    overfit_high: float
    parameters: int
    pareto: bool


class Numbers(NamedTuple):
    """Candidates, best first; the limit tau."""

    points: tuple[OverfitPoint, ...]
    tau: float


def compute(analysis: Analysis) -> Numbers:
    """Take the confirmed candidates whose relative overfitting is known."""
    rows = [row for row in analysis.rows if np.isfinite(row.relative_overfit)]
    if not rows:
        raise NothingToDraw("no confirmed candidate has a known relative overfitting")
    # The table's front is that of the objective; this one is of what is drawn.
    best = pareto_front(np.array([[-row.val_accuracy, row.relative_overfit] for row in rows]))
    points = tuple(
        OverfitPoint(
            analysis.labels[row.candidate],
            analysis.word(row.candidate),
            row.baseline,
            row.val_accuracy,
            row.val_accuracy_ci_low,
            row.val_accuracy_ci_high,
            row.relative_overfit,
            row.relative_overfit_low,
            row.relative_overfit_high,
            row.parameters,
            bool(on_front),
        )
        for row, on_front in zip(rows, best, strict=True)
    )
    return Numbers(points, analysis.rule.tau)


def front(points: tuple[OverfitPoint, ...]) -> list[OverfitPoint]:
    """The Pareto front.

    Args:
        points: All candidates.

    Returns:
        Those that no other beats in both score and overfitting, by rising overfitting.
    """
    return sorted((point for point in points if point.pareto), key=lambda point: point.overfit)


def _across(points: tuple[OverfitPoint, ...]) -> list[float]:
    """Diameters: area in proportion to parameters."""
    largest = max(point.parameters for point in points) or 1
    return [8 + (LARGEST - 8) * (point.parameters / largest) ** 0.5 for point in points]


def _colour(point: OverfitPoint) -> str:
    if point.word == "selected":
        return style.LIGHT.accent
    return style.LIGHT.warn if point.word == "overfit" else style.LIGHT.muted


def draw(numbers: Numbers) -> go.Figure:
    """Circles with crosses, the front and the limit."""
    points = numbers.points
    figure = style.plot(
        height=460,
        showlegend=False,
        xaxis=style.axis("relative overfitting (0 none, 1 all that is possible)", range=_span(numbers)),
        yaxis=style.axis("validation accuracy", **style.PERCENT),
    )
    shown = front(points)
    figure.add_trace(
        go.Scatter(
            x=style.points([p.overfit for p in shown]),
            y=style.points([p.accuracy for p in shown]),
            mode="lines",
            line={"color": style.LIGHT.muted, "dash": "dash", "width": 1.2},
            hoverinfo="skip",
        )
    )
    figure.add_trace(_circles(points))
    for point, across in zip(points, _across(points), strict=True):
        if point.word == "selected" or point.baseline:
            figure.add_annotation(
                x=point.overfit, y=point.accuracy, text=_title(point), showarrow=False, xanchor="left",
                yanchor="top", xshift=across / 2, yshift=-4, font={"size": 12},
                bgcolor=style.clear(style.LIGHT.paper, 0.75),
            )  # fmt: skip
    figure.add_vline(
        numbers.tau, line={"color": style.LIGHT.warn, "dash": "dot", "width": 1.5},
        annotation={"text": f"tau {numbers.tau:g}", "font": {"color": style.LIGHT.warn, "size": 12}},
        annotation_position="top left",
    )  # fmt: skip
    return figure


def _title(point: OverfitPoint) -> str:
    return style.short(point.label, 30) + (" (baseline)" if point.baseline else "")


def _span(numbers: Numbers) -> list[float]:
    known = [value for p in numbers.points for value in (p.overfit, p.overfit_low, p.overfit_high)]
    finite = [value for value in known if np.isfinite(value)]
    return [min(0.0, *finite) - 0.01, max(numbers.tau * 1.12, *finite) + 0.02]


def _circles(points: tuple[OverfitPoint, ...]) -> go.Scatter:
    def arms(low: str, middle: str, high: str) -> dict[str, Any]:
        ends = [[getattr(point, name) for point in points] for name in (middle, low, high)]
        return style.whiskers(ends[0], ends[1], ends[2], style.LIGHT.muted, 1)

    return go.Scatter(
        x=style.points([p.overfit for p in points]), y=style.points([p.accuracy for p in points]),
        mode="markers",
        customdata=[[p.label, p.parameters, p.word, " (baseline)" if p.baseline else ""] for p in points],
        hovertemplate="<b>%{customdata[0]}</b>%{customdata[3]}<br>%{y:.2%} validation, overfitting %{x:.3f}"
                      "<br>%{customdata[1]:,} parameters · %{customdata[2]}<extra></extra>",
        error_x=arms("overfit_low", "overfit", "overfit_high"),
        error_y=arms("accuracy_low", "accuracy", "accuracy_high"),
        marker={"size": _across(points), "sizemode": "diameter", "opacity": 1,
                "color": [style.clear(_colour(p), 0.55) for p in points],
                "line": {"color": [style.LIGHT.ink if p.baseline else _colour(p) for p in points],
                         "width": [2.5 if p.baseline else 1.2 for p in points]}},
    )  # fmt: skip


def picture(numbers: Numbers) -> Figure:
    """The same on paper."""
    with mpl.rc_context(style.RC):
        figure, axes = style.canvas(6.4, 4.2)
        shown = front(numbers.points)
        axes.plot(
            [p.overfit for p in shown], [p.accuracy for p in shown], "--", color=style.LIGHT.muted, lw=0.9
        )
        for point, across in zip(numbers.points, _across(numbers.points), strict=True):
            axes.plot(
                [point.overfit_low, point.overfit_high], [point.accuracy] * 2, color=style.LIGHT.muted, lw=0.7
            )
            axes.plot(
                [point.overfit] * 2,
                [point.accuracy_low, point.accuracy_high],
                color=style.LIGHT.muted,
                lw=0.7,
            )
            edge = style.LIGHT.ink if point.baseline else _colour(point)
            axes.scatter(point.overfit, point.accuracy, (0.75 * across) ** 2, color=_colour(point), alpha=0.6,
                         edgecolors=edge, linewidths=1.6 if point.baseline else 0.8, zorder=3)  # fmt: skip
            if point.word == "selected" or point.baseline:
                axes.annotate(_title(point), (point.overfit, point.accuracy), (7, -11),
                              textcoords="offset points", fontsize=8)  # fmt: skip
        axes.axvline(numbers.tau, color=style.LIGHT.warn, ls=":", lw=1.2)
        axes.set_xlim(*_span(numbers))
        axes.set_xlabel("relative overfitting")
        axes.set_ylabel("validation accuracy")
        style.as_percent(axes.yaxis)
    return figure
