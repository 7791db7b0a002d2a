"""One study's trials: copied from one Optuna storage to another through Optuna's public interface."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from search.sqlite_files import sqlite_url
from search.study.optuna.storage import OWNER, open_storage
from search.study.stages.confirm import WITHDRAWN
from search.tracking.privacy import public_value

_KEY: Final = "key"


def stages_of(storage: BaseStorage, experiment: str, study: str) -> list[str]:
    """The names of a study's stages in Optuna, sorted."""
    prefix = f"{experiment}-{study}/"
    return sorted(one.study_name for one in storage.get_all_studies() if one.study_name.startswith(prefix))


def pack_trials(source: BaseStorage, stages: Sequence[str], database: Path) -> int:
    """Write these stages into a new SQLite file, without the processes that trials belonged to.

    Returns:
        How many trials were written.
    """
    target = open_storage(sqlite_url(database))
    try:
        return sum(_copy(source, target, name) for name in stages)
    finally:
        target.close()


def unpack_trials(database: Path, experiment: str, study: str, target: BaseStorage) -> int:
    """Add the trials of a packed study to a storage; those that it has already, by their keys, stay.

    A trial that is finished in the file and not in the storage takes the place of the storage's.

    Returns:
        How many trials were added.
    """
    source = open_storage(sqlite_url(database))
    try:
        return sum(_copy(source, target, name) for name in stages_of(source, experiment, study))
    finally:
        source.close()


def _copy(source: BaseStorage, target: BaseStorage, name: str) -> int:
    theirs = optuna.load_study(study_name=name, storage=source)
    ours = optuna.create_study(
        study_name=name, storage=target, directions=theirs.directions, load_if_exists=True
    )
    number = ours._study_id
    for attribute, value in source.get_study_system_attrs(theirs._study_id).items():
        target.set_study_system_attr(number, attribute, value)
    for attribute, value in theirs.user_attrs.items():
        ours.set_user_attr(attribute, value)
    held = {trial.user_attrs.get(_KEY): trial for trial in _in_force(ours)}
    added = 0
    for trial in _in_force(theirs):
        known = held.get(trial.user_attrs.get(_KEY))
        if known is not None:
            if known.state.is_finished() or not trial.state.is_finished():
                continue
            target.set_trial_user_attr(known._trial_id, "state", WITHDRAWN)
            target.set_trial_state_values(known._trial_id, TrialState.FAIL)
        ours.add_trial(_public(trial))
        added += 1
    return added


def _in_force(study: optuna.Study) -> list[FrozenTrial]:
    """The trials in their order, without those that are no longer wanted."""
    return [trial for trial in study.get_trials(deepcopy=False) if trial.user_attrs.get("state") != WITHDRAWN]


def _public(trial: FrozenTrial) -> FrozenTrial:
    """The trial as anybody may see it: without its process, and without folders in reasons."""
    shown = copy.deepcopy(trial)
    attributes: dict[str, Any] = {name: value for name, value in trial.user_attrs.items() if name != OWNER}
    if "reason" in attributes:
        attributes["reason"] = public_value(attributes["reason"])
    shown.user_attrs = attributes
    return shown
