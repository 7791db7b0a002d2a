"""Trials that are copied to another storage stay what they were, and belong to no process there."""

from pathlib import Path

import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from search.study.optuna.storage import OWNER, open_storage
from search.study.transfer import pack_trials, stages_of, unpack_trials

NAME = "stages-0123456789ab/confirm"
RATE = {"rate": FloatDistribution(0.0, 1.0)}


def _storage(folder: Path, name: str) -> optuna.storages.RDBStorage:
    return open_storage(f"sqlite:///{folder / name}")


def _study(folder: Path, name: str, *states: TrialState) -> optuna.storages.RDBStorage:
    storage = _storage(folder, name)
    study = optuna.create_study(study_name=NAME, storage=storage, direction="maximize")
    study.set_user_attr("identity", {"data": "ab"})
    study.set_metric_names(["monitor accuracy"])
    for number, state in enumerate(states):
        attributes = {"key": f"0123456789ab/confirm/{number}/1", OWNER: "host:17:aa", "slot": number}
        if state.is_finished():
            attributes |= {"state": "complete", "reason": "see /home/jo/x.py"}
        waiting = state == TrialState.WAITING
        study.add_trial(
            create_trial(
                state=state,
                value=0.5 + number / 10 if state == TrialState.COMPLETE else None,
                params={} if waiting else {"rate": number / 10},
                distributions={} if waiting else RATE,
                user_attrs=attributes,
                intermediate_values={1: 0.25} if state == TrialState.COMPLETE else {},
            )
        )
    return storage


def _trials(storage: optuna.storages.BaseStorage) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name=NAME, storage=storage).trials


def test_trials_come_out_as_they_went_in(tmp_path: Path) -> None:
    source = _study(
        tmp_path, "a.db", TrialState.COMPLETE, TrialState.RUNNING, TrialState.WAITING, TrialState.PRUNED
    )
    assert stages_of(source, "stages", "0123456789ab") == [NAME]
    assert pack_trials(source, [NAME], tmp_path / "packed.db") == 4
    target = _storage(tmp_path, "b.db")
    assert unpack_trials(tmp_path / "packed.db", "stages", "0123456789ab", target) == 4
    before, after = _trials(source), _trials(target)
    for one, other in zip(before, after, strict=True):
        assert (one.number, one.state, one.values, one.params) == (
            other.number,
            other.state,
            other.values,
            other.params,
        )
        assert (one.datetime_start, one.datetime_complete) == (other.datetime_start, other.datetime_complete)
        assert one.intermediate_values == other.intermediate_values
        assert OWNER not in other.user_attrs
        kept = {name: value for name, value in one.user_attrs.items() if name not in (OWNER, "reason")}
        assert {name: value for name, value in other.user_attrs.items() if name != "reason"} == kept
    assert after[0].user_attrs["reason"] == "see x.py"
    studies = [optuna.load_study(study_name=NAME, storage=storage) for storage in (source, target)]
    assert studies[1].user_attrs == {"identity": {"data": "ab"}} == studies[0].user_attrs
    assert studies[1].metric_names == ["monitor accuracy"]
    assert b"host:17" not in (tmp_path / "packed.db").read_bytes()


def test_a_second_time_adds_nothing_and_a_finished_trial_takes_the_place_of_an_open_one(
    tmp_path: Path,
) -> None:
    finished = _study(tmp_path, "a.db", TrialState.COMPLETE, TrialState.COMPLETE)
    begun = _study(tmp_path, "b.db", TrialState.COMPLETE, TrialState.RUNNING, TrialState.WAITING)
    pack_trials(finished, [NAME], tmp_path / "finished.db")
    pack_trials(begun, [NAME], tmp_path / "begun.db")
    assert unpack_trials(tmp_path / "finished.db", "stages", "0123456789ab", begun) == 1
    assert unpack_trials(tmp_path / "finished.db", "stages", "0123456789ab", begun) == 0
    held = [(t.user_attrs["key"][-3:], t.state, t.user_attrs.get("state")) for t in _trials(begun)]
    assert held == [
        ("0/1", TrialState.COMPLETE, "complete"),
        ("1/1", TrialState.FAIL, "withdrawn"),
        ("2/1", TrialState.WAITING, None),
        ("1/1", TrialState.COMPLETE, "complete"),
    ]
    assert unpack_trials(tmp_path / "begun.db", "stages", "0123456789ab", finished) == 1
    assert [t.state for t in _trials(finished)] == [
        TrialState.COMPLETE,
        TrialState.COMPLETE,
        TrialState.WAITING,
    ]
