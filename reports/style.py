"""One look for every figure: colours the colour-blind can tell apart, quiet axes, in both libraries.

Figures are drawn in the light palette. The page exchanges each colour for its partner in DARK, so a colour
that a figure uses must come from here.
"""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

os.environ.setdefault("MPLBACKEND", "Agg")

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure


class Palette(NamedTuple):
    """Roles, not hues: what a colour means is the same on every figure."""

    paper: str
    ink: str
    muted: str
    rule: str
    faint: str
    accent: str  # the selected candidate
    band: str  # a region of indifference
    warn: str  # overfitting, a limit
    good: str
    series: tuple[str, ...]  # candidates in order; Okabe and Ito's colours, darkened or lightened


LIGHT = Palette(
    paper="#fdfcf9", ink="#22262b", muted="#6d7278", rule="#d9d5cc", faint="#eeebe4", accent="#0a5fa5",
    band="#dbe7f1", warn="#c04d0b", good="#0b7f60",
    series=("#0b67ab", "#bf4f0f", "#0d8063", "#a3527f", "#8a6a00", "#4f6b7a", "#3a3f8f", "#7a3b12"),
)  # fmt: skip
DARK = Palette(
    paper="#16191d", ink="#e7e4de", muted="#a0a5ab", rule="#3c4248", faint="#24282d", accent="#6db8f2",
    band="#233a4d", warn="#f39455", good="#4fc7a6",
    series=("#6cb7f1", "#f2935a", "#55c8a8", "#dd9cc0", "#d9b64a", "#a3bdca", "#a6aaf2", "#d1a184"),
)  # fmt: skip
#: Sequential scale from paper to ink-blue; the page turns it round in the dark.
SCALE = ("#fdfcf9", "#d6e3ee", "#a3c3de", "#6299c6", "#2a6ea8", "#0b3f6e")
SCALE_DARK = ("#16191d", "#1d3346", "#26557c", "#3580b6", "#64aee2", "#c4e3fa")
#: Diverging scale through paper: below one half, above one half.
DIVERGING = ("#a8420a", "#e3a37c", "#fdfcf9", "#86b4d8", "#0a5fa5")
DIVERGING_DARK = ("#f39455", "#84502f", "#16191d", "#2b5d86", "#6db8f2")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid", "dash")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "triangle-down", "star")
MARKERS = ("o", "s", "D", "^", "P", "X", "v", "*")
FONT = "'Source Sans 3', Inter, system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


#: What an axis added to a figure must be told, since it does not inherit the first one's look.
QUIET: dict[str, Any] = {
    "gridcolor": LIGHT.faint, "linecolor": LIGHT.rule, "zerolinecolor": LIGHT.rule, "zeroline": False,
    "tickcolor": LIGHT.rule, "ticks": "outside", "ticklen": 4, "automargin": True,
    "tickfont": {"color": LIGHT.muted},
}  # fmt: skip


def partners() -> dict[str, str]:
    """Every light colour and what it becomes in the dark."""
    pairs = dict(zip(LIGHT[:-1], DARK[:-1], strict=True))
    for light, dark in ((LIGHT.series, DARK.series), (SCALE, SCALE_DARK), (DIVERGING, DIVERGING_DARK)):
        pairs |= dict(zip(light, dark, strict=True))
    return pairs


def clear(colour: str, opacity: float) -> str:
    """A colour let through, as plotly's eight-digit hex."""
    return f"{colour}{round(255 * opacity):02x}"


def scale(colours: Sequence[str]) -> list[list[Any]]:
    """A plotly colour scale with equal steps."""
    return [[index / (len(colours) - 1), colour] for index, colour in enumerate(colours)]


def plot(height: int = 420, **layout: Any) -> go.Figure:
    """An empty figure in our style."""
    figure = go.Figure(layout={"template": {}})
    figure.update_layout(
        height=height,
        margin={"l": 16, "r": 16, "t": 16, "b": 16},
        font={"family": FONT, "size": 13, "color": LIGHT.ink},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        xaxis=QUIET,
        yaxis=QUIET,
        hoverlabel={
            "bgcolor": LIGHT.paper,
            "bordercolor": LIGHT.rule,
            "font": {"color": LIGHT.ink, "family": FONT},
        },
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0, "font": {"size": 12}},
        hovermode="closest",
        dragmode="zoom",
    )
    return figure.update_layout(**layout)


