"""Each seed across the candidates: how much luck there is, and whether it strikes them together."""

from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure

from reports import style
from reports.analysis import Analysis
from reports.figures import NothingToDraw

TITLE = "The luck of the seed"
READING = (
    "Each line is one seed, each column a candidate, best first. The height of a column is how much luck "
    "moves that candidate; where lines cross, the better network depends on the seed. A single run could "
    "have shown any of these dots. A ring marks a seed that failed to learn."
)
SECTION = "sure"
ORDER = 30
MOST = 10


class Numbers(NamedTuple):
    """accuracies[seed][candidate], NaN where a seed is missing; failed: (seed's place, candidate's place)."""

    labels: tuple[str, ...]
    seeds: tuple[int, ...]
    accuracies: tuple[tuple[float, ...], ...]
    failed: tuple[tuple[int, int], ...] = ()


def compute(analysis: Analysis) -> Numbers:
    """Validation accuracy of every confirmed evaluation of the leaders."""
    leaders = [row.candidate for row in analysis.rows[:MOST]]
    held = {name: analysis.runs_of(name).set_index("seed").val_accuracy for name in leaders}
    seeds = sorted({int(seed) for accuracy in held.values() for seed in accuracy.index})
    if len(seeds) < 2 or len(leaders) < 2:
        raise NothingToDraw("it takes two candidates and two seeds")
    table = tuple(tuple(float(held[name].get(seed, np.nan)) for name in leaders) for seed in seeds)
    failed = tuple(
        (seeds.index(seed), place)
        for place, row in enumerate(analysis.rows[:MOST])
        for seed in row.failed_seeds
    )
    return Numbers(tuple(analysis.labels[name] for name in leaders), tuple(seeds), table, failed)


def _reach(numbers: Numbers) -> list[float]:
    """The accuracies to show, a point of accuracy at least."""
    known = np.array(numbers.accuracies)
    air = max(0.08 * float(np.nanmax(known) - np.nanmin(known)), 0.005)
    return [float(np.nanmin(known)) - air, float(np.nanmax(known)) + air]


def draw(numbers: Numbers) -> go.Figure:
    """One line a seed."""
    places = list(range(len(numbers.labels)))
    figure = style.plot(
        height=400,
        xaxis={
            "tickvals": places,
            "ticktext": [style.wrapped(label) for label in numbers.labels],
            "showgrid": False,
            "range": [-0.4, len(places) - 0.6],
            "ticks": "",
        },
        yaxis=style.axis("validation accuracy", range=_reach(numbers), **style.PERCENT),
    )
    for index, (seed, row) in enumerate(zip(numbers.seeds, numbers.accuracies, strict=True)):
        colour = style.colour(index)
        figure.add_scatter(
            x=places, y=style.points(row), mode="lines+markers", name=f"seed {seed}",
            line={"color": style.clear(colour, 0.55), "width": 1.2}, showlegend=len(numbers.seeds) <= 12,
            marker={"size": 8, "color": colour, "symbol": style.SYMBOLS[index % len(style.SYMBOLS)]},
            hovertemplate=f"seed {seed}: %{{y:.2%}}<extra></extra>",
        )  # fmt: skip
    if numbers.failed:
        figure.add_scatter(
            x=[place for _, place in numbers.failed], mode="markers", name="failed to learn",
            y=[numbers.accuracies[seed][place] for seed, place in numbers.failed], hoverinfo="skip",
            marker={"size": 16, "symbol": "circle-open", "color": style.LIGHT.ink, "line": {"width": 1.5}},
        )  # fmt: skip
    return figure


def picture(numbers: Numbers) -> Figure:
    """The same on paper."""
    places = range(len(numbers.labels))
    with mpl.rc_context(style.RC):
        width = max(4.0, 1.7 * len(numbers.labels))
        figure, axes = style.canvas(width, 3.6)
        for index, (seed, row) in enumerate(zip(numbers.seeds, numbers.accuracies, strict=True)):
            mark = style.MARKERS[index % len(style.MARKERS)]
            axes.plot(places, row, marker=mark, ms=4, lw=0.8, color=style.colour(index), label=f"seed {seed}")
        if numbers.failed:
            failed = [numbers.accuracies[seed][place] for seed, place in numbers.failed]
            axes.plot(
                [place for _, place in numbers.failed], failed, "o", ms=9, mfc="none", mew=1.0,
                color=style.LIGHT.ink, label="failed to learn",
            )  # fmt: skip
        axes.set_xticks(places, [style.wrapped(label, "\n") for label in numbers.labels], fontsize=7)
        axes.margins(x=0.08)
        axes.set_ylim(*_reach(numbers))
        axes.set_ylabel("validation accuracy")
        style.as_percent(axes.yaxis)
        if len(numbers.seeds) <= 12:
            figure.legend(loc="outside upper left", ncols=int(width))  # one takes nine tenths of an inch
    return figure
