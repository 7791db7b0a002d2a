"""What became of every evaluation: counts by stage and state, with the most frequent reason."""

import pandas as pd

from reports.analysis import Analysis
from reports.columns import (
    Column,
    count,
    duration,
    text,
)
from reports.tables import ReportTable
from search.tracking import names

SECTION = "search"
ORDER = 20
MEANING = {
    names.COMPLETE: "trained to its end",
    names.RUNNING: "training, or its process died without a word",
    names.PRUNED: "stopped early: it was clearly behind",
    names.DUPLICATE: "drawn before: its known value was used, nothing trained",
    names.INFEASIBLE: "cannot be built, or above a budget or a limit",
    names.DIVERGED: "its loss became infinite or no number",
    names.FAILED: "ended by an error, or silent for too long",
}
#: The meaning of a duplicate in confirm: it was trained all the same.
TWICE = "another cell describes the same candidate: its evaluation counts"
OWN = (
    Column("stage", "Stage", "explore, confirm, or scored: made elsewhere", text, numeric=False),
    Column("state", "State", "how it ended", text, numeric=False),
    Column("evaluations", "Evaluations", "how many", count),
    Column("time", "Time", "their wall times added up", duration),
    Column("meaning", "Which means", "in words", text, numeric=False),
    Column("reason", "Most frequent reason", "as recorded", text, numeric=False),
)


def table(analysis: Analysis, rows: pd.DataFrame) -> ReportTable | None:
    """None before the first evaluation."""
    frame = analysis.study.evaluations
    if frame.empty:
        return None
    found = [
        {
            "stage": stage,
            "state": state,
            "evaluations": len(group),
            "time": group.seconds.sum() or None,
            "meaning": _meaning(str(stage), str(state)),
            "reason": _usual(group.reason),
        }
        for (stage, state), group in frame.groupby(["stage", "state"])
    ]
    order = {state: index for index, state in enumerate(names.STATES)}
    found.sort(key=lambda row: (row["stage"] != names.EXPLORE, order.get(str(row["state"]), len(order))))
    columns = tuple(column.name for column in OWN)
    reading = "Every evaluation is counted here once, whatever came of it."
    return ReportTable(
        "states", "What became of every evaluation", reading, pd.DataFrame(found), columns, columns, OWN
    )


def _meaning(stage: str, state: str) -> str:
    return TWICE if (stage, state) == (names.CONFIRM, names.DUPLICATE) else MEANING.get(state, "")


def _usual(reasons: "pd.Series[str]") -> str:
    given = reasons[reasons != ""]
    if given.empty:
        return ""
    usual = given.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    return str(usual.index[0])
