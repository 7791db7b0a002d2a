"""Machines that share a PostgreSQL share the work: exact totals, nobody's trial twice, late results once."""

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState
from sqlalchemy import Connection, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError

from search.execution.fork_client import ForkServer
from search.execution.messages import (
    LOST,
    Built,
    Decision,
    EvaluationResult,
)
from search.study.optuna.storage import Storage, is_passing, open_storage
from search.study.stages.confirm import Confirm
from search.study.stages.evaluation import ActiveEvaluation
from search.study.stages.explore import Explore
from search.study.stages.stage import Stage, Wait
from search.study.study import Study, find_begun
from search.tracking import names
from search.tracking.spool import Record
from search.tracking.writer import Writer
from search.workers.coordinator import Coordinator
from search.workspace import Workspace
from spaces.domains import Real
from spaces.errors import UserError
from tests.support.processes.servers import postgres, postgres_binaries
from tests.support.studies import small_study
from tests.support.studies.stores import new_store
from tests.support.studies.studies import Seen

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(postgres_binaries() is None, reason="PostgreSQL's programs are not installed"),
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture
def opened(address: str) -> Iterator[Callable[[], Storage]]:
    """Opens storages, each with an owner of its own, and closes them all."""
    storages: list[Storage] = []

    def once_more() -> Storage:
        storages.append(open_storage(address))
        return storages[-1]

    yield once_more
    for storage in storages:
        storage.close()


