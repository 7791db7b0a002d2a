"""What explore tried and did not confirm, ranked on the monitor split."""

import pandas as pd

from reports.analysis import Analysis
from reports.columns import first_seen, known
from reports.tables import ReportTable
from search.tracking import names

SECTION = "search"
ORDER = 10
#: Rows on the page; the CSV has all.
MOST = 150
INTEREST = (
    "architecture", "state", "monitor_accuracy", "monitor_macro_f1", "monitor_loss",
    "monitor_relative_overfit", "parameters", "train_clean_accuracy", "best_epoch", "seconds", "reason",
)  # fmt: skip


def table(analysis: Analysis, rows: pd.DataFrame) -> ReportTable | None:
    """The best on monitor; at most half of the room is for those that did not finish, with reasons."""
    explored = rows[rows.stage == names.EXPLORE]
    if explored.empty:
        return None
    unfinished = explored[explored.state != names.COMPLETE]
    finished = explored[explored.state == names.COMPLETE].head(MOST - min(len(unfinished), MOST // 2))
    shown = pd.concat([finished, unfinished.head(MOST - len(finished))])
    first = first_seen(shown, INTEREST, ("architecture", "state", "monitor_accuracy"))
    return ReportTable(
        "explored",
        "Explored, not confirmed",
        "Trained with few seeds, mostly one, and ranked on the monitor split, which also stopped their "
        "training: a screening, no proof. These numbers cannot be set against validation accuracies.",
        shown,
        known(shown),
        first,
        more=len(explored) - len(shown),
    )
