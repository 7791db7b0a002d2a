"""A table as CSV, Markdown and LaTeX."""

from collections.abc import Sequence

import pandas as pd
from pandas.api.types import is_numeric_dtype

from reports.records.frames import records
from reports.tables import ReportTable
from search.safety.text import csv_cell, markdown

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "±": r"$\pm$", "−": r"$-$", "·": r"$\cdot$", "–": "--", "…": r"\dots{}", "≥": r"$\geq$", "≤": r"$\leq$",
    "×": r"$\times$", "“": "``", "”": "''",
    # What begins a row with one of these would be taken for an argument of the line break before it.
    "[": "{[}", "*": "{*}",
}  # fmt: skip


def to_csv(rows: pd.DataFrame) -> str:
    """Every row, every column, full precision; missing values are empty. No cell is a formula."""
    safe = rows.apply(lambda column: column if is_numeric_dtype(column) else column.map(csv_cell))
    return str(safe.to_csv(index=False, lineterminator="\n"))


def to_markdown(table: ReportTable) -> str:
    """The columns that are shown first, as a pipe table."""
    columns = table.described(table.first)
    lines = [_pipes([in_cell(column.title) for column in columns])]
    lines.append(_pipes(["---:" if column.numeric else ":---" for column in columns]))
    lines += [_pipes([in_cell(text) for text in row]) for row in cells(table)]
    return f"**{plain(table.title)}.** {plain(table.reading)}\n\n" + "\n".join(lines) + "\n"


def to_latex(table: ReportTable) -> str:
    """The columns that are shown first, as a float that needs the packages booktabs and graphicx."""
    columns = table.described(table.first)
    body = [" & ".join(map(latex, row)) + r" \\" for row in cells(table)]
    layout = "".join("r" if column.numeric else "l" for column in columns)
    heading = " & ".join(latex(column.title) for column in columns) + r" \\"
    return "\n".join(
        [
            "% needs \\usepackage{booktabs,graphicx}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{latex(table.title)}. {latex(table.reading)}}}",
            rf"\label{{tab:{table.name}}}",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{{layout}}}",
            r"\toprule",
            heading,
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}}",
            r"\end{table}",
            "",
        ]
    )


def cells(table: ReportTable) -> list[list[str]]:
    """The visible cells as text, value and what stands beside it."""
    columns = table.described(table.first)
    rows = records(table.rows)
    return [[" ".join(filter(None, (c.cell(row), _aside(c.aside(row))))) for c in columns] for row in rows]


def _aside(text: str) -> str:
    return text if not text or text.startswith("±") else f"({text})"


def latex(text: str) -> str:
    """Text with every character LaTeX would trip over replaced; what is left outside ASCII stays."""
    return "".join(_LATEX.get(character, character) for character in text)


def plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return markdown(text)


def in_cell(text: str) -> str:
    """The same in a cell of a pipe table."""
    return plain(text).replace("|", "\\|").replace("\n", " ")


def _pipes(parts: Sequence[str]) -> str:
    return "| " + " | ".join(parts) + " |"
