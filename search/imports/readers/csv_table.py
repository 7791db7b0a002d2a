"""A spreadsheet saved as text, with whatever separators, decimal commas and encoding."""

import csv
import io
import re
from collections import Counter
from pathlib import Path
from typing import Final

from search.imports.request import Request
from search.imports.table import Table
from search.safety.paths import file_name
from spaces.errors import UserError

FORM: Final = "FILE.csv"
#: Limits of a table: bytes, rows, columns.
MAX_BYTES: Final = 100 * 2**20
MAX_ROWS: Final = 200_000
MAX_COLUMNS: Final = 2_000
_ENDINGS: Final = (".csv", ".tsv", ".txt")
_OTHER: Final = re.compile(r"[a-z-]{2,}:")  # the address of another kind of source
_SEPARATORS: Final = ";\t,|"
_COMMA: Final = re.compile(r"[+-]?\d{1,9},\d+ ?%?")
_POINT: Final = re.compile(r"[+-]?\d*\.\d+ ?%?")


def accepts(source: str) -> bool:
    """Whether the source is a file of text, by its name.

    Args:
        source: What the person typed.
    """
    plain = source.removeprefix("csv:")
    return plain.lower().endswith(_ENDINGS) and "{" not in source and not _OTHER.match(plain)


def read(source: str, request: Request) -> Table:
    """Read a table with a heading.

    Args:
        source: The file's path.
        request: Not used.

    Raises:
        UserError: See `read_table`.
    """
    return read_table(Path(source.removeprefix("csv:")))


def read_table(path: Path) -> Table:
    """Read a table with a heading.

    Args:
        path: A text file with commas, semicolons, tabs or bars between cells.

    Raises:
        UserError: The file is missing, empty, no text, or its rows do not fit its heading.
    """
    text = _text(path)
    separator = _separator(text)
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True)
    try:
        numbered = [
            (reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row))
        ]
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: {error}") from None
    if not numbered:
        raise UserError(f"{path} is empty: expected a heading and a row for each run")
    (_, heading), *body = numbered
    if heading and not heading[0]:
        heading[0] = "index"  # pandas leaves it out
    while heading and not heading[-1]:
        heading.pop()
    _check_heading(path, heading)
    if not body:
        raise UserError(f"{path} has a heading and no rows")
    if len(body) > MAX_ROWS:
        raise UserError(f"{path} has {len(body):,} rows, more than a table of results has")
    rows = []
    for line, row in body:
        if any(row[len(heading) :]):
            raise UserError(
                f"{path}, line {line}: {len(row)} cells under {len(heading)} headings, separated by "
                f"{separator!r}"
            )
        rows.append(dict(zip(heading, [*row, *[""] * len(heading)], strict=False)))
    return Table(
        source=path,
        address=f"csv:{path.name}",
        name=file_name(path.stem),
        columns=tuple(heading),
        rows=tuple(rows),
        places=tuple(f"line {line}" for line, _ in body),
        decimal_comma=_has_commas(rows),
    )


def _text(path: Path) -> str:
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    if path.stat().st_size > MAX_BYTES:
        raise UserError(
            f"{path} has {path.stat().st_size / 2**20:,.0f} MiB, more than a table of results has"
        )
    data = path.read_bytes()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    if b"\x00" in data:
        raise UserError(f"{path} is no text: save the spreadsheet as CSV")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _separator(text: str) -> str:
    """The separator that gives the heading the most cells."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    counts = {separator: len(next(csv.reader([first], delimiter=separator), [])) for separator in _SEPARATORS}
    return max(counts, key=lambda separator: counts[separator])


def _check_heading(path: Path, heading: list[str]) -> None:
    twice = [name for name, count in Counter(heading).items() if count > 1]
    if twice:
        raise UserError(f'{path} has the heading "{twice[0]}" twice: give each column a name of its own')
    if not all(heading) or len(heading) > MAX_COLUMNS:
        raise UserError(f"{path} has a column without a heading, or too many columns")


def _has_commas(rows: list[dict[str, str]]) -> bool:
    """Whether numbers have decimal commas: some do, and none has a decimal point."""
    cells = [cell for row in rows for cell in row.values()]
    return any(map(_COMMA.fullmatch, cells)) and not any(map(_POINT.fullmatch, cells))
