"""A folder on disk: classes in folders, or one data file (a download often holds nothing but that)."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from search.datasets.catalog import Catalogue, Raw, Source
from search.datasets.find_reader import (
    TABLES,
    only_file,
    path_of,
    reader_for,
)
from search.datasets.listing.folder_files import files_of
from search.datasets.listing.layout import class_names, digest_of, place
from search.datasets.listing.left_out import Listing
from search.datasets.readers.archive_tar import SUFFIXES as TARS
from search.safety.sizes import read_file
from spaces.errors import UserError

DATA_SUFFIXES = (".zip", *TARS, *TABLES)


def accepts(source: Source) -> bool:
    """Accept folders that exist."""
    return isinstance(source, str | Path) and Path(source).is_dir()


def stamp(source: Source) -> str:
    """Return a digest over every file's path, size and time."""
    root = path_of(source).resolve()
    files, links = files_of(root)
    digest = hashlib.sha256(f"{root}\0{sorted(links.items())}".encode(errors="surrogateescape"))
    for path in sorted(files):
        size, changed = files[path]
        digest.update(f"{path}\0{size}\0{changed}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def read(source: Source) -> Catalogue:
    """List the images of a folder. Links that leave it are not followed."""
    root = path_of(source).resolve()
    files, links = files_of(root)
    if not files and not links:
        raise UserError(f"The folder {source} is empty: expected a folder for each class, with images.")
    single = only_file(files, DATA_SUFFIXES)
    if single is not None:
        return reader_for(root / single).read(root / single)

    def contents(doubtful: Sequence[str]) -> dict[str, object]:
        return {path: digest_of(_raw(root / path)) for path in doubtful}

    listing = Listing({path: size for path, (size, _) in files.items()}, links)
    placed, notes = place(listing, str(source), contents)
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


def _raw(path: Path) -> Raw:
    try:
        return read_file(path)
    except OSError as error:
        return error
