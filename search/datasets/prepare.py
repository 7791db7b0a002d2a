"""From a source to a prepared data set: read, decode, compare, split, store; once, then from the cache."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

from search.datasets.cache import cache as store
from search.datasets.cache.prepared import Part, Prepared
from search.datasets.catalog import Catalogue, Source
from search.datasets.find_reader import reader_for
from search.datasets.splits import subset
from spaces.errors import UserError

__all__ = ["Part", "Prepared", "prepare"]

POLICIES: Final = ("purge-train", "report", "refuse")
_LARGEST_SIDE: Final = 1024

Result = TypeVar("Result")


def prepare(
    source: Source,
    cache: Path,
    *,
    image_size: tuple[int, int] | None = None,
    channels: int | None = None,
    limit: int | None = None,
    classes: Sequence[str] | None = None,
    seed: int = 0,
    leaks: str = "purge-train",
    group: str | None = None,
    say: Callable[[str], None] = print,
) -> Prepared:
    """Return a data set, from the cache if it is there.

    Args:
        source: A folder, zip, tar, csv or npz, "kaggle:owner/name" or "synthetic".
        cache: The folder of prepared data sets.
        image_size: Height and width to resize to, in pixels; None for the size of most images.
        channels: 1 (gray) or 3 (RGB); None for what most images have.
        limit: The number of images to draw, with the shares of splits and classes kept; None for all.
        classes: The classes to keep; None for all.
        seed: Draws the subset, and validation where the source has none.
        leaks: What to do with evaluation images that have a duplicate in train: "purge-train" drops the
            duplicate, "report" keeps it, "refuse" raises.
        group: A column of the source, or a pattern of file names: images of one group never straddle splits;
            None for no groups.
        say: Shows a sentence to the user.

    Returns:
        The prepared data set.

    Raises:
        UserError: If anything is wrong with the source.
    """
    _check(image_size, channels, limit, leaks)
    cache = cache.absolute()
    options: dict[str, Any] = {
        "image_size": image_size,
        "channels": channels,
        "limit": limit,
        "seed": seed,
        "leaks": leaks,
    }
    if classes is not None:
        options["classes"] = sorted(classes)
    if group is not None:
        options["group"] = group
    reader = reader_for(source)
    stamp = store.stamp_of(reader.stamp(source), options)
    known = store.recall(cache, stamp, say)
    if known is not None:
        return known
    from search.datasets.assembly import assemble  # late: a start from the cache needs none of it
    from search.datasets.images.decode import decode

    with store.staging(cache) as folder:
        catalogue = _narrowed(_timed(say, "files listed", lambda: reader.read(source)), classes)
        rows = _rows(catalogue, limit, seed)
        decoded = _timed(
            say,
            f"{len(rows):,} images decoded",
            lambda: decode(catalogue, rows, folder / "all.npy", image_size, channels),
        )
        staged = _timed(
            say,
            "images compared with each other, parts written",
            lambda: assemble(catalogue, decoded, folder / "entry", named(source), seed, leaks, group),
        )
        return store.keep(cache, staged, stamp)


def named(source: Source) -> str:
    """Return the source as a person would name it."""
    return str(source) if isinstance(source, str | Path) else "arrays"


def _check(image_size: tuple[int, int] | None, channels: int | None, limit: int | None, leaks: str) -> None:
    if leaks not in POLICIES:
        raise UserError(f"leaks must be one of {', '.join(POLICIES)}. Received: {leaks!r}.")
    if channels not in (None, 1, 3):
        raise UserError(f"channels must be 1 (gray) or 3 (RGB). Received: {channels}.")
    if image_size is not None and not all(1 <= side <= _LARGEST_SIDE for side in image_size):
        raise UserError(
            f"image_size must be (height, width), each from 1 to {_LARGEST_SIDE}. Received: {image_size}."
        )
    if limit is not None and limit < 1:
        raise UserError(f"limit must be at least 1. Received: {limit}.")


def _timed(say: Callable[[str], None], done: str, work: Callable[[], Result]) -> Result:
    started = time.monotonic()
    result = work()
    say(f"data: {done} ({time.monotonic() - started:.1f} s)")
    return result


def _narrowed(catalogue: Catalogue, classes: Sequence[str] | None) -> Catalogue:
    """The catalogue with these classes alone to tell apart; its images stay, and `_rows` leaves them out."""
    if classes is None:
        return catalogue
    unknown = sorted(set(classes) - set(catalogue.class_names))
    if unknown or len(set(classes)) < 2:
        raise UserError(
            f"classes must name two or more of {', '.join(catalogue.class_names)}. "
            f"Received: {', '.join(unknown or classes)}."
        )
    kept = tuple(name for name in catalogue.class_names if name in classes)
    return replace(catalogue, class_names=kept)


def _rows(catalogue: Catalogue, limit: int | None, seed: int) -> list[int]:
    """The images to decode: all of the known classes, or so many of them."""
    known = set(catalogue.class_names)
    rows = [row for row, label in enumerate(catalogue.labels) if label in known]
    if limit is None:
        return rows
    strata = [f"{catalogue.roles[row]}/{catalogue.labels[row]}" for row in rows]
    return [rows[place] for place in subset(strata, [catalogue.ids[row] for row in rows], limit, seed)]
