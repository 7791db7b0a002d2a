"""Confusion matrices of the leaders, recomputed from the stored predictions."""

from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure
from numpy.typing import NDArray

from reports import style
from reports.analysis import Analysis
from reports.figures import NothingToDraw

TITLE = "What is taken for what"
READING = (
    "Each row is a true class and adds up to 100%; each column is what the network said, over all seeds. "
    "Dark on the diagonal is right; a dark cell beside it is a confusion. The mean of the diagonal, "
    "weighed by class, is the accuracy in the table above."
)
SECTION = "errors"
ORDER = 10
MOST = 3


class Matrix(NamedTuple):
    """One candidate: counts (true classes, predicted classes), summed over seeds."""

    label: str
    counts: tuple[tuple[int, ...], ...]
    accuracy: float


class Numbers(NamedTuple):
    """The first leaders and the class names."""

    matrices: tuple[Matrix, ...]
    classes: tuple[str, ...]


def compute(analysis: Analysis) -> Numbers:
    """Count (true, predicted) pairs for the best candidates, the selected one among them."""
    if not analysis.rows:
        raise NothingToDraw("no confirmed candidate has stored predictions")
    order = sorted(analysis.rows, key=lambda row: analysis.word(row.candidate) != "selected")
    classes = analysis.classes
    matrices = []
    for row in order[:MOST]:
        evaluations = analysis.evaluations_of(row.candidate)
        counts = sum(
            (count(one.labels, one.probabilities.argmax(axis=1), len(classes)) for one in evaluations),
            start=np.zeros((len(classes), len(classes)), int),
        )
        accuracy = float(np.trace(counts) / counts.sum())
        label = analysis.labels[row.candidate]
        matrices.append(Matrix(label, tuple(map(tuple, counts.tolist())), accuracy))
    return Numbers(tuple(matrices), classes)


def count(labels: NDArray[np.int64], guesses: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Count the answers by true and predicted class.

    Args:
        labels: True classes, integers (images,).
        guesses: Predicted classes, integers (images,).
        classes: The number of classes.

    Returns:
        Counts (classes, classes): a row for each true class, a column for each predicted one.
    """
    return np.bincount(labels * classes + guesses, minlength=classes**2).reshape(classes, classes)


def shares(matrix: Matrix) -> NDArray[np.float64]:
    """The counts as shares of each true class.

    Args:
        matrix: The confusion matrix of one candidate.

    Returns:
        Shares (classes, classes). A row adds up to 1; that of an absent class is zeros.
    """
    counts = np.array(matrix.counts, float)
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))


def draw(numbers: Numbers) -> go.Figure:
    """One heat map at a time, chosen by buttons."""
    side = max(420, 90 + 46 * len(numbers.classes))
    of_names = {"type": "category", "constrain": "domain", "ticks": "", "showgrid": False}  # "0" is a name
    figure = style.plot(
        height=side + 40,
        xaxis=style.axis("said", side="bottom", **of_names),
        yaxis=style.axis("true", autorange="reversed", scaleanchor="x", **of_names),
    )
    for index, matrix in enumerate(numbers.matrices):
        figure.add_trace(_heatmap(matrix, numbers.classes, visible=index == 0))
    if len(numbers.matrices) > 1:
        figure.update_layout(updatemenus=[_buttons(numbers.matrices)], margin={"t": 56})
    return figure


def _heatmap(matrix: Matrix, classes: tuple[str, ...], *, visible: bool) -> go.Heatmap:
    part = shares(matrix)
    return go.Heatmap(
        z=[style.points(row, 4) for row in part], x=classes, y=classes, visible=visible, zmin=0, zmax=1,
        colorscale=style.scale(style.SCALE), showscale=False, xgap=2, ygap=2, name=matrix.label,
        text=[[f"{value:.0%}" if value >= 0.005 else "" for value in row] for row in part],
        texttemplate="%{text}" if len(classes) <= 16 else None, customdata=matrix.counts,
        hovertemplate="%{y} taken for %{x}: %{z:.1%} (%{customdata:,} images, all seeds)<extra></extra>",
    )  # fmt: skip


def _buttons(matrices: tuple[Matrix, ...]) -> dict[str, object]:
    return {
        "type": "buttons", "direction": "right", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom",
        "showactive": True, "bgcolor": style.LIGHT.faint, "bordercolor": style.LIGHT.rule,
        "font": {"size": 12, "color": style.LIGHT.ink}, "pad": {"b": 8},
        "buttons": [
            {"label": style.short(matrix.label, 34), "method": "restyle",
             "args": [{"visible": [index == chosen for index in range(len(matrices))]}]}
            for chosen, matrix in enumerate(matrices)
        ],
    }  # fmt: skip


def picture(numbers: Numbers) -> Figure:
    """All of them side by side on paper."""
    side = 1.1 + 0.34 * len(numbers.classes)
    longest = min(max(map(len, numbers.classes)), 40)  # below the squares, slanted
    with mpl.rc_context({**style.RC, "axes.grid": False}):
        figure = Figure(
            figsize=(side * len(numbers.matrices), side + 0.4 + 0.06 * longest), layout="constrained"
        )
        panels = figure.subplots(1, len(numbers.matrices), squeeze=False)[0]
        for axes, matrix in zip(panels, numbers.matrices, strict=True):
            part = shares(matrix)
            axes.imshow(part, cmap=style.gradient(style.SCALE), vmin=0, vmax=1)
            for (row, column), value in np.ndenumerate(part):
                if value >= 0.005 and len(numbers.classes) <= 16:
                    ink = "white" if value > 0.5 else style.LIGHT.ink
                    axes.text(
                        column, row, f"{100 * value:.0f}", ha="center", va="center", fontsize=7, color=ink
                    )
            ticks = range(len(numbers.classes))
            axes.set_xticks(ticks, numbers.classes, rotation=45, ha="right")
            axes.set_yticks(ticks, numbers.classes if axes is panels[0] else [""] * len(numbers.classes))
            axes.tick_params(length=0)
            axes.spines[:].set_visible(False)
            axes.set_title(f"{style.short(matrix.label, 32)}\n{matrix.accuracy:.1%}")
        panels[0].set_ylabel("true")
    return figure
