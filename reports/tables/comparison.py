"""Confirmed candidates, best first, with the published rows among them."""

import pandas as pd

from reports.analysis import Analysis
from reports.columns import (
    FIRST,
    distance,
    first_seen,
    known,
)
from reports.rows import PUBLISHED
from reports.tables import ReportTable
from search.tracking import names

SECTION = "answer"
ORDER = 10
ALWAYS = ("architecture", "verdict", "val_accuracy")
#: What matters, in the order in which it matters.
INTEREST = (
    "architecture", "verdict", "val_accuracy", "delta_to_best", "seeds_failed", "test_accuracy",
    "relative_overfit", "parameters", "train_clean_accuracy", "gap_accuracy", "val_macro_f1",
    "best_epoch", "n_seeds", "seconds",
)  # fmt: skip


#: What is shown first of scores alone: nothing is judged, so there is no verdict.
_OF_SCORES = ("architecture", "val_accuracy", "n_seeds", "parameters", "seconds", "epochs")
_SCORES_ALONE = (
    "Every number is a mean over runs, as recorded elsewhere. Intervals have level 95% and stand each for "
    "itself: "
    "of one run they are Wilson's, of several they hold the noise between seeds and the most that the "
    "images add. "
    "Without the number of images they hold the noise between seeds alone."
)


def table(analysis: Analysis, rows: pd.DataFrame) -> ReportTable | None:
    """None while nothing is confirmed and nothing was published."""
    shown = rows[rows.stage.isin([names.CONFIRM, names.SCORED, PUBLISHED])]
    if shown.empty:
        return None
    ours = shown[shown.stage == names.CONFIRM]
    telling = ours if len(ours) > 1 else shown
    first = first_seen(telling, INTEREST, ALWAYS)
    if (telling.reason != "").any() and len(first) < FIRST:
        first = (*first, "reason")
    if analysis.scores is not None:
        first = tuple(name for name in _OF_SCORES if name in {*known(shown), "n_seeds"})
    own = (distance(analysis.rule.objective),)
    return ReportTable("comparison", "Comparison", _reading(analysis, shown), shown, known(shown), first, own)


def _reading(analysis: Analysis, shown: pd.DataFrame) -> str:
    if not (shown.stage == names.CONFIRM).any():
        return "Nothing is confirmed yet. These rows are as published: context, which decides nothing."
    if analysis.scores is not None:
        return _SCORES_ALONE
    folds = analysis.study.folds
    where = "over folds of train and validation together" if folds else "on the validation split"
    told = (
        f"Every number is a mean over seeds {where}, ± its standard error over seeds and images. Differences "
        "are taken on the same images."
    )
    if analysis.comparison is not None:
        told += (
            f" Intervals have level {analysis.comparison.confidence:.1%}; those of differences hold together."
        )
    if (shown.stage == names.SCORED).any():
        told += " Models made elsewhere are one network each: their standard error is that over images alone."
    if (shown.stage == PUBLISHED).any():
        told += (
            " Rows in italics are as published, measured on other splits; their train accuracy was taken "
            "while training. They are context and decide nothing."
        )
    return told
