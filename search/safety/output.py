"""Folders that a command writes to for a person: what somebody else put there is never overwritten unasked.

Each such folder keeps a hidden list of the files that Candor wrote, with a digest of each. A file that is not
in the list, or that was changed since, belongs to somebody else.
"""

import hashlib
import json
import os
from collections.abc import Collection, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from search.safety.paths import below
from spaces.errors import UserError

MANIFEST: Final = ".candor-files.json"
_NOTE: Final = (
    "Files that Candor wrote here, with their SHA-256. It replaces these, and no others, without --force."
)


def made(folder: Path) -> Path:
    """Create a folder where it is missing.

    Raises:
        UserError: where it is a file, a link to nothing or a device, or cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be used as a folder ({error.strerror}): name another") from error
    return folder


class OutputFolder:
    """The files of one command in one folder. Used as a context: the list is brought up to date at its end.

    Args:
        folder: where to write; made if missing.
        force: whether to overwrite what Candor did not write.

    Raises:
        UserError: where the folder cannot be had.
    """

    def __init__(self, folder: Path, *, force: bool = False) -> None:
        self.folder = made(folder)
        self._force = force
        self._known = _listed(folder / MANIFEST)
        self._written: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._record()

    def check(self, names: Iterable[str]) -> None:
        """Raise UserError if one of these files is somebody else's, before the first of them is written."""
        for name in names:
            self._check(name)

    def path(self, name: str) -> Path:
        """Return the path to write a file to; its folder exists then.

        Args:
            name: relative to the folder, with "/".

        Raises:
            UserError: where somebody else's file lies there, or the name leads out of the folder.
        """
        path = self._check(name)
        made(path.parent)
        self._written.add(name)
        return path

    def write(self, name: str, content: str | bytes) -> Path:
        """Write one file, text in UTF-8; its path. Raises UserError as `path` does, or where it cannot be."""
        path = self.path(name)
        try:
            path.write_bytes(
                content.encode(errors="backslashreplace") if isinstance(content, str) else content
            )
        except OSError as error:
            raise UserError(f"{path} cannot be written ({error.strerror}): name another folder") from error
        return path

    def take(self, staged: Path) -> None:
        """Copy all files below another folder into this one, or none. Raises UserError as `write` does."""
        found = {str(path.relative_to(staged)): path for path in sorted(staged.rglob("*")) if path.is_file()}
        self.check(found)
        for name, path in found.items():
            self.write(name, path.read_bytes())

    def remove_stale(self, prefix: str = "", also: Collection[str] = ()) -> None:
        """Remove what an earlier command wrote and this one did not.

        Args:
            prefix: only files whose names begin so.
            also: names that are removed even where the list does not have them.
        """
        for name in {*self._known, *also} - self._written:
            if name.startswith(prefix) and (name in also or self._is_ours(name)):
                below(self.folder, name).unlink(missing_ok=True)
                self._known.pop(name, None)

    def _check(self, name: str) -> Path:
        path = below(self.folder, name)
        if path.is_dir():
            raise UserError(f"{path} is a folder: name another place to write to")
        theirs = os.path.lexists(path) and name not in self._written and not self._is_ours(name)
        if theirs and not self._force:
            raise UserError(
                f"{path} was not written by Candor, or was changed since: name another folder, or overwrite "
                "it with --force"
            )
        return path

    def _is_ours(self, name: str) -> bool:
        path = self.folder / name
        return name in self._known and path.is_file() and self._known[name] == _digest(path)

    def _record(self) -> None:
        there = {name: self.folder / name for name in {*self._known, *self._written}}
        fresh = {
            name: _digest(path) for name, path in there.items() if name in self._written and path.is_file()
        }
        kept = {name: digest for name, digest in self._known.items() if there[name].is_file()}
        document = {"note": _NOTE, "files": dict(sorted({**kept, **fresh}.items()))}
        partial = self.folder / f"{MANIFEST}.{os.getpid()}"
        partial.write_text(json.dumps(document, indent=1), encoding="utf-8", errors="backslashreplace")
        partial.replace(self.folder / MANIFEST)


def _listed(manifest: Path) -> dict[str, str]:
    """The files of a list and their digests; none where there is no list, or it is damaged."""
    try:
        known: Any = json.loads(manifest.read_bytes())["files"]
        return {str(name): str(digest) for name, digest in known.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
