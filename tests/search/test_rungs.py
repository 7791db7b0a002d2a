"""Trainings that pause at rungs: the best go on where they stopped, the others stay pruned."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from benchmarks import small_study
from search.execution.fork_client import ForkServer
from search.execution.messages import Answer, Built, Epoch
from search.study.config import Setting
from search.study.evaluation import Outcome, Work
from search.study.explore import Explore
from search.study.rungs import Asha
from search.study.storage import open_storage
from search.study.study import Study
from search.tracking import names
from search.workers.coordinator import Coordinator
from search.workspace import Workspace
from spaces.domains import Integer
from spaces.errors import UserError

SettingFor = Callable[..., Setting]
RUNGS = {"min_resource": 1, "reduction_factor": 3}


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    server = ForkServer(tmp_path_factory.mktemp("logs") / "children.log", small_study.BODY)
    yield server
    server.close()


class Heard:
    """An observer that remembers every epoch, and how evaluations ended."""

    def __init__(self) -> None:
        self.epochs: dict[tuple[int, int], set[float]] = {}
        self.told: Counter[tuple[int, int]] = Counter()
        self.ends: dict[int, list[str]] = {}

    def begun(self, work: Work) -> None:
        pass

    def built(self, work: Work) -> None:
        pass

    def epoch(self, work: Work, message: Epoch) -> None:
        if work.stage == names.EXPLORE:
            self.told[work.slot, message.epoch] += 1
            self.epochs.setdefault((work.slot, message.epoch), set()).add(message.metrics["epoch_seconds"])

    def ended(self, work: Work, outcome: Outcome) -> None:
        if work.stage == names.EXPLORE:
            self.ends.setdefault(work.slot, []).append(outcome.state)


def _stage(setting_for: SettingFor, folder: Path, **protocol: Any) -> Explore:
    setting = setting_for(
        **{"epochs": 9, "leaders": 1, "pruner": "asha", "pruner_options": RUNGS, **protocol}
    )
    return Explore(setting, open_storage(f"sqlite:///{folder / 'studies.db'}"), folder, "small/explore")


def _begin(stage: Explore, drawn: int) -> Work:
    """The next evaluation: a draw, or one that goes on."""
    work = stage.claim(0)
    assert isinstance(work, Work)
    value = stage.suggest(work, "kernels", Integer(1, 64))
    name = f"{work.slot} has {value}"
    assert stage.built(work, Built("plain_cnn", "", name, {}, {}, {}, name, name, 1, 1)) == Answer.GO
    assert work.slot == drawn
    return work


def _pause(stage: Explore, work: Work, epoch: int) -> None:
    """As the coordinator does it: the checkpoint stays where the training may go on."""
    paused = stage.keeps(work)
    if paused:
        Path(work.task.folder).mkdir(parents=True, exist_ok=True)
    stage.finish(work, Outcome(names.PRUNED, metrics={names.EPOCHS: float(epoch)}), paused=paused)


def _train(stage: Explore, work: Work, score: float, until: int) -> Answer:
    """Report every epoch from the first, as a child does that takes up a checkpoint; the last answer."""
    for epoch in range(1, until + 1):
        answer = stage.epoch(work, Epoch(epoch, {"monitor_accuracy": score, "epoch_seconds": 1.0}))
        if answer != Answer.GO:
            _pause(stage, work, epoch)
            return answer
    if until == 9:
        stage.finish(work, Outcome(names.COMPLETE, score=score))
    return Answer.GO


def test_the_best_third_goes_on_with_what_it_had_drawn(setting_for: SettingFor, tmp_path: Path) -> None:
    stage = _stage(setting_for, tmp_path, trials=4)
    works = [_begin(stage, slot) for slot in range(3)]
    for work, score in zip(works, (0.5, 0.7, 0.6), strict=True):
        # Of one or two that have come so far a third is none.
        assert _train(stage, work, score, 9) == Answer.PRUNE
    assert [trial.last_step for trial in stage.trials()] == [1, 1, 1]
    drawn = stage.trials()[1].params
    work = _begin(stage, 1)  # the best of three
    assert work.resumed == 1
    assert work.trial.params == drawn
    assert work.begun == works[1].begun  # its curve in MLflow has one time
    assert _train(stage, work, 0.7, 9) == Answer.PRUNE
    assert [trial.last_step for trial in stage.trials()] == [1, 3, 1]
    assert len(stage.study.trials) == 4  # to Optuna what goes on is another trial


def test_who_is_among_the_best_third_already_does_not_pause(setting_for: SettingFor, tmp_path: Path) -> None:
    stage = _stage(setting_for, tmp_path, trials=9)
    for slot, score in enumerate((0.5, 0.4)):
        assert _train(stage, _begin(stage, slot), score, 9) == Answer.PRUNE
    work = _begin(stage, 2)
    assert stage.epoch(work, Epoch(1, {"monitor_accuracy": 0.9, "epoch_seconds": 1.0})) == Answer.GO
    assert stage.epoch(work, Epoch(2, {"monitor_accuracy": 0.9, "epoch_seconds": 1.0})) == Answer.GO
    assert stage.epoch(work, Epoch(3, {"monitor_accuracy": 0.9, "epoch_seconds": 1.0})) == Answer.PRUNE


def test_a_loss_is_better_where_it_is_lower(setting_for: SettingFor, tmp_path: Path) -> None:
    stage = _stage(setting_for, tmp_path, trials=4, objective="loss")
    for slot, loss in enumerate((0.5, 0.7, 0.6)):
        work = _begin(stage, slot)
        assert stage.epoch(work, Epoch(1, {"monitor_loss": loss, "epoch_seconds": 1.0})) == Answer.PRUNE
        _pause(stage, work, 1)
    assert _begin(stage, 0).resumed == 1


def test_where_its_checkpoint_is_not_it_goes_on_only_when_all_have_been_drawn(
    setting_for: SettingFor, tmp_path: Path
) -> None:
    """Two machines with a storage in common and disks of their own."""
    here = _stage(setting_for, tmp_path, trials=5)
    elsewhere = Explore(here.setting, here.storage, tmp_path / "elsewhere", "small/explore")
    for slot in range(3):
        _train(here, _begin(here, slot), 0.5, 9)
    for slot in (3, 4):  # draws, though one of the three could go on
        assert _train(elsewhere, _begin(elsewhere, slot), 0.1, 9) == Answer.PRUNE
    assert _begin(elsewhere, 0).resumed == 1


def test_so_many_end_as_are_to_be_leaders(setting_for: SettingFor, tmp_path: Path) -> None:
    """Four draws give one that the rule lets go on once; two leaders are asked for."""
    stage = _stage(setting_for, tmp_path, trials=4, leaders=2)
    for _ in range(20):
        work = stage.claim(0)
        if not isinstance(work, Work):
            break
        stage.suggest(work, "kernels", Integer(1, 64))
        name = str(work.slot)
        stage.built(work, Built("plain_cnn", "", name, {}, {}, {}, name, name, 1, 1))
        _train(stage, work, 0.1 * work.slot, 9)
    assert work is None
    states = [trial.user_attrs["state"] for trial in stage.trials()]
    assert states == ["pruned", "pruned", "complete", "complete"]
    assert (stage.counted(), stage.ended_because) == (4, "all 4 trials are done")


def test_nothing_goes_on_when_the_hours_are_over(setting_for: SettingFor, tmp_path: Path) -> None:
    left = [1.0]
    setting = setting_for(trials=9, epochs=9, pruner="asha", pruner_options=RUNGS, hours=1.0)
    storage = open_storage(f"sqlite:///{tmp_path / 'studies.db'}")
    stage = Explore(setting, storage, tmp_path, "small/explore", hours_left=lambda: left[0])
    for slot in range(3):
        _train(stage, _begin(stage, slot), 0.5, 9)
    left[0] = 0.0
    assert stage.claim(0) is None
    assert stage.ended_because == "the hours left are needed to confirm the leaders"


def test_options_that_make_no_rungs_are_a_users_mistake(setting_for: SettingFor, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="pruner 'asha' cannot be used: min_resource is at least 1"):
        _stage(setting_for, tmp_path, pruner_options={"min_resource": 0})


def test_a_study_whose_trainings_pause_trains_no_epoch_twice(stand_ins: ForkServer, tmp_path: Path) -> None:
    """With real children: an epoch that is told again is the one in the checkpoint, to the last digit."""
    setting = small_study.setting(
        fix={"epochs": 9, "seconds": 0.01}, trials=12, epochs=9, leaders=2, seeds=1, pruner="asha",
        pruner_options=RUNGS,
    )  # fmt: skip
    heard = Heard()
    study = Study(setting, open_storage(f"sqlite:///{tmp_path / 'studies.db'}"), Workspace.at(tmp_path))
    assert study.run(Coordinator(stand_ins, 2, [heard]), lambda stage: None)
    assert study.explore is not None
    last = study.explore.trials()
    assert [trial.user_attrs["slot"] for trial in last] == list(range(12))
    assert {trial.last_step for trial in last} <= {1, 3, 9}
    assert sum(trial.user_attrs["state"] == names.COMPLETE for trial in last) >= 2
    assert all(len(seconds) == 1 for seconds in heard.epochs.values())
    assert max(heard.told.values()) > 1  # some went on
    assert any(
        ends[:2] == ["pruned", "pruned"] or ends == ["pruned", "complete"] for ends in heard.ends.values()
    )
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_checkpoints_of_the_worse_half_are_not_kept() -> None:
    study = optuna.create_study(direction="maximize")
    trials = [
        create_trial(
            state=TrialState.PRUNED,
            user_attrs={"slot": slot, "state": names.PRUNED},
            intermediate_values={1: score},
        )
        for slot, score in enumerate((0.1, 0.6, 0.2, 0.5))
    ]
    study.add_trials(trials)
    pruner = Asha(min_resource=1, reduction_factor=3, max_resource=9)
    kept = [pruner.may_go_on(study, study.trials, trial) for trial in study.trials]
    assert kept == [False, True, True, True]  # one more than half: of two, both
