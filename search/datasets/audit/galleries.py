"""What the audit shows: duplicates side by side with their labels, the doubtful ones first."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from search.datasets.audit.between_sets import Overlap
from search.datasets.audit.collection import Collection
from search.datasets.audit.findings import crossing, several
from search.datasets.cache.prepared import PURGED
from search.datasets.catalog import TRAIN
from search.datasets.duplicates.near import flat

SHOWN: Final = 40  # groups in a gallery
IN_GROUP: Final = 6  # images in a group
_LARGEST: Final = 96  # pixels a side of a picture on the page

# title and text of each gallery
EXACT: Final = (
    "One picture in several splits, pixel by pixel",
    "An evaluation image whose very pixels a network has been trained on measures memory.",
)
NEAR: Final = (
    "One picture in several splits, stored anew",
    "Resized, recompressed, cropped or a little brighter: the same photograph all the same. The least alike "
    "come first, so that the threshold can be judged by eye; the number is the correlation of their detail, "
    "once aligned.",
)
MIRRORED: Final = (
    "One picture, mirrored",
    "Duplicates that become alike when one of them is turned left to right. The least alike come first.",
)
CONFLICT: Final = (
    "One picture, several labels",
    "Nobody can be right about all of these. The largest groups come first.",
)
CONSTANT: Final = (
    "Constant or nearly constant",
    "These show nothing that could be learnt or recognised.",
)


@dataclass(frozen=True)
class AuditTile:
    """One picture: a data URI, where it is from, its class and its id."""

    picture: str
    part: str
    label: str
    name: str


@dataclass(frozen=True)
class Group:
    """Pictures side by side, the number of those left out, and what is to be said about them."""

    tiles: tuple[AuditTile, ...]
    more: int
    note: str


@dataclass(frozen=True)
class Gallery:
    """A titled row of groups; `found` counts all there are, of which `groups` are some."""

    title: str
    text: str
    found: int
    groups: tuple[Group, ...]


def galleries(collection: Collection) -> list[Gallery]:
    """Return the galleries of one data set that have something to show."""
    duplicates, likeness = collection.duplicates, _weakest(collection)
    crosses = np.unique(duplicates.groups[crossing(duplicates.groups, collection.splits)])
    same = crossing(duplicates.exact, collection.splits)
    stored_anew = np.setdiff1d(crosses, duplicates.groups[same]).tolist()
    near = sorted(stored_anew, key=lambda group: likeness[group])
    mirrored = np.unique(duplicates.groups[duplicates.near.one[duplicates.near.mirrored]]).tolist()
    conflicts = np.unique(duplicates.groups[several(duplicates.groups, collection.labels)])
    by_size = conflicts[np.argsort(-np.bincount(duplicates.groups)[conflicts], kind="stable")]
    found = [
        _duplicates(collection, duplicates.exact, _spread(duplicates.exact[same]), EXACT),
        _duplicates(collection, duplicates.groups, near, NEAR, likeness),
        _duplicates(
            collection,
            duplicates.groups,
            sorted(mirrored, key=lambda group: likeness[group]),
            MIRRORED,
            likeness,
        ),
        _duplicates(collection, duplicates.groups, by_size.tolist(), CONFLICT),
        _constant(collection),
    ]
    return [gallery for gallery in found if gallery.found]


def overlap_gallery(overlap: Overlap) -> Gallery:
    """Return pairs from two data sets, spread evenly over all that were found."""
    groups = []
    for number in _spread(np.arange(len(overlap.rows)))[:SHOWN]:
        one, other = overlap.rows[number].tolist()
        tiles = (_tile(overlap.one, one), _tile(overlap.other, other))
        groups.append(Group(tiles, 0, "equal pixels" if overlap.exact[number] else "near duplicates"))
    title = f"In {overlap.one.prepared.name} and in {overlap.other.prepared.name}"
    return Gallery(title, "A sample, spread evenly over all pairs.", len(overlap.rows), tuple(groups))


def _constant(collection: Collection) -> Gallery:
    rows = np.sort(np.concatenate([rows[flat(images)] for rows, images in collection.blocks()])).tolist()
    groups = tuple(Group((_tile(collection, row),), 0, "") for row in rows[:SHOWN])
    return Gallery(*CONSTANT, len(rows), groups)


def _duplicates(
    collection: Collection,
    groups: NDArray[np.int64],
    numbers: Sequence[int],
    said: tuple[str, str],
    likeness: dict[int, float] | None = None,
) -> Gallery:
    """Show the groups of these numbers, evaluation images before training images."""
    shown = []
    for number in numbers[:SHOWN]:
        rows = np.flatnonzero(groups == number)
        rows = rows[np.argsort(collection.splits[rows] == TRAIN, kind="stable")]
        chosen = _all_kinds(collection, rows)
        note = f"{likeness[number]:.3f}" if likeness else ""
        shown.append(Group(tuple(_tile(collection, row) for row in chosen), len(rows) - len(chosen), note))
    return Gallery(*said, len(numbers), tuple(shown))


def _spread(groups: NDArray[np.int64]) -> list[int]:
    """Return the distinct numbers, reordered so that the first SHOWN are spread evenly over them."""
    numbers = np.unique(groups)
    first = np.unique(np.linspace(0, len(numbers) - 1, min(SHOWN, len(numbers))).round().astype(int))
    return [*numbers[first].tolist(), *np.delete(numbers, first).tolist()]


def _all_kinds(collection: Collection, rows: NDArray[np.int64]) -> Sequence[int]:
    """Choose few images of a group, so that all its splits and labels are seen."""
    kinds = [f"{collection.splits[row]}/{collection.labels[row]}" for row in rows]
    firsts = [row for number, row in enumerate(rows.tolist()) if kinds[number] not in kinds[:number]]
    others = [row for row in rows.tolist() if row not in firsts]
    chosen = (firsts + others)[:IN_GROUP]
    return [row for row in rows.tolist() if row in chosen]


def _weakest(collection: Collection) -> dict[int, float]:
    """Return the smallest likeness of a pair in each group that has near duplicates."""
    near = collection.duplicates.near
    found: dict[int, float] = {}
    for group, likeness in zip(
        collection.duplicates.groups[near.one].tolist(), near.likeness.tolist(), strict=True
    ):
        found[group] = min(likeness, found.get(group, 1.0))
    return found


def data_uri(pixels: NDArray[np.uint8]) -> str:
    """Return a picture for a page that works alone: a PNG of at most 96 pixels a side, as a data URI.

    Args:
        pixels: One image, uint8 (height, width, channels).
    """
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.thumbnail((_LARGEST, _LARGEST))
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _tile(collection: Collection, row: int) -> AuditTile:
    part = f"{TRAIN}, purged" if collection.parts[row] == PURGED else str(collection.parts[row])
    return AuditTile(data_uri(collection.pixels(row)), part, collection.label(row), str(collection.ids[row]))
