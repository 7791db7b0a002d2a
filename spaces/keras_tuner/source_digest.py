"""Which code a hypermodel is, without running it."""

import hashlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


def code_of(space: Sequence[str]) -> Mapping[str, str]:
    """A digest of the source file of each hypermodel of a space.

    A file is found as an import would find it from the current folder, and not imported. What the file
    imports is not looked at. Line ends count as one, whatever the system that wrote them.

    Args:
        space: Families and hypermodels, as an experiment names them.

    Returns:
        12 hex digits by "package.module:name"; families have none.
    """
    files = {arm: _file(arm.partition(":")[0]) for arm in space if ":" in arm}
    return {arm: _digest(file) for arm, file in files.items() if file is not None}


def _file(module: str) -> Path | None:
    places = [Path(folder) / module.replace(".", "/") for folder in (*filter(None, sys.path), ".")]
    files = (file for place in places for file in (place.with_suffix(".py"), place / "__init__.py"))
    return next((file for file in files if file.is_file()), None)


def _digest(file: Path) -> str:
    return hashlib.sha256(b"\n".join(file.read_bytes().splitlines())).hexdigest()[:12]
