"""Recall of each class by the leaders, with intervals."""

from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure

from reports import style
from reports.analysis import Analysis
from reports.figures import NothingToDraw
from reports.records.evaluation import Evaluation
from reports.statistics import accuracy_interval

TITLE = "Which classes are recognised"
READING = (
    "Recall: of a class's validation images, the share that was recognised; mean over seeds with its "
    "interval over seeds and images. Rare classes have long intervals. Classes stand in the order of the "
    "best candidate's recall."
)
SECTION = "errors"
ORDER = 20
MOST = 3


class RecallBar(NamedTuple):
    """One candidate's recall of every class, in shares; NaN the ends of a class that is one image's twins."""

    label: str
    recall: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


class Numbers(NamedTuple):
    """Classes from the hardest to the easiest for the best candidate, with their images."""

    classes: tuple[str, ...]
    images: tuple[int, ...]
    bars: tuple[RecallBar, ...]


def compute(analysis: Analysis) -> Numbers:
    """The two-way interval of accuracy, on the images of one class at a time."""
    if not analysis.rows:
        raise NothingToDraw("no confirmed candidate has stored predictions")
    leaders = [row.candidate for row in analysis.rows[:MOST]]
    labels = analysis.confirmed[0].labels
    present = [kind for kind in range(len(analysis.classes)) if (labels == kind).any()]
    alpha = analysis.alpha_of_intervals
    bars = [_bar(analysis.labels[name], analysis.evaluations_of(name), present, alpha) for name in leaders]
    order = np.argsort(bars[0].recall, kind="stable")
    kinds = [present[index] for index in order]
    return Numbers(
        tuple(analysis.classes[kind] for kind in kinds),
        tuple(int((labels == kind).sum()) for kind in kinds),
        tuple(RecallBar(bar.label, *(tuple(part[i] for i in order) for part in bar[1:])) for bar in bars),
    )


def _bar(label: str, evaluations: list[Evaluation], kinds: list[int], alpha: float) -> RecallBar:
    right = np.stack([one.probabilities.argmax(axis=1) == one.labels for one in evaluations]).astype(float)
    truth, groups = evaluations[0].labels, evaluations[0].groups
    found = [
        accuracy_interval(right[:, truth == kind], groups=groups[truth == kind], alpha=alpha)
        for kind in kinds
    ]
    return RecallBar(
        label,
        tuple(one.estimate for one in found),
        tuple(one.low for one in found),
        tuple(one.high for one in found),
    )


def draw(numbers: Numbers) -> go.Figure:
    """Dots with intervals, side by side within a class."""
    count = len(numbers.classes)
    told = [f"{name}  ({images:,})" for name, images in zip(numbers.classes, numbers.images, strict=True)]
    figure = style.plot(
        height=110 + (20 + 14 * len(numbers.bars)) * count,
        xaxis=style.axis("recall", **style.PERCENT),
        yaxis=style.categories(told),
    )
    for index, bar in enumerate(numbers.bars):
        colour = style.colour(index)
        figure.add_scatter(
            x=style.points(bar.recall), y=_places(index, numbers), mode="markers",
            name=style.short(bar.label),
            marker={"size": 9, "color": colour, "symbol": style.SYMBOLS[index]},
            error_x=style.whiskers(bar.recall, bar.low, bar.high, colour), customdata=numbers.classes,
            hovertemplate=f"<b>{bar.label}</b><br>%{{customdata}}: %{{x:.1%}}<extra></extra>",
        )  # fmt: skip
    return figure


def _places(index: int, numbers: Numbers) -> list[float]:
    shift = 0.22 * (index - (len(numbers.bars) - 1) / 2)
    return [round(place + shift, 3) for place in range(len(numbers.classes))]


def picture(numbers: Numbers) -> Figure:
    """The same on paper."""
    with mpl.rc_context(style.RC):
        figure, axes = style.canvas(6.4, 0.9 + 0.42 * len(numbers.classes))
        for index, bar in enumerate(numbers.bars):
            places, colour = _places(index, numbers), style.colour(index)
            axes.hlines(places, bar.low, bar.high, color=colour, lw=1.2)
            axes.plot(
                bar.recall, places, style.MARKERS[index], color=colour, ms=5, label=style.short(bar.label)
            )
        axes.set_yticks(range(len(numbers.classes)), numbers.classes)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("recall")
        style.as_percent(axes.xaxis)
        figure.legend(loc="outside upper left")
    return figure
