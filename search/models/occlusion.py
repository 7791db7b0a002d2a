"""What a prediction rests on: which parts of a picture lower its probability when they are covered.

Occlusion sensitivity (Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, 2014). It asks
the network nothing but probabilities, so it means the same for every architecture: with or without dense
layers, pooled or flattened, a family of Candor's or a file of somebody else's, on any backend.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from search.models.classifier import Classifier
from search.models.predict import probabilities

#: A patch covers a sixth of each side and moves by half of itself: 121 pictures for one explanation.
_PATCHES: Final = 6
_OPACITY: Final = 0.55


def importance(classifier: Classifier, image: NDArray[np.uint8], label: int) -> NDArray[np.float64]:
    """How much covering each pixel lowers the probability of a class.

    A pixel's value is the mean over the patches that cover it; it is negative where covering it helps the
    class.

    Args:
        classifier: The model.
        image: Pixels, uint8 (height, width, channels), as the network takes them.
        label: The class, by number.

    Returns:
        A difference of probabilities for each pixel, (height, width).
    """
    patches = _patches(image.shape[0], image.shape[1])
    covered = np.repeat(image[None], len(patches) + 1, axis=0)
    paint = image.mean(axis=(0, 1)).round().astype(np.uint8)
    for number, (rows, columns) in enumerate(patches, start=1):
        covered[number, rows, columns] = paint
    found = probabilities(classifier, covered)[:, label].astype(np.float64)
    drops, counts = np.zeros(image.shape[:2]), np.zeros(image.shape[:2])
    for (rows, columns), drop in zip(patches, found[0] - found[1:], strict=True):
        drops[rows, columns] += drop
        counts[rows, columns] += 1
    return drops / counts


def _patches(height: int, width: int) -> list[tuple[slice, slice]]:
    return [(rows, columns) for rows in _strips(height) for columns in _strips(width)]


def _strips(length: int) -> list[slice]:
    """Overlapping stretches of equal size from 0 to length, which cover every pixel."""
    size = max(-(-length // _PATCHES), 1)
    starts = np.unique(np.linspace(0, length - size, 2 * _PATCHES - 1).round().astype(int))
    return [slice(start, start + size) for start in starts]


def overlay(image: NDArray[np.uint8], heat: NDArray[np.floating[Any]], side: int = 384) -> Image.Image:
    """Draw a heat map over an image: red supports the class, blue speaks against it.

    Args:
        image: Pixels, uint8 (height, width, channels).
        heat: What each pixel brings, (height, width).
        side: The longer side of the result, in pixels.
    """
    import matplotlib

    strongest = max(float(np.abs(heat).max()), 1e-9)
    colours = matplotlib.colormaps["RdBu_r"]((heat / strongest + 1) / 2)[..., :3] * 255
    strength = (np.abs(heat) / strongest * _OPACITY)[..., None]
    shown = np.broadcast_to(image, (*image.shape[:2], 3))
    mixed = (shown * (1 - strength) + colours * strength).round().astype(np.uint8)
    scale = max(1, round(side / max(mixed.shape[:2])))
    size = (mixed.shape[1] * scale, mixed.shape[0] * scale)
    return Image.fromarray(mixed).resize(size, Image.Resampling.BILINEAR)
