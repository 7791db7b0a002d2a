"""Parameters in words that MLflow takes."""

import re
from collections.abc import Collection, Iterator, Mapping
from itertools import chain, count
from typing import Any

#: In the name of a param: a character that MLflow does not take, and what its normalised path would lack (an
#: empty step, "." or "..").
_REFUSED = re.compile(r"[^/\w.\- :]|^\.\.|(?<![^/])\.{0,2}(?![^/])")
_LONGEST = 250  # letters of a param's name


def as_params(prefix: str, fields: Mapping[str, Any]) -> dict[str, str]:
    """Parameters as MLflow shows them: lists joined by dashes, tables flattened with dots.

    What MLflow refuses in a name becomes "_"; names that would then be one are numbered.

    Args:
        prefix: What every name begins with.
        fields: Values by name; tables may be nested.

    Returns:
        Text by name.
    """
    flat = dict(_flattened(prefix, fields))
    params: dict[str, str] = {}
    for name in sorted(flat, key=lambda name: _accepted(name) != name):  # first those that stay as they are
        params[_unused(_accepted(name), params)] = flat[name]
    return params


def _flattened(prefix: str, fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from _flattened(f"{prefix}{name}.", value)
        elif isinstance(value, list | tuple):
            yield prefix + name, "-".join(str(item) for item in value)
        else:
            yield prefix + name, str(value)


def _accepted(name: str) -> str:
    """A name that MLflow takes; one that is too long is cut, with room for a number."""
    return _REFUSED.sub("_", name if len(name) <= _LONGEST else name[: _LONGEST - 10])


def _unused(name: str, taken: Collection[str]) -> str:
    numbered = (f"{name}_{number}" for number in count(2))
    return next(one for one in chain([name], numbered) if one not in taken)
