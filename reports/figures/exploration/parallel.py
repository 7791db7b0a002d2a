"""All explored candidates as lines across their settings, the best ones in colour."""

from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.figure import Figure

from reports import style
from reports.analysis import Analysis
from reports.columns import size
from reports.factors import factors
from reports.figures import NothingToDraw
from search.tracking import names

TITLE = "Where the good candidates lie"
READING = (
    "Each line is one explored candidate; each column a setting, low at the bottom; the last is the "
    "monitor score. The best tenth is in colour. Where coloured lines bundle, good candidates agree on a "
    "setting; where they spread, it hardly matters. Exploratory: the sampler looked more often where it "
    "expected success."
)
SECTION = "search"
ORDER = 40
MOST_LINES = 300
MOST_AXES = 9
FEW_LEVELS = 6  # numbers with so few values are shown as steps


class Axis(NamedTuple):
    """One axis: heights in 0..1 for every candidate, and what stands at some heights."""

    name: str
    heights: tuple[float, ...]
    ticks: tuple[tuple[float, str], ...]


class Numbers(NamedTuple):
    """Columns with one height per candidate, candidates best first; how many of them are in colour."""

    columns: tuple[Axis, ...]
    labels: tuple[str, ...]
    best: int


def compute(analysis: Analysis) -> Numbers:
    """The completed explore trials and those settings that vary among them."""
    metric, lower = analysis.objective_in_explore, analysis.rule.objective == "loss"
    frame = analysis.study.evaluations
    done = frame[(frame.stage == names.EXPLORE) & (frame.state == names.COMPLETE)].dropna(subset=[metric])
    if len(done) < 5:
        raise NothingToDraw("fewer than five explored trials are complete")
    done = done.sort_values([metric, "trial"], ascending=[lower, True]).drop_duplicates("candidate")
    best = max(1, len(done) // 10)
    kept = np.unique([*range(min(best, MOST_LINES)), *np.linspace(0, len(done) - 1, MOST_LINES).astype(int)])
    done = done.iloc[kept]
    varying = factors(analysis, done)
    columns = [column for name, values in varying.items() if (column := _column(name, values))]
    score = _numeric(metric.removeprefix(names.MONITOR_FINAL).replace("_", " "), done[metric], log=False)
    if not columns or score is None:
        raise NothingToDraw("no setting varies among the explored trials")
    labels = tuple(analysis.labels[name] for name in done.candidate)
    return Numbers((*columns[: MOST_AXES - 1], score), labels, int((kept < best).sum()))


def _column(name: str, values: "pd.Series[float]") -> Axis | None:
    """None for more names than an axis can hold."""
    if pd.api.types.is_numeric_dtype(values) and values.nunique() > FEW_LEVELS:
        numbers = values.astype(float)
        wide = bool((numbers > 0).all() and numbers.max() / numbers.min() > 20)
        return _numeric(name, numbers, log=wide)
    levels = sorted(values.unique())
    if len(levels) > 12:
        return None
    at = {level: index / (len(levels) - 1) for index, level in enumerate(levels)}
    ticks = tuple((height, _told(level)) for level, height in at.items())
    return Axis(name, tuple(at[value] for value in values), ticks)


def _numeric(title: str, values: "pd.Series[float]", *, log: bool) -> Axis | None:
    scaled = np.log(values.to_numpy(float)) if log else values.to_numpy(float)
    low, high = float(scaled.min()), float(scaled.max())
    if low == high:
        return None
    ends = [low, (low + high) / 2, high]
    ticks = tuple(((end - low) / (high - low), _told(np.exp(end) if log else end)) for end in ends)
    return Axis(title, tuple(((scaled - low) / (high - low)).tolist()), ticks)


def _told(value: object) -> str:
    if not isinstance(value, (int, float, np.number)) or isinstance(value, bool):
        return str(value)
    return size(float(value)) if value >= 1000 else f"{float(value):.3g}"


def _heights(numbers: Numbers, candidate: int) -> list[float]:
    """One candidate's height on every axis; equal heights are spread a little."""
    shift = 0.012 * ((candidate * 7) % 11 - 5) / 5
    return [round(column.heights[candidate] + shift, 4) for column in numbers.columns]


def _lines(numbers: Numbers, chosen: range) -> tuple[list[float | None], list[float | None]]:
    """The polylines of these candidates, parted by None."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    for candidate in chosen:
        xs += [*range(len(numbers.columns)), None]
        ys += [*_heights(numbers, candidate), None]
    return xs, ys


def draw(numbers: Numbers) -> go.Figure:
    """Grey lines under coloured ones, and an axis for each setting."""
    count = len(numbers.columns)
    figure = style.plot(
        height=460, showlegend=False, hovermode=False,
        xaxis={"tickvals": list(range(count)), "ticktext": [column.name for column in numbers.columns],
               "range": [-0.35, count - 0.45], "showgrid": True, "gridcolor": style.LIGHT.rule, "ticks": ""},
        yaxis={"visible": False, "range": [-0.08, 1.08]},
    )  # fmt: skip
    rest, best = range(numbers.best, len(numbers.labels)), range(numbers.best)
    for chosen, colour, width in ((rest, style.clear(style.LIGHT.muted, 0.25), 0.8), (best, _accent(), 1.8)):
        xs, ys = _lines(numbers, chosen)
        figure.add_scatter(x=xs, y=ys, mode="lines", line={"color": colour, "width": width})
    for place, column in enumerate(numbers.columns):
        for height, told in column.ticks:
            figure.add_annotation(
                x=place, y=height, text=told, showarrow=False, xanchor="left", xshift=4,
                font={"size": 11, "color": style.LIGHT.ink}, bgcolor=style.clear(style.LIGHT.paper, 0.75),
            )  # fmt: skip
    return figure


def _accent() -> str:
    return style.clear(style.LIGHT.accent, 0.85)


def picture(numbers: Numbers) -> Figure:
    """The same on paper."""
    with mpl.rc_context({**style.RC, "axes.grid": False}):
        figure, axes = style.canvas(1.0 * len(numbers.columns) + 1.2, 3.8)
        for candidate in reversed(range(len(numbers.labels))):
            best = candidate < numbers.best
            colour = style.LIGHT.accent if best else style.LIGHT.muted
            axes.plot(
                range(len(numbers.columns)),
                _heights(numbers, candidate),
                color=colour,
                lw=1.3 if best else 0.5,
                alpha=0.9 if best else 0.25,
            )
        for place, column in enumerate(numbers.columns):
            axes.axvline(place, color=style.LIGHT.rule, lw=0.8, zorder=0)
            for height, told in column.ticks:
                axes.annotate(
                    told, (place, height), (3, 0), textcoords="offset points", fontsize=7, va="center"
                )
        axes.set_xticks(range(len(numbers.columns)), [column.name for column in numbers.columns], fontsize=8)
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        axes.margins(x=0.1)
    return figure
