"""What the registered model's answers rest on: the sheet that `candor explain` drew."""

import base64
import io
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from reports import style
from reports.analysis import Analysis
from reports.figures import NothingToDraw
from reports.records.store import MissingArtifactError
from search.tracking import names

TITLE = "What its answers rest on"
READING = (
    "Validation images of each class that the registered model recognises most surely; first the mean of "
    "them. Red: covering this part lowers the probability of the class. Blue: it raises it (occlusion "
    "sensitivity, Zeiler and Fergus 2014). It shows where the network looks, not why."
)
SECTION = "errors"
ORDER = 6


class Numbers(NamedTuple):
    """The sheet's pixels, (height, width, 3)."""

    pixels: NDArray[np.uint8]


def compute(analysis: Analysis) -> Numbers:
    """Read the study's artifact."""
    try:
        path = analysis.study.store.artifact(analysis.study.run, names.EXPLANATIONS_PNG)
    except MissingArtifactError as error:
        raise NothingToDraw("nobody has asked for it yet, with `candor explain`") from error
    try:
        with Image.open(path, formats=("PNG",)) as sheet:
            return Numbers(np.asarray(sheet.convert("RGB")))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise NothingToDraw(f"{names.EXPLANATIONS_PNG} cannot be read ({error})") from error


def draw(numbers: Numbers) -> go.Figure:
    """The picture on axes that nobody sees."""
    height, width = numbers.pixels.shape[:2]
    hidden = {"visible": False, "fixedrange": True}
    figure = style.plot(
        height=height + 40,
        xaxis={**hidden, "range": [0, width]},
        yaxis={**hidden, "range": [height, 0]},
        showlegend=False,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
    )
    figure.add_scatter(x=[0, width], y=[0, height], mode="markers", marker={"opacity": 0}, hoverinfo="skip")
    figure.add_layout_image(
        source=_address(numbers.pixels), xref="x", yref="y", x=0, y=0, sizex=width, sizey=height,
        xanchor="left", yanchor="top", sizing="contain", layer="below",
    )  # fmt: skip
    return figure


def _address(pixels: NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def picture(numbers: Numbers) -> Figure:
    """The same on paper."""
    height, width = numbers.pixels.shape[:2]
    with mpl.rc_context({**style.RC, "axes.grid": False}):
        figure, axes = style.canvas(7.0, 7.0 * height / width)
        axes.imshow(numbers.pixels, interpolation="nearest")
        axes.axis("off")
    return figure
