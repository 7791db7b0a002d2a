"""One study from its plan to its last evaluation: explore, leaders, confirm."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, NoReturn, Protocol

from optuna.trial import TrialState

from search.execution.backend import keras_backend
from search.execution.devices import cores
from search.study.optuna.storage import OWNER, Storage
from search.study.planning.config import StudyConfig
from search.study.planning.leaders import Leader, front, leaders
from search.study.planning.rounds import RoundRecord
from search.study.planning.warm_start import IDENTITY, identities, warm_start_candidates
from search.study.stages.confirm import Confirm
from search.study.stages.explore import Explore
from search.study.stages.refit import Refit
from search.study.stages.stage import FINISHED, Stage
from search.study.stages.tell import WALL_SECONDS
from search.tracking import names
from search.training.precision import automatic
from search.workspace import Workspace
from spaces.errors import UserError

#: The user attribute of a stage that says which Keras backend trains its evaluations.
_BACKEND = "backend"


@dataclass(frozen=True)
class ConfigDifference:
    """An earlier study of the same experiment, and in what it differs."""

    study: str
    keys: tuple[str, ...]


class StageRunner(Protocol):
    """What runs the evaluations of a stage: `search.workers.coordinator.Coordinator`."""

    workers: int

    @property
    def stopped(self) -> bool:
        """Whether somebody asked for an end before the stage was over."""

    def run(self, stage: Stage) -> None:
        """Run what is left of a stage.

        Args:
            stage: the stage whose plan is worked through.
        """


class Study:
    """Explore and confirm over one storage. Going on with a study is the same as beginning it."""

    def __init__(self, config: StudyConfig, storage: Storage, workspace: Workspace) -> None:
        self.config = config
        self._storage = storage
        self._workspace = workspace
        name = f"{config.experiment}-{config.study_id}"
        self.earlier = _differences(storage, config)
        self.explore: Explore | None = None
        if not config.cells:
            explored = f"{name}/explore"
            # Before there is a stage: a mistake must not leave one behind.
            first = warm_start_candidates(storage, config, explored)
            self.explore = Explore(
                config, storage, workspace.folder, explored, warm_start=first, hours_left=self._hours_left
            )
        self.confirm = Confirm(config, storage, workspace.folder, f"{name}/confirm")
        self.refit_stage = Refit(config, storage, workspace.folder, f"{name}/final")
        self._keep_to_one_backend()
        for stage in (*self.stages, self.refit_stage):
            stage.study.set_user_attr(IDENTITY, config.identified_by())
        self._sweep()

    def _keep_to_one_backend(self) -> None:
        """Refuse to mix evaluations of two Keras backends: their seeds and their last bits differ."""
        backend = keras_backend()
        for stage in (*self.stages, self.refit_stage):
            before = stage.study.user_attrs.get(_BACKEND, backend)
            if before != backend:
                raise UserError(
                    f"study {self.config.study_id} was begun with the Keras backend {before}, and this start "
                    f"uses {backend}: set KERAS_BACKEND={before}, or take another --workspace for a new study"
                )
            stage.study.set_user_attr(_BACKEND, backend)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages that the verdict is drawn from, in their order."""
        return (self.confirm,) if self.explore is None else (self.explore, self.confirm)

    def run(
        self,
        runner: StageRunner,
        began: Callable[[Stage], None],
        decide: Callable[[int], bool] | None = None,
    ) -> bool:
        """Run what is left of both stages.

        Args:
            runner: runs the evaluations of one stage.
            began: told of each stage, and of each round, that begins.
            decide: asked after each round of a confirm stage in rounds, with the number of decisions that
                there were before it. It sees to it that there is one more, and says whether to stop instead.

        Returns:
            Whether the study is over (not stopped half-way).
        """
        if self.explore is not None:
            began(self.explore)
            runner.run(self.explore)
            if runner.stopped:
                return False
        self.plan_confirm()
        if self.config.protocol.in_rounds:
            assert decide is not None  # noqa: S101  who asks for rounds says who decides
            self._run_rounds(runner, began, decide)
        else:
            began(self.confirm)
            runner.run(self.confirm)
        return not runner.stopped

    def _run_rounds(
        self, runner: StageRunner, began: Callable[[Stage], None], decide: Callable[[int], bool]
    ) -> None:
        """Run what is planned and have it decided, until a decision ends the stage or a stop is asked for."""
        self._reopen()
        while True:
            known = len(self.confirm.rounds().decisions)
            began(self.confirm)
            runner.run(self.confirm)
            if runner.stopped or self.confirm.rounds().finished:
                return
            if self.confirm.round_is_over() and decide(known):
                return
            self.plan_confirm()  # what another machine has decided, or was killed before planning, too
            if self.confirm.rounds().finished:
                return

    def _reopen(self) -> None:
        """Go on with rounds that ended for want of hours, where there are enough of them now."""
        last = next(reversed(self.confirm.rounds().decisions), None)
        if last is not None and last.reason == "hours" and self.round_fits(last):
            self.confirm.reopen()

    def round_fits(self, decision: RoundRecord) -> bool:
        """Whether the round that a decision asks for would end within the study's hours."""
        hours = self.config.protocol.hours
        further = len(decision.active) * (decision.next_seeds - decision.seeds)
        return hours is None or self.hours_of(further) <= hours

    def ended(self) -> dict[str, str]:
        """The keys of the evaluations that are over, and the machine that each was on."""
        trials = [trial.user_attrs for stage in self.stages for trial in stage.trials(*FINISHED)]
        return {own["key"]: own[OWNER].rsplit(":", 2)[0] for own in trials if OWNER in own}

    def exclusive(self, what: str, seconds: int) -> AbstractContextManager[None]:
        """Let one machine at a time do something about the study.

        Args:
            what: names it; whoever names something else does not wait.
            seconds: so long it may take.
        """
        return self._storage.exclusive(f"{self.config.study_id}/{what}", seconds)

    def deserted(self) -> bool:
        """Whether no other process works on it now."""
        if not self._storage.shared:
            return True
        return all(stage.deserted() for stage in (*self.stages, self.refit_stage))

    def refit(
        self,
        runner: StageRunner,
        began: Callable[[Stage], None],
        candidate: str,
        rates: Sequence[float],
    ) -> str | None:
        """Train a confirmed candidate once more, on train and monitor together; the key of its evaluation.

        candidate: its fingerprint. rates: the learning rate of each epoch. Going on is the same as beginning.
        None when it was stopped half-way, or came to nothing.
        """
        self.refit_stage.plan(self.confirm.candidate(candidate), candidate, rates, runner.workers)
        began(self.refit_stage)
        runner.run(self.refit_stage)
        return self.refit_stage.key_of(candidate, rates)

    def plan_confirm(self) -> None:
        """Plan the confirm stage from the leaders, or from the grid."""
        if self.explore is None:
            self.confirm.plan_cells()
        else:
            self.confirm.plan(self.leaders())

    def leaders(self) -> tuple[Leader, ...]:
        """The leaders as explore stands now."""
        protocol = self.config.protocol
        images = round(self.config.data.counts["train"] * protocol.monitor_fraction)
        trials = self.explore.trials() if self.explore is not None else []
        minimize = protocol.direction == "minimize"
        if protocol.also_minimize:
            return front(trials, limit=protocol.leaders, minimize=minimize)
        return leaders(trials, limit=protocol.leaders, images=images, minimize=minimize)

    def _hours_left(self) -> float:
        """Hours of the budget that explore may still use; confirm keeps its share, by what trials take.

        Only what was trained counts: an interrupted study may wait as long as it likes.
        """
        hours = self.config.protocol.hours
        if hours is None:
            return 1.0
        ended = [trial.user_attrs for stage in self.stages for trial in stage.trials(*FINISHED)]
        seconds = [float(own.get(WALL_SECONDS, 0.0)) for own in ended]
        whole = [time for own, time in zip(ended, seconds, strict=True) if own.get("state") == names.COMPLETE]
        if not whole:
            return hours
        protocol = self.config.protocol
        confirm = (protocol.leaders + 1) * protocol.expected_seeds * sum(whole) / len(whole)
        return hours - (sum(seconds) + confirm) / 3600

    def hours_of(self, evaluations: int) -> float:
        """Hours that the study has taken so far, and would with so many more confirm evaluations.

        Args:
            evaluations: further ones, each as long as those of the confirm stage on average.
        """
        ended = [trial.user_attrs for stage in self.stages for trial in stage.trials(*FINISHED)]
        spent = sum(float(own.get(WALL_SECONDS, 0.0)) for own in ended)
        confirmed = [trial.user_attrs for trial in self.confirm.trials(TrialState.COMPLETE)]
        each = [float(own.get(WALL_SECONDS, 0.0)) for own in confirmed]
        mean = sum(each) / len(each) if each else 0.0
        return (spent + evaluations * mean) / 3600

    def _sweep(self) -> None:
        """Remove the folders of evaluations that ended; those of running ones are needed to go on.

        Folders are listed first: one that another machine makes meanwhile is not among them.
        """
        folders = list(self._workspace.checkpoints.glob(f"{self.config.study_id}-*"))
        open_folders = {
            stage.folder_of(trial.user_attrs["key"]).name
            for stage in (*self.stages, self.refit_stage)
            for trial in stage.trials(TrialState.RUNNING, TrialState.WAITING)
        }
        for folder in folders:
            if folder.name not in open_folders:
                shutil.rmtree(folder, ignore_errors=True)


