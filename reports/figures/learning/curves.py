"""Accuracy by epoch on train and monitor, for the leaders, with the spread over seeds."""

from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.figure import Figure

from reports import style
from reports.analysis import Analysis
from reports.figures import NothingToDraw
from reports.records.frames import each
from search.tracking import names

TITLE = "Learning curves of the leaders"
READING = (
    "Solid: the monitor split, which stops training. Dashed: train, measured while training (with "
    "augmentation and dropout, so it may lie below). Lines are means over seeds, bands reach from the "
    "lowest to the highest seed, the mark is the mean epoch whose weights were kept. A monitor curve that "
    "falls while train rises is overfitting in progress."
)
SECTION = "overfit"
ORDER = 30
MOST = 6
MONITOR, TRAIN = "monitor_accuracy", "train_accuracy"


class TrainingCurve(NamedTuple):
    """One candidate: per epoch (1..n) mean, lowest and highest over the seeds still training."""

    label: str
    epochs: tuple[int, ...]
    monitor: tuple[float, ...]
    monitor_low: tuple[float, ...]
    monitor_high: tuple[float, ...]
    train: tuple[float, ...]
    kept_epoch: float
    kept_accuracy: float
    seeds: int


class Numbers(NamedTuple):
    """One curve per candidate, best first."""

    curves: tuple[TrainingCurve, ...]


def compute(analysis: Analysis) -> Numbers:
    """Leaders by the comparison; before there is one, the best of explore."""
    chosen = [(row.candidate, analysis.runs_of(row.candidate)) for row in analysis.rows[:MOST]]
    if analysis.scores is not None:
        best = [row.candidate for row in analysis.scores.rows[:MOST]]
        chosen = [(candidate, analysis.runs_of(candidate)) for candidate in best]
    chosen = chosen or _explored(analysis)
    runs = [run for _, frame in chosen for run in frame.run_id]
    history = analysis.study.history_of(runs, (MONITOR, TRAIN))
    curves = [
        _curve(analysis.labels.get(candidate, candidate), frame, history[history.run_id.isin(frame.run_id)])
        for candidate, frame in chosen
    ]
    known = tuple(curve for curve in curves if curve)
    if not known:
        raise NothingToDraw("no evaluation has finished an epoch")
    return Numbers(known)


def _explored(analysis: Analysis) -> list[tuple[str, pd.DataFrame]]:
    frame = analysis.study.evaluations
    metric = analysis.objective_in_explore
    done = frame[(frame.stage == names.EXPLORE) & (frame.state == names.COMPLETE)]
    best = done.sort_values(metric, ascending=analysis.rule.objective == "loss").drop_duplicates("candidate")
    return [(row.candidate, frame[frame.run_id == row.run_id]) for row in each(best.head(MOST))]


def _curve(label: str, runs: pd.DataFrame, history: pd.DataFrame) -> TrainingCurve | None:
    history = history.dropna(subset=[MONITOR])
    if history.empty:
        return None
    # Seeds stop at different epochs; a mean over ever fewer would jump, so at least half must be left.
    counts = history.groupby("epoch")[MONITOR].count()
    kept = counts.index[counts >= max(1, counts.max() / 2)]
    monitor = history.groupby("epoch")[MONITOR].agg(["mean", "min", "max"]).loc[kept]
    train = history.groupby("epoch")[TRAIN].mean().loc[kept]
    best = float(runs[names.BEST_EPOCH].mean())
    at_best = float(np.interp(best, kept, monitor["mean"])) if np.isfinite(best) else np.nan
    return TrainingCurve(
        label, tuple(int(epoch) for epoch in kept), tuple(monitor["mean"]), tuple(monitor["min"]),
        tuple(monitor["max"]), tuple(train), best, at_best, history.run_id.nunique(),
    )  # fmt: skip


def draw(numbers: Numbers) -> go.Figure:
    """One colour a candidate; clicking its name in the legend hides it."""
    figure = style.plot(
        height=480,
        xaxis=style.counted("epoch", max(max(curve.epochs) for curve in numbers.curves)),
        yaxis=style.axis("accuracy", **style.PERCENT),
    )
    for index, curve in enumerate(numbers.curves):
        for trace in _traces(index, curve):
            figure.add_trace(trace)
    return figure


def _traces(index: int, curve: TrainingCurve) -> list[go.Scatter]:
    colour, group = style.colour(index), f"candidate {index}"
    there_and_back = [*curve.epochs, *reversed(curve.epochs)]
    around = [*curve.monitor_high, *reversed(curve.monitor_low)]
    band = go.Scatter(
        x=there_and_back, y=style.points(around), fill="toself", mode="lines", legendgroup=group,
        line={"width": 0}, fillcolor=style.clear(colour, 0.13), showlegend=False, hoverinfo="skip",
    )  # fmt: skip
    told = f"<b>{curve.label}</b><br>epoch %{{x}}: %{{y:.2%}}"
    monitor = go.Scatter(
        x=curve.epochs, y=style.points(curve.monitor), mode="lines", name=style.short(curve.label),
        legendgroup=group, line={"color": colour, "width": 2}, hovertemplate=f"{told} monitor<extra></extra>",
    )  # fmt: skip
    train = go.Scatter(
        x=curve.epochs, y=style.points(curve.train), mode="lines", legendgroup=group, showlegend=False,
        line={"color": colour, "width": 1.3, "dash": "dash"}, hovertemplate=f"{told} train<extra></extra>",
    )  # fmt: skip
    kept = go.Scatter(
        x=style.points([curve.kept_epoch]), y=style.points([curve.kept_accuracy]), mode="markers",
        legendgroup=group, showlegend=False,
        marker={"size": 10, "color": colour, "symbol": style.SYMBOLS[index % len(style.SYMBOLS)],
                "line": {"color": style.LIGHT.paper, "width": 1.5}},
        hovertemplate=f"<b>{curve.label}</b><br>kept on average: epoch %{{x:.1f}}<extra></extra>",
    )  # fmt: skip
    return [band, monitor, train, kept] if curve.seeds > 1 else [monitor, train, kept]


def picture(numbers: Numbers) -> Figure:
    """The same on paper."""
    with mpl.rc_context(style.RC):
        figure, axes = style.canvas(6.8, 4.2)
        for index, curve in enumerate(numbers.curves):
            colour = style.colour(index)
            axes.fill_between(
                curve.epochs, curve.monitor_low, curve.monitor_high, color=colour, alpha=0.12, lw=0
            )
            axes.plot(curve.epochs, curve.monitor, color=colour, lw=1.5, label=style.short(curve.label))
            axes.plot(curve.epochs, curve.train, "--", color=colour, lw=0.9)
            axes.plot(curve.kept_epoch, curve.kept_accuracy, style.MARKERS[index % len(style.MARKERS)],
                      color=colour, mec="white", ms=6)  # fmt: skip
        axes.set_xlabel("epoch")
        style.as_counts(axes.xaxis)
        axes.set_ylabel("accuracy (solid: monitor, dashed: train)")
        style.as_percent(axes.yaxis)
        figure.legend(loc="outside upper left", ncols=2)
    return figure
