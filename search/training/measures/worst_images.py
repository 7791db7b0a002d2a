"""The images that a network gets most wrong, as one small picture that MLflow shows and reports cut up.

Validation images alone: the caller has no others.
"""

import json
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from search.tracking import names

#: Images of each kind, tiles in a row, and pixels a side: at most 384 kB of colour.
EACH: Final = 16
ACROSS: Final = 8
LARGEST: Final = 64


def worst_rows(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> NDArray[np.int64]:
    """Rows of the most confidently wrong images, then of the most confused ones; none twice.

    Confused images have the highest entropy, right or wrong.

    Args:
        labels: The class of each image, (images,).
        probabilities: (images, classes); each row sums to 1.

    Returns:
        Row numbers.
    """
    shares = probabilities.astype(np.float64)
    confidence = np.where(shares.argmax(axis=1) == labels, 0.0, shares.max(axis=1))
    entropy = -(shares * np.log(np.clip(shares, 1e-12, 1.0))).sum(axis=1)
    wrong = np.argsort(-confidence, kind="stable")[: min(EACH, int((confidence > 0.0).sum()))]
    unsure = [place for place in np.argsort(-entropy, kind="stable") if place not in set(wrong)][:EACH]
    return np.array([*wrong, *unsure], dtype=np.int64)


def write_gallery(path: Path, images: NDArray[np.uint8], ids: NDArray[np.str_]) -> None:
    """Write images as tiles of one PNG; their ids lie in its text.

    Args:
        path: The file.
        images: Images, uint8 (images, height, width, channels); none writes no file.
        ids: Their ids, (images,).
    """
    tiles = [_tile(image) for image in images]
    if not tiles:
        return
    width, height = tiles[0].size
    rows = -(-len(tiles) // ACROSS)
    sheet = Image.new(tiles[0].mode, (ACROSS * width, rows * height))
    for place, tile in enumerate(tiles):
        sheet.paste(tile, (place % ACROSS * width, place // ACROSS * height))
    told = PngInfo()
    told.add_itxt(names.GALLERY_TEXT, json.dumps({"tile": [height, width], "ids": ids.tolist()}))
    sheet.save(path, pnginfo=told)


def _tile(pixels: NDArray[np.uint8]) -> Image.Image:
    """An image no larger than a tile; what is smaller stays as it is."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.thumbnail((LARGEST, LARGEST))
    return image
