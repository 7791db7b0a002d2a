"""Writes TOML (Python reads it and cannot write it): tables, arrays of tables, inline values."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any


def dumps(document: Mapping[str, Any]) -> str:
    """Text that `tomllib.loads` turns into the same document: no None in it, keys in their order."""
    return "\n".join(_lines(document)).strip() + "\n"


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    tables = {name: value for name, value in document.items() if _is_table(value)}
    yield from _assignments({name: value for name, value in document.items() if name not in tables})
    for name, value in tables.items():
        header = "[{}]" if isinstance(value, Mapping) else "[[{}]]"
        for table in [value] if isinstance(value, Mapping) else value:
            yield "\n" + header.format(_key(name))
            yield from _assignments(table)


def _is_table(value: object) -> bool:
    rows = isinstance(value, list | tuple) and bool(value) and all(isinstance(row, Mapping) for row in value)
    return isinstance(value, Mapping) or rows


def _assignments(table: Mapping[str, Any]) -> Iterator[str]:
    return (f"{_key(name)} = {_value(value)}" for name, value in table.items())


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(_assignments(value)) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
