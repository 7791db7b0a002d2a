"""A stage of a study: a plan of evaluations in an Optuna study, claimed one at a time, told once.

Optuna's storage is the only record of the plan. A stage puts waiting trials into it; a worker slot
claims one, evaluates it and tells the result. Whoever dies in between leaves a running trial,
which is *adopted* by the next coordinator: same trial number, same draws, same key, so that the
evaluation finds its checkpoint and its MLflow run again. Nothing is failed and queued anew.
"""

import contextlib
import logging
import threading
import warnings
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from search.execution.protocol import Answer, Built, Epoch, Task, Value
from search.samplers import make_pruner, make_sampler, worker_seed
from search.setting import Setting
from search.tracking import names
from spaces.domains import Categorical, Domain, Integer, Real

HEARTBEAT_SECONDS = 30
GRACE_SECONDS = 120


@dataclass(frozen=True)
class Outcome:
    """How an evaluation ended. state: one of names.STATES, or "stopped" when it is to go on later."""

    state: str
    reason: str = ""
    score: float = float("nan")
    metrics: Mapping[str, float] = field(default_factory=dict)
    violations: Mapping[str, float] = field(default_factory=dict)  # relative: value / budget - 1


@dataclass
class Work:
    """One evaluation in a worker's hands."""

    stage: str
    slot: int  # its place in the study's plan
    seed: int
    key: str
    baseline: bool
    task: Task
    trial: optuna.Trial
    attempts: int = 0
    built: Built | None = None
    known: Outcome | None = None  # of a duplicate: what its twin had
    last_epoch: int = 0
    trained_seconds: float = 0.0  # over the epochs heard of, restored ones too

    @property
    def time(self) -> int:
        """When the last epoch ended, in milliseconds: the same whenever an epoch is told again."""
        begun = self.trial.datetime_start
        return int(1000 * ((begun.timestamp() if begun else 0.0) + self.trained_seconds))


class Wait:
    """Nothing to claim now; what is running may still make room."""


def open_storage(url: str) -> RDBStorage:
    """Optuna's storage. A SQLite file is opened with patience, since threads share it."""
    _quieten()
    engine = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {"pool_pre_ping": True}
    return RDBStorage(
        url, engine_kwargs=engine, heartbeat_interval=HEARTBEAT_SECONDS, grace_period=GRACE_SECONDS
    )


