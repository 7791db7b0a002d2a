"""Which settings matter: how differently the best tenth of the explored candidates is spread over them."""

from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure

from reports import style
from reports.analysis import Analysis
from reports.factors import factors, levels
from reports.figures import NothingToDraw
from reports.statistics import importance
from search.tracking import names

TITLE = "Which settings matter"
READING = (
    "PED-ANOVA: how far the settings of the best tenth (ten candidates at least) differ from those of all. "
    "The line is the interval when candidates are drawn again; the grey bar reaches as far as chance alone "
    "does in 95% of cases. Only what clearly leaves the grey behind matters here. Exploratory: the sampler "
    "chose what to try."
)
SECTION = "search"
ORDER = 20
FEWEST = 30  # candidates; the best ten of fewer are no elite
MOST = 12


class ImportanceLine(NamedTuple):
    """One setting: its divergence with its interval, and how far chance reaches."""

    name: str
    value: float
    low: float
    high: float
    chance: float


class Numbers(NamedTuple):
    """Settings, the most important first, and from how many candidates."""

    lines: tuple[ImportanceLine, ...]
    candidates: int


def compute(analysis: Analysis) -> Numbers:
    """Completed explore trials, one a candidate."""
    metric, lower = analysis.objective_in_explore, analysis.rule.objective == "loss"
    frame = analysis.study.evaluations
    done = frame[(frame.stage == names.EXPLORE) & (frame.state == names.COMPLETE)].dropna(subset=[metric])
    done = done.drop_duplicates("candidate")
    if len(done) < FEWEST:
        raise NothingToDraw(f"fewer than {FEWEST} explored candidates are complete")
    varying = factors(analysis, done)
    if not varying:
        raise NothingToDraw("no setting varies among the explored candidates")
    scores = done[metric].to_numpy(np.float64) * (-1 if lower else 1)
    codes = np.stack([levels(values) for values in varying.values()], axis=1).astype(np.int64)
    found = zip(varying, importance(codes, scores), strict=True)
    lines = [ImportanceLine(name, one.estimate, one.low, one.high, one.chance) for name, one in found]
    lines.sort(key=lambda line: (-line.value, line.name))
    return Numbers(tuple(lines[:MOST]), len(done))


def _colour(line: ImportanceLine) -> str:
    return style.LIGHT.accent if line.low > line.chance else style.LIGHT.muted


def draw(numbers: Numbers) -> go.Figure:
    """Dots with intervals over the reach of chance."""
    figure = style.plot(
        height=110 + 30 * len(numbers.lines),
        showlegend=False,
        xaxis=style.axis(f"divergence of the best from all {numbers.candidates:,} candidates"),
        yaxis=style.categories([line.name for line in numbers.lines]),
    )
    figure.add_bar(
        x=style.points([line.chance for line in numbers.lines]), y=list(range(len(numbers.lines))),
        orientation="h", width=0.55, marker={"color": style.LIGHT.rule}, hoverinfo="skip",
    )  # fmt: skip
    for place, line in enumerate(numbers.lines):
        figure.add_scatter(
            x=style.points([line.value]), y=[place], mode="markers",
            marker={"size": 10, "color": _colour(line)},
            error_x=style.whiskers([line.value], [line.low], [line.high], _colour(line)),
            hovertemplate=f"<b>{line.name}</b><br>%{{x:.2f}} ({line.low:.2f} to {line.high:.2f})"
                          f"<br>chance reaches {line.chance:.2f}<extra></extra>",
        )  # fmt: skip
    return figure


def picture(numbers: Numbers) -> Figure:
    """The same on paper."""
    count = len(numbers.lines)
    with mpl.rc_context(style.RC):
        figure, axes = style.canvas(6.4, 0.8 + 0.28 * count)
        axes.barh(range(count), [line.chance for line in numbers.lines], 0.55, color=style.LIGHT.rule)
        for place, line in enumerate(numbers.lines):
            axes.plot([line.low, line.high], [place, place], color=_colour(line), lw=1.4)
            axes.plot(line.value, place, "o", color=_colour(line), ms=5)
        axes.set_yticks(range(count), [line.name for line in numbers.lines])
        axes.set_ylim(count - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(f"divergence of the best from all {numbers.candidates:,} candidates")
    return figure
