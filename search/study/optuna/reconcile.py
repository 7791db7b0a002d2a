"""What Optuna holds of a study, compared with what MLflow holds: nothing is lost or doubled without a word.

Both are databases that people can open, rename in and delete from. Optuna says which evaluations are over;
MLflow holds what they found. An evaluation that is over and of which MLflow holds nothing is restored where
it was only marked as deleted, and trained again where it is gone.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from optuna.trial import FrozenTrial, TrialState

from search.safety.secrets import masked
from search.study.optuna._optuna_private import trial_id_of
from search.study.optuna.storage import SUSPECTS, Storage
from search.tracking import names
from search.tracking.recorded import (
    experiment_of,
    forget_evaluations,
    recorded_evaluations,
    restore_deleted,
    study_is_there,
)
from spaces.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: Attributes of an Optuna study: MLflow's address, how often the validation results were looked at, and a
#: digest of what the last look saw.
TRACKING, LOOKS, SEEN = "tracking", "looks", "seen"
_STAGES = (names.EXPLORE, names.CONFIRM)
#: So long records may wait in the spool of another machine, or of another workspace on this one.
_OVERDUE = timedelta(days=1)
_OVER = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


@dataclass(frozen=True)
class StudyName:
    """A study's name and id."""

    experiment: str
    study_id: str

    def stage(self, name: str) -> str:
        """What Optuna calls one of its stages.

        Args:
            name: Of the stage: see search.tracking.names.
        """
        return f"{self.experiment}-{self.study_id}/{name}"


def reconcile(
    study: StudyName,
    storage: Storage,
    client: "MlflowClient",
    *,
    waiting: Collection[str] = (),
    address: str,
) -> tuple[str, ...]:
    """Compare both stores before a study goes on, and mend what can be mended.

    Args:
        study: The study.
        storage: Optuna's storage, while nobody else of this machine uses the study.
        client: MLflow's client.
        waiting: Keys of evaluations whose records wait on this machine to be delivered.
        address: MLflow's address without a password; "" for the workspace's own store.

    Returns:
        Sentences that say what was done.

    Raises:
        UserError: The evaluations are recorded in another MLflow, or Optuna has lost a stage that MLflow
            still holds.
    """
    said: list[str] = []
    experiment_id = experiment_of(client, study.experiment, study.study_id)
    if experiment_id is not None and (suspects := _reopen_suspects(study, storage)):
        forget_evaluations(client, experiment_id, study.study_id, suspects)
        said.append(f"{_listed(suspects)} failed one after the other: tried again")
    trials = _trials(study, storage)
    over = {str(trial.user_attrs["key"]): trial for trial in trials if _is_recorded(trial)}
    recorded = {}
    if experiment_id is not None:
        recorded = recorded_evaluations(client, experiment_id, study.study_id)
        there = set(recorded)
        if study_is_there(client, experiment_id, study.study_id):
            there.add(study.study_id)
        if restored := restore_deleted(client, study.study_id, there):
            said.append(f"restored what had been deleted in MLflow: {_listed(restored)}")
            recorded = recorded_evaluations(client, experiment_id, study.study_id)
    _refuse_unknown(study, {str(trial.user_attrs.get("key")) for trial in trials}, recorded)
    lost = [key for key in over if key not in recorded and key not in waiting]
    if lost:
        _refuse_elsewhere(study, storage, address, lost, len(over))
    mine = [key for key in lost if not storage.shared or _is_overdue(over[key])]
    if mine:
        storage.reopen_trials([trial_id_of(over[key]) for key in mine])
        said.append(f"MLflow holds nothing of {_listed(mine)}: trained again")
    if len(lost) > len(mine):
        others = [key for key in lost if key not in mine]
        said.append(f"MLflow lacks {_listed(others)}, whose records may wait on other machines")
    return tuple(said)


def remember_address(study: StudyName, storage: Storage, address: str) -> None:
    """Keep MLflow's address with the study. Its stages exist.

    Args:
        study: The study.
        storage: Optuna's storage.
        address: As `reconcile` takes it.
    """
    for number in _stage_ids(study, storage).values():
        storage.set_study_user_attr(number, TRACKING, address)


