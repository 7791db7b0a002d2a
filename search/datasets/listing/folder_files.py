"""The files below a folder, listed in one way for training and for prediction."""

import os
from pathlib import Path

from spaces.errors import UserError


def files_of(root: Path) -> tuple[dict[str, tuple[int, int]], dict[str, str]]:
    """List a folder.

    Args:
        root: the folder, an absolute path without links in it.

    Returns:
        Path below root -> (bytes, time of change in nanoseconds); and the links that are not followed, path
        below root -> target: those to folders, and those that leave the folder or lead nowhere.

    Raises:
        UserError: a folder cannot be looked into.
    """
    files: dict[str, tuple[int, int]] = {}
    links: dict[str, str] = {}
    pending = [str(root)]
    start = len(str(root).rstrip(os.sep)) + 1
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_symlink() and not _links_to_file_within(entry, root):
                        links[entry.path[start:]] = _target(entry)
                    elif entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    elif entry.is_file():
                        status = entry.stat()
                        files[entry.path[start:]] = (status.st_size, status.st_mtime_ns)
        except FileNotFoundError:
            continue  # it was there a moment ago
        except OSError as error:
            raise UserError(f"{error.filename or root} cannot be read: {error.strerror}.") from error
    return files, links


def _links_to_file_within(entry: "os.DirEntry[str]", root: Path) -> bool:
    try:
        target = Path(entry.path).resolve()
    except (OSError, RuntimeError):  # links in a circle
        return False
    return target.is_file() and target.is_relative_to(root)


def _target(entry: "os.DirEntry[str]") -> str:
    try:
        return str(Path(entry.path).readlink())
    except OSError:
        return ""
