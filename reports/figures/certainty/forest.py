"""Every confirmed candidate's accuracy with its interval, and how far it is from the best."""

from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure

from reports import style
from reports.analysis import Analysis
from reports.columns import UNITS, Unit
from reports.figures import NothingToDraw

TITLE = "Accuracy of each candidate, and its distance from the best"
READING = (
    "Left: each dot is one seed; the mark is the mean of those that learned, the line its interval. The "
    "shaded band reaches one standard error below the best. Right: the difference from the best. A "
    "candidate is worse if its line lies left of zero, and tied if it lies within the pale strip, the "
    "margin. The thick part is one standard error."
)
SECTION = "sure"
ORDER = 10
MOST = 40  # rows; more cannot be read


class ForestLine(NamedTuple):
    """One candidate: accuracies in shares of images, differences as the objective has them."""

    label: str
    word: str
    seeds: tuple[float, ...]
    mean: float
    low: float
    high: float
    delta: float
    delta_se: float
    delta_low: float
    delta_high: float


class Numbers(NamedTuple):
    """Candidates, best first; the one-SE band of the best; the margin; in what differences are told."""

    lines: tuple[ForestLine, ...]
    band: tuple[float, float]
    margin: float
    left_out: int
    unit: Unit


def compute(analysis: Analysis) -> Numbers:
    """Take the comparison's rows as they are."""
    if analysis.comparison is None:
        raise NothingToDraw("no candidate is confirmed yet")
    comparison = analysis.comparison
    lines = []
    for row in comparison.rows[:MOST]:
        best = row.candidate == comparison.best.candidate
        paired = not best and (comparison.best.candidate, row.candidate) in comparison.pairs
        spread = comparison.pair(row.candidate, comparison.best.candidate).difference.se if paired else 0.0
        spread = spread if np.isfinite(row.delta_ci_low) else 0.0
        seeds = analysis.runs_of(row.candidate).val_accuracy
        lines.append(
            ForestLine(
                analysis.labels[row.candidate],
                analysis.word(row.candidate),
                tuple(seeds.dropna()),
                row.val_accuracy,
                row.val_accuracy_ci_low,
                row.val_accuracy_ci_high,
                row.delta_to_best,
                spread,
                row.delta_ci_low,
                row.delta_ci_high,
            )
        )
    best_row = comparison.best
    band = (best_row.val_accuracy - best_row.val_accuracy_se, best_row.val_accuracy)
    left_out = max(len(comparison.rows) - MOST, 0)
    return Numbers(tuple(lines), band, comparison.rule.margin, left_out, UNITS[comparison.rule.objective])


def _reach(numbers: Numbers) -> list[float]:
    """The accuracies to show: every interval and every seed, with some air."""
    known = [value for line in numbers.lines for value in (line.low, line.high, *line.seeds)]
    air = 0.04 * (max(known) - min(known)) + 0.002
    return [min(known) - air, max(known) + air]


def _span(numbers: Numbers) -> list[float]:
    """The differences to show, in their unit: every interval and the margin, with some air."""
    found = [end for line in numbers.lines for end in (line.delta_low, line.delta_high) if np.isfinite(end)]
    known = [-numbers.margin, numbers.margin, *found]
    air = 0.04 * (max(known) - min(known))
    return [numbers.unit.scale * (min(known) - air), numbers.unit.scale * (max(known) + air)]


def _difference(numbers: Numbers) -> str:
    """The title of the right axis."""
    return f"difference from the best, {numbers.unit.name}"


def _left_out(numbers: Numbers) -> str:
    """What is said of the candidates without a line, '' if there are none."""
    return f"{numbers.left_out:,} more in the table" if numbers.left_out else ""


def shade(word: str) -> str:
    """The selected candidate in the accent colour, the others in ink.

    Args:
        word: The candidate's word in the verdict, such as "selected" or "worse".

    Returns:
        A colour in hexadecimal.
    """
    return style.LIGHT.accent if word == "selected" else style.LIGHT.ink


def draw(numbers: Numbers) -> go.Figure:
    """Two panels that share their rows."""
    count = len(numbers.lines)
    figure = style.plot(
        height=110 + 34 * count,
        showlegend=False,
        xaxis=style.axis("validation accuracy", domain=[0, 0.58], range=_reach(numbers), tickformat=".0%"),
        xaxis2=style.axis(_difference(numbers), domain=[0.62, 1], anchor="y",
                          range=_span(numbers), **style.QUIET),
        yaxis=style.categories([line.label for line in numbers.lines]),
    )  # fmt: skip
    figure.add_vrect(*numbers.band, fillcolor=style.LIGHT.band, line_width=0, layer="below")
    reach = numbers.unit.scale * numbers.margin
    figure.add_vrect(-reach, reach, fillcolor=style.LIGHT.faint, line_width=0, layer="below", xref="x2")
    figure.add_vline(0, line={"color": style.LIGHT.muted, "width": 1}, xref="x2")
    for place, line in enumerate(numbers.lines):
        for trace in _row(place, line, numbers.unit):
            figure.add_trace(trace)
    if numbers.left_out:
        figure.add_annotation(
            text=_left_out(numbers), xref="paper", yref="paper", x=1, y=1, xanchor="right", yanchor="bottom",
            showarrow=False, font={"color": style.LIGHT.muted, "size": 12},
        )  # fmt: skip
        figure.update_layout(margin={"t": 32})
    return figure


