"""One study from its plan to its last evaluation: explore, leaders, confirm."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from optuna.trial import TrialState

from search.confirm import Confirm
from search.execution.coordinator import Coordinator
from search.explore import Explore
from search.leaders import Leader, leaders
from search.setting import Setting
from search.stage import Stage
from search.storage import Storage
from search.workspace import Workspace

_IDENTITY = "identity"


@dataclass(frozen=True)
class Difference:
    """An earlier study of the same experiment, and in what it differs."""

    study: str
    keys: tuple[str, ...]


class Study:
    """Explore and confirm over one storage. Going on with a study is the same as beginning it."""

    def __init__(self, setting: Setting, storage: Storage, workspace: Workspace) -> None:
        self.setting = setting
        self._storage = storage
        self._workspace = workspace
        name = f"{setting.experiment}-{setting.study}"
        self.earlier = _differences(storage, setting)
        self.explore: Explore | None = None
        if not setting.cells:
            self.explore = Explore(
                setting, storage, workspace.folder, f"{name}/explore", hours_left=self._hours_left
            )
        self.confirm = Confirm(setting, storage, workspace.folder, f"{name}/confirm")
        for stage in self.stages:
            stage.study.set_user_attr(_IDENTITY, setting.identified_by())
        self._sweep()

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages in their order."""
        return (self.confirm,) if self.explore is None else (self.explore, self.confirm)

    def run(self, coordinator: Coordinator, began: Callable[[Stage], None]) -> bool:
        """Run what is left of both stages; whether the study is over (not stopped half-way)."""
        if self.explore is not None:
            began(self.explore)
            coordinator.run(self.explore)
            if coordinator.stopped:
                return False
        self.plan_confirm()
        began(self.confirm)
        coordinator.run(self.confirm)
        return not coordinator.stopped

    def plan_confirm(self) -> None:
        """Plan the confirm stage from the leaders, or from the grid."""
        if self.explore is None:
            self.confirm.plan_cells()
        else:
            self.confirm.plan(self.leaders())

    def leaders(self) -> tuple[Leader, ...]:
        """The leaders as explore stands now."""
        protocol = self.setting.protocol
        images = round(self.setting.data.counts["train"] * protocol.monitor_fraction)
        trials = self.explore.trials() if self.explore is not None else []
        return leaders(
            trials, limit=protocol.leaders, images=images, minimize=protocol.direction == "minimize"
        )

    def _hours_left(self, explore: Explore) -> float:
        """Hours of the budget that explore may still use; confirm keeps its share, by what trials take."""
        hours = self.setting.protocol.hours
        if hours is None:
            return 1.0
        seconds = [_seconds(t) for s in self.stages for t in s.trials(TrialState.COMPLETE, TrialState.PRUNED)]
        whole = [_seconds(t) for t in explore.trials(TrialState.COMPLETE)]
        if not whole:
            return hours
        confirm = (self.setting.protocol.leaders + 1) * self.setting.protocol.seeds * sum(whole) / len(whole)
        return hours - (sum(seconds) + confirm) / 3600 / max(explore.workers, 1)

    def _sweep(self) -> None:
        """Remove the folders of evaluations that ended; those of running ones are needed to go on.

        Folders are listed first: one that another machine makes meanwhile is not among them.
        """
        folders = list(self._workspace.checkpoints.glob(f"{self.setting.study}-*"))
        open_folders = {
            stage.folder_of(trial.user_attrs["key"]).name
            for stage in self.stages
            for trial in stage.trials(TrialState.RUNNING, TrialState.WAITING)
        }
        for folder in folders:
            if folder.name not in open_folders:
                shutil.rmtree(folder, ignore_errors=True)


def _seconds(trial: Any) -> float:
    return 0.0 if trial.duration is None else float(trial.duration.total_seconds())


def _differences(storage: Storage, setting: Setting) -> tuple[Difference, ...]:
    """Earlier studies of this experiment, none if this one is not new."""
    prefix = f"{setting.experiment}-"
    mine = setting.identified_by()
    found: dict[str, Difference] = {}
    for frozen in storage.get_all_studies():
        name = frozen.study_name
        if not name.startswith(prefix) or _IDENTITY not in frozen.user_attrs:
            continue
        study = name.removeprefix(prefix).partition("/")[0]
        if study == setting.study:
            return ()
        keys = tuple(sorted(_changed(frozen.user_attrs[_IDENTITY], mine)))
        found[study] = Difference(study, keys)
    return tuple(found.values())


def _changed(old: Any, new: Any, path: str = "") -> list[str]:
    """Dotted keys at which two nested mappings differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        inner = path + "." if path else ""
        return [k for key in sorted({*old, *new}) for k in _changed(old.get(key), new.get(key), inner + key)]
    same = json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)
    return [] if same else [path.removeprefix("experiment.")]
