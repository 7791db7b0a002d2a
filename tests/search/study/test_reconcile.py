"""What people do to Optuna's storage and to MLflow in their pages is found, said, and mended."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient
from optuna.trial import TrialState
from sqlalchemy import text

from search.sqlite_files import sqlite_url
from search.study.optuna.reconcile import Looks, StudyName, reconcile, remember_address
from search.study.optuna.storage import SUSPECTS, Storage, open_storage
from search.tracking import names
from search.tracking.client import open_client
from search.tracking.mlflow_schema import delete_for_good
from search.tracking.spool import Record
from search.tracking.writer import ConflictError, Writer
from spaces.errors import UserError
from tests.support.studies.stores import new_store

STUDY = StudyName("pair", "aaaabbbb0001")
KEYS = [f"{STUDY.study_id}/confirm/{slot}/{seed}" for slot in (1, 2) for seed in (1, 2)]
PARENT = STUDY.study_id


@pytest.fixture
def client(tmp_path: Path) -> MlflowClient:
    """MLflow with the study's run and one run for each of four confirmed evaluations."""
    client = open_client(new_store(tmp_path))
    place = (tmp_path / "artifacts" / STUDY.experiment).as_uri()
    experiment = client.create_experiment(STUDY.experiment, artifact_location=place)
    tags = {names.STUDY: STUDY.study_id, names.EXPERIMENT: STUDY.experiment}
    study = {**tags, names.KEY: PARENT, names.KIND: names.STUDY_KIND}
    client.set_terminated(client.create_run(experiment, tags=study).info.run_id)
    for key in KEYS:
        state = {names.STATE: names.COMPLETE, names.STAGE: names.CONFIRM, names.CANDIDATE: key.split("/")[2]}
        run = {**tags, **state, names.KEY: key, names.KIND: names.EVALUATION_KIND}
        client.set_terminated(client.create_run(experiment, tags=run).info.run_id)
    return client


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    """Optuna with the same four evaluations, all over."""
    with closing(open_storage(sqlite_url(tmp_path / "studies.db"))) as storage:
        study = optuna.create_study(storage=storage, study_name=STUDY.stage(names.CONFIRM))
        for key in KEYS:
            slot, seed = map(int, key.split("/")[2:])
            study.enqueue_trial(
                {"width": slot}, user_attrs={"slot": slot, "seed": seed, "key": key, "candidate": {"x": slot}}
            )
            trial = study.ask()
            trial.suggest_int("width", 1, 9)
            storage.own(trial._trial_id)
            storage.end(trial._trial_id, {"state": names.COMPLETE, "metrics": {}}, TrialState.COMPLETE, [0.5])
        remember_address(STUDY, storage, "")
        yield storage


def run_of(client: MlflowClient, key: str) -> str:
    experiments = [one.experiment_id for one in client.search_experiments()]
    (run,) = client.search_runs(experiments, f"tags.`{names.KEY}` = '{key}'")
    return str(run.info.run_id)


def states(storage: Storage) -> dict[str, TrialState]:
    (frozen,) = storage.get_all_studies()
    return {trial.user_attrs["key"]: trial.state for trial in storage.get_all_trials(frozen._study_id)}


def test_where_both_agree_nothing_is_said_or_changed(client: MlflowClient, storage: Storage) -> None:
    assert reconcile(STUDY, storage, client, address="") == ()
    assert set(states(storage).values()) == {TrialState.COMPLETE}


@pytest.mark.parametrize("key", [KEYS[1], PARENT])
def test_what_was_deleted_in_the_pages_is_restored(client: MlflowClient, storage: Storage, key: str) -> None:
    run = run_of(client, key)
    client.delete_run(run)
    (said,) = reconcile(STUDY, storage, client, address="")
    assert key in said
    assert run_of(client, key) == run
    assert set(states(storage).values()) == {TrialState.COMPLETE}


def test_what_is_gone_is_trained_again_with_the_same_draws(client: MlflowClient, storage: Storage) -> None:
    run = run_of(client, KEYS[2])
    client.delete_run(run)
    assert delete_for_good(client, "run", run)
    (said,) = reconcile(STUDY, storage, client, address="")
    assert "trained again" in said
    assert KEYS[2] in said
    expected = {key: TrialState.WAITING if key == KEYS[2] else TrialState.COMPLETE for key in KEYS}
    assert states(storage) == expected
    (frozen,) = storage.get_all_studies()
    number = storage.claim_first(frozen._study_id)
    assert number is not None
    trial = storage.get_trial(number)
    assert trial.user_attrs["key"] == KEYS[2]
    assert trial.user_attrs["candidate"] == {"x": 2}
    assert trial.params == {"width": 2}
    assert "state" not in trial.user_attrs
    storage.end(number, {"state": names.COMPLETE}, TrialState.COMPLETE, [0.25])
    assert storage.get_trial(number).values == [0.25]


def test_an_emptied_store_lets_all_be_trained_again(storage: Storage, tmp_path: Path) -> None:
    (said,) = reconcile(STUDY, storage, open_client(new_store(tmp_path)), address="")
    assert "4 evaluations" in said
    assert set(states(storage).values()) == {TrialState.WAITING}