def _reopen_suspects(study: StudyName, storage: Storage) -> list[str]:
    """Let wait once more what failed when nothing worked any more: that was the machine's fault."""
    reopened = []
    for number in _stage_ids(study, storage).values():
        suspects = storage.get_study_user_attrs(number).get(SUSPECTS) or []
        failed = {
            str(trial.user_attrs.get("key")): trial
            for trial in storage.get_all_trials(number, deepcopy=False)
            if trial.state == TrialState.FAIL and trial.user_attrs.get("key") in suspects
        }
        storage.reopen_trials([trial_id_of(trial) for trial in failed.values()])
        storage.set_study_user_attr(number, SUSPECTS, [])
        reopened += list(failed)
    return reopened


@dataclass(frozen=True)
class Looks:
    """How often a study's validation results were looked at, kept with the study in Optuna's storage too.

    MLflow's store may be lost: looks never begin again at 1.
    """

    study: StudyName
    storage: Storage

    def last(self) -> tuple[int, str]:
        """The number of the last look, 0 before the first, and a digest of what it saw."""
        for number in _stage_ids(self.study, self.storage).values():
            held = self.storage.get_study_user_attrs(number)
            if LOOKS in held:
                return int(held[LOOKS]), str(held[SEEN])
        return 0, ""

    def keep(self, number: int, seen: str) -> None:
        """Keep a look.

        Args:
            number: Which look it is, counted from 1.
            seen: A digest of what it sees.
        """
        for stage in list(_stage_ids(self.study, self.storage).values())[:1]:
            self.storage.set_study_user_attr(stage, LOOKS, number)
            self.storage.set_study_user_attr(stage, SEEN, seen)


def _stage_ids(study: StudyName, storage: Storage) -> dict[str, int]:
    ids = storage.study_ids()
    stages = (names.CONFIRM, names.EXPLORE)
    return {stage: ids[study.stage(stage)] for stage in stages if study.stage(stage) in ids}


def _trials(study: StudyName, storage: Storage) -> list[FrozenTrial]:
    """Read past Optuna's cache, which would not see a trial that was opened again."""
    return [
        trial
        for number in _stage_ids(study, storage).values()
        for trial in storage.get_all_trials(number, deepcopy=False)
    ]


def _is_recorded(trial: FrozenTrial) -> bool:
    """Whether a trial is over and its end was recorded: what was withdrawn never began."""
    return trial.state in _OVER and trial.user_attrs.get("state") in names.STATES


def _is_overdue(trial: FrozenTrial) -> bool:
    """Whether a trial's records, which may wait in another workspace or machine, are not to be expected."""
    return trial.datetime_complete is not None and datetime.now() - trial.datetime_complete > _OVERDUE


def _refuse_unknown(study: StudyName, known: Collection[str], recorded: Collection[str]) -> None:
    unknown = [key for key in recorded if key not in known and key.split("/")[1] in _STAGES]
    if unknown:
        raise UserError(
            f"MLflow holds {_listed(unknown)} of study {study.study_id}, and Optuna's storage does not: the "
            "study was deleted there. Put back a copy of the storage, or remove the study everywhere with "
            f"`candor rm {study.study_id}` and begin anew"
        )


def _refuse_elsewhere(study: StudyName, storage: Storage, address: str, lost: list[str], over: int) -> None:
    for number in _stage_ids(study, storage).values():
        before = storage.get_study_user_attrs(number).get(TRACKING)
        if before is not None and before != address:
            raise UserError(
                f"study {study.study_id} was recorded in {_place(before)}, and {_place(address)} lacks "
                f"{len(lost)} of its {over} evaluations: give the address that it was begun with, or another "
                "--workspace for a study of its own"
            )


def _place(address: str) -> str:
    return f"MLflow at {masked(address)}" if address else "the workspace's own MLflow store"


def _listed(keys: list[str]) -> str:
    shown = ", ".join(sorted(keys)[:3])
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return f"{len(keys)} evaluation{'s' if len(keys) > 1 else ''} ({shown}{more})"
