"""The comparison with and without validation images whose labels are doubtful."""

import pandas as pd

from reports.analysis import Analysis
from reports.columns import Column, count, percent, text
from reports.tables import ReportTable
from reports.without_suspects import without_suspects

SECTION = "errors"
ORDER = 20
OWN = (
    Column("candidate_label", "Architecture", "the candidate", text, numeric=False),
    Column("place", "Place", "by the objective, on all images", count),
    Column("accuracy", "Accuracy, %", "mean over seeds, on all images", percent),
    Column("word", "Verdict", "on all images", text, numeric=False),
    Column("place_without", "Place without", "by the objective, without suspect images", count),
    Column("accuracy_without", "Accuracy without, %", "mean over seeds, without suspect images", percent),
    Column("word_without", "Verdict without", "what it would be without suspect images", text, numeric=False),
)


def table(analysis: Analysis, rows: pd.DataFrame) -> ReportTable | None:
    """None before the verdict, and where no image is suspect."""
    found = without_suspects(analysis)
    if found is None:
        return None
    places = {row.candidate: number for number, row in enumerate(found.comparison.rows, start=1)}
    words = found.verdict.words()
    lines = [
        {
            "candidate_label": analysis.labels[row.candidate],
            "place": number,
            "accuracy": row.val_accuracy,
            "word": analysis.word(row.candidate),
            "place_without": places[row.candidate],
            "accuracy_without": found.comparison.row(row.candidate).val_accuracy,
            "word_without": words[row.candidate],
            "stage": "",
        }
        for number, row in enumerate(analysis.rows, start=1)
        if row.candidate in places
    ]
    suspect, images = int(found.suspect.sum()), len(found.suspect)
    reading = (
        f"{suspect:,} of {images:,} validation images ({suspect / images:.1%}) have doubtful labels: in most "
        "seeds, confident learning on the mean of this study's predictions contradicts them. Without these "
        f"images the order of the candidates {'changes' if found.order_changes else 'stays the same'}, and "
        f"the rule {'selects otherwise' if found.selection_changes else 'selects the same'}. The verdict is "
        "the one on all images: the candidates themselves decided which images are left out here."
    )
    columns = tuple(column.name for column in OWN)
    frame = pd.DataFrame(lines)
    return ReportTable("suspects", "Without doubtful labels", reading, frame, columns, columns, OWN)
