"""Tables of a command: fitted to a terminal, and plain, uncut rows in a pipe or a file."""

from collections.abc import Collection, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from search.safety.text import MESSAGE
from search.safety.text import line as safe_line


def print_table(
    console: Console, head: Sequence[str], rows: Sequence[Sequence[str | Text]], right: Collection[str] = ()
) -> None:
    """Print rows under their headings. On a terminal they wrap; elsewhere each row is one whole line.

    Args:
        console: where to print.
        head: the headings.
        rows: cells, as many as headings, printed without control sequences; a Text has colours on a terminal.
        right: headings of the columns that are aligned to the right.
    """
    if console.is_terminal:
        table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
        for name in head:
            table.add_column(name, justify="right" if name in right else "left", overflow="fold")
        for row in rows:
            table.add_row(
                *(cell if isinstance(cell, Text) else Text(safe_line(cell, MESSAGE)) for cell in row)
            )
        console.print(table)
        return
    lines = [list(head), *([safe_line(str(cell), MESSAGE) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in lines) for column in range(len(head))]
    for row in lines:
        cells = zip(row, widths, head, strict=True)
        line = "  ".join(
            cell.rjust(width) if name in right else cell.ljust(width) for cell, width, name in cells
        )
        console.file.write(line.rstrip() + "\n")
