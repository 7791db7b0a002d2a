"""Everything that relies on private parts of Optuna: its tables, its sessions, its underscored attributes.

Nothing else in Candor may touch them. Claiming a trial with its owner and its heartbeat in one transaction,
and ending one with attributes and values in one, has no public counterpart; nor has counting without reading
every trial. `tests/search/study/test_optuna_private.py` names what an upgrade has changed.

Optuna 6: version 5 announces the removal of `failed_trial_callback`, of the old distribution and journal
classes, of `terminator` and of `optuna.integration`. Candor uses none of them. For the parts below nothing is
announced, and nothing is promised either. When the upgrade comes, widen `optuna<6` in pyproject.toml, run the
test, and compare the columns of `optuna.storages._rdb.models` with the statements here.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, cast

import optuna
import sqlalchemy
from optuna.distributions import BaseDistribution
from optuna.samplers._lazy_random_state import LazyRandomState
from optuna.storages import RDBStorage, _CachedStorage
from optuna.storages._rdb.models import (
    TrialHeartbeatModel,
    TrialIntermediateValueModel,
    TrialModel,
    TrialSystemAttributeModel,
    TrialUserAttributeModel,
    TrialValueModel,
)
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.trial import TrialState
from sqlalchemy.dialects import postgresql, sqlite

#: What this module uses of Optuna and no documentation promises: owner and attribute.
RELIED_ON: tuple[tuple[Any, str], ...] = (
    *(
        (TrialModel, name)
        for name in ("trial_id", "study_id", "state", "datetime_start", "datetime_complete")
    ),
    *((TrialModel, name) for name in ("_datetime_start_utc", "find_or_raise_by_id")),
    *((TrialUserAttributeModel, name) for name in ("trial_id", "key", "value_json")),
    (TrialHeartbeatModel, "trial_id"),
    *((RDBStorage, name) for name in ("_get_stale_trial_ids", "_set_trial_value_without_commit")),
    *((RDBStorage, name) for name in ("check_trial_is_updatable", "record_heartbeat", "set_trial_param")),
    (_CachedStorage, "get_all_trials"),
    (LazyRandomState, "rng"),
)


def study_id_of(study: Any) -> int:
    """Optuna's number of a study or frozen study in its storage."""
    return int(study._study_id)


def trial_id_of(trial: Any) -> int:
    """Optuna's number of a trial or frozen trial in its storage."""
    return int(trial._trial_id)


def trial_of(study: optuna.Study, trial_id: int) -> optuna.Trial:
    """The live trial of this id, without reading all trials of the study as `ask` would."""
    study._thread_local.cached_all_trials = None  # as `ask` does
    return optuna.Trial(study, trial_id)


def set_param(trial: optuna.Trial, name: str, value: Any, distribution: BaseDistribution) -> None:
    """Put a value into a trial as if its sampler had drawn it."""
    internal = distribution.to_internal_repr(value)
    trial.storage.set_trial_param(trial_id_of(trial), name, internal, distribution)


def reseed(sampler: optuna.samplers.BaseSampler, seed: int) -> None:
    """Set the random states of a sampler, and of the samplers that it draws with, as a new one would.

    Optuna's own `reseed_rng` takes no seed.
    """
    for value in vars(sampler).values():
        if isinstance(value, LazyRandomState):
            value.rng.seed(seed)
        elif isinstance(value, optuna.samplers.BaseSampler):
            reseed(value, seed + 1)


def cached(storage: RDBStorage) -> Any:
    """The storage with one cache of trials, which studies share; each would keep its own otherwise."""
    return _CachedStorage(storage)


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


