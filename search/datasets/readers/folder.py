"""A folder on disk: classes in folders, or one data file (a download often holds nothing but that)."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from search.datasets.catalog import Catalogue, Raw, Source
from search.datasets.find_reader import (
    TABLES,
    only_file,
    path_of,
    reader_for,
)
from search.datasets.layout import class_names, digest_of, place
from search.datasets.readers.archive_tar import SUFFIXES as TARS
from spaces.errors import UserError

DATA_SUFFIXES = (".zip", *TARS, *TABLES)


def accepts(source: Source) -> bool:
    """Accept folders that exist."""
    return isinstance(source, str | Path) and Path(source).is_dir()


def stamp(source: Source) -> str:
    """Return a digest over every file's path, size and time."""
    root = path_of(source).resolve()
    files, links = _files(root)
    digest = hashlib.sha256(f"{root}\0{links}".encode(errors="surrogateescape"))
    for path in sorted(files):
        size, changed = files[path]
        digest.update(f"{path}\0{size}\0{changed}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def read(source: Source) -> Catalogue:
    """List the images of a folder. Links that leave it are not followed."""
    root = path_of(source).resolve()
    files, links = _files(root)
    if not files:
        raise UserError(f"The folder {source} is empty: expected a folder for each class, with images.")
    single = only_file(files, DATA_SUFFIXES)
    if single is not None:
        return reader_for(root / single).read(root / single)

    def contents(doubtful: Sequence[str]) -> dict[str, object]:
        return {path: digest_of(_raw(root / path)) for path in doubtful}

    placed, notes = place({path: size for path, (size, _) in files.items()}, str(source), contents)
    if links:
        notes.append(f"{links:,} symbolic links to folders, or out of the folder, were not followed.")
    paths = [image.path for image in placed]

    def fetch(rows: Sequence[int]) -> Iterator[tuple[int, Raw]]:
        for row in rows:
            yield row, _raw(root / paths[row])

    return Catalogue(
        name=root.name,
        ids=tuple(image.id for image in placed),
        roles=tuple(image.role for image in placed),
        labels=tuple(image.label for image in placed),
        class_names=class_names(placed, str(source)),
        fetch=fetch,
        notes=tuple(notes),
    )


def _files(root: Path) -> tuple[dict[str, tuple[int, int]], int]:
    """Return path below root -> (bytes, nanoseconds), and the number of links not followed.

    Raises UserError where a folder cannot be looked into.
    """
    files: dict[str, tuple[int, int]] = {}
    links = 0
    pending = [str(root)]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_symlink() and not _links_to_file_within(entry, root):
                        links += 1
                    elif entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    elif entry.is_file():
                        status = entry.stat()
                        files[entry.path[len(str(root)) + 1 :]] = (status.st_size, status.st_mtime_ns)
        except FileNotFoundError:
            continue  # it was there a moment ago
        except OSError as error:
            raise UserError(f"{error.filename or root} cannot be read: {error.strerror}.") from error
    return files, links


def _links_to_file_within(entry: "os.DirEntry[str]", root: Path) -> bool:
    target = Path(entry.path).resolve()
    return target.is_file() and target.is_relative_to(root)


def _raw(path: Path) -> Raw:
    try:
        return path.read_bytes()
    except OSError as error:
        return error
