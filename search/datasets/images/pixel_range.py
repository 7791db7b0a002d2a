"""Which numbers are black and white: decided by the range of a whole set, never image by image.

Arrays of any number type become uint8 here; so does the depth of images with 16 bits a pixel.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from spaces.errors import UserError

#: Bits that 16-bit images may really use (cameras give 10, 12 or 14).
DEPTHS: Final = (8, 10, 12, 14, 16)
#: A set whose brightest pixel is darker, of 255, is not taken for one from 0 to 255.
DARKEST: Final = 32
_USUAL_WHITE: Final = 128  # the same for numbers of a type that says nothing: 0 to 100 may be a percentage
_OVERSHOOT: Final = 0.5  # how far resampling may leave a range, as a share of it
_FEW: Final = 0.01  # share of numbers, or of images, that do not decide
_DEEP: Final = (np.uint16, np.int16, np.uint32, np.int32)


def depth_of(brightest: int, where: str) -> int:
    """Return the bits that a set of 16-bit images uses, one of DEPTHS.

    Args:
        brightest: the largest number of all its pixels, from 0 to 65535.
        where: what the set is called, for the message.

    Raises:
        UserError: the range is so small that it is unclear which number is white.
    """
    if 0 < brightest < DARKEST:
        raise UserError(
            f"{where} has images with 16 bits a pixel, but no number above {brightest:,}: it is unclear "
            f"which number is white. Save them with 8 bits a pixel, from 0 to 255."
        )
    return next(bits for bits in DEPTHS if brightest < 2**bits)


def as_bytes(parts: Sequence[NDArray[Any]], where: str) -> tuple[list[NDArray[np.uint8]], list[str]]:
    """Return the images of all parts as uint8, and what was decided, as sentences.

    Args:
        parts: arrays of shape (n, h, w) or (n, h, w, c), of any number type.
        where: what they are called, for messages.

    Raises:
        UserError: they are no finite numbers, or it is unclear which number is black and which is white. The
            message names the range that was found.
    """
    for part in parts:
        if not (part.dtype == bool or np.issubdtype(part.dtype, np.integer) or _is_float(part)):
            raise UserError(f"{where} must hold numbers. Received: {part.dtype}.")
        if _is_float(part) and not np.isfinite(part).all():
            raise UserError(f"{where} holds numbers that are not finite (NaN or infinity): clean them first.")
    low = min((float(part.min()) for part in parts if part.size), default=0.0)
    high = max((float(part.max()) for part in parts if part.size), default=0.0)
    found = f"numbers from {low:g} to {high:g} ({', '.join(sorted({str(part.dtype) for part in parts}))})"
    whole = all(part.dtype == np.uint8 for part in parts)
    if low == high == 0 or (whole and high >= DARKEST):
        return [part.astype(np.uint8, copy=False) for part in parts], []
    if _within(parts, low, high, 1):
        return _scaled(parts, 255.0), [f"Pixels: {found}, taken as 0 for black and 1 for white."]
    if high >= (DARKEST if whole else _USUAL_WHITE) and _within(parts, low, high, 255):
        _refuse_mixed(parts, where)
        return _scaled(parts, 1.0), [f"Pixels: {found}, taken as 0 for black and 255 for white."]
    if low >= 0 and 255 < high < 2**16 and all(part.dtype.type in _DEEP for part in parts):
        bits = depth_of(int(high), where)
        said = f"Pixels: {found}, taken as {bits} bits: 0 for black and {2**bits - 1:,} for white."
        return [(part >> (bits - 8)).astype(np.uint8) for part in parts], [said]
    raise UserError(
        f"{where}: {found}. It is unclear which number is black and which is white: {_remedy(low, high)}."
    )


def _is_float(part: NDArray[Any]) -> bool:
    return bool(np.issubdtype(part.dtype, np.floating))


def _within(parts: Sequence[NDArray[Any]], low: float, high: float, white: int) -> bool:
    """Say whether all numbers lie from 0 to `white`, but for a few that resampling put just outside."""
    if low >= 0 and high <= white:
        return white > 1 or high > 0.1  # all of them divided by 255 twice would be black
    if not (-_OVERSHOOT * white <= low and high <= (1 + _OVERSHOOT) * white):
        return False
    if white == 1 and not any(map(_is_float, parts)):
        return False
    return all(int(((part < 0) | (part > white)).sum()) < _FEW * part.size for part in parts if part.size)


def _scaled(parts: Sequence[NDArray[Any]], by: float) -> list[NDArray[np.uint8]]:
    return [np.rint(np.asarray(part) * by).clip(0, 255).astype(np.uint8) for part in parts]


def _refuse_mixed(parts: Sequence[NDArray[Any]], where: str) -> None:
    """Raise UserError where some images hold fractions beside others from 0 to 255: they would be black."""
    images = sum(map(len, parts))
    counts = {number: _fractions(part) for number, part in enumerate(parts) if _is_float(part)}
    if any(count >= max(1, _FEW * len(parts[number])) for number, count in counts.items()):
        raise UserError(
            f"{where}: {sum(counts.values()):,} of {images:,} images hold fractions from 0 to 1, "
            f"the others numbers up to 255. Give all of them the same range."
        )


def _fractions(part: NDArray[Any]) -> int:
    """How many images of a split hold fractions, and nothing far above 1."""
    images = part.reshape(len(part), -1)
    highest = images.max(axis=1, initial=0)
    dark = images[(highest > 0) & (highest <= 1 + _OVERSHOOT)]
    return int((dark != np.rint(dark)).any(axis=1).sum())


def _remedy(low: float, high: float) -> str:
    if -1 - _OVERSHOOT <= low < -0.1 and high <= 1 + _OVERSHOOT:
        return "for a range from -1 to 1, give (x + 1) / 2"
    if low < 0:
        return "give fractions from 0 to 1, as before they were standardised, or numbers from 0 to 255"
    return f"give fractions from 0 to 1, such as x / {high:g}, or numbers from 0 to 255"
