"""After the test set was opened: validation against test, whole and without twins."""

from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure

from reports import style
from reports.analysis import Analysis
from reports.figures import NothingToDraw
from reports.rows import comparison_rows

TITLE = "Validation and test"
READING = (
    "For each opened candidate: accuracy on validation, on the whole test set, and on the test images "
    "without a twin elsewhere, each with its interval where it is known. Test below validation is the "
    "price of having chosen on validation; test without twins below test is what leaked images were "
    "worth."
)
SECTION = "test"
ORDER = 10
KINDS = ("validation", "test", "test without twins")


class UnsealedLine(NamedTuple):
    """One candidate: accuracy, low and high for each of KINDS, NaN where unknown."""

    label: str
    accuracy: tuple[float, float, float]
    low: tuple[float, float, float]
    high: tuple[float, float, float]


class Numbers(NamedTuple):
    """Candidates whose test accuracy is known."""

    lines: tuple[UnsealedLine, ...]


def compute(analysis: Analysis) -> Numbers:
    """Take the rows of the comparison that have a test accuracy of our own."""
    if analysis.study.unsealings.empty:
        raise NothingToDraw("the test set is sealed")
    rows = comparison_rows(analysis)
    tested = rows[(rows.stage == "confirm") & rows.test_accuracy.notna()]
    if tested.empty:
        raise NothingToDraw("no opened evaluation has a test accuracy")
    nan = np.nan
    return Numbers(
        tuple(
            UnsealedLine(
                row["architecture"],
                (row["val_accuracy"], row["test_accuracy"], row["test_accuracy_without_twins"]),
                (row["val_accuracy_ci_low"], row["test_ci_low"], nan),
                (row["val_accuracy_ci_high"], row["test_ci_high"], nan),
            )
            for _, row in tested.iterrows()
        )
    )


def _places(index: int, count: int) -> list[float]:
    return [round(place + 0.2 * (index - 1), 3) for place in range(count)]


def draw(numbers: Numbers) -> go.Figure:
    """Three marks a candidate."""
    count = len(numbers.lines)
    figure = style.plot(
        height=130 + 80 * count,
        xaxis=style.axis("accuracy", **style.PERCENT),
        yaxis=style.categories([line.label for line in numbers.lines]),
    )
    for index, kind in enumerate(KINDS):
        value, low, high = (np.array([part[index] for part in parts]) for parts in _parts(numbers))
        colour = style.colour(index)
        figure.add_scatter(
            x=style.points(value), y=_places(index, count), mode="markers", name=kind,
            marker={"size": 11, "color": colour, "symbol": style.SYMBOLS[index]},
            error_x=style.whiskers(value, low, high, colour),
            hovertemplate=f"{kind}: %{{x:.2%}}<extra></extra>",
        )  # fmt: skip
    return figure


def _parts(numbers: Numbers) -> tuple[list[tuple[float, ...]], ...]:
    return (
        [line.accuracy for line in numbers.lines],
        [line.low for line in numbers.lines],
        [line.high for line in numbers.lines],
    )


def picture(numbers: Numbers) -> Figure:
    """The same on paper."""
    count = len(numbers.lines)
    with mpl.rc_context(style.RC):
        figure, axes = style.canvas(6.4, 1.1 + 0.7 * count)
        for index, kind in enumerate(KINDS):
            value, low, high = (np.array([part[index] for part in parts]) for parts in _parts(numbers))
            places = _places(index, count)
            axes.hlines(places, low, high, color=style.colour(index), lw=1.4)
            axes.plot(value, places, style.MARKERS[index], color=style.colour(index), ms=6, label=kind)
        axes.set_yticks(range(count), [style.short(line.label) for line in numbers.lines])
        axes.set_ylim(count - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("accuracy")
        style.as_percent(axes.xaxis)
        figure.legend(loc="outside upper left", ncols=3)
    return figure