def axis(title: str, **more: Any) -> dict[str, Any]:
    """Title and options of an axis."""
    return {"title": {"text": title, "standoff": 12, "font": {"size": 13}}, **more}


PERCENT = {"tickformat": ".0%"}
#: Shapes repeat what colour says.
MARK = {"selected": "diamond", "overfit": "x", "published": "circle-open"}
PRINT_MARK = {"selected": "D", "overfit": "X"}
RC: Any = {  # Any: matplotlib types every key by its literal name
    "font.family": "DejaVu Sans", "font.size": 9, "axes.edgecolor": LIGHT.rule, "axes.labelcolor": LIGHT.ink,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True,
    "grid.color": LIGHT.faint, "xtick.color": LIGHT.muted, "ytick.color": LIGHT.muted,
    "text.color": LIGHT.ink,
    "legend.frameon": False, "figure.facecolor": "white", "axes.facecolor": "white", "svg.hashsalt": "candor",
    "svg.fonttype": "none", "legend.fontsize": 8, "axes.titlesize": 9,
    "text.parse_math": False,  # a class may be called "$5_$10"
}  # fmt: skip


def counted(title: str, most: int) -> dict[str, Any]:
    """An axis of whole numbers up to `most`, with a tick at every one where these are few."""
    return axis(title, tickformat="d", **({"dtick": 1} if most <= 12 else {}))


def as_counts(axis_of: Any) -> None:
    """Whole numbers on a matplotlib axis."""
    from matplotlib.ticker import MaxNLocator

    axis_of.set_major_locator(MaxNLocator(integer=True))


def as_sizes(axis_of: Any) -> None:
    """Thousands and millions on a logarithmic matplotlib axis, as on the page's.

    Matplotlib's own powers of ten are mathematics, which RC switches off.
    """
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    axis_of.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis_of.set_major_formatter(EngFormatter(sep=""))
    axis_of.set_minor_formatter(NullFormatter())


def whiskers(middle: Any, low: Any, high: Any, colour: str, thickness: float = 1.6) -> dict[str, Any]:
    """Plotly's error bars from middle to low and high.

    Args:
        middle: The points' values, (points,).
        low: The lower ends, (points,).
        high: The upper ends, (points,).
        colour: The colour of the bars.
        thickness: Their width, in pixels.

    Returns:
        The value of `error_x` or `error_y`.
    """
    return {
        "type": "data", "symmetric": False, "color": colour, "thickness": thickness, "width": 0,
        "array": points(np.subtract(high, middle)), "arrayminus": points(np.subtract(middle, low)),
    }  # fmt: skip


def categories(labels: Sequence[str]) -> dict[str, Any]:
    """A vertical axis of names, the first on top, for rows drawn at 0, 1, 2, ..."""
    count = len(labels)
    return {
        "tickvals": list(range(count)), "ticktext": [short(label) for label in labels], "ticks": "",
        "range": [count - 0.5, -0.5], "showgrid": False, "tickfont": {"color": LIGHT.ink},
    }  # fmt: skip


def canvas(width: float = 6.4, height: float = 3.6) -> tuple[Figure, Axes]:
    """A matplotlib figure (inches) with one pair of axes, in our style; use inside `mpl.rc_context(RC)`."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def as_percent(axis_of: Any) -> None:
    """Percent labels on a matplotlib axis."""
    from matplotlib.ticker import PercentFormatter

    axis_of.set_major_formatter(PercentFormatter(1.0, decimals=None))


def colour(index: int) -> str:
    """The colour of the index-th candidate."""
    return LIGHT.series[index % len(LIGHT.series)]


def gradient(colours: Sequence[str]) -> Any:
    """The matplotlib colour map of a scale."""
    return mpl.colors.LinearSegmentedColormap.from_list("candor", list(colours))


def points(values: Any, digits: int = 5) -> list[Any]:
    """Numbers for plotly: rounded, and None where one is missing."""
    return [
        None if not np.isfinite(value) else float(f"{value:.{digits}g}")
        for value in np.asarray(values, float)
    ]


def short(label: str, most: int = 44) -> str:
    """A label that leaves room for the plot: without its middle, since what tells it apart comes last."""
    end = most // 2 - 1
    return label if len(label) <= most else f"{label[: most - end - 1]}…{label[-end:]}"


def wrapped(label: str, newline: str = "<br>") -> str:
    """A label on two or three lines, for the foot of a column."""
    family, _, rest = label.partition(" ")
    return newline.join(short(part, 26) for part in [family, *rest.split(" · ")][:4])
