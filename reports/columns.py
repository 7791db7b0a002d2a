"""What each column of a table is called, means, and reads like; which ones a reader sees first."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from search.tracking import names

MISSING = "–"
#: A reader takes in about so many columns.
FIRST = 12


@dataclass(frozen=True)
class Column:
    """One column: its heading, what it means, how a value reads, and what stands beside the value."""

    name: str
    title: str
    meaning: str
    read: Callable[[Any], str]
    numeric: bool = True
    beside: Callable[[Mapping[str, Any]], str] | None = None  # of the whole row, e.g. "± 0.8"

    def cell(self, row: Mapping[str, Any]) -> str:
        """The value as text, MISSING when there is none."""
        value = row[self.name]
        if value is None or value is pd.NA or value != value:
            return MISSING
        return self.read(value) or MISSING

    def aside(self, row: Mapping[str, Any]) -> str:
        """What stands beside the value, '' if nothing does."""
        return self.beside(row) if self.beside and self.cell(row) != MISSING else ""


def text(value: Any) -> str:
    """As it is."""
    return str(value)


def percent(value: float) -> str:
    """A share as a percentage, without the sign: the heading has it."""
    return f"{100 * value:.1f}"


def points(value: float) -> str:
    """A difference of shares in percentage points."""
    return _signed(100 * value, 1)


def _signed(value: float, digits: int) -> str:
    """A number with its sign; without, where it rounds to zero."""
    told = f"{value:+.{digits}f}"
    return told.replace("-", "−") if float(told) else told[1:]


def number(digits: int) -> Callable[[float], str]:
    """A number with so many decimals."""
    return lambda value: f"{value:.{digits}f}".replace("-", "−")


def count(value: float) -> str:
    """A whole number with separators."""
    return f"{value:,.0f}"


def size(value: float) -> str:
    """A large number in thousands, millions or billions."""
    rounded = abs(float(f"{value:.3g}"))  # 999,600 is a million
    for unit, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if rounded >= unit:
            return f"{value / unit:.3g}{name}"
    return f"{value:.0f}"


def duration(value: float) -> str:
    """Seconds as seconds, minutes or hours."""
    if value < 120:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def chance(value: float) -> str:
    """A p-value or probability."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def flag(value: Any) -> str:
    """Yes, or nothing."""
    return "yes" if value else ""


def _standard_error(row: Mapping[str, Any]) -> str:
    if (
        pd.isna(row["val_accuracy_se"]) and row.get("stage") == names.CONFIRM
    ):  # scores alone: no error over images
        return _interval("val_accuracy_ci_low", "val_accuracy_ci_high", percent)(row)
    return "" if pd.isna(row["val_accuracy_se"]) else f"± {100 * row['val_accuracy_se']:.1f}"


def _interval(low: str, high: str, read: Callable[[float], str]) -> Callable[[Mapping[str, Any]], str]:
    def beside(row: Mapping[str, Any]) -> str:
        return "" if pd.isna(row[low]) else f"{read(row[low])} to {read(row[high])}"

    return beside


class Unit(NamedTuple):
    """In what differences of an objective are told. All are advantages: minus is worse, for loss too."""

    measure: str
    of: str  # what it is a measure of, where that is not accuracy
    scale: float  # how many there are in a difference of 1
    digits: int

    @property
    def name(self) -> str:
        """The measure, and of what."""
        return self.measure + self.of

    def read(self, value: float) -> str:
        """A difference as a table has it."""
        return _signed(self.scale * value, self.digits)


#: By objective.
UNITS = {
    "val_accuracy": Unit("points", "", 100.0, 1),
    "macro_f1": Unit("points", " of macro F1", 100.0, 1),
    "loss": Unit("nats", "", 1.0, 3),
}


def distance(objective: str) -> Column:
    """The column with the difference from the best."""
    unit = UNITS[objective]
    ends = _interval("delta_ci_low", "delta_ci_high", unit.read)
    meaning = f"difference from the best, with its interval; in {unit.measure} of the objective"

    def beside(row: Mapping[str, Any]) -> str:
        alone = row["delta_to_best"] == 0 and pd.isna(row["delta_ci_low"])  # others may tie with it
        return "the best" if alone else ends(row)

    return Column("delta_to_best", f"To the best, {unit.name}", meaning, unit.read, beside=beside)


def _baseline(row: Mapping[str, Any]) -> str:
    return "baseline" if row["baseline"] is not pd.NA and row["baseline"] else ""


