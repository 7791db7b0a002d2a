"""What a network looks at, class by class: one sheet of overlays, a row for each class, the surest first."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from search.models.classifier import Classifier
from search.models.drawing import font_for
from search.models.occlusion import importance, overlay
from search.models.predict import probabilities

_ACROSS: Final = 7  # examples in a row, after the mean of all of them
_SIDE: Final = 96  # pixels of a picture
_LABEL: Final = 130  # pixels of the column of names
_HEAD: Final = 26
_FOOT: Final = 18  # below each picture
_PAPER, _INK = (255, 255, 255), (30, 30, 30)


def sheet(classifier: Classifier, images: NDArray[np.uint8], labels: NDArray[np.integer[Any]]) -> Image.Image:
    """Draw which pixels a model's answers rest on, one row for each class.

    A row holds the images of a class that are recognised most surely, and first the mean of these images
    under the mean of what they rest on. A class of which none is recognised has an empty row.

    Args:
        classifier: The model.
        images: Images, uint8 (images, height, width, channels), as the network takes them.
        labels: The class of each image, (images,).
    """
    found = probabilities(classifier, images)
    row_height = _SIDE + _FOOT
    drawn = Image.new(
        "RGB",
        (_LABEL + (_ACROSS + 1) * (_SIDE + 6), _HEAD + row_height * len(classifier.labels.class_names)),
        _PAPER,
    )
    pen = ImageDraw.Draw(drawn)
    pen.text((_LABEL, 6), "mean", fill=_INK, font=font_for("", 12))
    pen.text((_LABEL + _SIDE + 6, 6), "surest first", fill=_INK, font=font_for("", 12))
    for number, name in enumerate(classifier.labels.class_names):
        top = _HEAD + number * row_height
        pen.text((6, top + _SIDE // 2 - 8), name[:16], fill=_INK, font=font_for(name, 14))
        surest = _surest(found, labels, number)
        if not len(surest):
            pen.text((_LABEL, top + _SIDE // 2 - 8), "none is recognised", fill=_INK)
            continue
        heats = np.stack([importance(classifier, images[at], number) for at in surest])
        middle = images[surest].mean(axis=0).round().astype(np.uint8)
        tiles = [("", middle, heats.mean(axis=0))]
        tiles += [(f"{found[at, number]:.0%}", images[at], h) for at, h in zip(surest, heats, strict=True)]
        for place, (text, image, heat) in enumerate(tiles):
            left = _LABEL + place * (_SIDE + 6)
            drawn.paste(_tile(image, heat), (left, top))
            pen.text((left + 2, top + _SIDE + 1), text, fill=_INK, font=font_for(text, 11))
    return drawn


def _surest(found: NDArray[np.float32], labels: NDArray[np.integer[Any]], number: int) -> NDArray[np.int64]:
    """The images of a class that are taken for it, the surest first."""
    right = np.flatnonzero((labels == number) & (found.argmax(axis=1) == number))
    return right[np.argsort(-found[right, number], kind="stable")][:_ACROSS]


def _tile(image: NDArray[np.uint8], heat: NDArray[np.float64]) -> Image.Image:
    """An overlay within a square, its proportions kept."""
    shown = overlay(image, heat, _SIDE)
    shown.thumbnail((_SIDE, _SIDE))
    square = Image.new("RGB", (_SIDE, _SIDE), _PAPER)
    square.paste(shown, ((_SIDE - shown.width) // 2, (_SIDE - shown.height) // 2))
    return square
