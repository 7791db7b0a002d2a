"""A confirm stage in rounds plans what was decided, once, whoever plans it and however often it is killed."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search.execution.messages import Built, EvaluationResult
from search.study.optuna.storage import open_storage
from search.study.planning.config import StudyConfig
from search.study.planning.rounds import ROUNDS, RoundRecord
from search.study.stages.confirm import Confirm
from search.study.stages.evaluation import ActiveEvaluation
from search.study.stages.stage import Stage
from search.study.study import Study
from search.tracking import names
from search.workspace import Workspace

ConfigFor = Callable[..., StudyConfig]
CELLS = ({"conv_stages": 1}, {"conv_stages": 2}, {"conv_stages": 3})


def _decision(number: int, seeds: int, following: int, *active: str, reason: str = "open") -> RoundRecord:
    line = f"after {seeds} seeds: something"
    return RoundRecord(number, seeds, reason != "open", reason, active, following, line)


def _built(slot: int) -> Built:
    return Built("plain_cnn", "", f"cell {slot}", {}, {}, {}, f"a{slot}", f"c{slot}", 1000 * slot, 2000)


def _evaluate_all(stage: Stage, failing: Sequence[int] = ()) -> None:
    while isinstance(evaluation := stage.claim(0), ActiveEvaluation):
        if evaluation.slot in failing:
            stage.finish(evaluation, EvaluationResult(names.FAILED, "as asked"))
            continue
        stage.built(evaluation, _built(evaluation.slot))
        evaluation.trained_seconds = 3600.0
        stage.finish(evaluation, EvaluationResult(names.COMPLETE, score=0.5))


def _seeds(stage: Stage) -> dict[int, list[int]]:
    """The seeds of every slot in the order in which they were planned."""
    planned: dict[int, list[int]] = {}
    for trial in stage.trials():
        if trial.user_attrs.get("state") != "withdrawn":
            planned.setdefault(trial.user_attrs["slot"], []).append(trial.user_attrs["seed"])
    return planned


@pytest.fixture
def opened(config_for: ConfigFor, storage_url: str, tmp_path: Path) -> Callable[..., Confirm]:
    """The confirm stage of a grid of three cells, as another process would open it."""

    def open_stage(seeds: Any = "auto", cells: Sequence[Any] = CELLS, **protocol: Any) -> Confirm:
        config = config_for({"cells": tuple(cells)}, seeds=seeds, **protocol)
        stage = Confirm(config, open_storage(storage_url), tmp_path, "small/confirm")
        stage.plan_cells()
        return stage

    return open_stage


def test_rounds_begin_with_three_seeds_of_each_and_go_on_with_those_that_were_decided(
    opened: Callable[..., Confirm],
) -> None:
    stage = opened()
    assert _seeds(stage) == {1: [1, 2, 3], 2: [1, 2, 3], 3: [1, 2, 3]}
    assert not stage.round_is_over()
    _evaluate_all(stage)
    assert stage.round_is_over()
    stage.add_round(_decision(1, 3, 4, "c1", "c3"))
    assert _seeds(stage) == {1: [1, 2, 3, 4], 2: [1, 2, 3], 3: [1, 2, 3, 4]}
    _evaluate_all(stage)
    stage.add_round(_decision(2, 4, 6, "c3"))
    assert _seeds(stage) == {1: [1, 2, 3, 4], 2: [1, 2, 3], 3: [1, 2, 3, 4, 5, 6]}
    stage.add_round(_decision(3, 6, 6, "c3", reason="winner"))
    assert (stage.rounds().finished, stage.total()) == (True, 13)


def test_whoever_opens_the_stage_later_comes_to_the_same_plan(opened: Callable[..., Confirm]) -> None:
    """Also one that finds a decision without its round, since the process that decided was killed."""
    stage = opened()
    _evaluate_all(stage)
    undisturbed = stage.rounds().with_decision(_decision(1, 3, 5, "c2"))
    stage.storage.set_study_user_attr(stage.study_id, ROUNDS, undisturbed.to_dict())
    again = opened()
    assert _seeds(again) == {1: [1, 2, 3], 2: [1, 2, 3, 4, 5], 3: [1, 2, 3]}
    assert again.rounds() == opened().rounds() == undisturbed
    assert opened().total() == 11


def test_a_candidate_of_which_nothing_was_built_gets_no_further_seeds(opened: Callable[..., Confirm]) -> None:
    """Its seeds have failed for good: the round is complete without them."""
    stage = opened()
    _evaluate_all(stage, failing=[2])
    assert stage.round_is_over()
    stage.add_round(_decision(1, 3, 4, "c1", "c3"))
    assert _seeds(stage)[2] == [1, 2, 3]


def test_a_fixed_number_of_seeds_extends_a_stage_that_was_in_rounds(opened: Callable[..., Confirm]) -> None:
    stage = opened()
    _evaluate_all(stage)
    stage.add_round(_decision(1, 3, 5, "c1", "c3"))
    _evaluate_all(stage)
    stage.add_round(_decision(2, 5, 5, "c1", reason="winner"))
    fixed = opened(seeds=4)
    assert {slot: sorted(seeds) for slot, seeds in _seeds(fixed).items()} == {
        1: [1, 2, 3, 4, 5],
        2: [1, 2, 3, 4],
        3: [1, 2, 3, 4, 5],
    }


@pytest.mark.parametrize("change", [{"max_seeds": 30}, {"cells": (*CELLS, {"conv_stages": 4})}])
def test_other_candidates_or_another_limit_begin_the_rounds_anew(
    opened: Callable[..., Confirm], change: dict[str, Any]
) -> None:
    stage = opened()
    _evaluate_all(stage)
    stage.add_round(_decision(1, 3, 3, "c1", reason="winner"))
    other = opened(**change)
    assert other.rounds().decisions == ()
    assert all(seeds == [1, 2, 3] for seeds in _seeds(other).values())


class Runner:
    """Runs every evaluation at once; may be stopped after so many runs, as by Ctrl-C."""

    workers = 1

    def __init__(self, stop_after: int = 100) -> None:
        self._left = stop_after

    @property
    def stopped(self) -> bool:
        return self._left <= 0

    def run(self, stage: Stage) -> None:
        _evaluate_all(stage)
        self._left -= 1


@pytest.fixture
def study(config_for: ConfigFor, storage_url: str, tmp_path: Path) -> Callable[..., Study]:
    def open_study(**protocol: Any) -> Study:
        config = config_for({"cells": CELLS}, seeds="auto", **protocol)
        return Study(config, open_storage(storage_url), Workspace.at(tmp_path))

    return open_study


PLANNED = (
    _decision(1, 3, 4, "c1", "c2", "c3"),
    _decision(2, 4, 6, "c1", "c3"),
    _decision(3, 6, 6, "c1", reason="winner"),
)


def _deciding(study: Study, asked: list[int]) -> Callable[[int], bool]:
    def decide(known: int) -> bool:
        asked.append(known)
        study.confirm.add_round(PLANNED[known])
        return False

    return decide


def test_a_study_runs_round_after_round_until_a_decision_ends_it(study: Callable[..., Study]) -> None:
    own, asked, began = study(), [], []
    assert own.run(Runner(), lambda stage: began.append(stage.counted()), _deciding(own, asked))
    assert asked == [0, 1, 2]
    assert began == [0, 9, 12]
    assert _seeds(own.confirm) == {1: [1, 2, 3, 4, 5, 6], 2: [1, 2, 3, 4], 3: [1, 2, 3, 4, 5, 6]}
    again = study()
    assert again.run(Runner(), lambda stage: None, lambda known: pytest.fail("nothing is left to decide"))
    assert again.confirm.total() == 16


@pytest.mark.parametrize("stop_after", [1, 2, 3])
def test_a_study_that_is_stopped_between_rounds_comes_to_the_same_sequence(
    study: Callable[..., Study], stop_after: int
) -> None:
    first, asked = study(), []
    assert not first.run(Runner(stop_after), lambda stage: None, _deciding(first, asked))
    second = study()
    assert second.run(Runner(), lambda stage: None, _deciding(second, asked))
    assert asked == [0, 1, 2]
    assert second.confirm.rounds().decisions == PLANNED
    assert _seeds(second.confirm) == {1: [1, 2, 3, 4, 5, 6], 2: [1, 2, 3, 4], 3: [1, 2, 3, 4, 5, 6]}


def test_a_decision_of_another_machine_is_taken_over(study: Callable[..., Study]) -> None:
    """Two processes end a round at the same time: the second finds the decision of the first."""
    own, asked = study(), []

    def decide(known: int) -> bool:
        asked.append(known)
        other = study()  # planned as this one sees it
        other.plan_confirm()
        other.confirm.add_round(PLANNED[known])
        return False

    assert own.run(Runner(), lambda stage: None, decide)
    assert asked == [0, 1, 2]
    assert own.confirm.total() == 16


def test_hours_are_those_spent_and_those_of_further_evaluations(study: Callable[..., Study]) -> None:
    own = study(hours=2.0)
    own.plan_confirm()
    own.confirm.workers = 2
    _evaluate_all(own.confirm)
    assert own.hours_of(0) == pytest.approx(4.5)  # nine of an hour each on two workers
    assert own.hours_of(2) == pytest.approx(5.5)


def test_rounds_that_ended_for_want_of_hours_go_on_with_more_of_them(study: Callable[..., Study]) -> None:
    """The round that did not fit is planned, and no decision is drawn twice."""
    first, asked = study(hours=5.0), []

    def decide(known: int) -> bool:
        asked.append(known)
        record = PLANNED[known]
        if not record.finished and not first.round_fits(record):
            record = replace(record, finished=True, reason="hours")
        first.confirm.add_round(record)
        return False

    assert first.run(Runner(), lambda stage: None, decide)
    assert (asked, first.confirm.rounds().decisions[-1].reason) == ([0], "hours")
    same = study(hours=5.0)
    assert same.run(Runner(), lambda stage: None, lambda known: pytest.fail("nothing fits"))
    more = study(hours=100.0)
    assert more.run(Runner(), lambda stage: None, _deciding(more, asked))
    assert asked == [0, 1, 2]
    assert more.confirm.rounds().decisions == PLANNED
