"""One clear sentence from what pydantic says about an experiment file."""

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from experiments.schema.catalog import nearest
from experiments.schema.sections import (
    Images,
    Published,
    Range,
    VerdictRule,
)
from search.protocol import Protocol

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Path = tuple[str | int, ...]
SECTIONS: Mapping[str, type[BaseModel]] = {
    "protocol": Protocol,
    "verdict": VerdictRule,
    "data": Images,
    "published": Published,
    "search": Range,
}


def sentence(error: ValidationError, document: Mapping[str, Any], model: type[BaseModel]) -> str:
    """Say the first mistake: which key, what is expected, what was received; or the nearest known key."""
    mistakes = error.errors(include_url=False)
    first = mistakes[0]
    path = _path(first["loc"], document)
    if first["type"] == "missing":
        return f'the key "{_words((*path, first["loc"][-1]))}" is required and missing.'
    if first["type"] == "extra_forbidden":
        known = (SECTIONS[str(path[0])] if len(path) > 1 else model).model_fields
        return f'unknown key "{_words(path)}"; the nearest valid one is "{nearest(str(path[-1]), known)}".'
    same = [mistake for mistake in mistakes if _path(mistake["loc"], document) == path]
    expected = " or ".join(dict.fromkeys(_expected(mistake) for mistake in same))
    where = _words(path) + ("" if expected.startswith("must") else ":")
    return f"{where} {expected}. Received: {json.dumps(first['input'], default=str)}."


def _path(location: Path, document: Any) -> Path:
    """A location as the file has it, without the names that pydantic adds for the members of a union."""
    path: list[str | int] = []
    for part in location:
        if _within(document, part):
            document = document[part]
        elif not str(part).startswith("recipe."):
            continue
        path.append(part)
    return tuple(path)


def _within(document: Any, part: str | int) -> bool:
    if isinstance(document, Mapping):
        return part in document
    return isinstance(document, list | tuple) and isinstance(part, int) and part < len(document)


def _words(path: Path) -> str:
    parts = [f" entry {part + 1}" if isinstance(part, int) else f".{part}" for part in path]
    return "".join(parts).removeprefix(".")


def _expected(mistake: "ErrorDetails") -> str:
    if mistake["type"] == "value_error":
        return str(mistake["ctx"]["error"])
    if mistake["type"] == "model_type":
        return "must be a list of choices or a table of low and high"
    return re.sub(r"^\w+ should", "must", mistake["msg"])
