"""The tables of FER-2013, `fer2013.csv` and `icml_face_data.csv`: a row of pixels for each image."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import isqrt
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from search.datasets.catalog import (
    TEST,
    TRAIN,
    VALIDATION,
    Catalogue,
    Raw,
    Source,
)
from search.datasets.find_reader import path_of, stamp_of_file
from search.datasets.images.unreadable import leave_out
from search.datasets.listing.archives import MAX_TABLE
from search.datasets.listing.layout import known_classes
from search.datasets.listing.path_names import role_of
from search.safety.sizes import check_file
from spaces.errors import UserError

USAGES: Final = {"Training": TRAIN, "PublicTest": VALIDATION, "PrivateTest": TEST}
EMOTIONS: Final = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")  # by their numbers
_LONGEST_NAME: Final = 30  # letters of a column's name in a message
_LONGEST_FIELD: Final = 64 * 2**20

Row = tuple[str, str, str, NDArray[np.uint8], tuple[str, ...]]  # id, role, class, pixels, other columns
_OWN: Final = ("emotion", "pixels", "usage")


def accepts(source: Source) -> bool:
    """Accept paths that end in .csv."""
    return isinstance(source, str | Path) and str(source).lower().endswith(".csv")


stamp = stamp_of_file


def read(source: Source) -> Catalogue:
    """Read all rows into memory (83 MB for FER-2013).

    Raises UserError where columns are missing and where 1% of the rows or more are malformed.
    """
    path = path_of(source)
    check_file(path, MAX_TABLE, "a table")
    csv.field_size_limit(_LONGEST_FIELD)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows, broken, columns = _rows(csv.reader(file), path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as a table: {error}.") from error
    usual = Counter(row[3].size for row in rows).most_common(1)
    odd = [row for row in rows if row[3].size != usual[0][0]]
    broken += [(row[0], f"{row[3].size} pixels, not {usual[0][0]}") for row in odd]
    notes = leave_out(broken, len(rows) + len(broken) - len(odd), "rows", str(path))
    rows = [row for row in rows if row[3].size == usual[0][0]] if usual else []
    if not rows:
        raise UserError(
            f"{path} has no rows: expected one for each image, with its emotion, pixels and Usage."
        )
    return _catalogue(path, rows, columns, notes)


def _catalogue(path: Path, rows: list[Row], columns: tuple[str, ...], notes: tuple[str, ...]) -> Catalogue:
    ids, roles, labels, pixels, others = (tuple(column) for column in zip(*rows, strict=True))
    by_role = {role: {label for _, r, label, *_ in rows if r == role} for role in set(roles)}
    side = isqrt(pixels[0].size)

    def fetch(wanted: Sequence[int]) -> Iterator[tuple[int, Raw]]:
        for row in wanted:
            yield row, pixels[row].reshape(side, side)

    known = known_classes(by_role, str(path))
    # The order of the numbers, not of the alphabet: output 3 of a model made with this table is happy.
    numbered = [(number, name) for number, name in enumerate(EMOTIONS) if name in known]
    order = (
        f"Classes in the order of the table's numbers: {', '.join(f'{n} {name}' for n, name in numbered)}."
    )
    return Catalogue(
        name=path.stem,
        ids=ids,
        roles=roles,
        labels=labels,
        class_names=tuple(name for _, name in numbered),
        fetch=fetch,
        notes=(*notes, order),
        columns=dict(zip(columns, zip(*others, strict=True), strict=True)) if columns else {},
    )


def _rows(table: Iterable[list[str]], path: Path) -> tuple[list[Row], list[tuple[str, str]], tuple[str, ...]]:
    """The rows, what is wrong with others, and the names of columns beside those that are read."""
    lines = iter(table)
    columns = [name.strip().lower() for name in next(lines, [])]
    missing = [name for name in ("emotion", "pixels") if name not in columns]
    if missing:
        raise UserError(
            f"{path} has no column {missing[0]!r}: expected 'emotion', 'pixels' and, for the splits, "
            f"'Usage'. Received: {_shown(columns)}."
        )
    twice = [name for name in _OWN if columns.count(name) > 1]
    if twice:
        raise UserError(f"{path} has two columns {twice[0]!r}: keep one of them.")
    others = tuple(name for name in dict.fromkeys(columns) if name and name not in _OWN)
    rows: list[Row] = []
    broken: list[tuple[str, str]] = []
    for number, line in enumerate(lines, start=2):
        if not any(field.strip() for field in line):
            continue  # tables often end in an empty line
        row = _row(dict(zip(columns, line, strict=False)), number, others)
        if isinstance(row, str):
            broken.append((f"line {number}", row))
        else:
            rows.append(row)
    if "usage" not in columns:
        _ask_about_splits(rows, others, path)
    return rows, broken, others


def _ask_about_splits(rows: Sequence[Row], others: Sequence[str], path: Path) -> None:
    """Raise UserError where a column that is not called Usage says the split of each row."""
    known = {name.lower() for name in USAGES}
    for place, name in enumerate(others):
        values = {row[4][place] for row in rows}
        if len(values) > 1 and all(value.lower() in known or role_of(value) for value in values):
            raise UserError(
                f"{path} has no column 'Usage', but a column {name!r} with the values "
                f"{', '.join(sorted(values))}. If it says the splits, call it Usage, with the values "
                f"{', '.join(USAGES)}; or else leave it out."
            )


def _shown(columns: list[str]) -> str:
    """The names in a table's first line, cut short: without a head line they are all the pixels of a row."""
    if not any(columns):
        return "an empty file"
    cells = [name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..." for name in columns[:8]]
    more = f" and {len(columns) - 8:,} more" if len(columns) > 8 else ""
    values = sum(name.replace(" ", "").replace(".", "").isdecimal() for name in columns)
    head = (
        "a first line of values, where a head line with names should be: "
        if 2 * values > len(columns)
        else ""
    )
    return f"{head}{', '.join(cells)}{more}"


def _row(fields: dict[str, str], number: int, others: tuple[str, ...]) -> Row | str:
    """Return the row, or what is wrong with it."""
    usage, emotion = fields.get("usage", "Training").strip(), fields.get("emotion", "").strip()
    if usage not in USAGES:
        return f"Usage is {usage!r}, none of {', '.join(USAGES)}"
    if not emotion.isdecimal() or int(emotion) >= len(EMOTIONS):
        return f"emotion is {emotion!r}, not 0 to {len(EMOTIONS) - 1}"
    try:
        values = np.fromstring(fields.get("pixels", ""), dtype=np.int64, sep=" ")
    except (ValueError, DeprecationWarning):
        return "pixels are not numbers"
    if isqrt(values.size) ** 2 != values.size or not values.size:
        return f"{values.size} pixels are no square"
    if values.min() < 0 or values.max() > 255:
        return "pixels outside 0 to 255"
    role, label = USAGES[usage], EMOTIONS[int(emotion)]
    more = tuple(fields.get(name, "").strip() for name in others)
    return f"{role}/{label}/row-{number:06d}", role, label, values.astype(np.uint8), more
