"""What the audit of the data found: images with twins in other splits, and twins with other labels."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import matplotlib as mpl
import plotly.graph_objects as go
from matplotlib.figure import Figure

from reports import style
from reports.analysis import Analysis
from reports.figures import NothingToDraw

TITLE = "Twins in the data"
READING = (
    "Bars count images as the source delivered them. An evaluation image whose twin is in train measures "
    "memory, not recognition: the training-side twin is purged unless the experiment says otherwise. "
    "Twins with different labels cannot both be right, which bounds every accuracy."
)
SECTION = "test"
ORDER = 20


class AccuracyBar(NamedTuple):
    """One finding: what it is, pixel-identical images, further images, and of how many."""

    label: str
    exact: int
    near: int
    of: int


class Numbers(NamedTuple):
    """Findings that occur."""

    bars: tuple[AccuracyBar, ...]


def compute(analysis: Analysis) -> Numbers:
    """Read the audit's counts."""
    audit = analysis.study.data.get("audit") or {}
    images, leaks = audit.get("images") or {}, audit.get("leaks") or {}
    bars = [
        AccuracyBar(
            _title(where),
            leak["exact"],
            leak["images"] - leak["exact"],
            images.get(where.split("_in_")[0], 0),
        )
        for where, leak in leaks.items()
    ]
    bars.append(_conflicts(audit, sum(images.values())))
    found = tuple(bar for bar in bars if bar.exact + bar.near)
    if not found:
        raise NothingToDraw("the audit found no twins" if audit else "the study has no audit")
    return Numbers(found)


def _title(where: str) -> str:
    one, _, other = where.partition("_in_")
    return f"{one} images with a twin in {other}"


def _conflicts(audit: Mapping[str, Any], images: int) -> AccuracyBar:
    exact = int((audit.get("exact") or {}).get("conflicting_images", 0))
    every = int((audit.get("twins") or {}).get("conflicting_images", 0))
    return AccuracyBar("twins with different labels", exact, max(every - exact, 0), images)


def _share(bar: AccuracyBar) -> str:
    count = bar.exact + bar.near
    return f"{count:,}" + (f" ({count / bar.of:.1%} of {bar.of:,})" if bar.of else "")


def draw(numbers: Numbers) -> go.Figure:
    """Stacked bars: identical, then nearly identical."""
    figure = style.plot(
        height=130 + 46 * len(numbers.bars),
        barmode="stack",
        xaxis=style.axis("images"),
        yaxis=style.categories([bar.label for bar in numbers.bars]),
    )
    places = list(range(len(numbers.bars)))
    kinds = (
        ("identical pixels", "exact", style.LIGHT.series[0]),
        ("nearly identical", "near", style.LIGHT.series[1]),
    )
    for name, field, colour in kinds:
        figure.add_bar(
            x=[getattr(bar, field) for bar in numbers.bars], y=places, orientation="h", name=name, width=0.5,
            marker={"color": colour}, hovertemplate=f"{name}: %{{x:,}}<extra></extra>",
        )  # fmt: skip
    figure.add_scatter(
        x=[bar.exact + bar.near for bar in numbers.bars], y=places, mode="text", showlegend=False,
        text=[f" {_share(bar)}" for bar in numbers.bars], textposition="middle right", hoverinfo="skip",
        cliponaxis=False,
    )  # fmt: skip
    longest = max(bar.exact + bar.near for bar in numbers.bars)
    return figure.update_xaxes(range=[0, 1.45 * longest])


def picture(numbers: Numbers) -> Figure:
    """The same on paper."""
    with mpl.rc_context(style.RC):
        figure, axes = style.canvas(6.4, 0.9 + 0.42 * len(numbers.bars))
        places = range(len(numbers.bars))
        exact, near = [bar.exact for bar in numbers.bars], [bar.near for bar in numbers.bars]
        axes.barh(places, exact, 0.5, color=style.LIGHT.series[0], label="identical pixels")
        axes.barh(places, near, 0.5, left=exact, color=style.LIGHT.series[1], label="nearly identical")
        for place, bar in enumerate(numbers.bars):
            axes.annotate(_share(bar), (bar.exact + bar.near, place), (4, 0), textcoords="offset points",
                          va="center", fontsize=8)  # fmt: skip
        axes.set_yticks(places, [bar.label for bar in numbers.bars])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.margins(x=0.45)
        axes.set_xlabel("images")
        figure.legend(loc="outside upper left", ncols=2)
    return figure
