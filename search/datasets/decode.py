"""From files' bytes to one array of uint8 pixels, many at once.

Pillow gives the global lock back while it decodes, but not while it opens: threads help with photographs and
harm with thumbnails (48x48: 2.0 s in one thread, 3.2 s in two, for 32,298 JPEGs), so small images get one.
"""

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from search.datasets.catalog import Catalogue, Raw
from search.datasets.image_file import (
    BrokenImageError,
    Decoded,
    coloured,
    decoded,
    size_of,
)
from search.datasets.prepared import new_array
from search.datasets.unreadable import leave_out
from spaces.errors import UserError

MAX_BYTES: Final = 32 * 2**30  # decoded; the training path holds the whole set in memory
SAMPLED: Final = 200  # images looked at to learn the usual size and whether there are colours
_CHUNK: Final = 128  # images that a thread gets at once, unless they are large:
_CHUNK_BYTES: Final = 8 * 2**20
_SMALL: Final = 128 * 128  # pixels; below, threads cost more than they bring

Row = tuple[int, Decoded | str]  # the image, or why there is none


@dataclass(frozen=True)
class Images:
    """All images of a catalogue that could be decoded: `rows` of the catalogue, in the order of their ids.

    `pixels`: uint8 (n, h, w, c), a memory map. `source_digests`: of the pixels before conversion.
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
        usual, colours = _usual(catalogue, rows)
        size, depth = image_size or usual, channels or (3 if colours else 1)
        _check_memory(len(rows), (*size, depth), catalogue.name)
        shape = (len(rows), *size, depth)
        pixels: NDArray[np.uint8] = new_array(target, np.uint8, shape)
        threads = 1 if usual[0] * usual[1] < _SMALL else (os.cpu_count() or 1)

        def reading(row: int, raw: Raw) -> Row:
            try:
                return row, decoded(raw, catalogue.ids[row], size, depth)
            except BrokenImageError as error:
                return row, str(error)

        in_order = sorted(rows, key=lambda row: catalogue.ids[row])
        return _collect(catalogue, in_order, pixels, _run(reading, catalogue.fetch(in_order), threads))


def _collect(
    catalogue: Catalogue, rows: Sequence[int], pixels: NDArray[np.uint8], results: Iterable[Row]
) -> Images:
    """Put what was decoded where it belongs, and say what was broken or converted."""
    position = {row: index for index, row in enumerate(rows)}
    digests: list[bytes | None] = [None] * len(rows)
    broken: list[tuple[str, str]] = []
    found: Counter[tuple[tuple[int, int], str]] = Counter()
    for row, result in results:
        if isinstance(result, str):
            broken.append((catalogue.ids[row], result))
            continue
        pixels[position[row]] = result.pixels
        digests[position[row]] = result.source_digest
        found[result.size, result.mode] += 1
    good = [index for index, digest in enumerate(digests) if digest is not None]
    for index, kept in enumerate(
        good
    ):  # close the gaps where the images lie, since they may not fit in memory
        if index != kept:
            pixels[index] = pixels[kept]
    height, width, channels = pixels.shape[1:]
    notes = leave_out(sorted(broken), len(rows), "images", catalogue.name)
    return Images(
        rows=np.asarray(rows, dtype=np.int64)[good],
        pixels=pixels[: len(good)],
        source_digests=tuple(digest for digest in digests if digest is not None),
        notes=(*notes, *_say_resized(found, (height, width)), *_say_modes(found, channels)),
    )


def _usual(catalogue: Catalogue, rows: Sequence[int]) -> tuple[tuple[int, int], bool]:
    """Return the commonest (height, width), and whether most have colours, in a sample over all ids."""
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
    most = max(sizes.values())
    return min(size for size, count in sizes.items() if count == most), 2 * colours > sizes.total()


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
