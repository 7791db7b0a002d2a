"""From files' bytes to one array of uint8 pixels, many at once.

Pillow gives the global lock back while it decodes, but not while it opens: threads help with photographs and
harm with thumbnails (48x48: 2.0 s in one thread, 3.2 s in two, for 32,298 JPEGs), so small images get one.
"""

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from search.datasets.cache.prepared import new_array
from search.datasets.catalog import Catalogue, Raw
from search.datasets.images.image_file import (
    BrokenImageError,
    Decoded,
    coloured,
    decoded,
    size_of,
)
from search.datasets.images.pixel_range import depth_of
from search.datasets.images.unreadable import leave_out
from spaces.errors import UserError

MAX_BYTES: Final = 32 * 2**30  # decoded; the training path holds the whole set in memory
SAMPLED: Final = 200  # images looked at to learn the usual size and whether there are colours
_CHUNK: Final = 128  # images that a thread gets at once, unless they are large:
_CHUNK_BYTES: Final = 8 * 2**20
_SMALL: Final = 128 * 128  # pixels; below, threads cost more than they bring

Row = tuple[int, Decoded | str]  # the image, or why there is none


@dataclass(frozen=True)
class DecodedImages:
    """All images of a catalogue that could be decoded: `rows` of the catalogue, in the order of their ids.

    Attributes:
        rows: int64 (n,).
        pixels: uint8 (n, h, w, c), a memory map.
        source_digests: of the pixels before conversion.
        notes: what was resized, converted or left out.
        bits: that images of 16 bits a pixel really use; None where there are none.
        broken: the images left out, (id, reason) each.
    """

    rows: NDArray[np.int64]
    pixels: NDArray[np.uint8]
    source_digests: tuple[bytes, ...]
    notes: tuple[str, ...]
    bits: int | None = None
    broken: tuple[tuple[str, str], ...] = ()


def decode(
    catalogue: Catalogue,
    rows: Sequence[int],
    target: Path,
    image_size: tuple[int, int] | None,
    channels: int | None,
) -> DecodedImages:
    """Decode images into a new array file.

    Args:
        catalogue: What the source lists.
        rows: Which images, as row numbers of the catalogue.
        target: The new array file.
        image_size: Height and width to resize to, in pixels; None for the size of most images.
        channels: 1 (gray) or 3 (RGB); None for what most images need.

    Returns:
        The images, uint8 (images, height, width, channels), in the order of their ids.

    Raises:
        UserError: If an image claims too many pixels, or 1% or more are unreadable.
    """
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # Pillow's remarks on odd files, which are read or counted all the same
        usual = _usual(catalogue, rows)
        size, depth = image_size or usual.size, channels or (3 if usual.coloured else 1)
        _check_memory(len(rows), (*size, depth), catalogue.name)
        shape = (len(rows), *size, depth)
        pixels: NDArray[np.uint8] = new_array(target, np.uint8, shape)
        threads = 1 if usual.size[0] * usual.size[1] < _SMALL else (os.cpu_count() or 1)

        def read(wanted: Sequence[int], bits: int) -> Iterator[Row]:
            def reading(row: int, raw: Raw) -> Row:
                try:
                    return row, decoded(raw, catalogue.ids[row], size, depth, bits)
                except BrokenImageError as error:
                    return row, str(error)

            return _run(reading, catalogue.fetch(wanted), threads)

        in_order = sorted(rows, key=lambda row: catalogue.ids[row])
        images = _collect(catalogue, in_order, pixels, read)
        said = () if image_size else usual.notes
        return replace(images, notes=(*said, *images.notes))


def _collect(
    catalogue: Catalogue,
    rows: Sequence[int],
    pixels: NDArray[np.uint8],
    read: Callable[[Sequence[int], int], Iterator[Row]],
) -> DecodedImages:
    """Put what was decoded where it belongs, and say what was broken or converted.

    `read(rows, bits)` decodes. Images of 16 bits are read again where all of them use fewer.
    """
    position = {row: index for index, row in enumerate(rows)}
    digests: list[bytes | None] = [None] * len(rows)
    broken: list[tuple[str, str]] = []
    found: Counter[tuple[tuple[int, int], str]] = Counter()
    deep: dict[int, int] = {}  # row -> its brightest number
    for row, result in read(rows, 16):
        if isinstance(result, str):
            broken.append((catalogue.ids[row], result))
            continue
        pixels[position[row]] = result.pixels
        digests[position[row]] = result.source_digest
        found[result.size, result.mode] += 1
        if result.brightest is not None:
            deep[row] = result.brightest
    bits = depth_of(max(deep.values(), default=2**16 - 1), catalogue.name)
    if bits != 16:
        for row, result in read([row for row in rows if row in deep], bits):
            if not isinstance(result, str):
                pixels[position[row]] = result.pixels
    good = [index for index, digest in enumerate(digests) if digest is not None]
    for index, kept in enumerate(
        good
    ):  # close the gaps where the images lie, since they may not fit in memory
        if index != kept:
            pixels[index] = pixels[kept]
    height, width, channels = pixels.shape[1:]
    notes = leave_out(sorted(broken), len(rows), "images", catalogue.name)
    return DecodedImages(
        rows=np.asarray(rows, dtype=np.int64)[good],
        pixels=pixels[: len(good)],
        source_digests=tuple(digest for digest in digests if digest is not None),
        notes=(
            *notes,
            *_say_resized(found, (height, width)),
            *_say_modes(found, channels),
            *_say_bits(deep, bits),
        ),
        bits=bits if deep else None,
        broken=tuple(sorted(broken)),
    )


