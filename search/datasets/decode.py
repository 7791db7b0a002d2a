"""From files' bytes to uint8 pixels of one shape: headers checked before anything is decoded.

Pillow gives the global lock back while it decodes, but not while it opens: threads help with photographs and
harm with thumbnails (48x48: 2.0 s in one thread, 3.2 s in two, for 32,298 JPEGs), so small images get one.
"""

import hashlib
import io
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from search.datasets.catalogue import Catalogue, Raw
from search.datasets.damage import bear
from spaces.errors import UserError

FORMATS: Final = ("JPEG", "PNG", "BMP", "WEBP", "PPM")
MAX_PIXELS: Final = 50_000_000  # an image file with more is taken for a decompression bomb
MAX_BYTES: Final = 32 * 2**30  # decoded; the training path holds the whole set in memory
SAMPLED: Final = 200  # images looked at to learn the usual size and colour mode
CHUNK: Final = 128
SMALL: Final = 128 * 128  # pixels; below, threads cost more than they bring
GRAY_MODES: Final = ("1", "L", "LA", "I;16", "I;16B", "I;16L", "I", "F")

Reading = Callable[[int, Raw], "tuple[int, Decoded | str]"]


@dataclass(frozen=True)
class Decoded:
    """One image in the shape asked for, and what it was before."""

    pixels: NDArray[np.uint8]
    source_digest: bytes
    size: tuple[int, int]  # height, width
    mode: str


@dataclass(frozen=True)
class Images:
    """All images of a catalogue that could be decoded: `rows` of the catalogue, in this order.

    `pixels`: uint8 (n, h, w, c), a memory map. `source_digests`: of the pixels before any conversion, n each.
    """

    rows: NDArray[np.int64]
    pixels: NDArray[np.uint8]
    source_digests: tuple[bytes, ...]
    notes: tuple[str, ...]


def decode(
    catalogue: Catalogue,
    rows: Sequence[int],
    target: Path,
    image_size: tuple[int, int] | None,
    channels: int | None,
) -> Images:
    """Decode the rows into a new array file at `target`.

    Size (height, width) and channels (1 or 3) not asked for are those that most images have.
    Raises UserError where an image claims too many pixels, and where 1% or more are unreadable.
    """
    usual_size, usual_channels = usual_shape(catalogue, rows)
    height, width = image_size or usual_size
    depth = channels or usual_channels
    _check_total(len(rows), height, width, depth, catalogue.name)
    pixels = np.lib.format.open_memmap(
        target, mode="w+", dtype=np.uint8, shape=(len(rows), height, width, depth)
    )

    def reading(row: int, raw: Raw) -> tuple[int, Decoded | str]:
        return row, _decoded(raw, catalogue.ids[row], (height, width), depth)

    position = {row: index for index, row in enumerate(rows)}
    digests: list[bytes] = [b""] * len(rows)
    broken: list[tuple[str, str]] = []
    shapes: Counter[tuple[tuple[int, int], str]] = Counter()
    threads = 1 if usual_size[0] * usual_size[1] < SMALL else (os.cpu_count() or 1)
    for row, result in _run(reading, catalogue.fetch(rows), threads):
        if isinstance(result, str):
            broken.append((catalogue.ids[row], result))
            continue
        pixels[position[row]] = result.pixels
        digests[position[row]] = result.source_digest
        shapes[result.size, result.mode] += 1
    good = np.array([index for index, digest in enumerate(digests) if digest], dtype=np.int64)
    notes = bear(sorted(broken), len(rows), "images", catalogue.name)
    notes += _say_conversions(shapes, (height, width), depth)
    return Images(
        np.asarray(rows, dtype=np.int64)[good],
        pixels if len(good) == len(rows) else pixels[good],
        tuple(digest for digest in digests if digest),
        notes,
    )


