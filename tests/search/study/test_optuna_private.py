"""What Candor relies on in Optuna without a promise: after an upgrade these tests name what differs."""

from datetime import UTC, datetime

import optuna
import pytest
from optuna.trial import TrialState

from search.study.optuna import _optuna_private as private
from search.study.optuna.storage import Storage, open_storage


@pytest.fixture
def storage(storage_url: str) -> Storage:
    return open_storage(storage_url)


@pytest.fixture
def study(storage: Storage) -> optuna.Study:
    """Three trials: one complete, one that runs, one that waits."""
    study = optuna.create_study(study_name="private", storage=storage.cached)
    study.tell(study.ask(), 0.25)
    study.ask()
    study.enqueue_trial({"x": 0.5}, user_attrs={"slot": 7})
    return study


@pytest.mark.parametrize(("owner", "attribute"), private.RELIED_ON)
def test_every_private_part_is_there(owner: object, attribute: str) -> None:
    name = getattr(owner, "__name__", owner)
    where = f"optuna {optuna.__version__} has no {name}.{attribute} any more"
    assert hasattr(owner, attribute), f"{where}: adapt search/study/optuna/_optuna_private.py"


def test_ids_are_those_of_the_public_numbers(storage: Storage, study: optuna.Study) -> None:
    number = private.study_id_of(study)
    assert storage.get_study_name_from_id(number) == "private"
    assert storage.study_ids() == {"private": number}
    for trial in study.trials:
        assert storage.get_trial_number_from_id(private.trial_id_of(trial)) == trial.number


def test_counts_are_those_of_the_trials(storage: Storage, study: optuna.Study) -> None:
    number = private.study_id_of(study)
    assert storage.count(number) == len(study.trials) == 3
    for state in TrialState:
        assert storage.count(number, state) == len(study.get_trials(states=[state]))


def test_a_claim_is_a_running_trial_with_owner_start_and_heartbeat(
    storage: Storage, study: optuna.Study
) -> None:
    number = private.study_id_of(study)
    claimed = storage.claim_first(number)
    assert claimed is not None
    assert storage.claim_first(number) is None
    frozen = storage.get_trial(claimed)
    assert (frozen.state, frozen.user_attrs["owner"]) == (TrialState.RUNNING, storage.owner)
    begun, attributes = storage.read(claimed)
    assert attributes == frozen.user_attrs
    assert frozen.datetime_start is not None
    assert begun == pytest.approx(frozen.datetime_start.astimezone(UTC).timestamp())
    assert abs(begun - datetime.now(UTC).timestamp()) < 60
    assert storage.owners(number)[claimed] == storage.owner
    assert claimed not in storage.stale(number)


def test_an_end_reads_like_a_tell(storage: Storage, study: optuna.Study) -> None:
    running = next(trial for trial in study.trials if trial.state == TrialState.RUNNING)
    storage.end(private.trial_id_of(running), {"state": "complete"}, TrialState.COMPLETE, [0.75])
    ended = study.trials[running.number]
    assert (ended.state, ended.values, ended.user_attrs) == (
        TrialState.COMPLETE,
        [0.75],
        {"state": "complete"},
    )
    assert ended.datetime_complete is not None
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        storage.end(private.trial_id_of(running), {}, TrialState.COMPLETE, [0.5])


def test_a_sampler_that_is_seeded_anew_draws_as_a_new_one() -> None:
    """Those that it draws with, too: before it has learnt, TPE leaves drawing to another."""

    def drawn(sampler: optuna.samplers.BaseSampler) -> list[float]:
        study = optuna.create_study(sampler=sampler)
        return [study.ask().suggest_float("x", 0.0, 1.0) for _ in range(3)]

    used = optuna.samplers.TPESampler(seed=1)
    first = drawn(used)
    private.reseed(used, 9)
    again = drawn(used)
    assert again != first
    other = optuna.samplers.TPESampler(seed=5)
    private.reseed(other, 9)
    assert drawn(other) == again


def test_a_value_that_is_put_in_reads_like_one_that_was_drawn(study: optuna.Study) -> None:
    running = next(trial for trial in study.trials if trial.state == TrialState.RUNNING)
    trial = private.trial_of(study, private.trial_id_of(running))
    private.set_param(trial, "x", 0.5, optuna.distributions.FloatDistribution(0.0, 1.0))
    assert study.trials[running.number].params == {"x": 0.5}
    again = private.trial_of(study, private.trial_id_of(running))
    assert again.suggest_float("x", 0.0, 1.0) == 0.5
