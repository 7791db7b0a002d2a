"""Where the artifacts of a workspace lie, whatever the addresses say that MLflow keeps.

MLflow writes absolute addresses once. A workspace that was moved, copied or mounted elsewhere still holds
its artifacts, in the same places below it. So an address is read relative to the workspace of its store,
and one that leads out of it is not followed.
"""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

#: What a workspace's store is called, and what else lies beside it.
STORE_NAME = "mlflow.db"
ARTIFACTS = "artifacts"
STORE_LOCK = "mlflow.lock"
#: The end of the address of a run, of a logged model, or of an experiment in a workspace.
_PLACE = re.compile(
    rf"/{ARTIFACTS}/(?P<place>[^/]+/(?:[0-9a-f]{{32}}|models/m-[0-9a-f]{{32}})/{ARTIFACTS}(?:/.*)?)$"
)


class OutsideError(Exception):
    """An artifact's address leads out of the workspace that holds the record."""


def home_of(database: Path) -> Path | None:
    """The workspace whose own MLflow store this file is; None for a store of any other kind.

    Args:
        database: A SQLite file; it need not exist.
    """
    if database.name != STORE_NAME:
        return None
    folder = database.absolute().parent
    ours = (folder / ARTIFACTS).is_dir() or (folder / STORE_LOCK).exists()
    return folder if ours else None


def local_path(address: str) -> Path | None:
    """The path that an artifact's address names.

    Args:
        address: A path, a `file:` address, or the address of a remote store.

    Returns:
        None where the artifacts are kept elsewhere than in files.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("", "file"):
        return None
    return Path(url2pathname(parts.path))


def path_in(home: Path | None, address: str) -> Path | None:
    """Where an artifact address leads, for a store that belongs to a workspace.

    Args:
        home: The workspace; None for a store that belongs to none, whose addresses are taken as they are.
        address: As MLflow keeps it.

    Returns:
        A path that lies in the workspace; None where the artifacts are not kept in files.

    Raises:
        OutsideError: The address leads out of the workspace.
    """
    path = local_path(address)
    if path is None or home is None or is_below(path, home):
        return path
    moved = _PLACE.search(path.as_posix())
    if moved is None or not is_below(home / ARTIFACTS / moved["place"], home):
        raise OutsideError(f"{path} lies outside of the workspace {home}")
    return home / ARTIFACTS / moved["place"]


def is_below(path: Path, home: Path) -> bool:
    """Whether a path lies in a folder; a folder `artifacts` that is a link to another disk belongs to it.

    Args:
        path: What is asked about; it need not exist.
        home: The folder.
    """
    plain = Path(os.path.normpath(path.absolute()))
    if plain.is_relative_to(home) and ".." not in path.parts:
        real = plain.resolve()
        return real.is_relative_to(home.resolve()) or real.is_relative_to((home / ARTIFACTS).resolve())
    return plain.resolve().is_relative_to(home.resolve()) and ".." not in path.parts
