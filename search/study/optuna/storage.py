"""Optuna's storage: a file on one machine, PostgreSQL for many; how it is opened, locked and waited for.

On one machine the workspace lock says that there is one coordinator. On many, PostgreSQL says who is alive
(heartbeats, read by its own clock) and who may count and claim now (an advisory lock).
"""

import os
import re
import socket
import sqlite3
import threading
import uuid
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import optuna
import sqlalchemy
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError

from search.safety.secrets import masked, masked_address
from search.sqlite_files import describe, sqlite_path
from search.study.optuna._optuna_private import OptunaTables, cached, study_id_of
from spaces.errors import UserError

HEARTBEAT_SECONDS = 30
GRACE_SECONDS = 120
#: So long the start of a command waits for another program that holds the file.
_OPENING_SECONDS = 5
#: PostgreSQL lets go of the lock of a process that has been silent for so long: it is cut off or stopped.
_LOCK_SECONDS = 60
#: A network that is cut does not say so: without these a call would wait for a quarter of an hour.
_POSTGRES = {
    "connect_timeout": 10,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # milliseconds
}
_LOCK = sqlalchemy.text(
    "SELECT set_config('idle_in_transaction_session_timeout', :seconds, true),"
    " pg_advisory_xact_lock(hashtextextended(:name, 0))"
)
OWNER = "owner"  # the attribute of a trial that says whose it is: machine:process:a name of its own
#: The attribute of an Optuna study with the keys of evaluations that failed while nothing trained.
SUSPECTS = "suspects"
#: Attributes of a trial that say how it ended.
_RESULTS = (OWNER, "state", "reason", "metrics", "fingerprint", "label", "wall_seconds")
_PASSING = re.compile(r"disk is full|disk I/O error|database is locked")


class Storage(OptunaTables):
    """Optuna's relational storage, which knows whether other machines use it too."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self.shared = self.engine.dialect.name == "postgresql"
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        #: For Optuna's studies, which would each keep all trials in a cache of their own.
        self.cached = cached(self)
        self._within = threading.local()  # the connection of the lock that this thread holds

    @contextmanager
    def exclusive(self, name: str, seconds: int = _LOCK_SECONDS) -> Iterator[None]:
        """Let one process at a time in, for so many seconds at most. What it begins is one transaction.

        On one machine there is one process anyway, and its threads have locks of their own.
        """
        if not self.shared:
            yield
            return
        with self.engine.connect() as connection, connection.begin():
            connection.execute(_LOCK, {"seconds": f"{seconds}s", "name": f"candor/{name}"})
            outer, self._within.connection = self._connection, connection
            try:
                yield
            finally:
                self._within.connection = outer

    @property
    def _connection(self) -> sqlalchemy.Connection | None:
        connection: sqlalchemy.Connection | None = getattr(self._within, "connection", None)
        return connection

    @contextmanager
    def _connected(self) -> Iterator[sqlalchemy.Connection]:
        """The connection that holds the lock, of which the transaction goes on; else one of its own."""
        if self._connection is not None:
            yield self._connection
            return
        with self.engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()

    def own(self, trial_id: int) -> None:
        """Make a running trial this process's own, and alive."""
        self.record_heartbeat(trial_id)
        self.set_trial_user_attr(trial_id, OWNER, self.owner)

    def claim_first(self, study_id: int) -> int | None:
        """Make the trial that has waited longest a running one, this process's own, and alive; None: none."""
        return self.begin_first(study_id, {OWNER: self.owner})

    def owners(self, study_id: int) -> dict[int, str | None]:
        """The running trials, and whose each is."""
        return self.running_with(study_id, OWNER)

    def reopen_trials(self, trial_ids: Sequence[int]) -> None:
        """Let finished trials wait once more: the same numbers and draws, no result. See `reopen`.

        Args:
            trial_ids: Optuna's ids of the trials.
        """
        self.reopen(trial_ids, _RESULTS)

    def study_ids(self) -> dict[str, int]:
        """Optuna's studies: name -> its number here."""
        return {study.study_name: study_id_of(study) for study in self.get_all_studies()}


def open_storage(url: str, grace_seconds: int = GRACE_SECONDS) -> Storage:
    """Open or create Optuna's storage; `grace_seconds` of silence, and a machine's trials are given away.

    Raises UserError for an address that is not SQLite's or PostgreSQL's, or where nobody answers, and
    UnavailableError for a file that another program has locked.
    """
    _quieten()
    if url.startswith("sqlite"):
        _refuse_locked(url)
        engine: dict[str, Any] = {"connect_args": {"timeout": 60}}  # threads share the file
    elif url.startswith("postgresql"):
        engine = {"pool_pre_ping": True, "pool_size": 10, "max_overflow": 50, "connect_args": _POSTGRES}
    else:
        raise UserError(
            f"--storage takes postgresql+psycopg://USER@HOST/NAME. Received: {masked_address(url)}"
        )
    try:
        with _making_tables(url):
            return Storage(
                url,
                engine_kwargs=engine,
                heartbeat_interval=max(1, min(HEARTBEAT_SECONDS, grace_seconds // 4)),
                grace_period=grace_seconds,
            )
    except (SQLAlchemyError, ArgumentError, ImportError, RuntimeError) as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise UserError(f"the storage {masked_address(url)} cannot be opened: {masked(reason)}") from None


def _refuse_locked(url: str) -> None:
    """Say at once that another program holds the file: a running study waits for it for a minute."""
    path = sqlite_path(url)
    if path is None or not path.exists():
        return
    try:
        with closing(sqlite3.connect(path, timeout=_OPENING_SECONDS, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        if "locked" in str(error):
            raise describe(error, path) from None


@contextmanager
def _making_tables(url: str) -> Iterator[None]:
    """Let one machine at a time into PostgreSQL to make its tables: of two that do so at once, one fails."""
    if not url.startswith("postgresql"):
        yield
        return
    engine = sqlalchemy.create_engine(url, connect_args=_POSTGRES)
    try:
        with engine.begin() as connection:
            connection.execute(_LOCK, {"seconds": f"{_LOCK_SECONDS}s", "name": "candor"})
            yield
    finally:
        engine.dispose()


def is_passing(error: BaseException) -> bool:
    """Whether a storage's error is one that passes: a server that is away, a disk that is full.

    What was met first counts: Optuna wraps it, and tries once more on the connection that is gone.
    """
    met: BaseException | None = error
    while met is not None:
        if isinstance(met, DBAPIError) and _passes(met):
            return True
        met = met.__cause__ or met.__context__
    return False


def _passes(error: DBAPIError) -> bool:
    if "sqlite3" in type(error.orig).__module__:
        return _PASSING.search(str(error.orig)) is not None
    return isinstance(error, OperationalError) or error.connection_invalidated


def _quieten() -> None:
    """Silence what Optuna would tell its developers. For the whole process: threads share the filters."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    warnings.filterwarnings("ignore", "Heartbeat of storage")  # we keep heartbeats ourselves
    warnings.filterwarnings("ignore", "The reported value is ignored")  # epochs told again after a resumption
