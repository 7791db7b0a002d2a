"""What a protocol with leaks would claim: accuracy on images with a copy in training, and on the others."""

import numpy as np
import pandas as pd

from reports.analysis import Analysis
from reports.columns import Column, number, percent, text
from reports.tables import ReportTable

SECTION = "errors"
ORDER = 30
OWN = (
    Column("candidate_label", "Architecture", "the candidate", text, numeric=False),
    Column("claimed", "All images, %", "what this protocol claims; mean over seeds", percent),
    Column("copied", "Copy in training, %", "on images with a copy in the training side", percent),
    Column("clean", "No copy, %", "on images without a copy in another part", percent),
    Column("inflated", "Claimed too much", "points by which the copies raise the accuracy", number(1)),
)


def table(analysis: Analysis, rows: pd.DataFrame) -> ReportTable | None:
    """None unless the study trained on copies of evaluation images, and has images of both kinds."""
    if not analysis.rows or analysis.study.protocol.get("leaks") != "report":
        return None
    copied = analysis.confirmed[0].has_twin
    if copied.all() or not copied.any():
        return None
    lines = []
    for row in analysis.rows:
        correct = np.mean(
            [one.probabilities.argmax(1) == one.labels for one in analysis.evaluations_of(row.candidate)],
            axis=0,
        )
        every, clean = float(correct.mean()), float(correct[~copied].mean())
        lines.append(
            {
                "candidate_label": analysis.labels[row.candidate],
                "claimed": every,
                "copied": float(correct[copied].mean()),
                "clean": clean,
                "inflated": 100 * (every - clean),
                "stage": "",
            }
        )
    reading = (
        f'This study trains on copies of its evaluation images (leaks = "report"): {int(copied.sum()):,} of '
        f"{len(copied):,} validation images have a copy in another part of the data. The first accuracy is "
        "what such a protocol claims. The last two show what it measures: memory, and recognition."
    )
    columns = tuple(column.name for column in OWN)
    return ReportTable("leaky", "What leaks would claim", reading, pd.DataFrame(lines), columns, columns, OWN)
