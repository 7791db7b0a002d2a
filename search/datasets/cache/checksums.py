"""Checksums of what lies in the cache: an entry whose bytes changed is not believed."""

import hashlib
import json
from pathlib import Path
from typing import Final

CHECKSUMS: Final = "checksums.json"


def write_checksums(folder: Path) -> None:
    """Write the checksum of every file of a finished entry.

    Args:
        folder: The entry. Nothing in it changes afterwards.
    """
    sums = {str(path.relative_to(folder)): _checksum(path) for path in _files(folder)}
    (folder / CHECKSUMS).write_text(json.dumps(sums, indent=1, sort_keys=True), encoding="utf-8")


def damaged_files(folder: Path) -> list[str]:
    """Find the files of an entry that are not as they were written.

    Args:
        folder: The entry.

    Returns:
        Names below the folder, sorted; the name of the list of checksums where that is missing.
    """
    try:
        sums: dict[str, str] = json.loads((folder / CHECKSUMS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return [CHECKSUMS]
    return sorted(name for name, known in sums.items() if _checksum(folder / name) != known)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != CHECKSUMS)


def _checksum(path: Path) -> str:
    """BLAKE2b of a file's bytes; "" where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError:
        return ""
