"""Files with predictions, one for each run, whose names say the candidate and the seed."""

import re
from pathlib import Path
from typing import Final

from search.imports.predictions import ENDINGS, read_predictions
from search.imports.request import Request
from search.imports.table import Table
from search.safety.paths import file_name
from spaces.errors import UserError

FORM: Final = '"predictions/{candidate}-{seed}.npz"'
_FIELD: Final = re.compile(r"\{(\w+)\}")


def accepts(source: str) -> bool:
    """Whether the source is a pattern of files with predictions.

    Args:
        source: What the person typed.
    """
    return _FIELD.search(source) is not None and source.lower().endswith(ENDINGS)


def read(source: str, request: Request) -> Table:
    """Read every file that fits the pattern; what stands in the braces becomes a column.

    Args:
        source: A path with names in braces.
        request: `labels` is a file with the labels, where the predictions come without.

    Raises:
        UserError: No file fits, or one cannot be read.
    """
    place = Path(source)
    columns = tuple(dict.fromkeys(_FIELD.findall(place.name)))
    if not columns or _FIELD.search(str(place.parent)):
        raise UserError(f"{source}: names in braces stand in the file's name, not in its folder")
    pattern, seen = "", set()
    for part in re.split(r"(\{\w+\})", place.name):
        name = part[1:-1]
        if _FIELD.fullmatch(part):
            pattern += rf"(?P={name})" if name in seen else rf"(?P<{name}>.+?)"
            seen.add(name)
        else:
            pattern += re.escape(part)
    files = sorted(place.parent.iterdir()) if place.parent.is_dir() else []
    found = [(path, match) for path in files if (match := re.fullmatch(pattern, path.name))]
    if not found:
        raise UserError(f"no file fits {source}")
    labels = Path(request.labels) if request.labels else None
    return Table(
        source=source,
        address=f"predictions:{place.name}",
        name=file_name(place.parent.resolve().name),
        columns=columns,
        rows=tuple(match.groupdict() for _, match in found),
        places=tuple(path.name for path, _ in found),
        predictions={row: read_predictions(path, labels) for row, (path, _) in enumerate(found)},
    )
