"""One file per table, found by its name: each takes an analysis and gives rows with described columns.

A table module has SECTION ("answer" or a key of `reports.figures.SECTIONS`), ORDER and
`table(analysis, rows) -> ReportTable | None`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Protocol, cast

import pandas as pd

from reports.columns import BY_NAME, Column

if TYPE_CHECKING:
    from reports.analysis import Analysis


@dataclass(frozen=True)
class ReportTable:
    """Rows for people: `columns` of the frame may be shown, `first` are shown at once."""

    name: str
    title: str
    reading: str
    rows: pd.DataFrame
    columns: tuple[str, ...]
    first: tuple[str, ...]
    own: tuple[Column, ...] = ()  # columns that only this table has
    more: int = 0  # rows that only the CSV has

    def described(self, names: Sequence[str]) -> list[Column]:
        """The descriptions of these columns."""
        own = {column.name: column for column in self.own}
        return [own.get(name) or BY_NAME[name] for name in names]


class TableModule(Protocol):
    """What every module in this package offers."""

    SECTION: str
    ORDER: int

    def table(self, analysis: "Analysis", rows: pd.DataFrame) -> ReportTable | None:
        """The table, None when the study has nothing for it. rows: reports.rows.comparison_rows."""


def tables(analysis: "Analysis", rows: pd.DataFrame) -> list[tuple[str, ReportTable]]:
    """Every table of this study with its section, in order."""
    modules = [load_table(name) for name in table_names()]
    found = [(each.SECTION, each.table(analysis, rows)) for each in sorted(modules, key=lambda m: m.ORDER)]
    return [(section, table) for section, table in found if table is not None]


def table_names() -> tuple[str, ...]:
    """Every table by file name, which is the table's own."""
    return tuple(module.name for module in iter_modules(__path__))


def load_table(name: str) -> TableModule:
    """The table module of this name."""
    return cast(TableModule, import_module(f"{__name__}.{name}"))
