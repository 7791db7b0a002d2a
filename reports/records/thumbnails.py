"""The images that an evaluation was most wrong or most unsure about, cut out of its gallery."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reports.records.store import MissingArtifactError
from search.tracking import names

Thumbnail = NDArray[np.uint8]  # (height, width) in gray or (height, width, 3)


def read_gallery(path: Path) -> dict[str, Thumbnail]:
    """Image id to its pixels; raises MissingArtifactError when the file is damaged.

    Args:
        path: The PNG.
    """
    try:
        with Image.open(path, formats=("PNG",)) as sheet:
            about = json.loads(sheet.info[names.GALLERY_TEXT])
            pixels = np.asarray(sheet)
        (height, width), ids = map(int, about["tile"]), [str(name) for name in about["ids"]]
        across = pixels.shape[1] // width
        corners = [(place // across * height, place % across * width) for place in range(len(ids))]
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        ZeroDivisionError,
        Image.DecompressionBombError,
    ) as error:
        raise MissingArtifactError(f"{path.name} cannot be read ({error})") from error
    found = [pixels[top : top + height, left : left + width] for top, left in corners]
    return {name: tile for name, tile in zip(ids, found, strict=True) if tile.shape[:2] == (height, width)}
