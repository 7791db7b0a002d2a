"""One image file: its header checked, decoded, and brought to the shape asked for."""

import hashlib
import io
import re
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from search.datasets.catalog import Raw
from spaces.errors import UserError

FORMATS: Final = ("JPEG", "PNG", "BMP", "WEBP", "PPM")
MAX_PIXELS: Final = 50_000_000  # an image file with more is taken for a decompression bomb
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_TINT: Final = 8  # difference of channels, of 255, that compression alone brings into a gray image
#: EXIF orientation -> what brings it upright.
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS: Final = (5, 6, 7, 8)  # those by which height and width change places
#: Where Pillow looks for an orientation.
_HELD: Final = frozenset({"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"})
_BROKEN: Final = (OSError, ValueError, SyntaxError, EOFError)  # what Pillow raises for what is no good image


class BrokenImageError(Exception):
    """An image that cannot be had: the message says why."""


@dataclass(frozen=True)
class Decoded:
    """One image in the shape asked for, and what it was before.

    Attributes:
        pixels: uint8 (height, width, channels).
        source_digest: of the pixels before conversion.
        size: (height, width) before.
        mode: Pillow's name for its colours before.
        brightest: the largest number of an image with 16 bits a pixel; None for all others.
    """

    pixels: NDArray[np.uint8]
    source_digest: bytes
    size: tuple[int, int]
    mode: str
    brightest: int | None = None


def size_of(raw: Raw, name: str) -> tuple[int, int]:
    """Return the (height, width) that an image has once it is upright.

    Read from the header, but for a PNG: that may say at its end how its camera was held. Raises
    BrokenImageError, and UserError for a bomb.
    """
    try:
        with _opened(raw, name) as image:
            sideways = _orientation(image) in _SIDEWAYS
            return (image.width, image.height) if sideways else (image.height, image.width)
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
            deep = _deep_colours(raw)
            if deep is None:
                pixels = np.asarray(plain(image).convert("RGB")).astype(np.int16)
            else:  # by the range that it uses: Pillow would leave 4 shades of ten bits
                shades = deep[..., :3] * (255 / max(1, int(deep[..., :3].max())))
                seen = deep[..., 3:] > 0 if deep.shape[2] == 4 else np.ones_like(deep[..., :1], np.bool_)
                pixels = shades.astype(np.int16) * seen
    except _BROKEN as error:
        raise BrokenImageError(_reason(error)) from error
    return bool((pixels.max(axis=2) - pixels.min(axis=2)).max() > _TINT)


def decoded(raw: Raw, name: str, size: tuple[int, int], channels: int, bits: int = 16) -> Decoded:
    """Decode one image.

    Args:
        raw: the image as its source has it.
        name: what it is called, for messages.
        size: (height, width) to bring it to.
        channels: 1 (gray) or 3 (RGB).
        bits: how many bits a pixel of 16 bits really uses: one of `pixel_range.DEPTHS`.

    Raises:
        BrokenImageError: it is no image that can be read.
        UserError: it claims too many pixels.
    """
    try:
        with _opened(raw, name) as image:
            deep = _deep_colours(raw)
            found = _converted(upright(image), size, channels, bits)
            if deep is None:
                return found
            if bits == 16:  # Pillow gives the upper eight bits of deep colours itself
                return replace(found, brightest=int(deep.max()))
            shallow = Image.fromarray((deep >> (bits - 8)).clip(0, 255).astype(np.uint8))
            turn = _TURNS.get(_orientation(image))
            shallow = shallow if turn is None else shallow.transpose(turn)
            again = _converted(shallow, size, channels, bits)
            return replace(found, pixels=again.pixels, brightest=int(deep.max()))
    except _BROKEN as error:
        raise BrokenImageError(_reason(error)) from error


def plain(image: Image.Image, bits: int = 16) -> Image.Image:
    """Bring an image to eight bits a channel, with white behind what is transparent.

    When it converts, Pillow clips 16 bits at 255, and shows the colours of pixels that nobody sees: black
    strokes on nothing become black on black. `bits`: as in `decoded`.
    """
    if image.mode.startswith("I"):
        numbers = np.asarray(image).astype(np.int64) >> (bits - 8)
        return Image.fromarray(numbers.clip(0, 255).astype(np.uint8))
    if not (image.mode.endswith("A") or "transparency" in image.info):
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


def upright(image: Image.Image) -> Image.Image:
    """Turn an image as its camera was held; where that cannot be read, it is upright as it is.

    Pillow's own `exif_transpose` writes the EXIF anew, and fails where any tag of it is malformed.
    """
    image.load()  # a PNG may say it at its end
    turn = None if _HELD.isdisjoint(image.info) else _TURNS.get(_orientation(image))
    if turn is None:
        return image
    turned = image.transpose(turn)
    for key in _HELD:  # or it would be turned once more
        turned.info.pop(key, None)
    return turned


def _orientation(image: Image.Image) -> int:
    """Return how the camera was held, 1 for upright. Raises OSError where a PNG, read to its end, is cut."""
    try:
        held: int = image.getexif().get(ExifTags.Base.Orientation, 1)
    except OSError:
        raise
    except Exception:  # Pillow raises whatever malformed EXIF leads it to; the picture may be good
        return 1
    return held


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


def _deep_colours(raw: Raw) -> NDArray[np.uint16] | None:
    """The pixels of a PNG with colours, or with transparency, of 16 bits a channel: Pillow halves them.

    uint16 (height, width, 3 or 4), RGB or RGBA; None for every other image.
    """
    if not isinstance(raw, bytes) or raw[:8] != _PNG or raw[24] != 16 or raw[25] not in (2, 4, 6):
        return None
    import cv2

    pixels = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3:
        return None
    order = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(pixels, order))


def _converted(image: Image.Image, size: tuple[int, int], channels: int, bits: int) -> Decoded:
    """Bring an image to the mode and size asked for (Pillow's antialiased bilinear filter)."""
    content = image.tobytes()
    shape = f"{image.width}x{image.height}{image.mode}".encode()
    digest = hashlib.blake2b(shape + content, digest_size=16).digest()
    found, mode, wanted = (image.height, image.width), image.mode, "L" if channels == 1 else "RGB"
    brightest = int(np.asarray(image).max()) if mode.startswith("I") else None
    shown = plain(image, bits)
    if shown.mode != wanted:
        shown = shown.convert(wanted)
    if found != size:
        shown = shown.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    if shown is not image:
        content = shown.tobytes()
    return Decoded(np.frombuffer(content, np.uint8).reshape(*size, channels), digest, found, mode, brightest)


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "vanished while it was being read"
    said = re.sub(r" ?<[^<>]* at 0x[0-9a-f]+>", "", str(error))  # an address, other at each start
    return " ".join(said.split())[:80] or type(error).__name__