def usual_shape(catalogue: Catalogue, rows: Sequence[int]) -> tuple[tuple[int, int], int]:
    """Return the commonest (height, width) and channels in a sample of the images spread evenly over their
    ids.
    """
    by_id = sorted(rows, key=lambda row: catalogue.ids[row])
    sample = by_id[:: max(1, len(by_id) // SAMPLED)]
    sizes: Counter[tuple[int, int]] = Counter()
    colours = 0
    for row, raw in catalogue.fetch(sample):
        header = _header(raw, catalogue.ids[row])
        if not isinstance(header, str):
            sizes[header[0]] += 1
            colours += header[1] not in GRAY_MODES
    if not sizes:
        raise UserError(f"{catalogue.name}: none of {len(sample)} images looked at can be read as an image.")
    most = max(sizes.values())
    return min(
        size for size, count in sizes.items() if count == most
    ), 3 if 2 * colours > sizes.total() else 1


def _check_total(count: int, height: int, width: int, depth: int, name: str) -> None:
    total = count * height * width * depth
    if total > MAX_BYTES:
        raise UserError(
            f"{name}: {count:,} images of {width}x{height}x{depth} are {total / 2**30:.0f} GiB "
            f"decoded, more than {MAX_BYTES // 2**30} GiB: ask for a smaller image size or for fewer images."
        )


def _run(
    reading: Reading, raws: Iterable[tuple[int, Raw]], threads: int
) -> Iterator[tuple[int, Decoded | str]]:
    """Decode in chunks, with few of them in flight, so that a big archive is never in memory as a whole."""
    raws = iter(raws)
    if threads == 1:
        for row, raw in raws:
            yield reading(row, raw)
        return
    with ThreadPoolExecutor(threads) as pool:
        flying: list[Future[list[tuple[int, Decoded | str]]]] = []
        while True:
            chunk = list(islice(raws, CHUNK))
            if chunk:
                flying.append(pool.submit(lambda chunk: [reading(*item) for item in chunk], chunk))
            if flying and (not chunk or len(flying) > 2 * threads):
                yield from flying.pop(0).result()
            elif not chunk:
                return


def _header(raw: Raw, name: str) -> tuple[tuple[int, int], str] | str:
    """Return ((height, width), mode) without decoding, or why there is none. Raises UserError for a bomb."""
    if isinstance(raw, Exception):
        return _reason(raw)
    if isinstance(raw, np.ndarray):
        return (raw.shape[0], raw.shape[1]), "L" if raw.ndim == 2 or raw.shape[2] == 1 else "RGB"
    try:
        with _opened(raw, name) as image:
            return (image.height, image.width), image.mode
    except (OSError, ValueError, SyntaxError) as error:
        return _reason(error)


def _opened(raw: bytes, name: str) -> Image.Image:
    """Open an image's header alone. Raises UserError where it claims too many pixels."""
    try:
        image = Image.open(io.BytesIO(raw), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise _bomb(name, "far too many") from error
    if image.width * image.height > MAX_PIXELS:
        raise _bomb(name, f"{image.width:,} x {image.height:,}")
    return image


def _bomb(name: str, pixels: str) -> UserError:
    return UserError(
        f"{name} claims {pixels} pixels, more than {MAX_PIXELS:,} in all: taken for a decompression "
        f"bomb and not decoded; remove it or make it smaller."
    )


def _decoded(raw: Raw, name: str, size: tuple[int, int], depth: int) -> Decoded | str:
    """Decode one image, or say why it cannot be."""
    if isinstance(raw, Exception):
        return _reason(raw)
    try:
        if isinstance(raw, np.ndarray):
            return _converted(
                Image.fromarray(raw.squeeze(-1) if raw.ndim == 3 and raw.shape[2] == 1 else raw), size, depth
            )
        with _opened(raw, name) as image:
            image.load()
            return _converted(ImageOps.exif_transpose(image) if "exif" in image.info else image, size, depth)
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        return _reason(error)


def _converted(image: Image.Image, size: tuple[int, int], depth: int) -> Decoded:
    """Bring an opened image to the mode and size asked for (Pillow's antialiased bilinear filter)."""
    digest = hashlib.blake2b(image.tobytes(), digest_size=16, person=_person(image)).digest()
    found, mode = (image.height, image.width), image.mode
    if mode.startswith("I"):  # 16 bits a pixel, which Pillow would clip at 255
        image = Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    wanted = "L" if depth == 1 else "RGB"
    if image.mode != wanted:
        image = image.convert(wanted)
    if found != size:
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return Decoded(np.asarray(image).reshape(*size, depth), digest, found, mode)


def _person(image: Image.Image) -> bytes:
    return f"{image.width}x{image.height}{image.mode}".encode()[:16]


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "vanished while it was being read"
    return " ".join(str(error).split())[:80] or type(error).__name__


def _say_conversions(
    shapes: Counter[tuple[tuple[int, int], str]], size: tuple[int, int], depth: int
) -> tuple[str, ...]:
    """Say which images were resized and which changed their colour mode; nothing where none did."""
    notes = []
    resized = Counter(
        {found: sum(n for (s, _), n in shapes.items() if s == found) for (found, _), _ in shapes.items()}
    )
    resized.pop(size, None)
    if resized:
        sizes = ", ".join(f"{width}x{height} ({n:,})" for (height, width), n in resized.most_common(4))
        more = f" and {len(resized) - 4:,} other sizes" if len(resized) > 4 else ""
        notes.append(
            f"{resized.total():,} images were resized to {size[1]}x{size[0]} with Pillow's antialiased "
            f"bilinear filter, from {sizes}{more}."
        )
    wanted = "L" if depth == 1 else "RGB"
    modes: Counter[str] = Counter()
    for (_, mode), n in shapes.items():
        modes[mode] += n
    modes.pop(wanted, None)
    if modes:
        found = ", ".join(f"{mode} ({n:,})" for mode, n in modes.most_common())
        notes.append(
            f"{modes.total():,} images were converted to {'gray' if depth == 1 else 'RGB'}, from {found}."
        )
    return tuple(notes)
