"""Text from outside, made fit for one output: the terminal, Markdown, a spreadsheet, HTML, a record.

Class names, file names, questions and exceptions come from other people. What these functions return is
bounded, and holds no control sequence and no mark that turns the direction of writing.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

#: Letters that are kept of one message, and of one name.
MESSAGE: Final = 4_000
NAME: Final = 300
#: Letters of an exception's text that are recorded.
RECORD: Final = 8_000
#: The byte order mark, by which spreadsheets see that a file is UTF-8.
UTF8_MARK: Final = "\ufeff"
#: Control characters but the line feed and the tab, marks of direction, invisible signs, lone surrogates.
_HARMFUL: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\U000e0000-\U000e0fff\ud800-\udfff]"
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?%?")


def clean(text: str, limit: int = MESSAGE) -> str:
    """Text without control sequences, in at most `limit` letters and a word on how many are left out.

    Args:
        text: from outside.
        limit: letters. In place of what is harmful its number is written.
    """
    cut = text[:limit]
    shown = _HARMFUL.sub(lambda found: _escaped(found[0]), cut.replace("\r\n", "\n"))
    left = len(text) - len(cut)
    return f"{shown[: 4 * limit]} ... ({left:,} more letters)" if left else shown


def terminal(text: str, limit: int = MESSAGE) -> str:
    """A message for a terminal; line feeds stay."""
    return clean(text, limit)


def line(text: str, limit: int = NAME) -> str:
    """A name within a line: no line feeds, no tabs."""
    return clean(text, limit).replace("\n", " ").replace("\t", " ")


def record(text: str, limit: int = RECORD) -> str:
    """The text of an exception for logs and databases: its beginning and its end."""
    if len(text) <= limit:
        return clean(text, limit)
    half = limit // 2
    left = len(text) - 2 * half
    return f"{clean(text[:half])}\n... ({left:,} letters left out)\n{clean(text[-half:])}"


def markdown(text: str, limit: int = MESSAGE) -> str:
    """Text that Markdown shows as it is: no emphasis, code, HTML, link or address in it works."""
    shown = clean(text, limit).replace("\\", "\\\\")
    for sign in "*_`":
        shown = shown.replace(sign, f"\\{sign}")
    shown = shown.replace("<", "&lt;").replace("://", "&#58;//")
    return re.sub(r"\](?=[(\[:])", r"\\]", re.sub(r"(?i)\bwww\.", "www&#46;", shown))


def markdown_line(text: str, limit: int = NAME) -> str:
    """The same within one line."""
    return markdown(line(text, limit), 2 * limit)


def html(value: Any) -> Any:
    """A value for a template that escapes by itself: text of a bounded length without control characters."""
    if type(value) is str:
        return clean(value, 10 * MESSAGE)
    return value


def csv_cell(value: Any) -> Any:
    """A cell for spreadsheets: text that they would take for a formula gets a "'" before it."""
    if not isinstance(value, str):
        return value
    shown = clean(value, RECORD)
    if shown.startswith(_FORMULA) and not _NUMBER.fullmatch(shown):
        return f"'{shown}"
    return shown


def csv_row(values: Sequence[Any]) -> list[Any]:
    """A row of such cells."""
    return [csv_cell(value) for value in values]


def csv_file(text: str) -> str:
    """The text of a table as a file: spreadsheets need a mark to read letters beyond ASCII."""
    return text if text.isascii() else UTF8_MARK + text


def _escaped(sign: str) -> str:
    number = ord(sign)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
