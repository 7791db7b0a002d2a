"""What accuracy costs: the explored candidates' scores against their size, with the Pareto front."""

from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure

from reports import style
from reports.analysis import Analysis
from reports.columns import size
from reports.figures import NothingToDraw
from reports.records.frames import each
from search.tracking import names

TITLE = "What a larger network brings"
READING = (
    "Each mark is an explored candidate on the monitor split; families have their own marks. No candidate "
    "lies both above and to the left of one on the line: those are the best for their size. Where the line "
    "is flat, size buys nothing. Explore trains with few seeds, mostly one, so neighbours on the line may "
    "well change places."
)
SECTION = "search"
ORDER = 15
MOST = 2000  # marks; beyond, the front and an even choice of the others


class TradeoffPoint(NamedTuple):
    """One candidate."""

    label: str
    family: str
    size: float
    score: float
    front: bool


class Numbers(NamedTuple):
    """Points by size; what size and score are called; whether a lower score is better."""

    points: tuple[TradeoffPoint, ...]
    size: str
    score: str
    lower_is_better: bool


def compute(analysis: Analysis) -> Numbers:
    """Completed explore trials; the size is what the study also minimised, else parameters."""
    across = analysis.study.protocol.get("also_minimize") or names.PARAMETERS
    metric, lower = analysis.objective_in_explore, analysis.rule.objective == "loss"
    frame = analysis.study.evaluations
    done = frame[(frame.stage == names.EXPLORE) & (frame.state == names.COMPLETE)]
    done = done.dropna(subset=[metric, across]).drop_duplicates("candidate")
    done = done.sort_values([across, metric, "trial"], ascending=[True, lower, True])
    if len(done) < 5 or done[across].nunique() < 3:
        raise NothingToDraw("too few explored candidates of different size")
    losses = done[metric].to_numpy(float) * (1 if lower else -1)
    before = np.minimum.accumulate([np.inf, *losses[:-1]])  # the best among those that are no larger
    front = losses < before
    kept = front | np.isin(np.arange(len(done)), np.linspace(0, len(done) - 1, MOST).astype(int))
    points = tuple(
        TradeoffPoint(analysis.labels[run.candidate], run.family or "unnamed", getattr(run, across),
              getattr(run, metric), bool(best))
        for run, best, shown in zip(each(done), front, kept, strict=True)
        if shown
    )  # fmt: skip
    title = {"macs": "multiply-adds for one image"}.get(across, across)
    return Numbers(
        points, title, f"monitor {metric.removeprefix(names.MONITOR_FINAL).replace('_', ' ')}", lower
    )


def _stairs(numbers: Numbers) -> tuple[list[float], list[float]]:
    """The best score to be had up to each size."""
    front = [point for point in numbers.points if point.front]
    largest = max(point.size for point in numbers.points)
    return [*(p.size for p in front), largest], [*(p.score for p in front), front[-1].score]


def _families(numbers: Numbers) -> list[tuple[str, list[TradeoffPoint]]]:
    found = sorted({point.family for point in numbers.points})
    return [(name, [point for point in numbers.points if point.family == name]) for name in found]


def draw(numbers: Numbers) -> go.Figure:
    """Marks under a stair."""
    axis = style.axis(numbers.score, tickformat=".2f" if numbers.lower_is_better else ".0%")
    figure = style.plot(
        height=440, xaxis=style.axis(numbers.size, type="log", dtick="D2", tickformat="~s"), yaxis=axis
    )
    for index, (family, points) in enumerate(_families(numbers)):
        figure.add_scatter(
            x=style.points([p.size for p in points]), y=style.points([p.score for p in points]),
            mode="markers", name=family, customdata=[[p.label, size(p.size)] for p in points],
            marker={"size": 8, "symbol": style.SYMBOLS[index % len(style.SYMBOLS)],
                    "color": style.clear(style.colour(index), 0.6)},
            hovertemplate="<b>%{customdata[0]}</b><br>%{y:.4~g} at %{customdata[1]}<extra></extra>",
        )  # fmt: skip
    across, up = _stairs(numbers)
    figure.add_scatter(
        x=style.points(across), y=style.points(up), mode="lines", name="best for its size", hoverinfo="skip",
        line={"color": style.LIGHT.ink, "width": 1.4, "shape": "hv"},
    )  # fmt: skip
    return figure


def picture(numbers: Numbers) -> Figure:
    """The same on paper."""
    with mpl.rc_context(style.RC):
        figure, axes = style.canvas(6.4, 4.0)
        for index, (family, points) in enumerate(_families(numbers)):
            xs, ys = [p.size for p in points], [p.score for p in points]
            axes.scatter(xs, ys, 22, lw=0, alpha=0.6, label=family, color=style.colour(index),
                         marker=style.MARKERS[index % len(style.MARKERS)])  # fmt: skip
        axes.step(*_stairs(numbers), where="post", color=style.LIGHT.ink, lw=1.2, label="best for its size")
        axes.set_xscale("log")
        style.as_sizes(axes.xaxis)
        axes.set_xlabel(numbers.size)
        axes.set_ylabel(numbers.score)
        if not numbers.lower_is_better:
            style.as_percent(axes.yaxis)
        figure.legend(loc="outside upper left", ncols=4)
    return figure
