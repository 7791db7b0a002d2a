"""An evaluation that goes wrong is ended, told apart, and tried again only where that can help."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from search.execution.fork_client import ForkServer
from search.execution.limits import Limits, Watch, too_little_room
from search.execution.messages import EvaluationResult
from search.study.optuna.retry import BrokenStudy
from search.study.optuna.storage import SUSPECTS, open_storage
from search.study.stages.confirm import Confirm
from search.study.stages.stage import FINISHED
from search.tracking import names
from search.workers.coordinator import Coordinator
from tests.support.studies import small_study
from tests.support.studies.studies import Seen

Confirmed = Callable[..., Any]


def _trials(folder: Path) -> list[Any]:
    storage = open_storage(f"sqlite:///{folder / 'studies.db'}")
    (number,) = storage.study_ids().values()
    return list(storage.get_all_trials(number))


def test_too_many_seconds_make_a_candidate_infeasible(confirm: Confirmed) -> None:
    """The child is ended soon after its time is up, and the sampler learns by how much it was over."""
    began = time.monotonic()
    result = confirm({"seconds": 300}, max_seconds=1).outcomes[1]
    assert (result.state, "more than 1 seconds" in result.reason) == (names.INFEASIBLE, True)
    assert 0 < result.violations["limits"] < 60
    assert time.monotonic() - began < 120


def test_time_that_a_child_waits_for_its_answer_is_not_its_own() -> None:
    """A storage that is away for an hour makes no candidate infeasible."""
    watch = Watch(Limits(max_seconds=10), started=time.monotonic() - 3600)
    watch.hear(waited=3595)
    assert watch.excess(None) is None
    assert Watch(Limits(max_seconds=10), started=time.monotonic() - 11).excess(None) is not None


def test_too_much_memory_makes_a_candidate_infeasible(confirm: Confirmed) -> None:
    """What counts is the proportional set size: memory shared with the server is counted once."""
    seen = confirm({"megabytes": 400, "seconds": 300}, {"megabytes": 0}, max_memory_mb=250)
    assert (seen.outcomes[1].state, seen.outcomes[2].state) == (names.INFEASIBLE, names.COMPLETE)
    assert "MB of memory" in seen.outcomes[1].reason


def test_a_hung_child_is_ended_and_tried_once_more(confirm: Confirmed, tmp_path: Path) -> None:
    """One that hangs once goes on; one that hangs always fails after the second time."""
    cells = ({"misbehave": "hang", "until": str(tmp_path / "once")}, {"misbehave": "hang"})
    seen = confirm(*cells, stall_seconds=2.5, retries=5)
    assert seen.outcomes[1].state == names.COMPLETE
    assert (seen.outcomes[2].state, "2 attempts" in seen.outcomes[2].reason) == (names.FAILED, True)
    assert "no sign of life" in seen.outcomes[2].reason


@pytest.mark.parametrize(
    ("program", "idle"), [("import time; time.sleep(60)", True), ("while True: pass", False)]
)
def test_a_long_epoch_is_no_silence_while_the_processor_is_at_work(program: str, idle: bool) -> None:
    """An idle child is hung at the limit; one at work only after ten times as long."""
    with subprocess.Popen([sys.executable, "-c", program]) as child:
        time.sleep(1)  # until Python has started
        watch, began, excess = Watch(Limits(stall_seconds=0.5)), time.monotonic(), None
        while excess is None and time.monotonic() < began + 60:
            time.sleep(0.05)
            excess = watch.excess(child.pid)
        child.kill()
    assert excess is not None
    assert excess.violation is None
    assert (time.monotonic() - began < 4.5) == idle


def test_a_loss_that_is_not_finite_is_diverged_at_once(confirm: Confirmed) -> None:
    """It is no failure and not tried again; the epoch is in the reason."""
    seen = confirm({"misbehave": "diverge"})
    result = seen.outcomes[1]
    assert (result.state, seen.built_times[1], "epoch 1" in result.reason) == (names.DIVERGED, 1, True)


def test_a_server_that_is_killed_costs_no_candidate_an_attempt(
    confirm: Confirmed, stand_ins: ForkServer
) -> None:
    """Whoever kills it kills all evaluations with it; each is done again, however few retries there are."""
    over = threading.Event()

    def kill_thrice() -> None:
        for _ in range(3):
            over.wait(0.8)
            if stand_ins.pid is not None:
                os.kill(stand_ins.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_thrice)
    killer.start()
    seen = confirm(*({"cell": n, "epochs": 3, "seconds": 0.5} for n in range(2)), retries=0)
    over.set()
    killer.join()
    assert {result.state for result in seen.outcomes.values()} == {names.COMPLETE}


@pytest.mark.parametrize(
    ("misbehave", "state", "reason"),
    [
        ("raise", names.FAILED, "ValueError: as the cell asked"),
        ("die", names.FAILED, "exit code 7"),
        ("exhaust", names.INFEASIBLE, "out of memory"),
    ],
)
def test_what_fails_every_time_is_given_up_after_the_retries(
    confirm: Confirmed, misbehave: str, state: str, reason: str
) -> None:
    """Three attempts with two retries. Want of memory is the candidate's doing: the sampler is told."""
    seen = confirm({"misbehave": misbehave}, retries=2)
    assert (seen.outcomes[1].state, seen.built_times[1]) == (state, 3)
    assert reason in seen.outcomes[1].reason
    assert "3 attempts" in seen.outcomes[1].reason


