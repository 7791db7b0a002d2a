"""What `candor.search` returns: the verdict, the table and the place of the report."""

from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pandas as pd

    from experiments.workflows.study.search import Finished
    from reports.records.study import StudyRecords

#: The columns that are shown of the table; `table` has all of them.
_SHOWN: Final = (
    "architecture",
    "val_accuracy",
    "val_accuracy_se",
    "relative_overfit",
    "parameters",
    "n_seeds",
    "verdict",
)


@dataclass(frozen=True, repr=False)
class SearchResult:
    """The state of a study when `search` returned. A notebook shows its verdict and its table.

    Attributes:
        experiment: the experiment's name.
        study: the study's id, 12 hex digits.
        finished: whether everything that was asked for is done; False after an interruption.
        sentences: the verdict in sentences; empty before anything is confirmed.
        remarks: what went wrong with the delivery of records, and how to go on.
        report: the page with every table and figure; None while MLflow lacks records.
        tracking_uri: MLflow's address.
    """

    experiment: str
    study: str
    finished: bool
    sentences: tuple[str, ...]
    remarks: tuple[str, ...]
    report: Path | None
    tracking_uri: str

    @cached_property
    def records(self) -> "StudyRecords":
        """Everything that MLflow holds of the study: see `load_study`.

        Raises:
            UserError: if MLflow does not hold the study.
        """
        from reports.records.study import load_study

        return load_study(self.experiment, self.tracking_uri, self.study)

    @cached_property
    def table(self) -> "pd.DataFrame":
        """One row for each confirmed candidate, the best first; docs/reports.md describes the columns.

        Raises:
            UserError: if MLflow does not hold the study.
        """
        from reports.analysis import analyse
        from reports.rows import comparison_rows

        return comparison_rows(analyse(self.records))

    def __repr__(self) -> str:
        return f"SearchResult({self.experiment!r}, study={self.study!r}, finished={self.finished})"

    def __str__(self) -> str:
        shown = self._shown()
        table = [] if shown.empty else [shown.to_string(index=False)]
        return "\n".join([*self.sentences, *table, *self.remarks, *self._place()])

    def _repr_html_(self) -> str:
        """Sentences, table and the link to the report, for a notebook."""
        paragraphs = "".join(f"<p>{escape(text)}</p>" for text in (*self.sentences, *self.remarks))
        shown = self._shown()
        table = "" if shown.empty else shown.to_html(index=False, escape=True, border=0)
        if self.report is None:
            return paragraphs + table
        link = f'<p>Report: <a href="{escape(self.report.as_uri())}">{escape(str(self.report))}</a></p>'
        return paragraphs + table + link

    def _shown(self) -> "pd.DataFrame":
        table = self.table
        return table[[column for column in _SHOWN if column in table]].round(4)

    def _place(self) -> tuple[str, ...]:
        return () if self.report is None else (f"Report: {self.report}",)


def result_of(
    finished: "Finished", experiment: str, tracking_uri: str, remarks: tuple[str, ...]
) -> SearchResult:
    """What a search told at its end, as its caller in Python gets it."""
    return SearchResult(
        experiment=experiment,
        study=finished.study,
        finished=finished.over,
        sentences=finished.sentences,
        remarks=remarks,
        report=finished.report,
        tracking_uri=tracking_uri,
    )
