"""Draws what was predicted onto a picture: a box around each face, its label, a bar for each class."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from search.fonts import file_for
from search.models.face_detection import Face
from search.models.predict import Prediction
from spaces.errors import UserError

_BOX: Final = (255, 176, 0)
_BAR: Final = (72, 120, 208)
_PAPER: Final = (250, 250, 250)
_INK: Final = (30, 30, 30)
_SMALLEST: Final = 480  # pixels of the longer side; smaller pictures are enlarged, so that text fits
_PANEL: Final = 240  # pixels of the column of bars


@dataclass(frozen=True)
class Region:
    """One thing that was labelled: a face, or the whole picture where face is None."""

    prediction: Prediction
    face: Face | None = None


def annotated(picture: NDArray[np.uint8], regions: Sequence[Region]) -> Image.Image:
    """Draw boxes and labels into a picture, and bars of probabilities beside it.

    Args:
        picture: Pixels, uint8 (height, width, 3).
        regions: What was labelled in it.
    """
    image = Image.fromarray(picture)
    scale = max(1, round(_SMALLEST / max(image.size)))
    image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    panels = [_panel(number, one, len(regions)) for number, one in enumerate(regions, start=1)]
    height = max([image.height, sum(panel.height for panel in panels)])
    sheet = Image.new("RGB", (image.width + (_PANEL if panels else 0), height), _PAPER)
    sheet.paste(image, (0, 0))
    top = 0
    for panel in panels:
        sheet.paste(panel, (image.width, top))
        top += panel.height
    for number, one in enumerate(regions, start=1):
        if one.face is not None:
            _box(sheet, one.face, scale, f"{number}: {one.prediction.label}")
    return sheet


def save(image: Image.Image, path: Path) -> None:
    """Write an image file; raises UserError where that is not possible."""
    try:
        image.save(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be written ({error}): name another place") from error


@cache
def font_for(text: str, size: int) -> ImageFont.FreeTypeFont:
    """Return a font that has the letters of a text, `size` pixels high."""
    return ImageFont.truetype(str(file_for(unicodedata.normalize("NFC", text))), size)


def _box(sheet: Image.Image, face: Face, scale: int, text: str) -> None:
    draw = ImageDraw.Draw(sheet)
    left, top, side = (number * scale for number in (face.left, face.top, face.side))
    draw.rectangle((left, top, left + side, top + side), outline=_BOX, width=3)
    font = font_for(text, 16)
    x0, y0, x1, y1 = draw.textbbox((left + 4, max(top - 20, 0)), text, font=font)
    draw.rectangle((x0 - 4, y0 - 2, x1 + 4, y1 + 2), fill=_BOX)
    draw.text((left + 4, max(top - 20, 0)), text, fill=_INK, font=font)


def _panel(number: int, region: Region, of: int) -> Image.Image:
    """One prediction as bars, most probable class first."""
    ranked = sorted(region.prediction.probabilities.items(), key=lambda pair: -pair[1])
    panel = Image.new("RGB", (_PANEL, 30 + 20 * len(ranked)), _PAPER)
    draw, plain = ImageDraw.Draw(panel), font_for("", 13)
    title = f"{number}: {region.prediction.label}" if of > 1 else region.prediction.label
    draw.text((10, 6), title, fill=_INK, font=font_for(title, 16))
    for row, (label, probability) in enumerate(ranked):
        top = 30 + 20 * row
        draw.text((10, top), label[:12], fill=_INK, font=font_for(label, 13))
        draw.rectangle((100, top + 2, 100 + round(95 * probability), top + 14), fill=_BAR)
        draw.text((200, top), f"{probability:.0%}", fill=_INK, font=plain)
    return panel
