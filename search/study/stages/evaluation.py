"""One evaluation that a worker slot runs now."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

import optuna

from search.execution.messages import (
    Built,
    EvaluationResult,
    Task,
    Value,
)
from search.study.optuna._optuna_private import trial_of
from spaces.domains import Domain


@dataclass
class ActiveEvaluation:
    """One evaluation in a worker's hands."""

    stage: str
    slot: int  # its place in the study's plan
    seed: int
    key: str
    baseline: bool
    task: Task
    study: optuna.Study  # this worker's view of it
    trial_id: int  # Optuna's
    begun: float  # when it was first claimed, in seconds since the epoch
    attempts: int = 0
    built: Built | None = None
    known: EvaluationResult | None = None  # of a duplicate: what the same candidate had before
    trained_seconds: float = 0.0  # over the epochs heard of, restored ones too
    stood: dict[str, tuple[Domain, Value]] = field(default_factory=dict)  # asked for, and not drawn
    unsure: bool = False  # whether the storage holds draws of which its answer was lost
    read: bool = False  # whether Optuna has read the trial of which it is to take draws
    looked: float = field(default_factory=time.monotonic)  # when it was last seen to be this process's own

    @property
    def time(self) -> int:
        """When the last epoch ended, in milliseconds: the same whenever an epoch is told again."""
        return int(1000 * (self.begun + self.trained_seconds))

    @cached_property
    def trial(self) -> optuna.Trial:
        """What Optuna draws and prunes with. Read when first asked for: it takes Optuna several questions."""
        return trial_of(self.study, self.trial_id)

    @property
    def writable(self) -> optuna.Trial:
        """The trial, after Optuna's cache has read it: of others it takes no values."""
        if not self.read:
            self.study.get_trials(deepcopy=False)
            self.read = True
        return self.trial

    @contextmanager
    def drawing(self) -> Iterator[optuna.Trial]:
        """The trial to draw a value from. After a draw whose answer was lost, Optuna reads the trial anew."""
        if self.unsure:
            self.__dict__.pop("trial", None)
        self.unsure = True
        yield self.writable
        self.unsure = False
