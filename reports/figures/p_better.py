"""For every two candidates, how likely it is that the one beats the other when both are trained once more."""

from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure

from reports import style
from reports.analysis import Analysis
from reports.figures import NothingToDraw
from reports.inference.comparison import FEWEST_SEEDS

TITLE = "Who beats whom"
READING = (
    "Each cell is the chance that the candidate of its row beats the one of its column with one more seed "
    "each: blue, it does; orange, it does not; pale, nobody knows. A bold frame marks a difference that "
    "is significant after Holm's correction over all pairs."
)
SECTION = "sure"
ORDER = 20
MOST = 12


class Numbers(NamedTuple):
    """chance[a][b] of a beating b (NaN: too few common seeds), and whether that difference is significant."""

    labels: tuple[str, ...]
    chance: tuple[tuple[float, ...], ...]
    low: tuple[tuple[float, ...], ...]
    high: tuple[tuple[float, ...], ...]
    significant: tuple[tuple[bool, ...], ...]


def compute(analysis: Analysis) -> Numbers:
    """Every pair of the comparison, seen from both sides."""
    comparison = analysis.comparison
    shared = [pair.difference.seeds for pair in comparison.pairs.values()] if comparison else []
    if comparison is None or max(shared, default=0) < FEWEST_SEEDS:
        raise NothingToDraw(f"it takes two candidates with {FEWEST_SEEDS} seeds in common")
    leaders = [row.candidate for row in analysis.rows[:MOST]]
    shape = (len(leaders), len(leaders))
    chance, low, high = np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, np.nan)
    significant = np.zeros(shape, bool)
    for i, a in enumerate(leaders):
        for j, b in enumerate(leaders):
            if (a, b) in comparison.pairs or (b, a) in comparison.pairs:
                pair = comparison.pair(a, b)
                chance[i, j], low[i, j] = pair.probability.estimate, pair.probability.low
                high[i, j], significant[i, j] = pair.probability.high, pair.p_holm < comparison.alpha
    labels = tuple(analysis.labels[name] for name in leaders)
    return Numbers(labels, *(tuple(map(tuple, table.tolist())) for table in (chance, low, high, significant)))


def draw(numbers: Numbers) -> go.Figure:
    """A heat map with frames."""
    count = len(numbers.labels)
    marks = [letter(index) for index in range(count)]
    told = [f"<b>{mark}</b>  {style.short(label)}" for mark, label in zip(marks, numbers.labels, strict=True)]
    figure = style.plot(
        height=130 + 44 * count,
        xaxis={
            "tickvals": list(range(count)),
            "ticktext": marks,
            "side": "top",
            "ticks": "",
            "showgrid": False,
        },
        yaxis={**style.categories(told), "ticktext": told},
    )
    figure.add_heatmap(
        z=[style.points(row, 4) for row in numbers.chance],
        zmin=0,
        zmax=1,
        xgap=2,
        ygap=2,
        showscale=False,
        colorscale=style.scale(style.DIVERGING),
        hoverongaps=False,
        text=[[f"{v:.2f}" if np.isfinite(v) else "" for v in row] for row in numbers.chance],
        texttemplate="%{text}",
        hovertemplate="%{customdata}<extra></extra>",
        customdata=_hover(numbers),
    )
    for i, row in enumerate(numbers.significant):
        for j, sure in enumerate(row):
            if sure:
                figure.add_shape(
                    type="rect", x0=j - 0.46, x1=j + 0.46, y0=i - 0.44, y1=i + 0.44,
                    line={"color": style.LIGHT.ink, "width": 2},
                )  # fmt: skip
    return figure


def letter(index: int) -> str:
    """A, B, C, ..."""
    return chr(ord("A") + index)


def _hover(numbers: Numbers) -> list[list[str]]:
    return [
        [
            f"{letter(i)} beats {letter(j)} with chance {numbers.chance[i][j]:.2f}<br>"
            f"interval {numbers.low[i][j]:.2f} to {numbers.high[i][j]:.2f}"
            for j in range(len(numbers.labels))
        ]
        for i in range(len(numbers.labels))
    ]


def picture(numbers: Numbers) -> Figure:
    """The same on paper."""
    count = len(numbers.labels)
    with mpl.rc_context({**style.RC, "axes.grid": False}):
        figure, axes = style.canvas(3.4 + 0.42 * count, 1.0 + 0.36 * count)
        axes.imshow(numbers.chance, cmap=style.gradient(style.DIVERGING), vmin=0, vmax=1, aspect="auto")
        for (i, j), value in np.ndenumerate(np.array(numbers.chance)):
            if np.isfinite(value):
                ink = "white" if abs(value - 0.5) > 0.35 else style.LIGHT.ink
                weight = "bold" if numbers.significant[i][j] else "normal"
                axes.text(
                    j, i, f"{value:.2f}", ha="center", va="center", fontsize=7, color=ink, weight=weight
                )
        marks = [letter(index) for index in range(count)]
        axes.set_xticks(range(count), marks)
        axes.xaxis.tick_top()
        rows = [f"{mark}  {style.short(label)}" for mark, label in zip(marks, numbers.labels, strict=True)]
        axes.set_yticks(range(count), rows)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    return figure
