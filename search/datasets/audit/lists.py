"""The audit's findings as CSV files, one line for each image or pair, for whoever wants to clean the data."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from search.datasets.audit.collection import Collection
from search.datasets.audit.findings import crossing, several
from search.datasets.catalog import ROLES, TRAIN
from search.datasets.duplicates.between_sets import Across
from search.datasets.duplicates.near import flat

Line = Sequence[object]


def write_lists(collection: Collection, folder: Path) -> None:
    """Write twins.csv, leaks.csv, near_pairs.csv, flat.csv and classes.csv."""
    _write(
        folder / "twins.csv",
        ("group", "same_pixels", "part", "class", "id", "labels_differ"),
        _twins(collection),
    )
    _write(
        folder / "leaks.csv",
        ("part", "class", "id", "twin_part", "twin_class", "twin_id", "kind"),
        _leaks(collection),
    )
    _write(folder / "near_pairs.csv", ("one", "other", "likeness", "mirrored"), _pairs(collection))
    _write(folder / "flat.csv", ("part", "class", "id"), _flat(collection))
    counts = collection.prepared.audit["classes"]
    lines = ([name, *(counts[role][name] for role in counts)] for name in collection.prepared.class_names)
    _write(folder / "classes.csv", ("class", *counts), lines)


def write_across(across: Across, path: Path) -> None:
    """Write one line for each pair of images from two data sets."""
    head = ("set", "part", "class", "id", "other_set", "other_part", "other_class", "other_id", "kind")
    lines = (
        (*_named(across.one, one), *_named(across.other, other), "exact" if exact else "near")
        for (one, other), exact in zip(across.rows.tolist(), across.exact.tolist(), strict=True)
    )
    _write(path, head, lines)


def _write(path: Path, head: Sequence[str], lines: Iterable[Line]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(lines)


def _image(collection: Collection, row: int) -> tuple[str, str, str]:
    return str(collection.parts[row]), collection.label(row), str(collection.ids[row])


def _named(collection: Collection, row: int) -> tuple[str, str, str, str]:
    return collection.prepared.name, *_image(collection, row)


def _twins(collection: Collection) -> Iterable[Line]:
    twins = collection.twins
    differ = several(twins.groups, collection.labels)
    rows = np.flatnonzero(np.bincount(twins.groups)[twins.groups] > 1)
    for row in rows[np.argsort(twins.groups[rows], kind="stable")].tolist():
        said = "yes" if differ[row] else "no"
        yield twins.groups[row], twins.exact[row], *_image(collection, row), said


def _leaks(collection: Collection) -> Iterable[Line]:
    """Yield each evaluation image with one twin of it in another split, in train if there is one."""
    twins, splits = collection.twins, collection.splits
    rows = np.flatnonzero(crossing(twins.groups, splits) & (splits != TRAIN))
    members: dict[int, list[int]] = {}
    for row in np.flatnonzero(np.isin(twins.groups, twins.groups[rows])).tolist():
        members.setdefault(int(twins.groups[row]), []).append(row)
    for row in rows.tolist():
        others = [other for other in members[int(twins.groups[row])] if splits[other] != splits[row]]
        twin = min(others, key=lambda o: (ROLES.index(splits[o]), twins.exact[o] != twins.exact[row]))
        kind = "exact" if twins.exact[twin] == twins.exact[row] else "near"
        yield *_image(collection, row), *_image(collection, twin), kind


def _pairs(collection: Collection) -> Iterable[Line]:
    near = collection.twins.near
    for one, other, likeness, mirrored in zip(*vars(near).values(), strict=True):
        yield collection.ids[one], collection.ids[other], f"{likeness:.4f}", "yes" if mirrored else "no"


def _flat(collection: Collection) -> Iterable[Line]:
    for rows, images in collection.blocks():
        for row in rows[flat(images)].tolist():
            yield _image(collection, row)
