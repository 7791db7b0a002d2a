"""The images that the best candidate gets most confidently wrong, over all seeds."""

import numpy as np
import pandas as pd

from reports.analysis import Analysis
from reports.columns import (
    Column,
    number,
    percent,
    text,
)
from reports.tables import ReportTable

SECTION = "errors"
ORDER = 10
MOST = 15
OWN = (
    Column("image", "Image", "its name in the data", text, numeric=False),
    Column("label", "Labelled", "its class in the data", text, numeric=False),
    Column("said", "Taken for", "the class with the highest mean probability", text, numeric=False),
    Column("confidence", "Confidence, %", "mean probability of that class over seeds", percent),
    Column("of_label", "Its label gets, %", "mean probability of its own class over seeds", percent),
    Column("wrong", "Seeds wrong", "share of seeds that are wrong about it", number(2)),
    Column("twin", "Twin", "whether a twin of it lies in another part of the data", text, numeric=False),
)


def table(analysis: Analysis, rows: pd.DataFrame) -> ReportTable | None:
    """None before anything is confirmed."""
    if not analysis.rows:
        return None
    candidate = analysis.leader
    evaluations = analysis.evaluations_of(candidate)
    mean = np.mean([one.probabilities for one in evaluations], axis=0)
    wrong = np.mean([one.probabilities.argmax(axis=1) != one.labels for one in evaluations], axis=0)
    first, said, classes = evaluations[0], mean.argmax(axis=1), analysis.classes
    confidence = np.where(said != first.labels, mean.max(axis=1), 0.0)
    worst = np.lexsort((first.ids, -confidence))[: min(MOST, int((confidence > 0).sum()))]
    found = [
        {
            "image": str(first.ids[at]),
            "label": classes[first.labels[at]],
            "said": classes[said[at]],
            "confidence": float(confidence[at]),
            "of_label": float(mean[at, first.labels[at]]),
            "wrong": float(wrong[at]),
            "twin": "yes" if first.has_twin[at] else "",
            "stage": "",
        }
        for at in worst
    ]
    if not found:
        return None
    reading = (
        f"Validation images that {analysis.labels[candidate]} gets most confidently wrong, over all seeds. "
        "Many of them may be labelled wrongly, or show what no class describes: look at them before you "
        "trust the last points of any accuracy."
    )
    columns = tuple(column.name for column in OWN)
    return ReportTable(
        "mistakes", "Most confidently wrong", reading, pd.DataFrame(found), columns, columns, OWN
    )