def test_what_waits_to_be_delivered_is_not_lost(storage: Storage, tmp_path: Path) -> None:
    client = open_client(new_store(tmp_path))
    assert reconcile(STUDY, storage, client, waiting=KEYS, address="") == ()
    assert set(states(storage).values()) == {TrialState.COMPLETE}


def test_another_address_is_refused_unless_it_holds_the_study(
    client: MlflowClient, storage: Storage, tmp_path: Path
) -> None:
    other = new_store(tmp_path / "other")
    with pytest.raises(UserError, match=r"own MLflow store.*http://elsewhere:5000 lacks 4 of"):
        reconcile(STUDY, storage, open_client(other), address="http://elsewhere:5000")
    assert set(states(storage).values()) == {TrialState.COMPLETE}
    assert reconcile(STUDY, storage, client, address="http://moved:5000") == ()


def test_a_stage_that_optuna_lost_is_named(client: MlflowClient, storage: Storage) -> None:
    (frozen,) = storage.get_all_studies()
    storage.delete_study(frozen._study_id)
    with pytest.raises(UserError, match=f"4 evaluations.*candor rm {STUDY.study_id}"):
        reconcile(STUDY, storage, client, address="")


def test_a_renamed_or_deleted_experiment_is_still_the_studys(
    client: MlflowClient, storage: Storage, tmp_path: Path
) -> None:
    experiment = client.get_experiment_by_name(STUDY.experiment)
    assert experiment is not None
    client.rename_experiment(experiment.experiment_id, "renamed in the pages")
    writer = Writer(client.tracking_uri, STUDY.experiment, tmp_path / "artifacts", study=STUDY.study_id)
    assert writer.experiment_id() == experiment.experiment_id
    assert reconcile(STUDY, storage, client, address="") == ()
    client.delete_experiment(experiment.experiment_id)
    assert reconcile(STUDY, storage, client, address="") == ()
    assert client.get_experiment(experiment.experiment_id).lifecycle_stage == "active"
    assert run_of(client, PARENT)


def test_one_key_with_another_candidate_is_no_success(client: MlflowClient, tmp_path: Path) -> None:
    writer = Writer(client.tracking_uri, STUDY.experiment, tmp_path / "artifacts", study=STUDY.study_id)
    content = {"key": KEYS[0], "parent": PARENT, "name": "again", "state": names.COMPLETE, "params": {}}
    same, other = ({names.CANDIDATE: candidate, names.STATE: names.COMPLETE} for candidate in ("1", "9"))
    for kind in ("begin", "end"):
        writer.write(Record(tmp_path / "1.json", kind, 1, {**content, "tags": same}))
        with pytest.raises(ConflictError, match=f"{KEYS[0]} of candidate 1, this record is of 9"):
            writer.write(Record(tmp_path / "1.json", kind, 1, {**content, "tags": other}))


def test_looks_go_on_where_they_were_though_mlflow_was_emptied(storage: Storage) -> None:
    looks = Looks(STUDY, storage)
    assert looks.last() == (0, "")
    looks.keep(3, "digest")
    assert looks.last() == (3, "digest")
    assert Looks(StudyName("pair", "another"), storage).last() == (0, "")


def test_what_failed_when_nothing_worked_is_tried_again(client: MlflowClient, storage: Storage) -> None:
    (frozen,) = storage.get_all_studies()
    storage.set_study_user_attr(frozen._study_id, SUSPECTS, [KEYS[0], KEYS[3]])
    failed = {trial.user_attrs["key"]: trial for trial in storage.get_all_trials(frozen._study_id)}[KEYS[3]]
    storage.reopen_trials([failed._trial_id])
    storage.end(failed._trial_id, {"state": names.FAILED}, TrialState.FAIL)
    run = run_of(client, KEYS[3])
    client.set_tag(run, names.STATE, names.FAILED)
    (said,) = reconcile(STUDY, storage, client, address="")
    assert "tried again" in said
    expected = {key: TrialState.WAITING if key == KEYS[3] else TrialState.COMPLETE for key in KEYS}
    assert states(storage) == expected
    assert client.get_run(run).info.lifecycle_stage == "deleted"
    assert reconcile(STUDY, storage, client, address="") == ()
    assert states(storage) == expected


def test_with_several_machines_records_may_wait_elsewhere_for_a_day(
    client: MlflowClient, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(client, KEYS[0])
    client.delete_run(run)
    assert delete_for_good(client, "run", run)
    monkeypatch.setattr(storage, "shared", True)
    (said,) = reconcile(STUDY, storage, client, address="")
    assert "may wait on other machines" in said
    assert set(states(storage).values()) == {TrialState.COMPLETE}
    with storage.engine.begin() as connection:
        connection.execute(text("UPDATE trials SET datetime_complete = '2020-01-01 00:00:00.000000'"))
    (said,) = reconcile(STUDY, storage, client, address="")
    assert "trained again" in said
    assert states(storage)[KEYS[0]] == TrialState.WAITING
