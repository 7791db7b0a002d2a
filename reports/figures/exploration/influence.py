"""Monitor scores by the levels of family, stages, dense layers, width and size, as the sampler drew them."""

from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.figure import Figure

from reports import style
from reports.analysis import Analysis
from reports.columns import size
from reports.figures import NothingToDraw
from search.tracking import names

TITLE = "Scores by setting, as explored"
READING = (
    "Each dot is an explored candidate, the bar the median of its group. Nothing is held constant here "
    "and the sampler chose what to try, so this suggests questions and proves nothing: a claim about one "
    "setting takes a grid."
)
SECTION = "search"
ORDER = 30
MOST_DOTS = 1500
MOST_LEVELS = 7
SIZE = "parameters, from"


class Level(NamedTuple):
    """One level of a factor: its name, the scores of its candidates, their median and how many there are."""

    name: str
    scores: tuple[float, ...]
    median: float
    candidates: int


class Factor(NamedTuple):
    """A factor with two levels or more."""

    name: str
    levels: tuple[Level, ...]


class Numbers(NamedTuple):
    """Factors that vary; what the score is called; whether lower is better."""

    factors: tuple[Factor, ...]
    score: str
    lower_is_better: bool


def compute(analysis: Analysis) -> Numbers:
    """Group completed explore trials by each factor in turn."""
    metric = analysis.objective_in_explore
    frame = analysis.study.evaluations
    done = frame[(frame.stage == names.EXPLORE) & (frame.state == names.COMPLETE)].dropna(subset=[metric])
    factors = [_factor(name, values, done[metric]) for name, values in _factors(done).items()]
    varying = tuple(factor for factor in factors if len(factor.levels) > 1)
    if len(done) < 5 or not varying:
        raise NothingToDraw("too few explored trials that differ")
    score = metric.removeprefix(names.MONITOR_FINAL).replace("_", " ")
    return Numbers(varying, f"monitor {score}", analysis.rule.objective == "loss")


def _factors(done: pd.DataFrame) -> dict[str, pd.Series]:
    powers = np.floor(np.log2(done.parameters.clip(lower=1)))
    return {
        "family": done.family.where(done.family != ""),
        "convolution stages": done.conv_stages,
        "dense layers": done.dense_layers,
        "widest stage": done.kernels.map(_widest),
        SIZE: powers.map(lambda power: np.nan if np.isnan(power) else 2.0**power),
    }


def _widest(kernels: str) -> float:
    parts = [int(part) for part in kernels.split("-") if part.isdigit()]
    return float(max(parts)) if parts else np.nan


def _factor(name: str, values: "pd.Series[float]", scores: "pd.Series[float]") -> Factor:
    levels = []
    for value, group in scores.groupby(values):
        shown = group.sort_values()
        step = max(1, -(-len(shown) // (MOST_DOTS // MOST_LEVELS)))
        title = _level(name, value)
        levels.append(Level(title, tuple(shown.iloc[::step]), float(group.median()), len(group)))
    levels.sort(key=lambda level: -level.candidates)
    order = {_level(name, value): place for place, value in enumerate(sorted(values.dropna().unique()))}
    return Factor(name, tuple(sorted(levels[:MOST_LEVELS], key=lambda level: order[level.name])))


def _level(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    number = float(str(value))
    return size(number) if name == SIZE else f"{number:g}"


def draw(numbers: Numbers) -> go.Figure:
    """One panel a factor, sharing the scores."""
    count = len(numbers.factors)
    shares = [len(factor.levels) + 1.2 for factor in numbers.factors]
    ends = np.cumsum([0.0, *shares]) / sum(shares)
    figure = style.plot(
        height=400,
        showlegend=False,
        yaxis=style.axis(numbers.score, tickformat=".2f" if numbers.lower_is_better else ".0%"),
    )
    for place, factor in enumerate(numbers.factors):
        panel = "" if place == 0 else str(place + 1)
        gap = 0.0 if place == count - 1 else 0.012
        figure.update_layout(
            {
                f"xaxis{panel}": {
                    **style.QUIET,
                    "domain": [float(ends[place]), float(ends[place + 1]) - gap],
                    "ticks": "",
                    "tickvals": list(range(len(factor.levels))),
                    "showgrid": False,
                    "tickangle": 0,
                    "ticktext": [f"{level.name}<br>n={level.candidates}" for level in factor.levels],
                    "range": [-0.6, len(factor.levels) - 0.4],
                    "tickfont": {"size": 11, "color": style.LIGHT.muted},
                    "title": {"text": factor.name, "standoff": 6, "font": {"size": 12}},
                }
            }
        )
        for trace in _panel(factor, f"x{panel}"):
            figure.add_trace(trace)
    return figure


def _panel(factor: Factor, axis: str) -> list[go.Scatter]:
    dots: tuple[list[float], list[float]] = ([], [])
    bars: tuple[list[float | None], list[float | None]] = ([], [])
    for place, level in enumerate(factor.levels):
        dots[0].extend(place + _jitter(index) for index in range(len(level.scores)))
        dots[1].extend(level.scores)
        bars[0].extend([place - 0.3, place + 0.3, None])
        bars[1].extend([level.median, level.median, None])
    colour = style.clear(style.LIGHT.muted, 0.4)
    return [
        go.Scatter(x=style.points(dots[0]), y=style.points(dots[1]), mode="markers", xaxis=axis,
                   hoverinfo="y", marker={"size": 5, "color": colour}),
        go.Scatter(x=bars[0], y=bars[1], mode="lines", xaxis=axis, hoverinfo="skip",
                   line={"color": style.LIGHT.accent, "width": 3}),
    ]  # fmt: skip


def _jitter(index: int) -> float:
    """Sideways shift of a dot: the golden ratio spreads neighbours and needs no chance."""
    return 0.5 * ((index * 0.6180339887) % 1.0 - 0.5)


def picture(numbers: Numbers) -> Figure:
    """The same on paper."""
    shares = [len(factor.levels) + 1.0 for factor in numbers.factors]
    with mpl.rc_context(style.RC):
        figure = Figure(figsize=(max(5.0, 0.42 * sum(shares)), 3.2), layout="constrained")
        panels = figure.subplots(1, len(shares), sharey=True, width_ratios=shares, squeeze=False)[0]
        for axes, factor in zip(panels, numbers.factors, strict=True):
            for place, level in enumerate(factor.levels):
                xs = [place + _jitter(index) for index in range(len(level.scores))]
                axes.plot(xs, level.scores, ".", ms=3, color=style.LIGHT.muted, alpha=0.5, mew=0)
                axes.hlines(level.median, place - 0.3, place + 0.3, color=style.LIGHT.accent, lw=2)
            axes.set_xticks(range(len(factor.levels)), [level.name for level in factor.levels], fontsize=6.5)
            axes.grid(visible=False, axis="x")
            axes.set_xlabel(factor.name, fontsize=8)
        panels[0].set_ylabel(numbers.score)
        if not numbers.lower_is_better:
            style.as_percent(panels[0].yaxis)
    return figure
