"""Files of single runs, histories and predictions, put to the rows that they belong to."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from search.imports.curves import read_curves
from search.imports.predictions import read_predictions
from search.imports.request import Request
from search.imports.roles import Roles
from search.imports.table import Table
from spaces.errors import UserError


def with_files(table: Table, roles: Roles, request: Request) -> Table:
    """A table with the histories and predictions that lie in files.

    Args:
        table: What a reader gave; where it has curves or predictions already, nothing is looked for.
        roles: What its columns are.
        request: Its `curve` and `predictions` are patterns.

    Returns:
        The table.

    Raises:
        UserError: No file belongs to a row, or one cannot be read.
    """
    if request.curve and not table.curves:
        files = dict(_matched(table, roles, request.curve))
        table = replace(table, curves={row: read_curves(path) for row, path in files.items()})
    if request.predictions and not table.predictions:
        files = dict(_matched(table, roles, request.predictions))
        labels = Path(request.labels) if request.labels else None
        table = replace(
            table, predictions={row: read_predictions(path, labels) for row, path in files.items()}
        )
    return table


def _matched(table: Table, roles: Roles, pattern: str) -> Iterator[tuple[int, Path]]:
    """Rows and their files: of "{arch}-{seed}.csv" by columns, of "*.csv" by what files are called."""
    by_column = re.findall(r"\{([^{}]+)\}", pattern)
    for column in by_column:
        if column not in table.columns:
            raise UserError(
                f'{table.source} has no column "{column}", which {pattern} names; its columns are '
                f"{', '.join(table.columns)}"
            )
    if by_column:
        found = {row: Path(pattern.format_map(cells)) for row, cells in enumerate(table.rows)}
        there = {row: path for row, path in found.items() if path.is_file()}
    else:
        there = _by_name(table, roles, pattern)
    if not there:
        raise UserError(
            f"no file of {pattern} belongs to a run: write the pattern with columns in braces, "
            f'"history/{{{table.columns[0]}}}.csv" for instance'
        )
    yield from there.items()


def _by_name(table: Table, roles: Roles, pattern: str) -> dict[int, Path]:
    """Rows and files whose name is a cell, or all that tells the run apart."""
    files = {_key(path.stem): path for path in sorted(_glob(pattern))}
    found: dict[int, Path] = {}
    for row, cells in enumerate(table.rows):
        own = [cells[column] for column in roles.candidate if cells[column]]
        seed = [cells[roles.seed]] if roles.seed else []
        named = [f"{column} {cells[column]}" for column in roles.candidate if cells[column]]
        whole = [" ".join([*own, *seed]), " ".join([*own, "seed", *seed]), " ".join([*named, "seed", *seed])]
        matches = {files[key] for text in (*whole, *cells.values()) if (key := _key(text)) in files}
        if len(matches) == 1:
            found[row] = matches.pop()
    return found if len(set(found.values())) == len(found) else {}


def _glob(pattern: str) -> Iterator[Path]:
    """Files that fit a pattern of a shell, absolute or not."""
    path = Path(pattern)
    root = Path(path.anchor) if path.is_absolute() else Path()
    yield from root.glob(str(path.relative_to(path.anchor)))


def _key(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
