"""The audit's findings as CSV files, one line for each image or pair, for whoever wants to clean the data."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from search.datasets.audit.between_sets import Overlap
from search.datasets.audit.collection import Collection
from search.datasets.audit.findings import crossing, several
from search.datasets.catalog import ROLES, TRAIN
from search.datasets.duplicates.near import flat
from search.safety.text import csv_file, csv_row

Line = Sequence[object]


def write_lists(collection: Collection, folder: Path) -> None:
    """Write twins.csv, leaks.csv, near_pairs.csv, flat.csv and classes.csv."""
    _write(
        folder / "twins.csv",
        ("group", "same_pixels", "part", "class", "id", "labels_differ"),
        _duplicates(collection),
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


def write_overlap(overlap: Overlap, path: Path) -> None:
    """Write one line for each pair of images from two data sets."""
    head = ("set", "part", "class", "id", "other_set", "other_part", "other_class", "other_id", "kind")
    lines = (
        (*_named(overlap.one, one), *_named(overlap.other, other), "exact" if exact else "near")
        for (one, other), exact in zip(overlap.rows.tolist(), overlap.exact.tolist(), strict=True)
    )
    _write(path, head, lines)


def _write(path: Path, head: Sequence[str], lines: Iterable[Line]) -> None:
    with io.StringIO() as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(csv_row(head))
        writer.writerows(csv_row(line) for line in lines)
        path.write_bytes(csv_file(text.getvalue()).encode())


def _image(collection: Collection, row: int) -> tuple[str, str, str]:
    return str(collection.parts[row]), collection.label(row), str(collection.ids[row])


def _named(collection: Collection, row: int) -> tuple[str, str, str, str]:
    return collection.prepared.name, *_image(collection, row)


def _duplicates(collection: Collection) -> Iterable[Line]:
    duplicates = collection.duplicates
    differ = several(duplicates.groups, collection.labels)
    rows = np.flatnonzero(np.bincount(duplicates.groups)[duplicates.groups] > 1)
    for row in rows[np.argsort(duplicates.groups[rows], kind="stable")].tolist():
        said = "yes" if differ[row] else "no"
        yield duplicates.groups[row], duplicates.exact[row], *_image(collection, row), said


def _leaks(collection: Collection) -> Iterable[Line]:
    """Yield each evaluation image with one duplicate of it in another split, in train if there is one."""
    duplicates, splits = collection.duplicates, collection.splits
    rows = np.flatnonzero(crossing(duplicates.groups, splits) & (splits != TRAIN))
    members: dict[int, list[int]] = {}
    for row in np.flatnonzero(np.isin(duplicates.groups, duplicates.groups[rows])).tolist():
        members.setdefault(int(duplicates.groups[row]), []).append(row)
    for row in rows.tolist():
        others = [other for other in members[int(duplicates.groups[row])] if splits[other] != splits[row]]
        duplicate = min(
            others, key=lambda o: (ROLES.index(splits[o]), duplicates.exact[o] != duplicates.exact[row])
        )
        kind = "exact" if duplicates.exact[duplicate] == duplicates.exact[row] else "near"
        yield *_image(collection, row), *_image(collection, duplicate), kind


def _pairs(collection: Collection) -> Iterable[Line]:
    near = collection.duplicates.near
    for one, other, likeness, mirrored in zip(*vars(near).values(), strict=True):
        yield collection.ids[one], collection.ids[other], f"{likeness:.4f}", "yes" if mirrored else "no"


def _flat(collection: Collection) -> Iterable[Line]:
    for rows, images in collection.blocks():
        for row in rows[flat(images)].tolist():
            yield _image(collection, row)