class OptunaTables(RDBStorage):
    """Optuna's relational storage, with statements of Candor's own on its tables."""

    @contextmanager
    def _connected(self) -> Iterator[sqlalchemy.Connection]:
        """A connection with a transaction that ends with the block."""
        with self.engine.begin() as connection:
            yield connection

    def count(self, study_id: int, *states: TrialState) -> int:
        """How many trials are in these states; of all of them without any."""
        number = sqlalchemy.select(sqlalchemy.func.count()).where(TrialModel.study_id == study_id)
        with self._connected() as connection:
            return connection.execute(
                number.where(TrialModel.state.in_(states or tuple(TrialState)))
            ).scalar_one()

    def begin_first(self, study_id: int, attributes: Mapping[str, Any]) -> int | None:
        """Make the trial that has waited longest a running one with a heartbeat, in one transaction.

        Args:
            study_id: Optuna's id of the study.
            attributes: user attributes that the trial gets with it.

        Returns:
            Optuna's id of the trial; None where none waits.
        """
        now = datetime.now(UTC).replace(tzinfo=None)  # Optuna keeps UTC, and does not say so
        with self._connected() as connection:
            trial_id: int | None = connection.execute(_BEGIN, {"study": study_id, "now": now}).scalar()
            if trial_id is not None:
                connection.execute(sqlalchemy.insert(TrialHeartbeatModel), {"trial_id": trial_id})
                connection.execute(_UPSERTS[self.engine.dialect.name], _rows(trial_id, attributes))
        return trial_id

    def read(self, trial_id: int) -> tuple[float, dict[str, Any]]:
        """When a trial was begun, in seconds since the epoch, and its attributes."""
        with self._connected() as connection:
            rows = connection.execute(_READ, {"trial": trial_id}).all()
        begun = rows[0].datetime_start.replace(tzinfo=UTC).timestamp()
        return begun, {row.key: json.loads(row.value_json) for row in rows}

    def running_with(self, study_id: int, key: str) -> dict[int, str | None]:
        """The running trials of a study, each with its user attribute of this name."""
        attribute = sqlalchemy.and_(
            TrialUserAttributeModel.trial_id == TrialModel.trial_id, TrialUserAttributeModel.key == key
        )
        valued = sqlalchemy.select(TrialModel.trial_id, TrialUserAttributeModel.value_json)
        wanted = valued.outerjoin(TrialUserAttributeModel, attribute).where(
            TrialModel.study_id == study_id, TrialModel.state == TrialState.RUNNING
        )
        with self._connected() as connection:
            return {number: text and json.loads(text) for number, text in connection.execute(wanted)}

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

    def reopen(self, trial_ids: Sequence[int], results: Sequence[str]) -> None:
        """Let finished trials wait once more, in one transaction: same numbers, same draws, no result.

        Call it before anything reads the trials through Optuna's cache, which keeps finished ones for ever.

        Args:
            trial_ids: Optuna's ids of the trials.
            results: Attributes that say how they ended, to be removed.
        """
        one: sqlalchemy.BindParameter[int] = sqlalchemy.bindparam("trial")
        ended = TrialUserAttributeModel.key.in_(results)
        planned = TrialSystemAttributeModel.key == "fixed_params"
        statements = [
            sqlalchemy.delete(TrialValueModel).where(TrialValueModel.trial_id == one),
            sqlalchemy.delete(TrialIntermediateValueModel).where(TrialIntermediateValueModel.trial_id == one),
            sqlalchemy.delete(TrialHeartbeatModel).where(TrialHeartbeatModel.trial_id == one),
            sqlalchemy.delete(TrialSystemAttributeModel).where(
                TrialSystemAttributeModel.trial_id == one, sqlalchemy.not_(planned)
            ),
            sqlalchemy.delete(TrialUserAttributeModel).where(TrialUserAttributeModel.trial_id == one, ended),
            sqlalchemy.update(TrialModel)
            .where(TrialModel.trial_id == one)
            .values(state=TrialState.WAITING, datetime_start=None, datetime_complete=None),
        ]
        with self._connected() as connection:
            for trial_id in trial_ids:
                for statement in statements:
                    connection.execute(statement, {"trial": trial_id})

    def stale(self, study_id: int) -> set[int]:
        """The running trials that nobody has vouched for within the grace time, by the server's clock."""
        return set(self._get_stale_trial_ids(study_id))
