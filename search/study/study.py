"""One study from its plan to its last evaluation: explore, leaders, confirm."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn, Protocol

from optuna.trial import TrialState

from search.execution.devices import cores
from search.study.config import StudyConfig
from search.study.confirm import Confirm
from search.study.explore import Explore
from search.study.leaders import Leader, front, leaders
from search.study.refit import Refit
from search.study.stage import FINISHED, Stage
from search.study.storage import OWNER, Storage
from search.study.tell import WALL_SECONDS
from search.study.warm_start import IDENTITY, identities, warm_start_candidates
from search.tracking import names
from search.training.precision import automatic
from search.workspace import Workspace
from spaces.errors import UserError


@dataclass(frozen=True)
class Difference:
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
        for stage in (*self.stages, self.refit_stage):
            stage.study.set_user_attr(IDENTITY, config.identified_by())
        self._sweep()

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages that the verdict is drawn from, in their order."""
        return (self.confirm,) if self.explore is None else (self.explore, self.confirm)

    def run(self, runner: StageRunner, began: Callable[[Stage], None]) -> bool:
        """Run what is left of both stages; whether the study is over (not stopped half-way)."""
        if self.explore is not None:
            began(self.explore)
            runner.run(self.explore)
            if runner.stopped:
                return False
        self.plan_confirm()
        began(self.confirm)
        runner.run(self.confirm)
        return not runner.stopped

    def ended(self) -> dict[str, str]:
        """The keys of the evaluations that are over, and the machine that each was on."""
        trials = [trial.user_attrs for stage in self.stages for trial in stage.trials(*FINISHED)]
        return {own["key"]: own[OWNER].rsplit(":", 2)[0] for own in trials if OWNER in own}

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
        confirm = (self.config.protocol.leaders + 1) * self.config.protocol.seeds * sum(whole) / len(whole)
        return hours - (sum(seconds) + confirm) / 3600

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


def _differences(storage: Storage, config: StudyConfig) -> tuple[Difference, ...]:
    """Earlier studies of this experiment, none if this one is not new."""
    mine = config.identified_by()
    found = dict(identities(storage, config.experiment))
    if config.study_id in found:
        return ()
    return tuple(Difference(study, tuple(sorted(_changed(old, mine)))) for study, old in found.items())


def _changed(old: Any, new: Any, path: str = "") -> list[str]:
    """Dotted keys at which two nested mappings differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        inner = path + "." if path else ""
        return [k for key in sorted({*old, *new}) for k in _changed(old.get(key), new.get(key), inner + key)]
    same = json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)
    return [] if same else [path.removeprefix("experiment.")]
