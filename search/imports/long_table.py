"""Tables with several rows for each run, by split, by metric or by epoch, become tables with one row each."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from search.imports.curves import score_of
from search.imports.request import Request
from search.imports.roles import counts_images, key_of, split_and_measure, tells_apart
from search.imports.table import Curves, Table
from spaces.errors import UserError

_SPLIT_HEADINGS: Final = ("split", "set", "subset", "part", "partition", "phase", "mode", "data", "dataset")
_METRIC_HEADINGS: Final = ("metric", "measure", "metric_name", "variable")
_VALUE_HEADINGS: Final = ("value", "score")
_EPOCH_HEADINGS: Final = ("epoch", "epoch_number", "step")

#: Rows of one run, by their places in the table.
_Groups = dict[tuple[str, ...], list[int]]


def one_row_each(table: Table, request: Request) -> Table:
    """A table with one row for each run.

    Args:
        table: As it was read. A table of another form stays as it is.
        request: Columns that the person names are left alone.

    Returns:
        The table: scores under "val_accuracy" and the like, the last epoch of each run, histories as curves.

    Raises:
        UserError: A run has two rows of one split, metric or epoch.
    """
    named = {*request.candidate, request.seed}
    for step in (_by_metric, _by_split, _by_epoch):
        table = step(table, named)
    return table


def _by_metric(table: Table, named: set[str | None]) -> Table:
    """From columns "metric" and "value": a column for each metric."""
    metric, value = _headed(table, _METRIC_HEADINGS, named), _headed(table, _VALUE_HEADINGS, named)
    if metric is None or value is None or not any(split_and_measure(row[metric])[1] for row in table.rows):
        return table
    return _spread(table, metric, {metric, value}, lambda cells: {cells[metric]: cells[value]})


def _by_split(table: Table, named: set[str | None]) -> Table:
    """From a column that says "train" or "validation": a column for each score and split."""
    split = _headed(table, _SPLIT_HEADINGS, named)
    if split is None or not all(split_and_measure(row[split])[0] for row in table.rows):
        return table
    scores = [column for column in table.columns if _is_bare(column)]

    def cells_of(cells: dict[str, str]) -> dict[str, str]:
        part = split_and_measure(cells[split])[0]
        found = {f"{part}_{column}": cells[column] for column in scores}
        if part != "train":  # nothing is computed from the number of training images
            found |= {f"n_{part}": cells[column] for column in table.columns if counts_images(column)}
        return found

    return _spread(table, split, {split, *scores, *filter(counts_images, table.columns)}, cells_of)


def _by_epoch(table: Table, named: set[str | None]) -> Table:
    """From a row for each epoch: the last one, with the scores of all as curves."""
    epoch = _headed(table, _EPOCH_HEADINGS, named)
    if epoch is None:
        return table
    groups = _runs(table, {epoch})
    if all(len(rows) == 1 for rows in groups.values()):
        return table
    _check_single(table, epoch, groups)
    numbers = [table.number(row, epoch) for row in range(len(table.rows))]
    ordered = [sorted(rows, key=lambda row: numbers[row] or 0) for rows in groups.values()]
    count = "epochs" if "epochs" not in table.columns else epoch
    return replace(
        table,
        columns=(*(column for column in table.columns if column != epoch), count),
        rows=tuple({**table.rows[rows[-1]], count: str(len(rows))} for rows in ordered),
        places=tuple(_place(table, rows) for rows in ordered),
        curves={number: _curves(table, rows) for number, rows in enumerate(ordered)},
        guess=(*table.guess, f"`{epoch}` numbers the rows of a run: its last epoch counts"),
    )


def _headed(table: Table, headings: Sequence[str], named: set[str | None]) -> str | None:
    """The column with one of these headings, unless the person said what it is."""
    found = [column for column in table.columns if key_of(column) in headings and column not in named]
    return found[0] if len(found) == 1 else None


def _runs(table: Table, besides: set[str]) -> _Groups:
    """Rows by what tells runs apart."""
    keys = [
        column
        for column in table.columns
        if column not in besides
        and tells_apart(table, column)
        and not counts_images(column)
        and split_and_measure(column)[1] is None
    ]
    groups: _Groups = {}
    for row, cells in enumerate(table.rows):
        groups.setdefault(tuple(cells[column] for column in keys), []).append(row)
    return groups


def _spread(
    table: Table, by: str, used: set[str], cells_of: Callable[[dict[str, str]], dict[str, str]]
) -> Table:
    """One row for each run: what its rows share, and what each of them gives."""
    groups = _runs(table, used)
    _check_single(table, by, groups)
    kept = [
        column
        for column in table.columns
        if column not in used
        and all(len({table.rows[row][column] for row in group}) == 1 for group in groups.values())
    ]
    rows = []
    for group in groups.values():
        cells = {column: table.rows[group[0]][column] for column in kept}
        for row in group:
            cells.update(cells_of(table.rows[row]))
        rows.append(cells)
    columns = tuple(dict.fromkeys(name for cells in rows for name in cells))
    return replace(
        table,
        columns=columns,
        rows=tuple({column: cells.get(column, "") for column in columns} for cells in rows),
        places=tuple(_place(table, group) for group in groups.values()),
        guess=(*table.guess, f"`{by}` says what a row holds: {len(table.rows)} rows become {len(rows)}"),
    )


def _check_single(table: Table, by: str, groups: _Groups) -> None:
    for group in groups.values():
        held: dict[str, int] = {}
        for row in group:
            name = table.rows[row][by]
            if name in held:
                raise UserError(
                    f'{table.source}: one run has `{by}` "{name}" twice ({table.places[held[name]]} and '
                    f"{table.places[row]}): add a column with the seed, or name what tells runs apart with "
                    "--candidate and --seed"
                )
            held[name] = row


def _place(table: Table, rows: Sequence[int]) -> str:
    """Where the rows of a run are: "line 3", "lines 3 to 5"."""
    lines = sorted({int(number) for row in rows for number in re.findall(r"\d+", table.places[row])})
    return f"lines {lines[0]} to {lines[-1]}" if len(lines) > 1 else table.places[rows[0]]


def _is_bare(column: str) -> bool:
    """Whether a heading names a score and no split."""
    split, measure = split_and_measure(column)
    return split is None and measure is not None


def _curves(table: Table, rows: Sequence[int]) -> Curves:
    """The known scores of a run by epoch, from 1, as shares."""
    found = {}
    for column in table.columns:
        score = score_of(column)
        if score is None:
            continue
        if _is_bare(column) and not any(split_and_measure(other)[0] == "val" for other in table.columns):
            score = score.replace("train", table.bare)
        values = [table.number(row, column) for row in rows]
        scale = 100 if score.endswith("accuracy") and max((one or 0 for one in values), default=0) > 1 else 1
        points = ((epoch, value / scale) for epoch, value in enumerate(values, start=1) if value is not None)
        found[score] = tuple(points)
    return {score: points for score, points in found.items() if points}
