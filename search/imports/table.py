"""What every reader fills: a row for each run, and what its source knows beyond the cells."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from search.imports.predictions import ImportedPredictions
from spaces.errors import UserError

#: Score by epoch: "val_accuracy" to (epoch, value) pairs, epochs counted from 1.
Curves = Mapping[str, tuple[tuple[int, float], ...]]
_EMPTY = ("", "-", "–", "nan", "na", "n/a", "none", "null", "inf", "-inf")


@dataclass(frozen=True)
class Table:
    """Rows of text.

    Attributes:
        source: What it was read from, for messages.
        address: The same for records: "csv:results.csv".
        name: What to call the experiment where nobody says.
        columns: Headings.
        rows: A dict by heading for each row; cells without the space around them, "" for empty ones.
        places: Where each row is in the source: "line 3", "trial 7".
        decimal_comma: Whether numbers are written "0,62".
        settings: The columns that are hyperparameters; None where the source does not say.
        bare: The split of a measure whose heading names none: "val" or "train". With Keras it is train.
        states: Row to its state, where it is not complete.
        reasons: Row to why it has that state.
        curves: Row to its scores by epoch.
        predictions: Row to its predictions on the validation images.
        guess: What else is to be shown before anything is written.
        findings: What is wrong with the records as far as the source shows it.
    """

    source: Path | str
    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    places: tuple[str, ...]
    address: str = ""
    name: str = ""
    decimal_comma: bool = False
    settings: frozenset[str] | None = None
    bare: str = "val"
    states: Mapping[int, str] = field(default_factory=dict)
    reasons: Mapping[int, str] = field(default_factory=dict)
    curves: Mapping[int, Curves] = field(default_factory=dict)
    predictions: Mapping[int, ImportedPredictions] = field(default_factory=dict)
    guess: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()

    def number(self, row: int, column: str) -> float | None:
        """A cell as a number; None for an empty one; a percent sign divides by a hundred.

        Args:
            row: Its place, from 0.
            column: Its heading.

        Raises:
            UserError: The cell holds something else.
        """
        text = self.rows[row][column]
        if text.lower() in _EMPTY:
            return None
        plain = text.rstrip("% ")
        if self.decimal_comma:
            plain = plain.replace(",", ".")
        try:
            value = float(plain)
        except ValueError:
            raise UserError(
                f'{self.source}, {self.places[row]}: "{column}" should be a number. Received: "{text[:60]}"'
            ) from None
        return value / 100 if text.endswith("%") else value


def cell(value: object) -> str:
    """The cell of a value: numbers so that they are read back exactly, "" for none."""
    if value is None:
        return ""
    return repr(float(value)) if isinstance(value, float) else str(value)
