"""What the templates show: tables, figures and the card of the chosen candidate, ready to be printed."""

import base64
import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
import pandas as pd
from markupsafe import Markup
from matplotlib.text import Text

from reports import columns, style
from reports.analysis import Analysis
from reports.columns import Column
from reports.figures import FigureModule
from reports.inference.comparison import Row
from reports.page.links import Links
from reports.records.frames import each, records
from reports.rows import PUBLISHED
from reports.tables import ReportTable
from search.fonts import families_for
from search.tracking import names

#: Columns of running text.
WORDY = ("reason", "meaning")


@dataclass(frozen=True)
class Seed:
    """One confirmed evaluation under its candidate's row."""

    cells: tuple[str, ...]
    link: str


@dataclass(frozen=True)
class TableEntry:
    """One row: its values, where its numbers come from, the seeds behind it."""

    row: Mapping[str, Any]
    link: str
    seeds: tuple[Seed, ...] = ()
    tau: float = 1.0

    @property
    def kind(self) -> str:
        """A class name for the whole row."""
        return next((word for word in ("selected", PUBLISHED) if self.row.get("verdict") == word), "plainrow")

    def sorting(self, column: Column) -> Markup:
        """The attribute by which the row is sorted."""
        value = self.row[column.name]
        if value is None or value is pd.NA or value != value or value == "":
            return Markup("")
        return Markup(' data-v="{}"').format(float(value) if column.numeric else value)

    def look(self, column: Column) -> str:
        """Class names of a cell."""
        missing = column.cell(self.row) == columns.MISSING
        classes = ["n"] if column.numeric else []
        classes += ["label"] if column.name == "architecture" else []
        classes += ["wrap"] if column.name in WORDY and not missing else []
        classes += ["none"] if missing else []
        if column.name == "relative_overfit" and not missing and self.row["relative_overfit"] > self.tau:
            classes.append("over")
        return " ".join(classes)


@dataclass(frozen=True)
class TableView:
    """A table with its entries and the files that hold it."""

    table: ReportTable
    columns: list[Column]
    entries: list[TableEntry]
    files: tuple[tuple[str, str], ...] = ()

    @property
    def tools(self) -> bool:
        """Whether there is anything to filter or choose."""
        return len(self.entries) > 3 or len(self.columns) > len(self.table.first) or bool(self.files)


def table_view(analysis: Analysis, table: ReportTable, links: Links, *, files: bool) -> TableView:
    """Prepare a table; files: whether CSV, Markdown and LaTeX lie beside the page."""
    shown = [*table.first, *(name for name in table.columns if name not in table.first)]
    entries = [_entry(analysis, row, links) for row in records(table.rows)]
    held = (("CSV", "comparison.csv"), ("Markdown", f"{table.name}.md"), ("LaTeX", f"{table.name}.tex"))
    return TableView(table, table.described(shown), entries, held if files else ())


def _entry(analysis: Analysis, row: Mapping[str, Any], links: Links) -> TableEntry:
    tau = analysis.rule.tau
    if row["stage"] == names.CONFIRM and "candidate" in row:
        runs = analysis.study.confirmations
        own = runs[runs.group.isin(runs.group[runs.run_id == row["run_id"]])]
        seeds = tuple(_seed(run, links) for run in each(own))
        return TableEntry(row, links.candidate(row["candidate"]) or links.run(row["run_id"]), seeds, tau)
    return TableEntry(row, links.run(row.get("run_id", "")), tau=tau)


def _seed(run: Any, links: Links) -> Seed:
    def told(value: float, read: Any) -> str:
        return columns.MISSING if value != value else str(read(value))

    return Seed(
        (
            str(run.seed),
            told(run.val_accuracy, columns.percent),
            told(run.train_clean_accuracy, columns.percent),
            told(run.relative_overfit, columns.number(3)),
            told(run.best_epoch, columns.count),
            run.state,
        ),
        links.run(run.run_id),
    )


@dataclass(frozen=True)
class FigureView:
    """A figure: plotly's JSON for a page with plotly, else an image."""

    name: str
    title: str
    reading: str
    json: Markup = field(default=Markup(""))
    height: int = 0
    image: str = ""


def interactive(name: str, module: FigureModule, numbers: Any) -> FigureView:
    """The figure for a page that has plotly."""
    figure = module.draw(numbers)
    text = str(figure.to_json()).replace("<", "\\u003c")  # a script element ends at the first "</"
    height = int(figure.layout.height or 420)
    return FigureView(name, module.TITLE, module.READING, Markup(text), height)  # noqa: S704 (escaped above)


