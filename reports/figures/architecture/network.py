"""The selected architecture as a block diagram with shapes and parameters."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import matplotlib as mpl
import plotly.graph_objects as go
from matplotlib.figure import Figure

from reports import style
from reports.analysis import Analysis
from reports.columns import size
from reports.figures import NothingToDraw
from reports.network import LayerRow, rows
from reports.records.frames import each
from reports.records.store import MissingArtifactError
from search.tracking import names

TITLE = "The network"
READING = (
    "From the image on top to the classes at the bottom: what each step does, the shape of what it hands on, "
    "and its parameters, with a bar for their share. Boxes side by side see the same input; the word below "
    "them says how their results are joined. A step that comes several times in a row is drawn once."
)
SECTION = "network"
ORDER = 10
#: Columns of the diagram: where boxes end, and shapes, bars and numbers stand; widths in shares of the whole.
BOXES, SHAPES, BARS, NUMBERS = 0.60, 0.62, 0.78, 0.90
ALONE = 0.10  # free on both sides of a box that stands alone
GAP = 0.45  # between two steps, in lines of text


class Numbers(NamedTuple):
    """The candidate's name, its parameters, its steps from the image down."""

    label: str
    parameters: int
    rows: tuple[LayerRow, ...]


class Box(NamedTuple):
    """One box with its lines of text; left and right in shares of the width, top and bottom in lines."""

    left: float
    right: float
    top: float
    bottom: float
    lines: tuple[str, ...]


class Step(NamedTuple):
    """One row laid out: its boxes, the line under them, and the row's middle and bottom, in lines."""

    boxes: tuple[Box, ...]
    below: str
    middle: float
    bottom: float
    row: LayerRow


def compute(analysis: Analysis) -> Numbers:
    """Layers as the first run that recorded them has them."""
    if not analysis.rows:
        raise NothingToDraw("no candidate is confirmed yet")
    chosen = analysis.leader
    for run in each(analysis.runs_of(chosen)):
        try:
            path = analysis.study.store.artifact(analysis.study.runs[run.run_id], names.LAYERS_JSON)
            found = rows(json.loads(path.read_text(encoding="utf-8")))
        except (MissingArtifactError, OSError, ValueError, KeyError, TypeError, IndexError):
            continue
        if found:
            return Numbers(analysis.labels[chosen], sum(row.parameters for row in found), found)
    raise NothingToDraw(f"no run of {analysis.labels[chosen]} recorded its layers")


def layout(numbers: Numbers) -> tuple[Step, ...]:
    """Where everything stands; one unit down is one line of text.

    Args:
        numbers: The network's rows, from the image down.

    Returns:
        A step for each row, in the same order.
    """
    steps, top = [], 0.0
    for row in numbers.rows:
        tall = max(len(lines) for lines in row.branches) + 0.6
        below = ", ".join(filter(None, (row.merge, row.after))) if row.merge else ""
        boxes = tuple(_boxes(row, top, top + tall))
        bottom = top + tall + (1.0 if below else 0.0)
        steps.append(Step(boxes, below, (top + bottom) / 2, bottom, row))
        top = bottom + GAP
    return tuple(steps)


def _boxes(row: LayerRow, top: float, bottom: float) -> Iterator[Box]:
    """Branches share the width; what stands alone takes the middle and says in its box what follows."""
    count, space = len(row.branches), 0.012
    if count == 1 and not row.merge:
        title = ", ".join(filter(None, (row.branches[0][0], row.after)))
        yield Box(ALONE, BOXES - ALONE, top, bottom, (title,))
        return
    width = (BOXES - (count - 1) * space) / count
    for place, lines in enumerate(row.branches):
        left = place * (width + space)
        yield Box(left, left + width, top, bottom, lines)


def _shape(row: LayerRow) -> str:
    return "×".join("?" if side is None else str(side) for side in row.shape)


def _told(row: LayerRow) -> str:
    return f"{size(row.parameters)}" if row.parameters else "–"


