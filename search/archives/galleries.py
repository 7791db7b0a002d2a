"""Galleries of many evaluations in little room: a picture that several of them show is stored once."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from search.tracking import names

TILES: Final = "tiles.png"
INDEX: Final = "galleries.json"
_MODES: Final = {"L": 1, "RGB": 3}
_MAX_SIDE: Final = 2**14


def split(files: Mapping[str, Path], folder: Path) -> list[str]:
    """Store galleries together.

    Args:
        files: Name of a run to its gallery (`search.tracking.names.GALLERY_PNG`).
        folder: Where to write `TILES` and `INDEX`; nothing is written where no gallery can be stored.

    Returns:
        The names of those that were stored; the others are of another size or mode, or cannot be read.
    """
    known: dict[bytes, int] = {}
    tiles: list[NDArray[np.uint8]] = []
    index: dict[str, Any] = {}
    kind: tuple[Any, ...] | None = None
    for name, file in sorted(files.items()):
        sheet = _read(file)
        if sheet is None or kind not in (None, sheet[0].shape[1:]):
            continue
        cut, across, text = sheet
        kind = cut.shape[1:]
        places = []
        for tile in cut:
            if tile.tobytes() not in known:
                known[tile.tobytes()] = len(tiles)
                tiles.append(tile)
            places.append(known[tile.tobytes()])
        index[name] = {"across": across, "places": places, "text": text}
    if not index or len(tiles) * tiles[0].shape[0] > _MAX_SIDE * 64:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    height, width = tiles[0].shape[:2]
    _picture(_sheet(tiles, max(1, min(64, len(tiles))))).save(folder / TILES, optimize=True)
    held = {"tile": [height, width], "count": len(tiles), "galleries": index}
    (folder / INDEX).write_text(json.dumps(held, sort_keys=True), encoding="utf-8")
    return sorted(index)


def join(folder: Path) -> dict[str, tuple[Image.Image, PngInfo]]:
    """The galleries that `split` stored, by name: each with its text; their pixels are the same.

    Raises:
        ValueError: The files are not those that `split` writes.
    """
    try:
        held = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        height, width = (int(side) for side in held["tile"])
        with Image.open(folder / TILES, formats=("PNG",)) as picture:
            if picture.mode not in _MODES:
                raise ValueError(f"pictures of mode {picture.mode}")
            tiles = _cut(np.asarray(picture), height, width)[: int(held["count"])]
        found = {}
        for name, one in held["galleries"].items():
            text = PngInfo()
            text.add_itxt(names.GALLERY_TEXT, str(one["text"]))
            found[str(name)] = (
                _picture(_sheet([tiles[place] for place in one["places"]], int(one["across"]))),
                text,
            )
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        ZeroDivisionError,
        Image.DecompressionBombError,
    ) as error:
        raise ValueError(f"packed galleries cannot be read ({error})") from error
    return found


def _read(file: Path) -> tuple[NDArray[np.uint8], int, str] | None:
    """The tiles of a gallery (n, height, width[, 3]), how many stand in a row, and its text."""
    try:
        with Image.open(file, formats=("PNG",)) as picture:
            text = str(picture.info[names.GALLERY_TEXT])
            height, width = (int(side) for side in json.loads(text)["tile"])
            pixels = np.asarray(picture)
            if picture.mode not in _MODES or pixels.shape[0] % height or pixels.shape[1] % width:
                return None
            return _cut(pixels, height, width), pixels.shape[1] // width, text
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError, Image.DecompressionBombError):
        return None


def _cut(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """A sheet's tiles, row by row."""
    if height < 1 or width < 1:
        raise ValueError("tiles without a size")
    down, across = pixels.shape[0] // height, pixels.shape[1] // width
    cut = pixels.reshape(down, height, across, width, *pixels.shape[2:]).swapaxes(1, 2)
    return np.ascontiguousarray(cut.reshape(down * across, height, width, *pixels.shape[2:]))


def _sheet(tiles: Sequence[NDArray[np.uint8]], across: int) -> NDArray[np.uint8]:
    """Tiles side by side, so many in a row; what is left of the last row is black."""
    down = -(-len(tiles) // across)
    height, width = tiles[0].shape[:2]
    sheet = np.zeros((down * height, across * width, *tiles[0].shape[2:]), np.uint8)
    for place, tile in enumerate(tiles):
        top, left = place // across * height, place % across * width
        sheet[top : top + height, left : left + width] = tile
    return sheet


def _picture(pixels: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(pixels)
