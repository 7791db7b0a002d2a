"""Files that are whole or absent, whenever the power goes."""

import errno
import os
import sqlite3
from pathlib import Path

#: No room on the device, in the quota, or below the limit of a file's size.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def disk_is_full(error: BaseException) -> bool:
    """Whether a write failed for want of room."""
    if isinstance(error, sqlite3.OperationalError):
        return "disk is full" in str(error)
    return isinstance(error, OSError) and error.errno in _FULL


def write_whole(path: Path, text: str) -> None:
    """Write text so that a reader finds all of it or none of it, also after a power cut or on a full disk."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    settle(path.parent)


def settle(folder: Path, *, files: bool = False) -> None:
    """Force a folder's entries to the disk; on request the content of its files too."""
    for path in [*(folder.iterdir() if files else ()), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
