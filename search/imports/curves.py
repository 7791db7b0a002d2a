"""Scores by epoch in files of single runs: what Keras' History and its CSVLogger write."""

import json
from pathlib import Path
from typing import Any, Final

from search.imports.readers.csv_table import read_table
from search.imports.roles import split_and_measure
from search.imports.table import Curves
from spaces.errors import UserError

_LARGEST: Final = 50 * 2**20
#: Scores by epoch that a study's records have names for.
KNOWN: Final = ("train_accuracy", "train_loss", "val_accuracy", "val_loss")


def score_of(column: str) -> str | None:
    """What a heading of a history measures: bare names are train, as Keras has them.

    Args:
        column: Its heading.

    Returns:
        One of KNOWN, or None.
    """
    split, measure = split_and_measure(column)
    score = f"{split or 'train'}_{measure}"
    return score if score in KNOWN else None


def read_curves(path: Path) -> Curves:
    """Read the history of one run.

    Args:
        path: A CSV with a row for each epoch, or JSON with a list for each score.

    Returns:
        Score to (epoch, value) pairs, epochs counted from 1.

    Raises:
        UserError: The file is missing, or no history.
    """
    columns = _of_json(path) if path.suffix.lower() == ".json" else _of_csv(path)
    found = {
        score: tuple((epoch, value) for epoch, value in enumerate(values, start=1) if value is not None)
        for column, values in columns.items()
        if (score := score_of(column)) is not None
    }
    for score, points in found.items():
        if score.endswith("accuracy") and max((value for _, value in points), default=0) > 1:
            found[score] = tuple((epoch, value / 100) for epoch, value in points)
    if not found:
        raise UserError(f"{path} has no score by epoch; it has {', '.join(columns)[:200]}")
    return found


def _of_json(path: Path) -> dict[str, list[Any]]:
    if not path.is_file() or path.stat().st_size > _LARGEST:
        raise UserError(f"{path} is no history of a run")
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): [float(one) for one in values] for name, values in dict(held).items()}
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} is no history of a run: expected a list for each score ({error})") from error


def _of_csv(path: Path) -> dict[str, list[Any]]:
    table = read_table(path)
    columns = [column for column in table.columns if score_of(column) is not None]
    return {column: [table.number(row, column) for row in range(len(table.rows))] for column in columns}