def still(name: str, module: FigureModule, numbers: Any) -> FigureView:
    """The figure inside a page that has nothing but itself."""
    image = base64.b64encode(pictures(module, numbers, ("png",), dpi=110)["png"]).decode()
    return FigureView(name, module.TITLE, module.READING, image=f"data:image/png;base64,{image}")


#: Nothing that would differ from one day or machine to the next.
_METADATA: dict[str, dict[str, Any]] = {"png": {"Software": None}, "svg": {"Date": None}}


def pictures(module: FigureModule, numbers: Any, kinds: Sequence[str], dpi: int = 160) -> dict[str, bytes]:
    """PNG and SVG bytes by kind, the same for the same numbers and the same installed fonts.

    Letters that the usual font lacks are drawn with an installed one that has them.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = _drawn(module, numbers, kinds, dpi, ())
    lacking = frozenset(chr(int(code)) for one in caught for code in _NO_GLYPH.findall(str(one.message)))
    for one in caught:
        if not _NO_GLYPH.search(str(one.message)):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    others = families_for(lacking)[1:] if lacking else []
    if not others:
        return found
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what no font has was said already
        return _drawn(module, numbers, kinds, dpi, others)


#: What Matplotlib says of a letter that its font lacks.
_NO_GLYPH = re.compile(r"Glyph (\d+) .*missing from")


def _drawn(
    module: FigureModule, numbers: Any, kinds: Sequence[str], dpi: int, families: Sequence[str]
) -> dict[str, bytes]:
    """The pictures, with fonts beside the usual one."""
    found = {}
    usual = style.RC["font.family"]
    with mpl.rc_context(style.RC | {"font.family": [usual, *families]}):
        figure = module.picture(numbers)
        for text in figure.findobj(Text) if families else ():  # a figure sets its own look again
            text.set_fontfamily([usual, *families])
        for kind in kinds:
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, dpi=dpi, metadata=_METADATA[kind])
            figure.set_layout_engine("none")  # it is laid out now: the second kind need not do it again
            found[kind] = buffer.getvalue()
    return found


@dataclass(frozen=True)
class Chosen:
    """The card beside the sentences: the selected candidate, or else the best."""

    selected: bool
    what: str
    label: str
    score: str
    interval: str
    seeds: int
    facts: tuple[tuple[str, str], ...]
    link: str  # to the runs of its seeds


def chosen(analysis: Analysis, links: Links | None = None) -> Chosen | None:
    """None before anything is confirmed."""
    if analysis.comparison is None or analysis.verdict is None:
        return None
    selected = analysis.verdict.selected
    row = analysis.comparison.row(selected) if selected else analysis.comparison.best
    unit = columns.UNITS[analysis.rule.objective]
    facts = {
        "Parameters": columns.size(row.parameters),
        "Relative overfitting": _known(row.relative_overfit, columns.number(3)),
        "Distance from the best": _distance(row, unit),
        **({"Failed to learn": f"{row.seeds_failed} of {row.n_seeds} seeds"} if row.seeds_failed else {}),
        "Verdict": analysis.word(row.candidate),
        **({"Baseline": "yes"} if row.baseline else {}),
    }
    return Chosen(
        selected=bool(selected),
        what="Selected by the rule" if selected else "Highest score; nothing is selected",
        label=analysis.labels[row.candidate],
        score=f"{100 * row.val_accuracy:.1f}%",
        interval=f"{100 * row.val_accuracy_ci_low:.1f} to {100 * row.val_accuracy_ci_high:.1f}",
        seeds=row.n_seeds,
        facts=tuple(facts.items()),
        link=links.candidate(row.candidate) if links else "",
    )


def _distance(row: Row, unit: columns.Unit) -> str:
    """How far a candidate is from the best, with the interval of that."""
    told = f"{unit.read(row.delta_to_best)} {unit.name}"
    if row.delta_ci_low != row.delta_ci_low:
        return told
    return f"{told} ({unit.read(row.delta_ci_low)} to {unit.read(row.delta_ci_high)})"


def _known(value: float, read: Any) -> str:
    return columns.MISSING if value != value else str(read(value))


#: What each word claims, in the words of a reader.
WORDS = {
    "selected": "near the best; of those the most reliable, then the smallest",
    "better": "better than every other",
    "tied": "as good as the best, within the margin",
    "worse": "surely below the best",
    "overfit": "surely overfits more than tau allows",
    "underpowered": "this study cannot tell",
    "infeasible": "cannot be built, or above a budget or a limit",
    "published": "from elsewhere",
}


def words(rows: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """The words that these rows use, with their meaning."""
    used = set(rows.verdict)
    return ((word, meaning) for word, meaning in WORDS.items() if word in used)
