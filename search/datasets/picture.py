"""One image file: its header checked, decoded, and brought to the shape asked for."""

import hashlib
import io
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from search.datasets.catalogue import Raw
from spaces.errors import UserError

FORMATS: Final = ("JPEG", "PNG", "BMP", "WEBP", "PPM")
MAX_PIXELS: Final = 50_000_000  # an image file with more is taken for a decompression bomb
_TINT: Final = 8  # difference of channels, of 255, that compression alone brings into a gray image
_BROKEN: Final = (OSError, ValueError, SyntaxError, EOFError)  # what Pillow raises for what is no good image


class BrokenImageError(Exception):
    """An image that cannot be had: the message says why."""


@dataclass(frozen=True)
class Decoded:
    """One image in the shape asked for, and what it was before."""

    pixels: NDArray[np.uint8]
    source_digest: bytes
    size: tuple[int, int]  # height, width
    mode: str


def size_of(raw: Raw, name: str) -> tuple[int, int]:
    """Return (height, width) from the header. Raises BrokenImageError, and UserError for a bomb."""
    try:
        with _opened(raw, name) as image:
            return image.height, image.width
    except _BROKEN as error:
        raise BrokenImageError(_reason(error)) from error


def coloured(raw: Raw, name: str) -> bool:
    """Say whether an image has colours, and not only room for them: many gray ones are stored as RGB.

    Raises BrokenImageError, and UserError for a bomb.
    """
    try:
        with _opened(raw, name) as image:
            if image.mode[0] in "1LIF":
                return False
            pixels = np.asarray(image.convert("RGB")).astype(np.int16)
    except _BROKEN as error:
        raise BrokenImageError(_reason(error)) from error
    return bool((pixels.max(axis=2) - pixels.min(axis=2)).max() > _TINT)


def decoded(raw: Raw, name: str, size: tuple[int, int], channels: int) -> Decoded:
    """Decode one image to (height, width, channels). Raises BrokenImageError, and UserError for a bomb."""
    try:
        with _opened(raw, name) as image:
            upright = ImageOps.exif_transpose(image) if "exif" in image.info else image
            return _converted(upright, size, channels)
    except _BROKEN as error:
        raise BrokenImageError(_reason(error)) from error


def _opened(raw: Raw, name: str) -> Image.Image:
    """Open an image, its header alone. Raises UserError where that claims too many pixels."""
    if isinstance(raw, Exception):
        raise BrokenImageError(_reason(raw)) from raw
    if isinstance(raw, np.ndarray):
        return Image.fromarray(raw[..., 0] if raw.ndim == 3 and raw.shape[2] == 1 else raw)
    try:
        image = Image.open(io.BytesIO(raw), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise _bomb(name, "far too many") from error
    if image.width * image.height > MAX_PIXELS:
        raise _bomb(name, f"{image.width:,} x {image.height:,}")
    return image


def _bomb(name: str, pixels: str) -> UserError:
    return UserError(
        f"{name} claims {pixels} pixels, more than {MAX_PIXELS:,} in all: taken for a decompression bomb and "
        f"not decoded; remove it or make it smaller."
    )


def _converted(image: Image.Image, size: tuple[int, int], channels: int) -> Decoded:
    """Bring an image to the mode and size asked for (Pillow's antialiased bilinear filter)."""
    content = image.tobytes()
    shape = f"{image.width}x{image.height}{image.mode}".encode()
    digest = hashlib.blake2b(shape + content, digest_size=16).digest()
    found, mode, wanted = (image.height, image.width), image.mode, "L" if channels == 1 else "RGB"
    if mode.startswith("I"):  # 16 bits a pixel, which Pillow would clip at 255
        image = Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    if image.mode != wanted:
        image = image.convert(wanted)
    if found != size:
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    if (found, mode) != (size, wanted):
        content = image.tobytes()
    return Decoded(np.frombuffer(content, np.uint8).reshape(*size, channels), digest, found, mode)


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "vanished while it was being read"
    return " ".join(str(error).split())[:80] or type(error).__name__
