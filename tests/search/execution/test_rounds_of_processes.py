"""Confirm stages in rounds, end to end: stand-in evaluations, Optuna, MLflow and the report's decisions."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from search.study.optuna.storage import open_storage
from search.study.planning.rounds import ROUNDS
from tests.support.processes.servers import postgres, postgres_binaries
from tests.support.studies.stores import new_store
from tests.support.studies.studies import Started

Begun = Callable[..., Started]
CLEAR = [{"cell": n, "accuracy": accuracy, "images": 2000} for n, accuracy in enumerate((0.9, 0.7, 0.6))]
#: The last is out after some rounds, the others are told apart late: see `_predictions` of the stand-in.
CLOSE = [
    {"cell": n, "accuracy": accuracy, "spread": 0.03, "images": 3000, "seconds": 0.01}
    for n, accuracy in enumerate((0.70, 0.72, 0.60))
]


def _confirmed(url: str) -> tuple[list[dict[str, Any]], Counter[tuple[int, int]]]:
    """The decisions, and how often each (slot, seed) is in the plan."""
    storage = open_storage(url)
    (name,) = [name for name in storage.study_ids() if name.endswith("/confirm")]
    study = optuna.load_study(study_name=name, storage=storage)
    planned = Counter((trial.user_attrs["slot"], trial.user_attrs["seed"]) for trial in study.trials)
    decisions = study.user_attrs[ROUNDS]["decisions"]
    storage.close()
    return decisions, planned


def _of(study: Started) -> tuple[list[dict[str, Any]], Counter[tuple[int, int]]]:
    return _confirmed(f"sqlite:///{study.workspace / 'studies.db'}")


def test_a_clear_winner_ends_the_stage_early(begun: Begun) -> None:
    study = begun(CLEAR, seeds="auto", max_seeds=20)
    study.finish()
    decisions, planned = _of(study)
    assert decisions[-1]["reason"] == "winner"
    assert [one["finished"] for one in decisions] == [False] * (len(decisions) - 1) + [True]
    assert sum(planned.values()) < 3 * 8
    assert set(planned.values()) == {1}
    confirmed = [key for key in study.table() if "/confirm/" in key]
    assert len(confirmed) == sum(planned.values())
    assert study.table()["study"][0] == "FINISHED"


def test_a_study_killed_between_rounds_comes_to_the_same_sequence(begun: Begun) -> None:
    """Killed once some rounds are decided, gone on with, and compared with one that was left alone."""
    undisturbed = begun(CLOSE, seeds="auto")
    undisturbed.finish()
    expected = _of(undisturbed)
    assert [len(one["active"]) for one in expected[0]] == [3, 3, 2, 2, 2, 2, 1]
    assert (expected[0][-1]["reason"], expected[0][-1]["seeds"]) == ("winner", 13)
    study = begun(CLOSE, seeds="auto", retries=20)
    for number in (1, 4):
        with study.begin() as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith(f"round {number}:"):
                    break
            process.kill()
            process.wait()
    study.finish()
    assert _of(study) == expected
    assert study.table() == undisturbed.table()
    assert study.left_behind() == []


@pytest.mark.postgres
@pytest.mark.skipif(postgres_binaries() is None, reason="PostgreSQL's programs are not installed")
def test_two_processes_on_one_storage_plan_no_round_twice(tmp_path: Path) -> None:
    """Both run every round; who ends it first decides, the other finds the decision."""
    tracking = new_store(tmp_path)
    cells = [{**cell, "seconds": 0.2} for cell in CLOSE]
    with postgres() as storage:
        fields = {
            "cells": cells,
            "workers": 1,
            "protocol": {"seeds": "auto", "max_seeds": 10},
            "storage": storage,
            "tracking": tracking,
        }
        description = tmp_path / "study.json"
        description.write_text(json.dumps(fields))
        machines = [_machine(tmp_path / name, description) for name in ("here", "there")]
        said = [machine.communicate(timeout=400)[0] for machine in machines]
        assert [machine.returncode for machine in machines] == [0, 0], said
        decisions, planned = _confirmed(storage)
    assert set(planned.values()) == {1}
    assert sum(planned.values()) == 15
    rounds = [one["round"] for one in decisions]
    assert rounds == [1, 2, 3]
    assert decisions[-1]["finished"]
    assert len({one["line"] for one in decisions} & set(_lines(said[0]))) == len(decisions)
    assert _lines(said[0]) == _lines(said[1])


def _machine(workspace: Path, description: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.support.studies.small_study", str(workspace), str(description)]
    time.sleep(0.5)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _lines(said: str) -> list[str]:
    """What was said of the decisions, without the number of the round."""
    return [line.partition(": ")[2] for line in said.splitlines() if line.startswith("round ")]


def test_the_first_round_and_the_average_are_those_of_the_report() -> None:
    """The plan of a budget and the decisions are made by different packages."""
    from reports.inference.rounds import expected_evaluations, schedule
    from search.protocol import FIRST_ROUND, TYPICAL_SEEDS

    assert schedule()[0] == FIRST_ROUND
    assert expected_evaluations(1).typical == TYPICAL_SEEDS
