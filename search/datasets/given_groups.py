"""Groups that the user names: images of one person, scene or video never straddle splits."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from search.datasets.catalog import Catalogue
from spaces.errors import UserError

_SHOWN = 3


def given_groups(
    catalogue: Catalogue, rows: Sequence[int], group: str
) -> tuple[NDArray[np.int64], list[str]]:
    """Number the groups of images by a column of the source, or by a pattern of file names.

    A pattern is searched in the path below the class folder. Its groups in parentheses, or else all that it
    matches, name the group, over all classes and splits. Images that it does not match stand alone.

    Args:
        catalogue: the source.
        rows: the images that take part, n rows of the catalogue.
        group: the name of a column, or a regular expression.

    Returns:
        int64 (n,), images of one group share a number; and what was found, as a sentence.

    Raises:
        UserError: it is neither a column nor a valid pattern, or matches no image.
    """
    if group in catalogue.columns:
        column = catalogue.columns[group]
        keys = [column[row] or None for row in rows]
    else:
        keys = _matched([_file(catalogue.ids[row]) for row in rows], group, catalogue)
    numbers = {
        key: number for number, key in enumerate(dict.fromkeys(key for key in keys if key is not None))
    }
    alone = sum(key is None for key in keys)
    found = np.array(
        [len(numbers) + place if key is None else numbers[key] for place, key in enumerate(keys)],
        dtype=np.int64,
    )
    rest = f"; {alone:,} images belong to none and stand alone" if alone else ""
    said = (
        f"{len(numbers):,} groups by {group!r} ({', '.join(sorted(numbers)[:_SHOWN])}, ...) stay on one side "
        f"of every split, as images with equal pixels do{rest}."
    )
    return found, [said]


def _file(name: str) -> str:
    """The path below the class folder, of an id."""
    return name.split("/", 2)[-1]


def _matched(files: Sequence[str], pattern: str, catalogue: Catalogue) -> list[str | None]:
    known = f"{catalogue.name} has the columns {', '.join(catalogue.columns)}" if catalogue.columns else ""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        columns = f"no column ({known})" if known else "no column"
        raise UserError(
            f"[data] group {pattern!r} is {columns}, and no valid pattern of file names: {error}."
        ) from error
    keys = [
        "/".join(part or "" for part in match.groups()) or match.group() or None
        if (match := compiled.search(file))
        else None
        for file in files
    ]
    if all(key is None for key in keys):
        raise UserError(
            f"[data] group {pattern!r} matches no file name below the class folders "
            f"({', '.join(files[:_SHOWN])}, ...){f'; {known}' if known else ''}."
        )
    return keys