def _row(place: int, line: ForestLine, unit: Unit) -> list[go.Scatter]:
    colour = shade(line.word)
    told = (
        f"<b>{line.label}</b><br>{line.mean:.2%}, interval {line.low:.2%} to {line.high:.2%}"
        f"<br>{len(line.seeds)} seeds · {line.word}<extra></extra>"
    )
    traces = [
        go.Scatter(x=style.points(line.seeds), y=[place] * len(line.seeds), mode="markers", hoverinfo="skip",
                   marker={"size": 5, "color": style.clear(style.LIGHT.muted, 0.55)}),
        _stroke((line.low, line.high), place, colour, 1.5),
        go.Scatter(x=style.points([line.mean]), y=[place], mode="markers", hovertemplate=told,
                   marker={"size": 11, "color": colour, "symbol": style.MARK.get(line.word, "circle")}),
    ]  # fmt: skip
    if line.delta_se:
        found = (line.delta, line.delta_low, line.delta_high, line.delta_se)
        delta, low, high, reach = (unit.scale * value for value in found)
        digits = unit.digits + 1
        told = (
            f"<b>{line.label}</b><br>{delta:+.{digits}f} {unit.name}, interval {low:.{digits}f} to "
            f"{high:.{digits}f}<extra></extra>"
        )
        traces += [
            _stroke((low, high), place, colour, 1.5, "x2"),
            _stroke((delta - reach, delta + reach), place, colour, 5, "x2"),
            go.Scatter(x=style.points([delta]), y=[place], mode="markers", xaxis="x2", hovertemplate=told,
                       marker={"size": 8, "color": style.LIGHT.paper, "line": {"color": colour, "width": 2}}),
        ]  # fmt: skip
    else:
        traces.append(
            go.Scatter(x=[0], y=[place], mode="text", text=[_alone(line)],
                       textposition="middle left", xaxis="x2", hoverinfo="skip",
                       textfont={"color": style.LIGHT.muted, "size": 12})
        )  # fmt: skip
    return traces


def _alone(line: ForestLine) -> str:
    """What stands in place of a difference with a spread."""
    if line.delta != 0:
        return "too few seeds"
    return "best" if np.isnan(line.delta_low) else "equal"


def _stroke(ends: tuple[float, float], place: int, colour: str, width: float, axis: str = "x") -> go.Scatter:
    return go.Scatter(
        x=style.points(ends), y=[place, place], mode="lines", xaxis=axis, hoverinfo="skip",
        line={"color": colour, "width": width},
    )  # fmt: skip


def picture(numbers: Numbers) -> Figure:
    """The same two panels on paper."""
    count = len(numbers.lines)
    with mpl.rc_context(style.RC):
        figure = Figure(figsize=(7.6, 1.0 + 0.3 * count), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.5, 1))
        left.axvspan(*numbers.band, color=style.LIGHT.band, lw=0, zorder=0)
        scale = numbers.unit.scale
        reach = scale * numbers.margin
        right.axvspan(-reach, reach, color=style.LIGHT.faint, lw=0, zorder=0)
        right.axvline(0, color=style.LIGHT.muted, lw=0.8, zorder=1)
        for place, line in enumerate(numbers.lines):
            colour = shade(line.word)
            left.scatter(line.seeds, [place] * len(line.seeds), s=8, color=style.LIGHT.muted, alpha=0.6, lw=0)
            left.plot([line.low, line.high], [place, place], color=colour, lw=1.2)
            left.plot(line.mean, place, style.PRINT_MARK.get(line.word, "o"), color=colour, ms=6)
            if line.delta_se:
                right.plot(
                    [scale * line.delta_low, scale * line.delta_high], [place, place], color=colour, lw=1.2
                )
                ends = [scale * (line.delta - line.delta_se), scale * (line.delta + line.delta_se)]
                right.plot(ends, [place, place], color=colour, lw=3.5, solid_capstyle="butt")
                right.plot(scale * line.delta, place, "o", color="white", mec=colour, ms=5)
        left.set_yticks(range(count), [style.short(line.label) for line in numbers.lines])
        left.set_ylim(count - 0.5, -0.5)
        for axes in (left, right):
            axes.grid(visible=False, axis="y")
            axes.tick_params(axis="y", length=0)
        left.set_xlabel("validation accuracy")
        style.as_percent(left.xaxis)
        right.set_xlabel(_difference(numbers).replace(", ", ",\n"))
        if numbers.left_out:
            figure.suptitle(_left_out(numbers), fontsize=8)
    return figure