def _quieten() -> None:
    """Silence what Optuna would tell its developers. For the whole process: threads share the filters."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    warnings.filterwarnings("ignore", "Heartbeat of storage")  # we keep heartbeats ourselves
    warnings.filterwarnings("ignore", "The reported value is ignored")  # epochs told again after a resumption


class Stage(ABC):
    """What explore and confirm share. Thread-safe: every worker slot calls it."""

    name: str
    prunes = False

    def __init__(self, setting: Setting, storage: RDBStorage, workspace: Path, study_name: str) -> None:
        self.setting = setting
        self.storage = storage
        self.workspace = workspace
        self.study_name = study_name
        self._lock = threading.RLock()
        self.workers = 1  # how many slots claim from it; the coordinator says
        self._studies: dict[int, optuna.Study] = {}
        self._running: dict[int, Work] = {}  # by Optuna's trial id
        self.study = optuna.create_study(
            study_name=study_name,
            storage=storage,
            direction="minimize" if setting.protocol.direction == "minimize" else "maximize",
            load_if_exists=True,
            sampler=optuna.samplers.RandomSampler(seed=0),
        )
        self._left_over = deque(self.trials(TrialState.RUNNING))

    # What a stage decides

    @abstractmethod
    def plan_next(self) -> type[Wait] | None:
        """See to it that a trial waits; Wait when one may come later, None when the stage is over."""

    @abstractmethod
    def task_fields(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of the task that are this trial's own."""

    def built(self, work: Work, built: Built) -> Answer:
        """Whether to train the candidate that was drawn and built."""
        work.built = built
        return Answer.GO

    # The plan

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """The stage's trials in their order."""
        return self.study.get_trials(deepcopy=False, states=states or None)

    def enqueue(self, slot: int, seed: int, **attributes: Any) -> None:
        """Put an evaluation into the plan."""
        key = f"{self.setting.study}/{self.name}/{slot}/{seed}"
        self.study.enqueue_trial({}, user_attrs={"slot": slot, "seed": seed, "key": key, **attributes})

    def claim(self, worker: int) -> Work | type[Wait] | None:
        """The next evaluation for this worker; Wait: ask again soon; None: nothing is left."""
        with self._lock:
            if self._left_over:
                trial = optuna.Trial(self._study_of(worker), self._left_over.popleft()._trial_id)
            else:
                if not self.trials(TrialState.WAITING):
                    verdict = self.plan_next()
                    if verdict is Wait or not self.trials(TrialState.WAITING):
                        return Wait if self._running else verdict
                trial = self._study_of(worker).ask()
            self.storage.record_heartbeat(trial._trial_id)
            work = self._work(trial)
            self._running[trial._trial_id] = work
            return work

    def _study_of(self, worker: int) -> optuna.Study:
        """This worker's view of the study, with a sampler of its own."""
        if worker not in self._studies:
            protocol = self.setting.protocol
            seed = worker_seed(self.setting.seed, len(self.trials()), worker)
            self._studies[worker] = optuna.load_study(
                study_name=self.study_name,
                storage=self.storage,
                sampler=make_sampler(protocol.sampler, protocol.sampler_options, seed),
                pruner=make_pruner(protocol.pruner, protocol.pruner_options, protocol.epochs),
            )
        return self._studies[worker]

    def _work(self, trial: optuna.Trial) -> Work:
        setting, attributes = self.setting, trial.user_attrs
        protocol = setting.protocol
        fields: dict[str, Any] = {
            "key": attributes["key"],
            "seed": attributes["seed"],
            "space": setting.space,
            "dataset": str(setting.data.folder),
            "folder": str(self.folder_of(attributes["key"])),
            "recipe": setting.recipe,
            "epochs": protocol.epochs,
            "patience": protocol.patience,
            "objective": protocol.objective,
            "precision": setting.precision,
            "threads": setting.threads,
            "monitor_fraction": protocol.monitor_fraction,
            "monitor_seed": 0,
            "fix": setting.fix,
            "domains": setting.domains,
            "recipe_domains": setting.recipe_domains,
            "max_parameters": protocol.max_parameters,
            "max_macs": protocol.max_macs,
        }
        task = Task(**(fields | self.task_fields(attributes)))
        return Work(
            stage=self.name,
            slot=attributes["slot"],
            seed=attributes["seed"],
            key=attributes["key"],
            baseline=bool(attributes.get("baseline")),
            task=task,
            trial=trial,
        )

    def folder_of(self, key: str) -> Path:
        """Where an evaluation keeps its checkpoint and its artifacts until they are delivered."""
        return self.workspace / "checkpoints" / key.replace("/", "-")

    # What the child says

    def suggest(self, work: Work, name: str, domain: Domain) -> Value:
        """Draw a hyperparameter: from the sampler, or as it was drawn before the trial was adopted."""
        return suggest(work.trial, name, domain)

    def epoch(self, work: Work, message: Epoch) -> Answer:
        """Take note of an epoch; prune where the stage prunes."""
        work.last_epoch = message.epoch
        work.trained_seconds += message.metrics[names.EPOCH_SECONDS]
        work.trial.report(float(message.metrics[self.setting.protocol.monitor_metric]), message.epoch)
        return Answer.PRUNE if self.prunes and work.trial.should_prune() else Answer.GO

    # The end

    def finish(self, work: Work, outcome: Outcome) -> None:
        """Tell Optuna, once; a stopped evaluation stays running, to be adopted."""
        with self._lock:
            if outcome.state != "stopped":
                self._tell(work, outcome)
            del self._running[work.trial._trial_id]

    def _tell(self, work: Work, outcome: Outcome) -> None:
        trial = work.trial
        with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
            trial.set_user_attr("state", outcome.state)
            if outcome.reason:
                trial.set_user_attr("reason", outcome.reason[:1000])
            if work.built is not None:
                trial.set_user_attr("candidate", work.built.candidate())
                trial.set_user_attr("fingerprint", work.built.candidate_fingerprint)
                trial.set_user_attr("label", work.built.label)
                for name, violation in self._violations(work.built).items():
                    trial.set_constraint(name, violation)
            for name, violation in outcome.violations.items():
                trial.set_constraint(name, violation)
            if outcome.metrics:
                trial.set_user_attr("metrics", {k: v for k, v in outcome.metrics.items() if v == v})
        value, state = _as_optuna(outcome)
        self.study.tell(trial, value, state=state, skip_if_finished=True)

    def _violations(self, built: Built) -> dict[str, float]:
        protocol = self.setting.protocol
        budgets = {
            "parameters": (built.parameters, protocol.max_parameters),
            "macs": (built.macs, protocol.max_macs),
        }
        return {name: value / budget - 1 for name, (value, budget) in budgets.items() if budget}

    def beat(self) -> None:
        """Say that every running trial is alive. Survives a storage that does not answer."""
        for trial_id in list(self._running):
            try:
                self.storage.record_heartbeat(trial_id)
            except Exception as error:
                logging.getLogger(__name__).warning("heartbeat of trial %s failed: %s", trial_id, error)

    def running(self) -> list[Work]:
        """What is being evaluated now."""
        return list(self._running.values())


def _as_optuna(outcome: Outcome) -> tuple[float | None, TrialState]:
    """What Optuna is told. TPE ignores FAIL and would draw it again, so only breakdowns are failures."""
    if outcome.state == names.COMPLETE or (
        outcome.state == names.DUPLICATE and outcome.score == outcome.score
    ):
        return outcome.score, TrialState.COMPLETE
    if outcome.state in (names.FAILED, names.DUPLICATE):
        return None, TrialState.FAIL
    return None, TrialState.PRUNED


def suggest(trial: optuna.Trial, name: str, domain: Domain) -> Value:
    """Draw from the trial what the domain describes."""
    match domain:
        case Categorical():
            return _chosen(trial.suggest_categorical(name, list(domain.choices)))
        case Integer():
            return trial.suggest_int(name, domain.low, domain.high, step=domain.step, log=domain.log)
        case Real():
            return trial.suggest_float(name, domain.low, domain.high, step=domain.step, log=domain.log)
    raise TypeError(f"expected a domain. Received: {domain!r}")


def _chosen(value: Value | None) -> Value:
    assert value is not None  # noqa: S101  no domain has None among its choices
    return value
