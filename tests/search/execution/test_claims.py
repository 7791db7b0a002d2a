"""A slot claims ahead where it may, keeps what it claimed, and leaves what it cannot begin to others."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import pytest

from search.study.optuna.retry import RetryPolicy
from search.study.optuna.storage import open_storage
from search.study.stages.confirm import Confirm
from search.study.stages.evaluation import ActiveEvaluation
from search.study.stages.explore import Explore
from search.study.stages.stage import Stage
from search.workers.claims import Claims
from tests.support.studies import small_study


@pytest.fixture
def beside() -> Iterator[Executor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def _confirm(folder: Path) -> Confirm:
    setting = small_study.config([{"cell": n} for n in range(3)], seeds=1)
    stage = Confirm(setting, open_storage(f"sqlite:///{folder / 'studies.db'}"), folder, "small/confirm")
    stage.plan_cells()
    return stage


def _claims(stage: Stage, beside: Executor, stopping: threading.Event) -> Claims:
    return Claims(stage, 0, RetryPolicy(stopping, print), stopping, beside)


def test_what_was_claimed_ahead_is_what_is_taken(tmp_path: Path, beside: Executor) -> None:
    """It runs already when the slot comes for it, once however often it was asked for."""
    stage = _confirm(tmp_path)
    claims = _claims(stage, beside, threading.Event())
    first = claims.take()
    claims.ahead()
    claims.ahead()
    beside.submit(lambda: None).result()
    ahead = [evaluation.slot for evaluation in stage.running()]
    second = claims.take()
    assert isinstance(first, ActiveEvaluation) and isinstance(second, ActiveEvaluation)  # noqa: PT018
    assert (ahead, first.slot, second.slot) == ([1, 2], 1, 2)


def test_a_stage_that_learns_is_not_claimed_ahead(tmp_path: Path, beside: Executor) -> None:
    """What its evaluations are worth bears on what is drawn next."""
    stage = Explore(
        small_study.config(trials=3), open_storage(f"sqlite:///{tmp_path / 'studies.db'}"), tmp_path, "e"
    )
    claims = _claims(stage, beside, threading.Event())
    claims.ahead()
    beside.submit(lambda: None).result()
    assert stage.running() == []


def test_what_was_claimed_and_not_taken_is_claimed_again(tmp_path: Path, beside: Executor) -> None:
    """A slot that stops leaves it behind: nobody holds it, and the next coordinator goes on with it."""
    stage = _confirm(tmp_path)
    stopping = threading.Event()
    claims = _claims(stage, beside, stopping)
    claims.ahead()
    stopping.set()
    claims.give_back()
    again = _confirm(tmp_path).claim(0)
    assert isinstance(again, ActiveEvaluation)
    assert (again.slot, stage.running()) == (1, [])


def test_that_nothing_waited_a_moment_ago_is_asked_again(tmp_path: Path, beside: Executor) -> None:
    """While its own evaluation ends, a slot finds nothing else; afterwards there may be something."""
    stage = _confirm(tmp_path)
    held = [stage.claim(slot) for slot in range(3)]
    claims = _claims(stage, beside, threading.Event())
    claims.ahead()
    beside.submit(lambda: None).result()
    assert isinstance(held[1], ActiveEvaluation)
    stage.ownership.evaluations.pop(held[1].trial_id)  # as where its process is gone
    taken = claims.take()
    assert isinstance(taken, ActiveEvaluation)
    assert taken.slot == 2


def test_the_time_of_a_claim_is_now_in_every_zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Optuna keeps UTC; so what a curve's time is counted from is the same instant everywhere."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        stage = _confirm(tmp_path)
        evaluation = stage.claim(0)
        assert isinstance(evaluation, ActiveEvaluation)
        (trial,) = (trial for trial in stage.trials() if trial.datetime_start is not None)
        assert abs(evaluation.begun - time.time()) < 60
        assert abs(trial.datetime_start.timestamp() - time.time()) < 60
    finally:
        monkeypatch.undo()
        time.tzset()
