"""Paths that are made from text out of a store, an archive or a class list. They never leave their folder."""

import re
import unicodedata
from pathlib import Path
from typing import Final

from spaces.errors import UserError

#: What an experiment, a study or an evaluation may be called: no dot, no slash, no pattern of a shell.
NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$"
_NAME: Final = re.compile(NAME)
_LONGEST: Final = 80  # bytes of a file name without its ending


def is_name(text: str) -> bool:
    """Whether text may be used as the name of one file or folder."""
    return _NAME.fullmatch(text) is not None and not text.endswith("\n")


def checked_name(text: str, what: str) -> str:
    """Return a name from a store as it is.

    Args:
        text: the name.
        what: what has this name, for the message: "experiment" or "study".

    Raises:
        UserError: where Candor would give no such name, so that no path may be made from it.
    """
    if not is_name(text):
        raise UserError(
            f"the {what} {text[:60]!a} has a name that Candor does not give (letters, digits, - and _): "
            "its files are neither written nor removed. Rename or delete it in MLflow"
        )
    return text


def below(root: Path, *parts: str) -> Path:
    """Join parts to a folder.

    Args:
        root: the folder; it need not exist.
        parts: names of folders and files below it.

    Returns:
        The path, with `root` resolved.

    Raises:
        UserError: where the path leads out of the folder, be it by "..", an absolute part or a link.
    """
    top = root.resolve()
    path = top.joinpath(*parts)
    try:
        found = path.resolve()
    except (OSError, RuntimeError) as error:  # links in a circle; RuntimeError before Python 3.13
        raise UserError(f"{path} cannot be followed ({error}): name another place") from error
    if found == top or not found.is_relative_to(top):
        raise UserError(f"{'/'.join(parts)[:80]!a} leads out of {top}: nothing is written or removed there")
    return path


def starting_with(folder: Path, prefix: str) -> list[Path]:
    """What lies in a folder and begins with a prefix, sorted. A * in the prefix is plain text."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.name.startswith(prefix))


def file_name(text: str) -> str:
    """Turn any text, such as a class name, into one file name without an ending.

    Letters and digits of every script stay; everything else becomes "_". At most 80 bytes.
    """
    plain = re.sub(r"[^\w-]+", "_", unicodedata.normalize("NFC", text)).strip("_")
    return plain.encode()[:_LONGEST].decode(errors="ignore") or "_"
