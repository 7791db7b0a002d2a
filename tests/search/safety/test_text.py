"""Foreign text reaches every output harmless and bounded."""

import csv
import io
import re

import pandas as pd
import pytest

from reports.formats import to_csv
from search.safety.text import (
    clean,
    csv_cell,
    csv_file,
    csv_row,
    html,
    line,
    markdown,
    markdown_line,
    record,
    terminal,
)

HARMFUL = (
    "\x1b[31mred\x1b[0m", "\x1b]8;;http://evil.example\x07link", "\x9b31m", "a\u202eb", "a\u2066b\u2069",
    "\x00", "\x7f", "a\rb", "a\u2028b", "\ud800", "\ufeffa", "a\u200fb", "\U000e0041", "\x08\x08", "a\u200bb",
)  # fmt: skip
_BAD = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff\U000e0041]"
)


@pytest.mark.parametrize("text", HARMFUL)
@pytest.mark.parametrize("made", [clean, terminal, line, record, markdown, markdown_line, html, csv_cell])
def test_nothing_harmful_is_left(text: str, made: object) -> None:
    assert callable(made)
    shown = made(f"before {text} after")
    assert not _BAD.search(shown)
    assert shown.startswith("before ")
    assert shown.endswith(" after")
    shown.encode()


@pytest.mark.parametrize("made", [clean, terminal, line, record, markdown, markdown_line, html, csv_cell])
def test_every_output_is_bounded(made: object) -> None:
    assert callable(made)
    for text in ("x" * 50_000_000, "\x1b" * 1_000_000, "\U000e0041" * 1_000_000):
        assert len(made(text)) < 450_000
    assert len(line("x" * 50_000_000)) < 400
    assert "49,996,000 more letters" in terminal("x" * 50_000_000)


@pytest.mark.parametrize(
    "text", ["größer", "高兴", "שלום", "مرحبا", "a-b_c d", "👩‍🔬", "naïve\nsecond\tcolumn", "1 < 2"]
)
def test_ordinary_letters_stay(text: str) -> None:
    assert clean(text) == text
    assert csv_cell(text) == text
    assert html(text) == text


def test_the_end_of_an_exception_is_kept() -> None:
    text = "Traceback\n" + "x" * 100_000 + "\nValueError: the cause"
    shown = record(text, 1000)
    assert shown.startswith("Traceback")
    assert shown.endswith("ValueError: the cause")
    assert len(shown) < 1100


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "=", "-"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert csv_cell(text).startswith("'")
    (row,) = csv.reader(io.StringIO(to_csv(pd.DataFrame({"name": [text], "n": [-1.5]})).splitlines(True)[1]))
    assert row[0].startswith("'")
    assert row[1] == "-1.5"


@pytest.mark.parametrize("value", ["-1", "+2.5", "-1e-3", "5%", -1, 2.5, None, True, "a=b", "", "plain"])
def test_numbers_and_ordinary_cells_stay(value: object) -> None:
    assert csv_row([value]) == [value]


def test_a_file_of_other_letters_bears_the_mark_of_utf_8() -> None:
    assert csv_file("a,b\n") == "a,b\n"
    raw = csv_file("größer,b\n").encode()
    assert raw.startswith(b"\xef\xbb\xbf")
    assert list(pd.read_csv(io.BytesIO(raw)).columns) == ["größer", "b"]


@pytest.mark.parametrize(
    "text",
    ["[x](http://evil.example)", "![x](http://evil.example/a.png)", "<script>alert(1)</script>",
     "<img src=x>", "`code`", "*bold*", "_it_", "http://evil.example", "https://evil.example",
     "www.evil.example",
     "[x][y]", "[x]: y"],
)  # fmt: skip
def test_nothing_in_markdown_works(text: str) -> None:
    """By a Markdown renderer that knows autolinks, where one is installed; by the signs otherwise."""
    shown = markdown(text)
    assert not re.search(r"(?<!\\)\](?=[(\[:])|<|://|(?<!\\)[*_`]|(?i:www\.)", shown)
    markdown_it = pytest.importorskip("markdown_it")
    rendered = markdown_it.MarkdownIt("commonmark", {"html": True}).render(shown)
    assert not re.search(r"<(a|img|script|code|em|strong)\b", rendered)
