"""Find the reader of a source: the modules of `search.datasets.readers`, each asked whether it is meant."""

import hashlib
import pkgutil
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Final

import search.datasets.readers as package
from search.datasets.catalog import Reader, Source, as_reader
from search.datasets.listing.path_names import is_hidden, is_image
from spaces.errors import UserError

#: How files end that hold a whole set and are read at once.
TABLES: Final = (".csv", ".npz")


@cache
def readers() -> dict[str, Reader]:
    """Return every reader by its module's name."""
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    return {name: as_reader(import_module(f"{package.__name__}.{name}")) for name in names}


def reader_for(source: Source) -> Reader:
    """Return the reader of the source. Raises UserError where there is none, or nothing at the path."""
    for reader in readers().values():
        if reader.accepts(source):
            return reader
    if not isinstance(source, str | Path):
        raise UserError("Data given as arrays must be a pair (images, labels) or name x_train and y_train.")
    if not Path(source).exists():
        raise UserError(
            f"There is no data at {source}: give a folder, a zip, tar, csv or npz file, or 'synthetic'."
        )
    raise UserError(f"{source} is of no known kind: expected a folder, or a zip, tar, csv or npz file.")


def stamp_of_file(source: Source) -> str:
    """Return a digest of a file's path, size and time. Raises UserError where there is no such file."""
    try:
        path = path_of(source).resolve()
    except (OSError, RuntimeError) as error:  # links in a circle
        raise UserError(f"There is no data at {source}: {error}.") from error
    if not path.is_file():
        raise UserError(f"There is no data at {source}: the file does not exist.")
    status = path.stat()
    return hashlib.sha256(f"{path}\0{status.st_size}\0{status.st_mtime_ns}".encode()).hexdigest()


def path_of(source: Source) -> Path:
    """Return the source as a path. Raises TypeError for arrays, which only their own reader accepts."""
    if not isinstance(source, str | Path):
        raise TypeError(f"expected a path, received {type(source).__name__}")
    return Path(source)


def only_file(paths: Iterable[str], suffixes: tuple[str, ...]) -> str | None:
    """Return the one file that ends like this in a folder or an archive that holds no images of its own."""
    shown = [path for path in paths if not is_hidden(path)]
    found = [path for path in shown if path.lower().endswith(suffixes)]
    return found[0] if len(found) == 1 and not any(is_image(path) for path in shown) else None
