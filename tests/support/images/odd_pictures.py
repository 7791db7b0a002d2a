"""Pictures as cameras and drawing programs write them: on their side, or on nothing."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

#: Where a file says how its camera was held.
NOTES = ("EXIF", "XMP", "EXIF after the pixels")
#: Modes of Pillow in which a PNG may have transparent pixels.
TRANSPARENT = ("RGBA", "LA", "P", "L", "RGB")
#: EXIF that says a quarter turn, beside a unit of resolution in a type that it cannot have.
ILL_TYPED = (
    b"Exif\0\0II*\0"
    + struct.pack("<LH", 8, 2)
    + struct.pack("<HHLL", 0x0112, 3, 1, 6)
    + struct.pack("<HHLL", 0x0128, 4, 1, 70_000)
    + bytes(4)
)
NO_EXIF = b"Exif\0\0garbage"
#: How much ink there is: strokes, one of them thin.
INK = np.zeros((48, 64), np.uint8)
INK[8:40, 10:16] = 255
INK[20:28, 30:50] = 128

_XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


def sideways(image: Image.Image, note: str) -> bytes:
    """Return the file of an image that has to be turned by a quarter, clockwise."""
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    if note == "EXIF":
        image.save(file, "JPEG", quality=95, exif=exif)
    elif note == "XMP":
        image.save(file, "JPEG", quality=95, xmp=_XMP)
    else:
        image.save(file, "PNG")
        kind, content = b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")
        length, check = struct.pack(">I", len(content)), struct.pack(">I", zlib.crc32(kind + content))
        last = len(file.getvalue()) - 12  # where the chunk IEND begins
        return file.getvalue()[:last] + length + kind + content + check + file.getvalue()[last:]
    return file.getvalue()


def strokes(mode: str) -> bytes:
    """Return a PNG of black strokes on nothing; what lies under nothing is black too, or nearly."""
    options: dict[str, Any] = {}
    if mode == "P":
        image = Image.fromarray(INK // 127)
        image.putpalette([0] * 9)
        options["transparency"] = bytes([0, 128, 255])
    elif mode in ("L", "RGB"):
        image = Image.fromarray(np.where(INK == 0, 9, 255 - INK).astype(np.uint8)).convert(mode)
        options["transparency"] = 9 if mode == "L" else (9, 9, 9)
    else:
        black = Image.fromarray(np.zeros_like(INK))
        image = Image.merge(mode, [*[black] * (len(mode) - 1), Image.fromarray(INK)])
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()