@dataclass(frozen=True)
class _Usual:
    """What most images of a set are like: (height, width), and whether they have colours."""

    size: tuple[int, int]
    coloured: bool
    notes: tuple[str, ...]


def _usual(catalogue: Catalogue, rows: Sequence[int]) -> _Usual:
    """Look at a sample over all ids: the size that most have, else the median shape."""
    by_id = sorted(rows, key=lambda row: catalogue.ids[row])
    sample = by_id[:: max(1, len(by_id) // SAMPLED)]
    sizes: Counter[tuple[int, int]] = Counter()
    colours = 0
    for row, raw in catalogue.fetch(sample):
        try:
            colours += coloured(raw, catalogue.ids[row])
            sizes[size_of(raw, catalogue.ids[row])] += 1
        except BrokenImageError:
            continue  # counted when all are decoded
    if not sizes:
        raise UserError(f"{catalogue.name}: none of {len(sample)} images looked at can be read as an image.")
    count, total = max(sizes.values()), sizes.total()
    size = min(one for one, times in sizes.items() if times == count)
    notes: tuple[str, ...] = ()
    if 2 * count < total:
        height, width = (np.median([one[axis] for one in sizes.elements()]) for axis in (0, 1))
        size = int(height), int(width)
        notes = (
            f"No size is that of most images ({len(sizes):,} sizes among {total:,} looked at): they are "
            f"brought to the median shape, {size[1]}x{size[0]}. [data] "
            "image_size = [height, width] asks for another.",
        )
    return _Usual(size, 2 * colours > total, notes)


def _check_memory(count: int, shape: tuple[int, ...], name: str) -> None:
    total = count * int(np.prod(shape))
    if total > MAX_BYTES:
        raise UserError(
            f"{name}: {count:,} images of {'x'.join(map(str, shape))} are {total / 2**30:.0f} GiB decoded, "
            f"more than {MAX_BYTES // 2**30} GiB: ask for a smaller image size or for fewer images."
        )


def _run(reading: Callable[[int, Raw], Row], raws: Iterator[tuple[int, Raw]], threads: int) -> Iterator[Row]:
    """Decode in chunks, with few of them in flight, so that a big archive is never in memory as a whole."""
    if threads == 1:
        yield from (reading(row, raw) for row, raw in raws)
        return
    with ThreadPoolExecutor(threads) as pool:
        flying: list[Future[list[Row]]] = []
        for chunk in _chunks(raws):
            flying.append(pool.submit(lambda chunk: [reading(*item) for item in chunk], chunk))
            if len(flying) > 2 * threads:
                yield from flying.pop(0).result()
        for future in flying:
            yield from future.result()


def _chunks(raws: Iterable[tuple[int, Raw]]) -> Iterator[list[tuple[int, Raw]]]:
    chunk: list[tuple[int, Raw]] = []
    size = 0
    for row, raw in raws:
        chunk.append((row, raw))
        size += len(raw) if isinstance(raw, bytes) else 0
        if len(chunk) == _CHUNK or size > _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    yield chunk


def _say_resized(found: Counter[tuple[tuple[int, int], str]], size: tuple[int, int]) -> list[str]:
    sizes: Counter[tuple[int, int]] = Counter()
    for (before, _), count in found.items():
        sizes[before] += count
    sizes.pop(size, None)
    if not sizes:
        return []
    common = ", ".join(f"{width}x{height} ({count:,})" for (height, width), count in sizes.most_common(4))
    more = f" and {len(sizes) - 4:,} other sizes" if len(sizes) > 4 else ""
    return [
        f"{sizes.total():,} images were resized to {size[1]}x{size[0]} with Pillow's antialiased bilinear "
        f"filter, from {common}{more}."
    ]


def _say_bits(deep: dict[int, int], bits: int) -> list[str]:
    """What was taken for white in images of 16 bits."""
    if not deep:
        return []
    return [
        f"{len(deep):,} images have 16 bits a channel and use numbers up to {max(deep.values()):,}: taken as "
        f"{bits} bits, {2**bits - 1:,} for white."
    ]


def _say_modes(found: Counter[tuple[tuple[int, int], str]], channels: int) -> list[str]:
    modes: Counter[str] = Counter()
    for (_, mode), count in found.items():
        modes[mode] += count
    modes.pop("L" if channels == 1 else "RGB", None)
    if not modes:
        return []
    before = ", ".join(f"{mode} ({count:,})" for mode, count in modes.most_common())
    return [
        f"{modes.total():,} images were converted to {'gray' if channels == 1 else 'RGB'}, from {before}."
    ]
