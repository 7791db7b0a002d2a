"""MLflow's client, opened the same way everywhere: its settings, and the faults of a store told at once."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from search.safety.secrets import masked
from search.sqlite_files import describe, sqlite_path
from search.tracking.artifact_places import home_of
from search.tracking.mlflow_schema import forget_artifact_places, misplaced
from spaces.errors import UnavailableError, UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient

_CONNECT_SECONDS = 5.0
_DATABRICKS = ("databricks", "databricks-uc", "uc")
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # MLflow's own are minutes of silence
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",  # seconds
}


def open_client(tracking_uri: str, *, create: bool = False) -> "MlflowClient":
    """MLflow's client for an address.

    Args:
        tracking_uri: A SQLite file's address, or that of a server.
        create: Make a SQLite file that does not exist.

    Returns:
        The client; its store was opened.

    Raises:
        UserError: The address is none that Candor can use, the file does not exist, is damaged, was written
            by another version of MLflow, or holds addresses that lead out of its workspace.
        UnavailableError: The file is locked, or the server does not answer.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    check_address(tracking_uri)
    database = sqlite_path(tracking_uri)
    if database is not None:
        _check_file(database, create)
    from mlflow import MlflowClient  # 3 s: only when it is needed

    with _translated(tracking_uri, database):
        client = MlflowClient(tracking_uri)
    forget_artifact_places()  # a copy of a workspace has the same runs in other places
    if database is not None:
        _remove_stray_folder(tracking_uri, database)
    return client


def check_address(tracking_uri: str, *, connect: bool = True) -> None:
    """Refuse an address that MLflow would not understand, or where nobody answers.

    Args:
        tracking_uri: The address.
        connect: Try to reach a server.

    Raises:
        UserError: The address is none that Candor can use.
        UnavailableError: Nobody answers there.
    """
    parts = urlsplit(tracking_uri)
    if parts.scheme in ("", "file") and tracking_uri not in _DATABRICKS:
        raise UserError(
            f"MLflow keeps no new records in folders of files: give --tracking-uri the address of a server, "
            f"or leave it out. Received: {masked(tracking_uri)}"
        )
    if parts.scheme not in ("http", "https"):
        return
    try:
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except ValueError as error:
        raise UserError(
            f"the address of MLflow has no valid port. Received: {masked(tracking_uri)}"
        ) from error
    if not connect or os.environ.get(f"{parts.scheme}_proxy"):
        return
    try:
        socket.create_connection((parts.hostname or "", port), _CONNECT_SECONDS).close()
    except (OSError, UnicodeError) as error:
        raise UnavailableError(
            f"the MLflow server at {masked(tracking_uri)} does not answer ({error}): see that it runs, and "
            "that this is its address"
        ) from error


def _check_file(database: Path, create: bool) -> None:
    if not create and not database.is_file():
        raise UserError(
            f"there is no study in {database.parent}: run `candor search` first, or name its --workspace"
        )
    home = home_of(database)
    if home is not None and (wrong := misplaced(database, home)):
        where = ", ".join(map(str, wrong.stranded)) or "another folder"
        raise UserError(
            f"the records in {database} name artifacts in {where}, outside of this workspace: copy the whole "
            "workspace, or work in the one that it is a copy of"
        )


@contextmanager
def _translated(tracking_uri: str, database: Path | None) -> Iterator[None]:
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except DBAPIError as error:
        if database is None or error.orig is None:
            raise
        raise describe(error.orig, database) from error
    except MlflowException as error:
        text = str(error)
        if "out-of-date database schema" not in text:
            raise UserError(
                f"MLflow cannot use {masked(tracking_uri)}: {masked(text.splitlines()[0])}"
            ) from error
        raise UserError(
            f"{database or masked(tracking_uri)} was written by another version of MLflow than the one "
            "installed here: install that version, or upgrade a copy of the store with `mlflow db upgrade`"
        ) from error


def _remove_stray_folder(tracking_uri: str, database: Path) -> None:
    """MLflow also makes the folder that the address would name if it were read as it stands."""
    literal = Path(tracking_uri.removeprefix("sqlite:///"))
    if literal != database:
        for folder in (literal.parent, *literal.parent.parents):
            with suppress(OSError):
                folder.rmdir()  # only empty ones
