"""Whatever is killed, and whenever: nothing finished is lost or done twice, and nothing stays behind."""

import os
import random
import signal
import time
from collections.abc import Callable
from typing import Any

from optuna.trial import TrialState

from tests.support.studies.studies import Started

Begun = Callable[..., Started]


def _wait_for(condition: Callable[[], Any], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def _kill_again_and_again(study: Started) -> None:
    chance = random.Random(5)
    for _ in range(5):
        with study.begin() as process:
            _wait_for(lambda: study.processes() or process.poll() is not None)
            time.sleep(chance.uniform(0, 2.5))
            victims = study.processes()
            if victims and process.poll() is None:
                os.kill(chance.choice(victims), signal.SIGKILL)
            time.sleep(0.3)
            process.kill()
        _wait_for(lambda: not study.processes())


def _training(study: Started) -> bool:
    return any(study.workspace.glob("checkpoints/*/checkpoint/state.npz"))


def _all_is_well(study: Started, evaluations: int) -> None:
    table = study.table()
    assert table.pop("study")[0] == "FINISHED"
    assert {(status, state) for status, state, _, _ in table.values()} == {("FINISHED", "complete")}
    assert {steps for *_, steps in table.values()} == {(1, 2, 3)}
    assert len(table) == evaluations
    assert [t.state for t in study.trials()] == [TrialState.COMPLETE] * evaluations
    assert study.left_behind() == []
    assert study.processes() == []


CELLS = [{"cell": n, "epochs": 3, "seconds": 0.15} for n in range(4)]


def test_a_study_killed_again_and_again_ends_as_if_it_had_not_been(begun: Begun) -> None:
    """kill -9 on coordinator, server or child at random moments; the table is the undisturbed one's."""
    undisturbed = begun(CELLS)
    undisturbed.finish()
    study = begun(CELLS, retries=20)
    _kill_again_and_again(study)
    study.finish()
    _all_is_well(study, 4)
    assert study.table() == undisturbed.table()


def test_a_first_signal_lets_the_epochs_finish(begun: Begun) -> None:
    """What runs is saved, closed in MLflow, and gone on with by the next start."""
    study = begun([{"cell": n, "epochs": 3, "seconds": 1.0} for n in (1, 2)])
    with study.begin(start_new_session=True) as process:
        _wait_for(lambda: _training(study))
        os.killpg(process.pid, signal.SIGTERM)  # as a terminal does: to the whole group
        assert process.wait(120) == 130
    assert {row[0] for row in study.table().values()} == {"KILLED"}
    assert study.processes() == []
    study.finish()
    _all_is_well(study, 2)


def test_a_second_signal_stops_at_once(begun: Begun) -> None:
    """An epoch of five minutes is not waited for."""
    study = begun([{"cell": 1, "epochs": 3, "seconds": 0.2}, {"cell": 2, "seconds": 300}])
    with study.begin() as process:
        _wait_for(lambda: _training(study))
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        while "stopping" not in process.stdout.readline():  # two signals at once would arrive as one
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 130
    assert time.monotonic() - began < 200
    assert study.table()["study"][0] == "KILLED"
    assert "RUNNING" not in {row[0] for row in study.table().values()}
    assert study.processes() == []
