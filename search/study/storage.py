"""Optuna's storage: a file on one machine, PostgreSQL for many; how it is opened, locked and waited for.

On one machine the workspace lock says that there is one coordinator. On many, PostgreSQL says who is alive
(heartbeats, read by its own clock) and who may count and claim now (an advisory lock).
"""

import json
import os
import re
import socket
import threading
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, cast

import optuna
import sqlalchemy
from optuna.storages import RDBStorage, _CachedStorage
from optuna.storages._rdb.models import TrialHeartbeatModel, TrialModel, TrialUserAttributeModel
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.trial import TrialState
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError

from search.safety.secrets import masked, masked_address
from spaces.errors import UserError

HEARTBEAT_SECONDS = 30
GRACE_SECONDS = 120
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
_PASSING = re.compile(r"disk is full|disk I/O error|database is locked")


def _upsert(insert: Any) -> Any:
    """Attributes of trials, written anew or over what there is."""
    statement = insert(TrialUserAttributeModel)
    place = [TrialUserAttributeModel.trial_id, TrialUserAttributeModel.key]
    return statement.on_conflict_do_update(
        index_elements=place, set_={"value_json": statement.excluded.value_json}
    )


def _rows(trial_id: int, attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"trial_id": trial_id, "key": k, "value_json": json.dumps(v)} for k, v in attributes.items()]


_WAITING = sqlalchemy.select(sqlalchemy.func.min(TrialModel.trial_id)).where(
    TrialModel.study_id == sqlalchemy.bindparam("study"), TrialModel.state == TrialState.WAITING
)
_BEGIN = (
    sqlalchemy.update(TrialModel)
    # The state once more: a process that has lost the lock may have been overtaken.
    .where(TrialModel.trial_id == _WAITING.scalar_subquery(), TrialModel.state == TrialState.WAITING)
    .values(state=TrialState.RUNNING, datetime_start=sqlalchemy.bindparam("now"))
    .returning(TrialModel.trial_id)
)
_READ = (
    sqlalchemy.select(
        TrialModel._datetime_start_utc, TrialUserAttributeModel.key, TrialUserAttributeModel.value_json
    )
    .join(TrialUserAttributeModel, TrialUserAttributeModel.trial_id == TrialModel.trial_id)
    .where(TrialModel.trial_id == sqlalchemy.bindparam("trial"))
)
_UPSERTS = {"postgresql": _upsert(postgresql.insert), "sqlite": _upsert(sqlite.insert)}


class Storage(RDBStorage):
    """Optuna's relational storage, which knows whether other machines use it too."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self.shared = self.engine.dialect.name == "postgresql"
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        #: For Optuna's studies, which would each keep all trials in a cache of their own.
        self.cached = _CachedStorage(self)
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

    def count(self, study_id: int, *states: TrialState) -> int:
        """How many trials are in these states; of all of them without any."""
        number = sqlalchemy.select(sqlalchemy.func.count()).where(TrialModel.study_id == study_id)
        with self._connected() as connection:
            return connection.execute(
                number.where(TrialModel.state.in_(states or tuple(TrialState)))
            ).scalar_one()

    def own(self, trial_id: int) -> None:
        """Make a running trial this process's own, and alive."""
        self.record_heartbeat(trial_id)
        self.set_trial_user_attr(trial_id, OWNER, self.owner)

    def begin_first(self, study_id: int) -> int | None:
        """Make the trial that has waited longest a running one, this process's own, and alive.

        In one transaction; None where none waits.
        """
        now = datetime.now(UTC).replace(tzinfo=None)  # Optuna keeps UTC, and does not say so
        with self._connected() as connection:
            trial_id: int | None = connection.execute(_BEGIN, {"study": study_id, "now": now}).scalar()
            if trial_id is not None:
                connection.execute(sqlalchemy.insert(TrialHeartbeatModel), {"trial_id": trial_id})
                connection.execute(_UPSERTS[self.engine.dialect.name], _rows(trial_id, {OWNER: self.owner}))
        return trial_id

    def read(self, trial_id: int) -> tuple[float, dict[str, Any]]:
        """When a trial was begun, in seconds since the epoch, and its attributes."""
        with self._connected() as connection:
            rows = connection.execute(_READ, {"trial": trial_id}).all()
        begun = rows[0].datetime_start.replace(tzinfo=UTC).timestamp()
        return begun, {row.key: json.loads(row.value_json) for row in rows}

    def owners(self, study_id: int) -> dict[int, str | None]:
        """The running trials, and whose each is."""
        attribute = sqlalchemy.and_(
            TrialUserAttributeModel.trial_id == TrialModel.trial_id, TrialUserAttributeModel.key == OWNER
        )
        owned = sqlalchemy.select(TrialModel.trial_id, TrialUserAttributeModel.value_json)
        wanted = owned.outerjoin(TrialUserAttributeModel, attribute).where(
            TrialModel.study_id == study_id, TrialModel.state == TrialState.RUNNING
        )
        with self._connected() as connection:
            return {number: owner and json.loads(owner) for number, owner in connection.execute(wanted)}

    def end(
        self,
        trial_id: int,
        attributes: Mapping[str, Any],
        state: TrialState,
        values: Sequence[float] | None = None,
    ) -> None:
        """Write attributes and, if it is finished by it, the state with its values, in one transaction.

        Raises UpdateFinishedTrialError.
        """
        with _create_scoped_session(self.scoped_session) as session:
            trial = TrialModel.find_or_raise_by_id(trial_id, session, for_update=True)
            self.check_trial_is_updatable(trial_id, cast(TrialState, trial.state))
            session.execute(_UPSERTS[self.engine.dialect.name], _rows(trial_id, attributes))
            if state.is_finished():
                for objective, value in enumerate(values or ()):
                    self._set_trial_value_without_commit(session, trial, objective, value)
                trial.state, trial.datetime_complete = state, datetime.now()

    def stale(self, study_id: int) -> set[int]:
        """The running trials that nobody has vouched for within the grace time, by the server's clock."""
        return set(self._get_stale_trial_ids(study_id))


def open_storage(url: str, grace_seconds: int = GRACE_SECONDS) -> Storage:
    """Open or create Optuna's storage; `grace_seconds` of silence, and a machine's trials are given away.

    Raises UserError for an address that is not SQLite's or PostgreSQL's, or where nobody answers.
    """
    _quieten()
    if url.startswith("sqlite"):
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
