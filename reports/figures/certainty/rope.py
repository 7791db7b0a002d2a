"""For each candidate, how probable it is that it is better than the best, equal to it, or worse."""

from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure

from reports import style
from reports.analysis import Analysis
from reports.columns import UNITS
from reports.figures import NothingToDraw

TITLE = "Better, equal or worse than the best"
READING = (
    "One bar a candidate, for a choice that must be made today: the probability that it is better than the "
    "best by more than the margin (blue), equal within it (pale), or worse by more than it (orange). The bar "
    "of the best compares it with the runner-up. To the right: shared seeds in which it scored higher."
)
SECTION = "sure"
ORDER = 20
MOST = 20


class RopeBar(NamedTuple):
    """One candidate; the three probabilities sum to one."""

    label: str
    above: float
    equal: float
    below: float
    won: str  # "5 of 5"


class Numbers(NamedTuple):
    """Candidates, best first, and the margin in words."""

    bars: tuple[RopeBar, ...]
    margin: str


def compute(analysis: Analysis) -> Numbers:
    """The rows of the comparison whose probabilities are known."""
    known = [row for row in analysis.rows[:MOST] if np.isfinite(row.p_equal)]
    if len(known) < 2:
        raise NothingToDraw("it takes two candidates with three seeds that count")
    unit = UNITS[analysis.rule.objective]
    bars = [
        RopeBar(
            analysis.labels[row.candidate],
            row.p_above,
            row.p_equal,
            row.p_below,
            f"{row.seeds_won:g} of {row.seeds_paired}",
        )
        for row in known
    ]
    margin = f"{unit.scale * analysis.rule.margin:g}"
    return Numbers(tuple(bars), f"{margin} {unit.name if margin != '1' else unit.name.replace('s', '', 1)}")


def _parts(numbers: Numbers) -> tuple[tuple[str, list[float], str], ...]:
    """What each part of the bars is called, how long it is, and its colour."""
    return (
        ("better", [bar.above for bar in numbers.bars], style.DIVERGING[-1]),
        ("equal within " + numbers.margin, [bar.equal for bar in numbers.bars], style.LIGHT.faint),
        ("worse", [bar.below for bar in numbers.bars], style.DIVERGING[0]),
    )


def draw(numbers: Numbers) -> go.Figure:
    """Stacked bars, best first."""
    count = len(numbers.bars)
    figure = style.plot(
        height=130 + 34 * count,
        barmode="stack",
        bargap=0.35,
        xaxis=style.axis("probability", range=[0, 1.14], tickformat=".0%"),
        yaxis=style.categories([bar.label for bar in numbers.bars]),
    )
    places = list(range(count))
    for name, lengths, colour in _parts(numbers):
        figure.add_bar(
            x=style.points(lengths, 4), y=places, orientation="h", name=name, marker={"color": colour},
            hovertemplate=f"{name}: %{{x:.2f}}<extra></extra>",
        )  # fmt: skip
    for place, bar in enumerate(numbers.bars):
        figure.add_annotation(
            text=bar.won, x=1.02, y=place, xanchor="left", showarrow=False,
            font={"color": style.LIGHT.muted, "size": 12},
        )  # fmt: skip
    return figure


def picture(numbers: Numbers) -> Figure:
    """The same on paper."""
    count = len(numbers.bars)
    with mpl.rc_context(style.RC):
        figure, axes = style.canvas(6.0, 1.2 + 0.3 * count)
        left = np.zeros(count)
        for name, lengths, colour in _parts(numbers):
            axes.barh(range(count), lengths, left=left, color=colour, height=0.6, label=name)
            left += np.array(lengths)
        for place, bar in enumerate(numbers.bars):
            axes.text(1.02, place, bar.won, va="center", fontsize=7, color=style.LIGHT.muted)
        axes.set_yticks(range(count), [style.short(bar.label) for bar in numbers.bars])
        axes.set_ylim(count - 0.5, -0.5)
        axes.set_xlim(0, 1.14)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("probability")
        figure.legend(loc="outside upper left", ncols=3)
    return figure
