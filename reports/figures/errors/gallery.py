"""Validation images that the leader gets most confidently wrong, and those that confuse it most."""

import base64
import io
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from reports import style
from reports.analysis import Analysis
from reports.figures import NothingToDraw
from reports.records.frames import each
from reports.records.store import MissingArtifactError
from reports.records.thumbnails import Thumbnail, read_gallery
from search.tracking import names

TITLE = "Images it gets wrong"
READING = (
    "Validation images with what the selected candidate (else the best one) takes them for and, in brackets, "
    "their label; the mean probability over seeds. Above those it gets most confidently wrong: a label may "
    "be mistaken, or the classes overlap. Below those about which it is least decided. Each seed keeps a "
    "few images of either kind; no test image is ever shown."
)
SECTION = "errors"
ORDER = 5
ACROSS, DOWN = 8, 2
#: A tile is so many units tall, its text included; it is one unit wide.
TALL = 1.42


class GalleryTile(NamedTuple):
    """One image: its pixels, what it is labelled, what it is taken for and how surely."""

    name: str
    pixels: Thumbnail
    label: str
    said: str
    confidence: float


class Numbers(NamedTuple):
    """The two kinds of images, the worst first."""

    wrong: tuple[GalleryTile, ...]
    confused: tuple[GalleryTile, ...]


def compute(analysis: Analysis) -> Numbers:
    """Rank by the mean probabilities over seeds, among the images that some seed kept."""
    if not analysis.rows:
        raise NothingToDraw("no candidate is confirmed yet")
    pixels = _kept(analysis)
    if not pixels:
        raise NothingToDraw(f"no run of {analysis.labels[analysis.leader]} kept images")
    evaluations = analysis.evaluations_of(analysis.leader)
    mean = np.stack([one.probabilities for one in evaluations]).mean(axis=0, dtype=np.float64)
    first, said = evaluations[0], mean.argmax(axis=1)
    kept = np.isin(first.ids, list(pixels))
    wrong = kept & (said != first.labels)
    entropy = -(mean * np.log(np.clip(mean, 1e-12, 1.0))).sum(axis=1)

    def tiles(order: NDArray[np.int64]) -> tuple[GalleryTile, ...]:
        classes = analysis.classes
        return tuple(
            GalleryTile(str(first.ids[at]), pixels[str(first.ids[at])], classes[first.labels[at]],
                 classes[said[at]], float(mean[at].max()))
            for at in order[: ACROSS * DOWN]
        )  # fmt: skip

    worst = _ranked(mean.max(axis=1), wrong)
    shown = set(worst[: ACROSS * DOWN])
    unsure = [at for at in _ranked(entropy, kept) if at not in shown]
    return Numbers(tiles(worst), tiles(np.array(unsure, dtype=np.int64)))


def _kept(analysis: Analysis) -> dict[str, Thumbnail]:
    """Every image that some seed of the leader kept."""
    found: dict[str, Thumbnail] = {}
    for run in each(analysis.runs_of(analysis.leader)):
        try:
            path = analysis.study.store.artifact(analysis.study.runs[run.run_id], names.GALLERY_PNG)
            found |= read_gallery(path)
        except MissingArtifactError:
            continue
    return found


def _ranked(values: NDArray[np.float64], among: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Places of the marked values, the highest first."""
    places = np.flatnonzero(among)
    return places[np.argsort(-values[places], kind="stable")]


def _groups(numbers: Numbers) -> list[tuple[str, tuple[GalleryTile, ...]]]:
    groups = [("most confidently wrong", numbers.wrong), ("most confused", numbers.confused)]
    return [group for group in groups if group[1]]


def _places(numbers: Numbers) -> tuple[list[tuple[str, float]], list[tuple[GalleryTile, int, float]], float]:
    """Headings with their heights, tiles with column and top, and the height of all; in tiles, downwards."""
    headings, tiles, top = [], [], 0.0
    for title, group in _groups(numbers):
        headings.append((title, top + 0.2))
        tiles += [(tile, at % ACROSS, top + 0.4 + TALL * (at // ACROSS)) for at, tile in enumerate(group)]
        top += 0.4 + TALL * -(-len(group) // ACROSS) + 0.15
    return headings, tiles, top


def draw(numbers: Numbers) -> go.Figure:
    """Pictures on axes that nobody sees."""
    headings, tiles, deep = _places(numbers)
    hidden = {"visible": False, "fixedrange": True}
    figure = style.plot(
        height=round(60 + 105 * deep),
        xaxis={**hidden, "range": [-0.03, ACROSS + 0.03]},
        yaxis={**hidden, "range": [deep, 0]},
        showlegend=False,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
    )
    figure.add_scatter(
        x=[at + 0.5 for _, at, _ in tiles], y=[top + 0.5 for _, _, top in tiles], mode="markers",
        marker={"opacity": 0, "size": 60}, customdata=[[tile.name, tile.label] for tile, _, _ in tiles],
        hovertemplate="%{customdata[0]}<br>labelled %{customdata[1]}<extra></extra>",
    )  # fmt: skip
    for title, top in headings:
        figure.add_annotation(
            x=0, y=top, text=title, showarrow=False, xanchor="left", yanchor="middle", font={"size": 13}
        )
    for tile, at, top in tiles:
        figure.add_layout_image(
            source=_address(tile.pixels), xref="x", yref="y", x=at + 0.5, y=top, sizex=0.94, sizey=1.0,
            xanchor="center", yanchor="top", sizing="contain", layer="below",
        )  # fmt: skip
        figure.add_annotation(
            x=at + 0.5, y=top + 1.02, text="<br>".join(_told(tile)), showarrow=False, yanchor="top",
            font={"size": 11, "color": style.LIGHT.ink},
        )  # fmt: skip
    return figure


def _told(tile: GalleryTile) -> tuple[str, str]:
    label = "" if tile.said == tile.label else f"({style.short(tile.label, 14)})"
    return f"{style.short(tile.said, 12)} {tile.confidence:.0%}", label or "(right)"


def _address(pixels: Thumbnail) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def picture(numbers: Numbers) -> Figure:
    """The same on paper."""
    headings, tiles, deep = _places(numbers)
    with mpl.rc_context({**style.RC, "axes.grid": False}):
        figure, axes = style.canvas(7.0, 0.88 * deep)
        axes.set_xlim(0, ACROSS)
        axes.set_ylim(deep, 0)
        axes.set_aspect("auto")
        axes.axis("off")
        for title, top in headings:
            axes.text(0.03, top, title, va="center", fontsize=9)
        for tile, at, top in tiles:
            _paste(axes, tile, at, top)
    return figure


def _paste(axes: Any, tile: GalleryTile, at: int, top: float) -> None:
    tall, wide = tile.pixels.shape[:2]
    height, width = 0.94 * tall / max(tall, wide), 0.94 * wide / max(tall, wide)
    edges = (at + 0.5 - width / 2, at + 0.5 + width / 2, top + height, top)
    axes.imshow(
        tile.pixels, extent=edges, cmap="gray", vmin=0, vmax=255, aspect="auto", interpolation="nearest"
    )
    axes.text(at + 0.5, top + 1.02, "\n".join(_told(tile)), ha="center", va="top", fontsize=6.5)