def test_what_fails_once_goes_on_from_its_checkpoint(confirm: Confirmed, tmp_path: Path) -> None:
    """The second attempt tells the first one's epochs again and adds what was missing."""
    seen = confirm({"misbehave": "die", "until": str(tmp_path / "once"), "epochs": 3})
    assert (seen.outcomes[1].state, seen.built_times[1], seen.epochs[1]) == (names.COMPLETE, 2, 3)


def test_a_child_ended_by_any_signal_is_followed_by_another(confirm: Confirmed, tmp_path: Path) -> None:
    """The evaluation goes on where it was."""
    numbers = (signal.SIGTERM, signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL)
    cells = [{"misbehave": "signal", "number": int(n), "until": str(tmp_path / n.name)} for n in numbers]
    seen = confirm(*cells)
    assert {result.state for result in seen.outcomes.values()} == {names.COMPLETE}
    assert seen.built_times == dict.fromkeys((1, 2, 3, 4), 2)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_killed_from_outside_costs_its_candidate_no_attempt(
    confirm: Confirmed, tmp_path: Path, number: signal.Signals
) -> None:
    """An operator did it, or the kernel for somebody else's memory; one that always dies so is given up."""
    once = {"misbehave": "signal", "number": int(number), "until": str(tmp_path / "once")}
    always = {"misbehave": "signal", "number": int(number)}
    seen = confirm(once, always, workers=1, retries=0)
    assert (seen.outcomes[1].state, seen.outcomes[2].state) == (names.COMPLETE, names.FAILED)
    assert f"killed by {number.name} (6 attempts)" in seen.outcomes[2].reason


def test_a_signal_is_named_when_it_ends_every_attempt(confirm: Confirmed) -> None:
    """A person can tell a crash in native code from a bug."""
    result = confirm({"misbehave": "signal", "number": int(signal.SIGSEGV)}, retries=0).outcomes[1]
    assert (result.state, "killed by SIGSEGV" in result.reason) == (names.FAILED, True)


def test_a_server_that_hangs_is_replaced(confirm: Confirmed, tmp_path: Path) -> None:
    """A stopped fork server answers nothing: it is ended with its children, and the study goes on."""
    seen = confirm({"misbehave": "stop_server", "until": str(tmp_path / "once")}, stall_seconds=2)
    assert seen.outcomes[1].state == names.COMPLETE


def test_a_study_stops_after_too_many_different_failures_in_a_row(confirm: Confirmed) -> None:
    """The message names the last reason; a success in between starts the count anew."""
    bad, good = {"misbehave": "die"}, {"seconds": 0.01}
    with pytest.raises(BrokenStudy, match=r"2 evaluations failed one after the other.*exit code 7"):
        confirm(bad, good, bad, bad, good, workers=1, retries=0, max_consecutive_failures=2)


@pytest.mark.parametrize(("good", "doubted"), [(0, 2), (1, 0)])
def test_failures_are_tried_again_where_nothing_was_trained(
    confirm: Confirmed, tmp_path: Path, good: int, doubted: int
) -> None:
    """A machine on which every evaluation fails says nothing about candidates; one that trains some does."""
    confirm(*[{"misbehave": "die"}] * 2, *[{"seconds": 0.01}] * good, workers=1, retries=0)
    storage = open_storage(f"sqlite:///{tmp_path / 'studies.db'}")
    (number,) = storage.study_ids().values()
    assert len(storage.get_study_user_attrs(number).get(SUSPECTS, [])) == doubted


def test_a_broken_disk_stops_the_study_and_counts_nothing(confirm: Confirmed, tmp_path: Path) -> None:
    """The evaluation is left to the next start, without a failed attempt."""
    with pytest.raises(BrokenStudy, match=r"checkpoint: Input/output error \(the disk or the network share"):
        confirm({"misbehave": "broken"}, retries=0)
    (trial,) = _trials(tmp_path)
    assert trial.state not in FINISHED