@pytest.fixture
def machine(opened: Callable[[], Storage], request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Each call is a machine of its own: another storage object, another owner."""

    def join_in(kind: type[Stage], **protocol: object) -> Stage:
        cells = [{"cell": n, "seconds": 0.01} for n in range(3)] if kind is Confirm else []
        setting = small_study.config(cells, **{"seeds": 1, **protocol})
        stage = kind(setting, opened(), tmp_path, f"{request.node.name}/{kind.name}")
        if isinstance(stage, Confirm):
            stage.plan_cells()
        return stage

    return join_in


def _claimed(stage: Stage) -> ActiveEvaluation:
    evaluation = stage.claim(0)
    assert isinstance(evaluation, ActiveEvaluation)
    return evaluation


def _fall_silent(stage: Stage, evaluation: ActiveEvaluation) -> None:
    """As after an hour without a heartbeat."""
    aged = "UPDATE trial_heartbeats SET heartbeat = heartbeat - interval '1 hour' WHERE trial_id = :trial"
    with stage.storage.engine.begin() as connection:
        connection.execute(text(aged), {"trial": evaluation.trial_id})


def _built(fingerprint: str) -> Built:
    return Built("plain_cnn", "", fingerprint, {}, {}, {}, fingerprint, fingerprint, 1000, 2000)


def _at_once(act: Callable[[], Any], machines: int = 6) -> None:
    """Do it in so many threads at the same moment; raises what one of them raised."""
    ready = threading.Barrier(machines)

    def begin() -> None:
        ready.wait()
        act()

    with ThreadPoolExecutor(machines) as threads:
        for done in [threads.submit(begin) for _ in range(machines)]:
            done.result()


def test_machines_that_open_a_new_database_at_once_share_its_tables(address: str) -> None:
    """The tables are made by one of them; nobody meets them half made."""
    engine = create_engine(address, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE fresh"))
    engine.dispose()
    fresh = make_url(address).set(database="fresh").render_as_string()
    opened: list[Storage] = []
    _at_once(lambda: opened.append(open_storage(fresh)))
    assert [storage.get_all_studies() for storage in opened] == [[]] * 6
    for storage in opened:
        storage.close()


def test_machines_that_begin_a_study_at_once_have_one_run_of_it(
    opened: Callable[[], Storage], tmp_path: Path
) -> None:
    """MLflow would create a run for each: they look and create one after the other."""
    store = new_store(tmp_path)
    client = MlflowClient(store)
    experiment = client.create_experiment("small", tmp_path.as_uri())
    record = Record(tmp_path, "study", 1, {"key": "small-1", "tags": {names.KIND: names.STUDY_KIND}})
    storages = [opened() for _ in range(6)]
    _at_once(lambda: Writer(store, "small", None, storages.pop().exclusive).write(record))
    assert len(client.search_runs([experiment])) == 1


def test_many_machines_make_exactly_as_many_trials_as_asked(machine: Any) -> None:
    """Six machines that claim at once share a total of twelve; every trial has one claimer."""
    stages = [machine(Explore, trials=12) for _ in range(6)]
    claimed: list[int] = []

    def work_on(stage: Explore) -> None:
        while (evaluation := stage.claim(0)) is not None:
            if isinstance(evaluation, ActiveEvaluation):
                claimed.append(evaluation.slot)
                assert stage.built(evaluation, _built(f"candidate-{evaluation.slot}")) == Decision.CONTINUE
                stage.finish(evaluation, EvaluationResult(names.COMPLETE, score=0.5))
            else:
                time.sleep(0.02)

    threads = [threading.Thread(target=work_on, args=(stage,)) for stage in stages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == list(range(12))


def test_a_plan_that_everybody_makes_is_made_once(machine: Any) -> None:
    """Each machine plans the confirm stage when it comes to it."""
    stages: list[Stage] = []
    threads = [threading.Thread(target=lambda: stages.append(machine(Confirm, seeds=2))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    planned = Counter((t.user_attrs["slot"], t.user_attrs["seed"]) for t in stages[0].trials())
    assert planned == {(slot, seed): 1 for slot in (1, 2, 3) for seed in (1, 2)}


def test_the_same_candidate_is_not_trained_on_two_machines(machine: Any) -> None:
    """What another machine is evaluating now counts as known."""
    one, other = machine(Explore), machine(Explore)
    assert one.built(_claimed(one), _built("same")) == Decision.CONTINUE
    assert other.built(_claimed(other), _built("same")) == Decision.SKIP


def test_a_lost_machines_trial_goes_to_another_and_its_late_result_is_dropped(machine: Any) -> None:
    """After the grace time without a heartbeat the trial has a new owner; the old one finds out."""
    lost, other = machine(Confirm), machine(Confirm)
    evaluation = _claimed(lost)
    for _ in range(2):
        other.finish(_claimed(other), EvaluationResult(names.COMPLETE, score=0.1))
    assert other.claim(0) is Wait
    assert not lost.lost(evaluation)
    _fall_silent(lost, evaluation)
    adopted = _claimed(other)
    assert (adopted.key, adopted.trial.number) == (evaluation.key, evaluation.trial.number)
    assert lost.lost(evaluation)
    other.finish(adopted, EvaluationResult(names.COMPLETE, score=0.2))
    lost.finish(evaluation, EvaluationResult(names.COMPLETE, score=0.9))
    trial = other.trials()[evaluation.trial.number]
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 0.2)


def test_a_heartbeat_keeps_a_trial(machine: Any) -> None:
    """As long as somebody vouches for it, nobody else takes it, however long it runs."""
    slow, other = machine(Confirm), machine(Confirm)
    evaluation = _claimed(slow)
    for _ in range(2):
        other.finish(_claimed(other), EvaluationResult(names.COMPLETE, score=0.1))
    _fall_silent(slow, evaluation)
    slow.beat()
    assert other.claim(0) is Wait
    assert not slow.lost(evaluation)


def test_an_evaluation_that_is_taken_over_is_recorded_by_its_new_owner_alone(
    machine: Any, stand_ins: ForkServer
) -> None:
    """The late machine ends its child at the next epoch and says nothing."""
    stage = machine(Confirm)
    storage = stage.storage
    seen = Seen()

    class Thief(Seen):
        def epoch(self, evaluation: ActiveEvaluation, message: object) -> None:
            storage.set_trial_user_attr(evaluation.trial_id, "owner", "another machine")

    def steal() -> None:
        Coordinator(stand_ins, 1, [Thief(), seen]).run(stage)

    thread = threading.Thread(target=steal, daemon=True)
    thread.start()
    end = time.monotonic() + 120
    while len(seen.outcomes) < 3 and time.monotonic() < end:
        time.sleep(0.1)
    assert [outcome.state for outcome in seen.outcomes.values()] == [LOST] * 3
    with storage.engine.begin() as connection:
        connection.execute(text("UPDATE trials SET state = 'FAIL' WHERE state = 'RUNNING'"))
    thread.join(120)


def _cut(cutter: Storage) -> None:
    """End every other connection to the server."""
    with cutter.engine.begin() as connection:
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        )


def test_a_claim_that_loses_its_lock_is_made_again(opened: Callable[[], Storage], tmp_path: Path) -> None:
    """The connection is cut when the trial has begun and the claim is not over: then it has not begun."""
    cutter = opened()

    class Unlucky(Confirm):
        def _begun(self) -> Any:
            begun = super()._begun()
            _cut(cutter)
            return begun

    stage = Unlucky(small_study.config([{"cell": 1}], seeds=1), opened(), tmp_path, "unlucky/confirm")
    stage.plan_cells()
    with pytest.raises(DBAPIError) as caught:
        stage.claim(0)
    assert is_passing(caught.value)
    with pytest.raises(DBAPIError):
        stage.claim(1)
    assert not stage.trials(TrialState.RUNNING)
    stage.__class__ = Confirm
    evaluation = _claimed(stage)
    assert (evaluation.slot, stage.claim(1)) == (1, Wait)


def test_a_claim_that_fails_when_its_lock_is_gone_is_made_again(
    opened: Callable[[], Storage], tmp_path: Path
) -> None:
    """The trial runs, and nobody evaluates it: this machine claimed it, so nobody else would take it."""

    class Unlucky(Confirm):
        def _study_of(self, worker: int, slot: int) -> Any:
            raise TimeoutError

    stage = Unlucky(small_study.config([{"cell": 1}], seeds=1), opened(), tmp_path, "unluckier/confirm")
    stage.plan_cells()
    with pytest.raises(TimeoutError):
        stage.claim(0)
    assert len(stage.trials(TrialState.RUNNING)) == 1
    stage.__class__ = Confirm
    evaluation = _claimed(stage)
    assert (evaluation.slot, stage.claim(1)) == (1, Wait)


def test_a_draw_whose_answer_was_lost_is_drawn_once(machine: Any) -> None:
    """The server has stored the value when the connection breaks: the child trains with what is stored."""
    stage, other, lost = machine(Explore), machine(Explore), []
    evaluation, domain = _claimed(stage), Real(0.0, 1.0, default=0.5)

    @event.listens_for(stage.storage.engine, "commit")
    def lose_the_answer(connection: Connection) -> None:
        connection.connection.dbapi_connection.commit()
        if not lost and other.trials()[0].params:
            lost.append(connection)
            raise OperationalError("COMMIT", {}, ConnectionError("cut"))

    with pytest.raises(StorageInternalError) as caught:
        stage.suggest(evaluation, "x", domain)
    assert is_passing(caught.value)
    value = stage.suggest(evaluation, "x", domain)
    assert stage.trials()[0].params == {"x": value}


def test_a_server_that_goes_away_pauses_the_work(
    machine: Any, stand_ins: ForkServer, opened: Callable[[], Storage]
) -> None:
    """Every connection is cut, again and again, in the middle of the stage: it ends complete."""
    stage, errors = machine(Confirm, seeds=4), []
    coordinator = Coordinator(stand_ins, 2, [], lambda said: None)

    def run() -> None:
        try:
            coordinator.run(stage)
        except Exception as error:
            errors.append(error)

    running = threading.Thread(target=run)
    running.start()
    cutter = opened()
    for _ in range(5):
        running.join(0.3)
        _cut(cutter)
    running.join(300)
    coordinator.stop()
    assert errors == []
    assert Counter(t.state for t in stage.trials()) == {TrialState.COMPLETE: 12}


def test_a_silent_holder_loses_the_lock(address: str, opened: Callable[[], Storage]) -> None:
    """A machine that is cut off while it counts does not stop the others for ever."""
    other = opened()
    program = (
        "import sys, time; from search.study.optuna.storage import open_storage\n"
        f"storage = open_storage({address!r})\n"
        "with storage.exclusive('silent', 4): print('held', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        began = time.monotonic()
        with other.exclusive("silent"):
            waited = time.monotonic() - began
        process.kill()
    assert 0.5 < waited < 60


def test_other_images_are_refused_and_precision_is_taken_over(
    opened: Callable[[], Storage], tmp_path: Path
) -> None:
    """A worker joins the study as it is, or says why it cannot."""
    setting = replace(small_study.config([{"cell": 1}]), experiment="joined")
    storage = opened()
    Study(setting, storage, Workspace.at(tmp_path))
    assert find_begun(replace(setting, precision="mixed_bfloat16"), storage, strict=True) == setting
    others = replace(setting, data=replace(setting.data, digest="1" * 64))
    assert find_begun(others, storage, strict=False) is None
    with pytest.raises(UserError, match=r"images here are not those of study .*111111111111"):
        find_begun(others, storage, strict=True)


def test_what_an_experiment_asks_for_by_value_is_not_taken_over(
    opened: Callable[[], Storage], tmp_path: Path
) -> None:
    """It is another study; a worker, which begins none, says so."""
    setting = replace(small_study.config([{"cell": 1}]), experiment="asked")
    storage = opened()
    Study(setting, storage, Workspace.at(tmp_path))
    assert find_begun(setting, storage, strict=True, given={"threads": setting.threads}) == setting
    wanted = replace(setting, threads=7)
    assert find_begun(wanted, storage, strict=False, given={"threads": 7}) is None
    sentence = (
        f"study {setting.study_id} has threads {setting.threads}, and this experiment asks for threads 7"
    )
    with pytest.raises(UserError, match=sentence):
        find_begun(wanted, storage, strict=True, given={"threads": 7})
