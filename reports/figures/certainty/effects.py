"""What one factor of a grid does while the others are held."""

from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.figure import Figure

from reports import style
from reports.analysis import Analysis
from reports.figures import NothingToDraw
from reports.inference.comparison import FEWEST_SEEDS
from reports.records.frames import records
from reports.statistics import FactorEffect, factor_effects, holm
from search.tracking import names

TITLE = "What one factor does, the others held"
READING = (
    "Each line compares one level of a factor with its first level, at settings that are otherwise equal, "
    "on the same seeds and images: the dot is the mean difference in validation accuracy, the line its "
    "interval. In colour stand the effects that remain when one allows for the number of lines (Holm); they "
    "hold for this grid."
)
SECTION = "sure"
ORDER = 40


class EffectLine(NamedTuple):
    """One level against the first, in points of accuracy; how many settings were matched."""

    label: str
    points: float
    low: float
    high: float
    settings: int
    proved: bool


class Numbers(NamedTuple):
    """Every matched comparison, factor by factor."""

    lines: tuple[EffectLine, ...]


def compute(analysis: Analysis) -> Numbers:
    """Matched differences over the grid's cells."""
    tables = analysis.study.about.get("grid") or []
    if not tables:
        raise NothingToDraw("effects of single factors are claimed from grids alone")
    settings = _settings(analysis, sorted({name for table in tables for name in table} - {"variant"}))
    held = {name: {one.seed: one for one in analysis.evaluations_of(name)} for name in settings.index}
    common = sorted(set.intersection(*(set(seeds) for seeds in held.values()))) if held else []
    if len(held) < 2 or not common:
        raise NothingToDraw("it takes two confirmed cells with a common seed")
    answers = [[one[seed] for seed in common] for one in held.values()]
    right = np.array(
        [[one.probabilities.argmax(axis=1) == one.labels for one in row] for row in answers], float
    )
    alpha = analysis.alpha_of_intervals
    groups = answers[0][0].groups
    effects = [
        effect
        for name in settings.columns
        for effect in factor_effects(records(settings), right, name, groups=groups, alpha=alpha)
    ]
    if not effects:
        raise NothingToDraw("no two cells of the grid differ in one factor alone")
    adjusted = holm(np.array([effect.difference.p for effect in effects]))
    # With fewer seeds their share of the noise is as good as unknown: nothing is proved.
    proved = (adjusted < alpha / 2.0) & (len(common) >= FEWEST_SEEDS)
    return Numbers(tuple(map(_line, effects, proved)))


def _settings(analysis: Analysis, factors: list[str]) -> pd.DataFrame:
    """Confirmed cells by candidate, and their levels of the grid's factors."""
    frame = analysis.study.evaluations
    known = {one.candidate for one in analysis.confirmed}
    confirmed = frame[(frame.stage == names.CONFIRM) & frame.candidate.isin(known)].drop_duplicates(
        "candidate"
    )
    own = analysis.study.settings.loc[confirmed.run_id].set_axis(pd.Index(confirmed.candidate))
    columns = {name: _parameter(name) for name in factors if _parameter(name) in own}
    cells = own[~confirmed.baseline.to_numpy()]
    constant = [name for name in own if cells[name].nunique(dropna=False) == 1]
    # The baseline is a cell of the grid if it shares whatever all cells share.
    alike = _same(own[constant], cells[constant].iloc[0]) if len(cells) else own.index == ""
    found = own.loc[alike, list(columns.values())].set_axis(list(columns), axis=1)
    return found.dropna().astype(object)


def _same(settings: pd.DataFrame, wanted: "pd.Series[Any]") -> "pd.Series[bool]":
    """Which rows have these settings; what both do not have is the same, too."""
    return ((settings == wanted) | (settings.isna() & wanted.isna())).all(axis=1)


def _parameter(factor: str) -> str:
    return factor if factor.startswith(names.RECIPE) else names.ARCH + factor


def _line(effect: FactorEffect, proved: bool) -> EffectLine:
    change, name = effect.difference, effect.factor.removeprefix("recipe.").replace("_", " ")
    label = f"{name}: {effect.level} against {effect.reference}"
    return EffectLine(
        label, 100 * change.estimate, 100 * change.low, 100 * change.high, effect.settings, bool(proved)
    )


def _colour(line: EffectLine) -> str:
    return style.LIGHT.accent if line.proved else style.LIGHT.muted


def draw(numbers: Numbers) -> go.Figure:
    """Dots with intervals around zero."""
    figure = style.plot(
        height=110 + 32 * len(numbers.lines),
        showlegend=False,
        xaxis=style.axis("difference in validation accuracy, points"),
        yaxis=style.categories([line.label for line in numbers.lines]),
    )
    figure.add_vline(0, line={"color": style.LIGHT.muted, "width": 1})
    for place, line in enumerate(numbers.lines):
        figure.add_scatter(
            x=style.points([line.points]), y=[place], mode="markers", customdata=[line.settings],
            marker={"size": 10, "color": _colour(line)},
            error_x=style.whiskers([line.points], [line.low], [line.high], _colour(line)),
            hovertemplate=f"<b>{line.label}</b><br>%{{x:+.2f}} points ({line.low:+.2f} to {line.high:+.2f})"
                          "<br>%{customdata} matched settings<extra></extra>",
        )  # fmt: skip
    return figure


def picture(numbers: Numbers) -> Figure:
    """The same on paper."""
    with mpl.rc_context(style.RC):
        figure, axes = style.canvas(6.4, 0.8 + 0.3 * len(numbers.lines))
        axes.axvline(0, color=style.LIGHT.muted, lw=0.8)
        for place, line in enumerate(numbers.lines):
            axes.plot([line.low, line.high], [place, place], color=_colour(line), lw=1.4)
            axes.plot(line.points, place, "o", color=_colour(line), ms=5)
        axes.set_yticks(range(len(numbers.lines)), [line.label for line in numbers.lines])
        axes.set_ylim(len(numbers.lines) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("difference in validation accuracy, points")
    return figure