@pytest.mark.parametrize("misbehave", [{"misbehave": "exhaust"}, {"misbehave": "signal", "number": 6}])
def test_want_of_memory_under_a_limit_of_the_shell_stops_the_study(
    confirm: Confirmed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, misbehave: dict[str, Any]
) -> None:
    """`ulimit -v` is no part of the study, so that no candidate is infeasible because of it."""
    monkeypatch.setattr("resource.getrlimit", lambda _: (3000 * 2**20, resource.RLIM_INFINITY))
    with pytest.raises(BrokenStudy, match=r"3000 MiB of address space that `ulimit -v` allows: raise it"):
        confirm(misbehave, retries=0)
    (trial,) = _trials(tmp_path)
    assert trial.state not in FINISHED


def test_too_little_address_space_is_said_before_anything_is_built() -> None:
    """The sentence names the limit and what to do; without a limit there is none."""
    assert too_little_room() == ""
    program = (
        "import resource; from search.execution.limits import too_little_room;"
        "resource.setrlimit(resource.RLIMIT_AS, (800 * 2**20, resource.RLIM_INFINITY));"
        "print(too_little_room())"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.startswith("the limit of 800 MiB of address space (`ulimit -v`) leaves ")
    assert "`max_memory_mb`" in said


class Breaks(Seen):
    """An observer with a bug: it raises when it hears of one kind of event for the first time."""

    def __init__(self, event: str, error: BaseException) -> None:
        super().__init__()
        self._error = error
        setattr(self, event, self._break)

    def _break(self, *_: Any) -> None:
        raise self._error


@pytest.mark.parametrize("event", ["begun", "built", "epoch", "ended"])
@pytest.mark.parametrize(("error", "raised"), [(SystemExit(0), BrokenStudy), (KeyError("a bug"), KeyError)])
def test_an_error_in_a_worker_thread_ends_the_study_and_loses_nothing(
    confirm: Confirmed,
    stand_ins: ForkServer,
    tmp_path: Path,
    event: str,
    error: BaseException,
    raised: type[Exception],
) -> None:
    """It reaches the caller, a SystemExit too; no thread stays, and the next start does what is missing."""
    cells = [{"seconds": 0.01}] * 3
    stage = Confirm(
        small_study.config(cells, seeds=1),
        open_storage(f"sqlite:///{tmp_path / 'studies.db'}"),
        tmp_path,
        "small/confirm",
    )
    stage.plan_cells()
    with pytest.raises(raised):
        Coordinator(stand_ins, 2, [Breaks(event, error)]).run(stage)
    left = [thread.name for thread in threading.enumerate()]
    assert not [name for name in left if name.startswith(("worker", "heartbeat"))]
    assert not [trial for trial in _trials(tmp_path) if trial.state in FINISHED]
    confirm(*cells)
    assert [trial.user_attrs["state"] for trial in _trials(tmp_path)] == [names.COMPLETE] * 3


def test_draws_that_are_not_trained_say_nothing_of_failures_in_a_row(
    stand_ins: ForkServer, tmp_path: Path
) -> None:
    """Known and infeasible ones come between any two trainings of a search."""
    setting = small_study.config([{"seconds": 0}], seeds=1, max_consecutive_failures=2)
    storage = open_storage(f"sqlite:///{tmp_path / 'studies.db'}")
    stage = Confirm(setting, storage, tmp_path, "small/confirm")
    coordinator = Coordinator(stand_ins, 1, [])
    untrained = (names.DUPLICATE, names.INFEASIBLE)
    evaluation: Any = SimpleNamespace(key="small/confirm/1/1")
    for state in (names.FAILED, names.COMPLETE, names.FAILED, *untrained):
        coordinator._count_failure(stage, evaluation, EvaluationResult(state))
    with pytest.raises(BrokenStudy, match="2 evaluations failed"):
        coordinator._count_failure(stage, evaluation, EvaluationResult(names.FAILED, "no"))


def test_a_full_disk_pauses_the_study_and_costs_no_attempt(confirm: Confirmed, tmp_path: Path) -> None:
    """The message comes once, and with room again the evaluation completes although no retry is allowed."""
    said: list[str] = []
    cell = {"misbehave": "full", "until": str(tmp_path / "once")}
    seen = confirm(cell, retries=0, say=said.append)
    assert seen.outcomes[1].state == names.COMPLETE
    assert [text.split(":")[0] for text in said] == ["paused", "going on"]


def test_the_coordinator_keeps_no_threads(confirm: Confirmed) -> None:
    """Slots and heartbeat end with the stage; the fork server's listener alone stays."""
    confirm({"seconds": 0.01})
    left = {thread.name for thread in threading.enumerate()}
    assert not {name for name in left if name.startswith(("worker", "heartbeat"))}