_ALL = (
    Column("architecture", "Architecture", "what a person calls it", text, numeric=False, beside=_baseline),
    Column("verdict", "Verdict", "by the rule written before the search", text, numeric=False),
    Column("val_accuracy", "Validation, %", "accuracy on validation, mean over the seeds that learned ± "
           "standard error over seeds and images", percent, beside=_standard_error),
    distance("val_accuracy"),
    Column("seeds_failed", "Failed to learn", "seeds at or near the commonest class's share while others "
           "learned", count),
    Column("test_accuracy", "Test, %", "accuracy on the test set, once it was opened", percent,
           beside=_interval("test_ci_low", "test_ci_high", percent)),
    Column("relative_overfit", "Relative overfitting", "0: as good on validation as on train; 1: all "
           "was memorised", number(3)),
    Column("parameters", "Parameters", "weights of the network, those that are not trained included", size),
    Column("train_clean_accuracy", "Train, %", "accuracy on train, without augmentation, with the kept "
           "weights", percent),
    Column("gap_accuracy", "Gap, points", "train accuracy minus validation accuracy", points),
    Column("n_seeds", "Seeds", "complete evaluations", count),
    Column("val_macro_f1", "Macro F1", "F1 averaged over classes, on validation", number(3)),
    Column("best_epoch", "Kept epoch", "epoch whose weights were kept, mean over seeds", number(1)),
    Column("seconds", "Time", "one evaluation's wall time", duration),
    Column("family", "Family", "family of architectures", text, numeric=False),
    Column("conv_stages", "Stages", "convolution stages", count),
    Column("kernels", "Kernels", "kernels by stage", text, numeric=False),
    Column("dense_layers", "Dense layers", "dense layers before the output", count),
    Column("neurons", "Neurons", "neurons by dense layer", text, numeric=False),
    Column("p_above", "P(above)", "probability of being above the best by more than the margin (the best: "
           "above the runner-up)", number(2)),
    Column("p_equal", "P(equal)", "probability of being equal to it within the margin", number(2)),
    Column("p_below", "P(below)", "probability of being below it by more than the margin", number(2)),
    Column("seeds_won", "Seeds won", "shared seeds with a higher score than the best (the best: than the "
           "runner-up); ties count half", number(1)),
    Column("seeds_paired", "Seeds shared", "seeds that both have", count),
    Column("val_accuracy_all", "All seeds, %", "validation accuracy over all seeds, those that failed to "
           "learn included", percent),
    Column("p_holm", "p (Holm)", "p-value of the difference from the best, adjusted over all pairs", chance),
    Column("tied_for_best", "Maybe best", "not surely worse than the best", flag),
    Column("within_one_se", "Within one SE", "near enough to the best to be selected: tied, or within one "
           "standard error and the margin", flag),
    Column("pareto", "Pareto", "no other is both more accurate and less overfitted (smaller, if the search "
           "was for small networks too)", flag),
    Column("val_accuracy_shrunk", "Shrunk, %", "validation accuracy drawn to the mean, as far as noise "
           "explains the spread", percent),
    Column("val_loss", "Validation loss", "cross-entropy on validation, nats", number(3)),
    Column("train_clean_loss", "Train loss", "cross-entropy on train, nats", number(3)),
    Column("gap_loss", "Loss gap", "validation loss minus train loss", number(3)),
    Column("ece", "Calibration error", "expected calibration error on validation", number(3)),
    Column("overfit_slope", "Loss slope", "monitor loss per epoch after the kept one", number(4)),
    Column("epochs", "Epochs", "epochs trained, mean over seeds", number(1)),
    Column("macs", "Multiply-adds", "per image", size),
    Column("test_accuracy_without_twins", "Test without twins, %", "test accuracy on images without a twin "
           "elsewhere", percent),
    Column("leak_delta", "Leak, points", "validation accuracy minus that on images without a twin "
           "elsewhere", points),
    Column("monitor_accuracy", "Monitor, %", "accuracy on the monitor split in explore, over its "
           "explore_seeds trainings", percent),
    Column("monitor_macro_f1", "Monitor F1", "macro F1 on the monitor split in explore, over its "
           "explore_seeds trainings", number(3)),
    Column("monitor_loss", "Monitor loss", "cross-entropy on the monitor split in explore, nats", number(3)),
    Column("monitor_gap_accuracy", "Gap to monitor", "train accuracy minus monitor accuracy, points", points),
    Column("monitor_gap_loss", "Loss gap to monitor", "monitor loss minus train loss", number(3)),
    Column("monitor_relative_overfit", "Overfitting on monitor", "relative overfitting against "
           "monitor", number(3)),
    Column("monitor_ece", "Monitor calibration", "expected calibration error on monitor", number(3)),
    Column("val_accuracy_se_seeds", "SE over seeds, points", "standard error of validation accuracy over "
           "seeds alone", percent),
    Column("variant", "Variant", "named variant of the family", text, numeric=False),
    Column("group", "Group", "the question a published row belongs to", text, numeric=False),
    Column("state", "State", "what became of the evaluations", text, numeric=False),
    Column("reason", "Remarks", "what a reader must know of this row", text, numeric=False),
)  # fmt: skip
BY_NAME = {column.name: column for column in _ALL}


def first_seen(rows: pd.DataFrame, order: Sequence[str], always: Sequence[str]) -> tuple[str, ...]:
    """The columns to show first: those that must be, then in order those that are known and vary."""
    chosen = [name for name in order if name in always or _varies(rows, name)]
    spare = [name for name in chosen if name not in always][: FIRST - len(always)]
    return tuple(name for name in order if name in always or name in spare)


def _varies(rows: pd.DataFrame, name: str) -> bool:
    column = BY_NAME[name]
    told = {column.cell({name: value, "baseline": False}) for value in rows[name]}
    return len(told - {MISSING}) > 1 or (len(rows) == 1 and told != {MISSING})


def known(rows: pd.DataFrame) -> tuple[str, ...]:
    """Every column that holds a value, in the order of a reader's interest."""
    return tuple(
        column.name
        for column in _ALL
        if (rows[column.name].notna() & (rows[column.name] != "").fillna(False)).any()
    )
