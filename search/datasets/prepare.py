"""From a source to a prepared data set: read, decode, find twins, split, store; once, and then from the
cache.
"""

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from search.datasets import cache as store
from search.datasets.catalogue import TEST, TRAIN, VALIDATION, Catalogue, Source
from search.datasets.decode import Images, decode
from search.datasets.findings import POLICIES, crossing, findings, refuse
from search.datasets.prepared import PURGED, SEALED, Part, Prepared
from search.datasets.reading import reader_for
from search.datasets.splits import carve, subset
from search.datasets.twins import exact_pairs, grouped
from spaces.errors import UserError

__all__ = ["Part", "Prepared", "prepare"]

CARVED: Final = 0.2  # share of train that becomes validation where the source has none
_FOLDERS: Final = {TEST: SEALED}


@dataclass(frozen=True)
class Sorted:
    """All images of a source in the order of their ids; arrays of n rows."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    ids: NDArray[np.str_]
    roles: NDArray[np.str_]  # as the source says
    digests: tuple[bytes, ...]  # of the prepared pixels
    source_digests: tuple[bytes, ...]  # of the pixels before conversion


def prepare(
    source: Source,
    cache: Path,
    *,
    image_size: tuple[int, int] | None = None,
    channels: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    leaks: str = "purge-train",
    say: Callable[[str], None] = print,
) -> Prepared:
    """Return the data set, from the cache if it is there.

    `image_size` is (height, width) and `channels` 1 or 3; both default to what most images have. `limit`
    images are drawn with the shares of splits and classes kept. `seed` draws that subset, and validation
    where the source has none. `leaks` is the policy for evaluation images that have a twin in train: `purge-
    train` drops the twin, `report` keeps it, `refuse` raises. Raises UserError for whatever is wrong with the
    source.
    """
    options = {"image_size": image_size, "channels": channels, "limit": limit, "seed": seed, "leaks": leaks}
    _check(image_size, channels, limit, leaks)
    reader = reader_for(source)
    stamp = store.stamp_of(reader.stamp(source), options)
    known = store.recall(cache, stamp)
    if known is not None:
        return known
    with store.staging(cache) as folder:
        catalogue = _timed(say, "listed", lambda: reader.read(source), lambda c: f"{len(c.ids):,} images")
        rows = _rows(catalogue, limit, seed)
        images = _timed(
            say,
            "decoded",
            lambda: decode(catalogue, rows, folder / "all.npy", image_size, channels),
            lambda i: f"{len(i.pixels):,} images",
        )
        staged = _build(catalogue, images, folder / "entry", str_of(source), seed, leaks, say)
        return store.keep(cache, staged, stamp)


def str_of(source: Source) -> str:
    """Return the source as a person would name it."""
    return str(source) if isinstance(source, str | Path) else "arrays"


def _check(image_size: tuple[int, int] | None, channels: int | None, limit: int | None, leaks: str) -> None:
    if leaks not in POLICIES:
        raise UserError(f"leaks must be one of {', '.join(POLICIES)}. Received: {leaks!r}.")
    if channels not in (None, 1, 3):
        raise UserError(f"channels must be 1 (gray) or 3 (RGB). Received: {channels}.")
    if image_size is not None and not all(1 <= side <= 4096 for side in image_size):
        raise UserError(f"image_size must be (height, width), each from 1 to 4096. Received: {image_size}.")
    if limit is not None and limit < 1:
        raise UserError(f"limit must be at least 1. Received: {limit}.")


def _timed(
    say: Callable[[str], None], verb: str, work: Callable[[], Any], count: Callable[[Any], str]
) -> Any:
    started = time.monotonic()
    result = work()
    say(f"data: {verb} {count(result)} in {time.monotonic() - started:.1f} s")
    return result


def _rows(catalogue: Catalogue, limit: int | None, seed: int) -> list[int]:
    if limit is None:
        return list(range(len(catalogue.ids)))
    strata = [f"{role}/{label}" for role, label in zip(catalogue.roles, catalogue.labels, strict=True)]
    return subset(strata, catalogue.ids, limit, seed)


def _build(
    catalogue: Catalogue,
    images: Images,
    folder: Path,
    source: str,
    seed: int,
    leaks: str,
    say: Callable[[str], None],
) -> Prepared:
    """Find twins, decide the parts, write them, and write the manifest."""
    everything = _sorted(catalogue, images)
    exact = grouped(len(everything.ids), exact_pairs(everything.digests))
    groups = exact
    audit = {"policy": leaks} | findings(
        everything.roles, everything.labels, groups, exact, catalogue.class_names
    )
    if leaks == "refuse":
        refuse(audit, source)
    parts, notes = _parts(everything, groups, seed, leaks, catalogue.class_names, source)
    audit["purged"] = int((parts == PURGED).sum())
    has_twin = crossing(groups, np.where(parts == PURGED, TRAIN, parts))
    for part in np.unique(parts):
        rows = np.flatnonzero(parts == part)
        Part(
            everything.images[rows],
            everything.labels[rows],
            everything.ids[rows],
            groups[rows],
            has_twin[rows],
        ).write(folder / _FOLDERS.get(str(part), str(part)))
    prepared = Prepared(
        folder=folder,
        name=catalogue.name,
        source=source,
        synthetic=catalogue.synthetic,
        class_names=catalogue.class_names,
        image_shape=everything.images.shape[1:],
        counts={part: int((parts == part).sum()) for part in (TRAIN, VALIDATION, TEST)},
        digest=_digest(everything, catalogue.class_names),
        split_digest=_hash(f"{part}/{name}" for part, name in zip(parts, everything.ids, strict=True)),
        test_digest=_test_digest(everything, catalogue.class_names),
        notes=(*catalogue.notes, *images.notes, *notes),
        audit=audit,
    )
    prepared.write()
    return prepared


def _sorted(catalogue: Catalogue, images: Images) -> Sorted:
    """Bring the images into the order of their ids, whatever the order of the files."""
    order = sorted(range(len(images.rows)), key=lambda index: catalogue.ids[images.rows[index]])
    rows = images.rows[order].tolist()
    number = {name: index for index, name in enumerate(catalogue.class_names)}
    pixels = images.pixels if order == list(range(len(order))) else images.pixels[order]
    return Sorted(
        images=pixels,
        labels=np.array([number[catalogue.labels[row]] for row in rows], dtype=np.int64),
        ids=np.array([catalogue.ids[row] for row in rows]),
        roles=np.array([catalogue.roles[row] for row in rows]),
        digests=tuple(hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in pixels),
        source_digests=tuple(images.source_digests[index] for index in order),
    )


def _parts(
    everything: Sorted,
    groups: NDArray[np.int64],
    seed: int,
    leaks: str,
    class_names: tuple[str, ...],
    source: str,
) -> tuple[NDArray[np.str_], list[str]]:
    """Return the part of each image (train, validation, test or purged) and what was done to get there."""
    parts, notes = everything.roles.astype("U16"), []
    if leaks == "purge-train":
        evaluated = groups[parts != TRAIN]
        purge = (parts == TRAIN) & np.isin(groups, evaluated)
        parts[purge] = PURGED
        if purge.any():
            notes.append(
                f"{int(purge.sum()):,} training images that have a twin in an evaluation part were purged."
            )
    if not (parts == VALIDATION).any():
        train = np.flatnonzero(parts == TRAIN)
        _, carved = carve(everything.labels[train], groups[train], CARVED, seed, everything.ids[train])
        parts[train[carved]] = VALIDATION
        notes.append(f"{len(carved):,} validation images were carved from train ({CARVED:.0%}, seed {seed}).")
    left = np.unique(everything.labels[parts == TRAIN])
    if len(left) < len(class_names):
        lost = next(name for index, name in enumerate(class_names) if index not in left)
        raise UserError(
            f"{source} has no training image of the class {lost!r} left, once "
            f"{int((parts == PURGED).sum()):,} twins of "
            f"evaluation images are purged: its splits repeat each other."
        )
    return parts, notes


def _digest(everything: Sorted, class_names: tuple[str, ...]) -> str:
    head = [repr(class_names), repr(everything.images.shape[1:])]
    names = zip(everything.ids, everything.labels.tolist(), everything.digests, strict=True)
    return _hash([*head, *(f"{name}/{label}/{digest.hex()}" for name, label, digest in names)])


def _test_digest(everything: Sorted, class_names: tuple[str, ...]) -> str | None:
    rows = np.flatnonzero(everything.roles == TEST).tolist()
    images = (f"{class_names[everything.labels[row]]}/{everything.source_digests[row].hex()}" for row in rows)
    return _hash(sorted(images)) if rows else None


def _hash(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(f"{line}\n".encode())
    return digest.hexdigest()