def draw(numbers: Numbers) -> go.Figure:
    """Rectangles with text, on axes that nobody sees."""
    steps = layout(numbers)
    deep = steps[-1].bottom
    hidden = {"visible": False, "fixedrange": True}
    figure = style.plot(
        height=round(60 + 21 * deep),
        xaxis={**hidden, "range": [-0.01, 1.01]},
        yaxis={**hidden, "range": [deep + 0.3, -1.6]},
        hovermode=False,
        showlegend=False,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
    )
    figure.add_scatter(x=[0, 1], y=[0, deep], mode="markers", marker={"opacity": 0})
    for place, title in ((0.0, numbers.label), (SHAPES, "shape"), (BARS, "parameters")):
        _say(figure, place, -0.9, title, style.LIGHT.muted, "left")
    largest = max(row.parameters for row in numbers.rows) or 1
    for step in steps:
        for box in step.boxes:
            _rectangle(figure, box.left, box.right, box.top, box.bottom, style.LIGHT.faint, style.LIGHT.rule)
            _say(figure, (box.left + box.right) / 2, (box.top + box.bottom) / 2, "<br>".join(box.lines))
        if step.below:
            _say(figure, BOXES / 2, step.bottom - 0.5, step.below, style.LIGHT.muted)
        if step.row.times > 1:
            _say(figure, BOXES + 0.005, step.boxes[0].top + 0.5, f"{step.row.times} ×", anchor="left")
        _say(figure, SHAPES + 0.03 * (step.row.times > 1), step.middle, _shape(step.row), anchor="left")
        end = BARS + (NUMBERS - BARS - 0.01) * step.row.parameters / largest
        _rectangle(figure, BARS, end, step.middle - 0.4, step.middle + 0.4, style.LIGHT.accent, None)
        _say(figure, NUMBERS, step.middle, _told(step.row), anchor="left")
    return figure


def _rectangle(
    figure: go.Figure, left: float, right: float, top: float, bottom: float, fill: str, line: str | None
) -> None:
    edge = {"width": 1, "color": line} if line else {"width": 0}
    figure.add_shape(type="rect", x0=left, x1=right, y0=top, y1=bottom, fillcolor=fill, line=edge)


def _say(
    figure: go.Figure, x: float, y: float, text: str, colour: str = style.LIGHT.ink, anchor: str = "center"
) -> None:
    figure.add_annotation(
        x=x, y=y, text=text, showarrow=False, xanchor=anchor, yanchor="middle",
        font={"size": 12, "color": colour},
    )  # fmt: skip


def picture(numbers: Numbers) -> Figure:
    """The same on paper."""
    steps = layout(numbers)
    deep = steps[-1].bottom
    with mpl.rc_context({**style.RC, "axes.grid": False}):
        figure, axes = style.canvas(7.0, 0.5 + 0.19 * deep)
        axes.set_xlim(-0.01, 1.01)
        axes.set_ylim(deep + 0.3, -1.6)
        axes.axis("off")
        for place, title in ((0.0, numbers.label), (SHAPES, "shape"), (BARS, "parameters")):
            axes.text(place, -0.9, title, color=style.LIGHT.muted, fontsize=8, va="center")
        largest = max(row.parameters for row in numbers.rows) or 1
        for step in steps:
            _paint(axes, step, largest)
    return figure


def _paint(axes: Any, step: Step, largest: int) -> None:
    for box in step.boxes:
        corner, wide, tall = (box.left, box.top), box.right - box.left, box.bottom - box.top
        axes.add_patch(
            mpl.patches.Rectangle(corner, wide, tall, fc=style.LIGHT.faint, ec=style.LIGHT.rule, lw=0.8)
        )
        centre = (box.left + box.right) / 2, (box.top + box.bottom) / 2
        small = 6.5 if len(step.boxes) > 2 else 7.5
        axes.text(*centre, "\n".join(box.lines), ha="center", va="center", fontsize=small)
    axes.text(BOXES / 2, step.bottom - 0.5, step.below, ha="center", va="center", fontsize=7,
              color=style.LIGHT.muted)  # fmt: skip
    times = f"{step.row.times} ×  " if step.row.times > 1 else ""
    axes.text(SHAPES, step.middle, times + _shape(step.row), va="center", fontsize=7.5)
    length = (NUMBERS - BARS - 0.01) * step.row.parameters / largest
    axes.add_patch(mpl.patches.Rectangle((BARS, step.middle - 0.4), length, 0.8, fc=style.LIGHT.accent))
    axes.text(NUMBERS, step.middle, _told(step.row), va="center", fontsize=7.5)
