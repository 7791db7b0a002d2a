"""Tables are whole in a pipe, whatever the width of a terminal."""

import io

from rich.console import Console
from rich.text import Text
from typer.testing import CliRunner

from experiments.cli import app
from experiments.schema import catalog
from experiments.table_output import print_table
from spaces.family import family_names, load_family


def test_in_a_pipe_every_row_is_one_whole_line() -> None:
    long, out = "question " * 60, io.StringIO()
    print_table(
        Console(file=out, width=40), ("name", "n"), [("a [b]", "1"), (long, Text("20", "red"))], right="n"
    )
    lines = out.getvalue().splitlines()
    assert [line.split() for line in lines[:2]] == [["name", "n"], ["a", "[b]", "1"]]
    assert lines[2] == f"{long}  20"
    assert len({len(line) for line in lines}) == 1


def test_on_a_terminal_rows_wrap_and_lose_no_letter() -> None:
    out = io.StringIO()
    console = Console(file=out, width=30, force_terminal=True, color_system=None)
    print_table(console, ("name", "n"), [("a_name_without_a_blank_that_is_longer_than_the_terminal", "1")])
    shown = "".join(line.split()[0] for line in out.getvalue().splitlines()[1:])
    assert shown == "a_name_without_a_blank_that_is_longer_than_the_terminal"
    assert max(map(len, out.getvalue().splitlines())) <= 30


def test_list_names_every_experiment_and_family_in_full() -> None:
    listed = CliRunner().invoke(app, ["list"], catch_exceptions=False).output.splitlines()
    for entry in catalog.entries():
        (line,) = [line for line in listed if line.startswith(f"{entry.name} ")]
        assert entry.question in line
    assert all(
        any(line.startswith(f"{name} ") and load_family(name).summary in line for line in listed)
        for name in family_names()
    )
