"""The one folder that everything is written to, and the lock that says who writes."""

import fcntl
import os
import shlex
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from search.sqlite_files import sqlite_url
from search.tracking.artifact_places import ARTIFACTS, STORE_NAME
from search.tracking.mlflow_schema import misplaced, move_addresses
from spaces.errors import UserError

#: The folder of commands that name none.
DEFAULT_FOLDER = Path("runs")
POSTGRES_HINT = (
    "to run several at once, give each --storage postgresql+psycopg://USER@HOST/NAME and one --tracking-uri"
)
#: So long the children of a coordinator that was killed may take to die.
_DYING_SECONDS = 5.0


@dataclass(frozen=True)
class Workspace:
    """Paths under one folder. Deleting the folder is a clean start."""

    folder: Path

    @classmethod
    def at(cls, folder: Path) -> "Workspace":
        """The workspace in this folder, created when missing. Raises UserError when it is not writable.

        Args:
            folder: Created with its parents.

        Returns:
            The workspace; see `view` for one that was moved or copied.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / f".probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise UserError(
                f"the workspace {folder} cannot be written to ({error.strerror}): "
                "name another with --workspace"
            ) from error
        return cls.view(folder)

    @classmethod
    def existing(cls, folder: Path) -> "Workspace":
        """The workspace in this folder, to be looked over. The default one need not exist yet.

        Args:
            folder: As it was named.

        Raises:
            UserError: It is no folder.
        """
        if not folder.is_dir() and (folder != DEFAULT_FOLDER or folder.exists()):
            what = "is a file" if folder.exists() else "does not exist"
            raise UserError(f"the workspace {folder} {what}: name the folder of a study with --workspace")
        return cls(folder.resolve())

    @classmethod
    def view(cls, folder: Path) -> "Workspace":
        """The workspace in this folder, to be read; nothing is created, and it may be on a read-only disk.

        Args:
            folder: It need not exist.

        Returns:
            The workspace. Where it was moved or copied, the addresses in its records are corrected, if it can
            be written to and nobody works in it; readers follow no address out of it either way.

        Raises:
            UserError: Its store is damaged.
            UnavailableError: Its store is locked.
        """
        workspace = cls(folder.resolve())
        workspace._correct_addresses()
        return workspace

    def _correct_addresses(self) -> None:
        moves = misplaced(self.store, self.folder).moves
        if not moves or not os.access(self.store, os.W_OK):
            return
        with suppress(UserError), self.lock(0):
            move_addresses(self.store, moves)

    @property
    def store(self) -> Path:
        """The file of MLflow's store on this machine."""
        return self.folder / STORE_NAME

    @property
    def tracking_uri(self) -> str:
        """The address of MLflow's store on this machine."""
        return sqlite_url(self.store)

    @property
    def storage_url(self) -> str:
        """Optuna's storage on this machine."""
        return sqlite_url(self.folder / "studies.db")

    @property
    def artifacts(self) -> Path:
        """Where MLflow keeps artifacts on this machine."""
        return self.folder / ARTIFACTS

    @property
    def cache(self) -> Path:
        """Prepared data sets."""
        return self.folder / "cache"

    @property
    def compiled(self) -> Path:
        """Steps that JAX compiled. Whoever can write here can run code as you."""
        return self.folder / "compiled"

    @property
    def spool(self) -> Path:
        """Records on their way to MLflow."""
        return self.folder / "spool"

    @property
    def checkpoints(self) -> Path:
        """Evaluations that are not over."""
        return self.folder / "checkpoints"

    @property
    def logs(self) -> Path:
        """What libraries print."""
        return self.folder / "logs"

    @property
    def reports(self) -> Path:
        """Pages and tables."""
        return self.folder / "reports"

    @property
    def lock_file(self) -> Path:
        """Who holds it has the workspace."""
        return self.folder / "lock"

    def is_idle(self) -> bool:
        """Whether no process holds the workspace. What cannot be told counts as held."""
        try:
            with self.lock_file.open() as file:
                fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    @contextmanager
    def lock(self, wait_seconds: float = _DYING_SECONDS) -> Iterator[int]:
        """Hold the workspace: one coordinator at a time. The kernel lets go of it however a process ends.

        Gives the descriptor that is locked. Processes that inherit it hold the workspace too, so whoever gets
        the lock knows that the children of the last coordinator are gone as well.

        Args:
            wait_seconds: How long to wait for another process to end.

        Yields:
            The descriptor.

        Raises:
            UserError: Another process has the workspace.
        """
        with self.lock_file.open("a+") as file:
            end = time.monotonic() + wait_seconds
            while not locked(file.fileno()):
                if time.monotonic() > end:
                    file.seek(0)
                    holder = file.read().strip() or "another process"
                    raise UserError(
                        f"the workspace {self.folder} is in use by {holder}: wait for it, or stop it; "
                        f"{POSTGRES_HINT}"
                    )
                time.sleep(0.05)
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
            yield file.fileno()


def option(folder: Path) -> str:
    """The option that a hint at a command needs for this workspace; "" for the default one.

    Args:
        folder: of the workspace.
    """
    if folder.resolve() == DEFAULT_FOLDER.resolve():
        return ""
    return f" --workspace {shlex.quote(str(folder))}"


def locked(descriptor: int) -> bool:
    """Take the lock of an open file, for as long as it is open; False if another process has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