def find_begun(
    config: StudyConfig, storage: Storage, *, strict: bool, given: Mapping[str, Any] | None = None
) -> StudyConfig | None:
    """The config with the precision and the threads of its study, where that was begun before; else None.

    given: the precision and the threads that the experiment asks for by value: a study with others is
    another one. strict: refuse to begin a study beside one of the same experiment. Raises UserError for this,
    and where this machine cannot compute as the study does.
    """
    experiment, others = json.dumps(config.identity, sort_keys=True), []
    images = (config.data.digest, config.data.split_digest)
    for study, identity in identities(storage, config.experiment):
        if json.dumps(identity["experiment"], sort_keys=True) != experiment:
            continue
        same = (identity["data"], identity["split"]) == images
        if same and all(identity[name] == value for name, value in (given or {}).items()):
            return _computing_as(config, study, identity["precision"], identity["threads"])
        others.append((study, identity, same))
    if strict and others:
        _refuse(config, given or {}, *others[-1])
    return None


def _refuse(
    config: StudyConfig, given: Mapping[str, Any], study: str, identity: Mapping[str, Any], same: bool
) -> NoReturn:
    begin = "or begin a study with `search`"
    if same:
        asked = ", ".join(f"{name} {value}" for name, value in given.items())
        there = ", ".join(f"{name} {identity[name]}" for name in given)
        raise UserError(
            f"study {study} has {there}, and this experiment asks for {asked}: leave that out, {begin}"
        )
    raise UserError(
        f"the images here are not those of study {study}: their digest is {config.data.digest[:12]}, "
        f"the study's {identity['data'][:12]}. Give this machine the same data, {begin}"
    )


def _computing_as(config: StudyConfig, study: str, precision: str, threads: int) -> StudyConfig:
    if precision not in ("float32", config.precision, automatic()):
        raise UserError(f"study {study} computes in {precision}, which this machine's processor has not")
    if threads > cores():
        raise UserError(f"study {study} gives each child {threads} threads; this machine has {cores()} cores")
    return replace(config, precision=precision, threads=threads)


def _differences(storage: Storage, config: StudyConfig) -> tuple[ConfigDifference, ...]:
    """Earlier studies of this experiment, none if this one is not new."""
    mine = config.identified_by()
    found = dict(identities(storage, config.experiment))
    if config.study_id in found:
        return ()
    return tuple(ConfigDifference(study, tuple(sorted(_changed(old, mine)))) for study, old in found.items())


def _changed(old: Any, new: Any, path: str = "") -> list[str]:
    """Dotted keys at which two nested mappings differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        inner = path + "." if path else ""
        return [k for key in sorted({*old, *new}) for k in _changed(old.get(key), new.get(key), inner + key)]
    same = json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)
    return [] if same else [path.removeprefix("experiment.")]
