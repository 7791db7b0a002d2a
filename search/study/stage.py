"""A stage of a study: a plan of evaluations in an Optuna study, claimed one at a time, told once.

Optuna's storage is the only record of the plan. A stage puts waiting trials into it; a worker slot
claims one, evaluates it and tells the result. Whoever dies in between leaves a running trial,
which is *adopted* by another coordinator: same trial number, same draws, same key, so that the
evaluation finds its checkpoint and its MLflow run again. Nothing is failed and queued anew.

Every trial has one owner at a time. Whoever claims or adopts it writes its name into it, under a lock,
and only the owner's result counts: a machine thought lost that comes back finds another name there.
"""

import contextlib
import logging
import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.execution.devices import cores, gpus
from search.execution.messages import (
    LOST,
    STOPPED,
    Answer,
    Built,
    Epoch,
    EvaluationResult,
    Value,
)
from search.safety.paths import checked_name
from search.study.config import StudyConfig
from search.study.evaluation import ActiveEvaluation
from search.study.samplers import (
    make_pruner,
    make_sampler,
    suggest,
    worker_seed,
)
from search.study.storage import Storage
from search.tracking import names
from spaces.domains import Domain

#: Optuna's states of a trial that is over.
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)

#: The attribute of a trial that says how long the study trained it.
WALL_SECONDS = "wall_seconds"

Direction = Literal["minimize", "maximize"]


class Wait:
    """Nothing to claim now; what is running may still make room."""


class Stage(ABC):
    """What explore and confirm share. Thread-safe: every worker slot calls it."""

    name: str
    prunes_by: Literal["epoch", "seed"] | None = None  # what a step is to the pruner
    origin = ""  # the study whose leads it begins with
    learns = False  # whether what has ended bears on what is claimed next

    def __init__(self, config: StudyConfig, storage: Storage, workspace: Path, study_name: str) -> None:
        self.config = config
        self.storage = storage
        self.workspace = workspace
        self.study_name = study_name
        self._lock = threading.RLock()
        self._looked = -math.inf  # when there was last nobody's trial to adopt
        self.workers = 1  # how many slots claim from it; the coordinator says
        self._studies: dict[int, optuna.Study] = {}
        self._running: dict[int, ActiveEvaluation] = {}  # by Optuna's trial id; those of this process
        self.study = optuna.create_study(
            study_name=study_name,
            storage=storage.cached,
            directions=self.directions(),
            load_if_exists=True,
            sampler=optuna.samplers.RandomSampler(seed=0),
        )
        self.study.set_metric_names(self._metric_names())  # what dashboards call the values
        self._counted = self._count()

    def _metric_names(self) -> list[str]:
        """The objective by its name on the monitor split, and what else is minimised."""
        protocol = self.config.protocol
        score = f"monitor {protocol.objective.removeprefix('val_').replace('_', ' ')}"
        return [score, protocol.also_minimize or ""][: len(self.study.directions)]

    # What a stage decides

    def directions(self) -> list[Direction]:
        """Optuna's directions: the objective's alone."""
        return [self.config.protocol.direction]

    @abstractmethod
    def plan_next(self) -> type[Wait] | None:
        """See to it that a trial waits; Wait when one may come later, None when the stage is over."""

    @abstractmethod
    def _count(self) -> int:
        """How many evaluations of the total are over."""

    @abstractmethod
    def total(self) -> int:
        """How many evaluations there are to be."""

    @abstractmethod
    def task_fields(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of the task that are this trial's own."""

    def built(self, evaluation: ActiveEvaluation, built: Built) -> Answer:
        """Whether to train the candidate that was drawn and built."""
        evaluation.built = built
        return Answer.GO

    # The plan

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """The stage's trials in their order."""
        return self.study.get_trials(deepcopy=False, states=states or None)

    def enqueue(self, slot: int, seed: int, **attributes: Any) -> None:
        """Put an evaluation into the plan."""
        key = f"{self.config.study_id}/{self.name}/{slot}/{seed}"
        self.study.enqueue_trial({}, user_attrs={"slot": slot, "seed": seed, "key": key, **attributes})

    def threads_of_two(self) -> int:
        """The threads of two workers, where there are two and threads are what a child computes with.

        What is awaited before anything else is there sooner with them. A limit in seconds would mean more to
        it than to others: then it gets what everybody gets.
        """
        threads = self.config.threads
        there = self.workers > 1 and cores() >= 2 * threads and not gpus()
        return 2 * threads if there and self.config.protocol.max_seconds is None else threads

    def counted(self) -> int:
        """How many evaluations of the total were over at the last look into the storage."""
        return self._counted

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Count, plan, claim and tell one at a time, on this machine and on all others."""
        with self._lock, self.storage.exclusive(self.study_name):
            yield

    def claim(self, worker: int) -> ActiveEvaluation | type[Wait] | None:
        """The next evaluation for this worker; Wait: ask again soon; None: nothing is left."""
        with self._lock:
            with self.exclusive():
                trial = self._next()
                if not isinstance(trial, int):
                    self._counted = self._count()
                    going_on = trial is None and self.storage.count(self.study._study_id, TrialState.RUNNING)
                    return Wait if going_on else trial
                begun, attributes = self.storage.read(trial)
            # Only now: a claim that fails as it ends is repeated, and must find the trial an orphan.
            evaluation = self._work(self._study_of(worker), trial, begun, attributes)
            self._running[trial] = evaluation
            return evaluation

    def _next(self) -> int | type[Wait] | None:
        """The trial to go on with: one that was left behind, else one that waits."""
        # Nobody is thought lost who was there a moment ago: that is worth a look now and then.
        if time.monotonic() - self._looked >= (self.storage.heartbeat_interval or 0):
            orphan = self._adopted()
            if orphan is not None:
                return orphan
        begun = self._begun()
        return begun if isinstance(begun, int) else self._adopted() or begun

    def _adopted(self) -> int | None:
        """A running trial that nobody evaluates: its process is gone, or our claim of it failed half-way."""
        owners = self.storage.owners(self.study._study_id)
        orphans = owners.keys() - self._running.keys()
        if orphans and self.storage.shared:  # else there is no other process than this
            mine = {trial for trial in orphans if owners[trial] == self.storage.owner}
            orphans &= mine | self.storage.stale(self.study._study_id)
        if not orphans:
            self._looked = time.monotonic()
            return None
        self.storage.own(min(orphans))
        return min(orphans)

    def _begun(self) -> int | type[Wait] | None:
        """A waiting trial, planned now if need be. It has an owner and a heartbeat before it runs."""
        begun = self.storage.begin_first(self.study._study_id)
        if begun is None:
            verdict = self.plan_next()
            begun = self.storage.begin_first(self.study._study_id)
            if begun is None:
                return verdict
        return begun

    def deserted(self) -> bool:
        """Whether no other process evaluates anything of it: nothing runs that is neither ours nor stale."""
        owners = self.storage.owners(self.study._study_id)
        others = {trial for trial, owner in owners.items() if owner != self.storage.owner}
        return others <= self.storage.stale(self.study._study_id)

    def lost(self, evaluation: ActiveEvaluation, *, since: float = 0.0) -> bool:
        """Whether another machine has taken this evaluation over, or finished it.

        since: to have looked so many seconds ago is good enough.
        """
        now = time.monotonic()
        if not self.storage.shared or now - evaluation.looked < since:
            return False
        owner = self.storage.owners(self.study._study_id).get(evaluation.trial_id)
        evaluation.looked = now
        return owner != self.storage.owner

    def _study_of(self, worker: int) -> optuna.Study:
        """This worker's view of the study, with a sampler of its own where anything is drawn."""
        if not self.learns:
            return self.study
        if worker not in self._studies:
            protocol = self.config.protocol
            begun = len(self.study.get_trials(deepcopy=False))
            seed = worker_seed(protocol.sampler_options.get("seed", 0), begun, worker, self.origin)
            self._studies[worker] = optuna.load_study(
                study_name=self.study_name,
                storage=self.storage.cached,
                sampler=make_sampler(protocol.sampler, protocol.sampler_options, seed),
                pruner=make_pruner(protocol.pruner, protocol.pruner_options, protocol.epochs),
            )
        return self._studies[worker]

    def _work(
        self, study: optuna.Study, trial: int, begun: float, attributes: Mapping[str, Any]
    ) -> ActiveEvaluation:
        task = self.config.task(
            key=attributes["key"],
            seed=attributes["seed"],
            folder=str(self.folder_of(attributes["key"])),
            threads=attributes.get("threads", self.config.threads),
            **self.task_fields(attributes),
        )
        return ActiveEvaluation(
            stage=self.name,
            slot=attributes["slot"],
            seed=attributes["seed"],
            key=attributes["key"],
            baseline=bool(attributes.get("baseline")),
            task=task,
            study=study,
            trial_id=trial,
            begun=begun,
        )

    def folder_of(self, key: str) -> Path:
        """Where an evaluation keeps its checkpoint and its artifacts until they are delivered."""
        return self.workspace / "checkpoints" / checked_name(key.replace("/", "-"), "evaluation")

    # What the child says

    def suggest(self, evaluation: ActiveEvaluation, name: str, domain: Domain) -> Value:
        """Draw a hyperparameter: from the sampler, or as it was drawn before the trial was adopted."""
        if evaluation.unsure:
            evaluation.read_again()
        evaluation.unsure = True
        value = self.draw(evaluation, name, domain)
        evaluation.unsure = False
        return value

    def draw(self, evaluation: ActiveEvaluation, name: str, domain: Domain) -> Value:
        """What the trial has of the name from now on."""
        return suggest(evaluation.writable, name, domain)

    def epoch(self, evaluation: ActiveEvaluation, message: Epoch) -> Answer:
        """Take note of an epoch; prune where the stage prunes by epoch."""
        prune = False
        if self.prunes_by == "epoch":
            evaluation.trial.report(
                float(message.metrics[self.config.protocol.monitor_metric]), message.epoch
            )
            prune = not evaluation.baseline and evaluation.trial.should_prune()  # it is always confirmed
        evaluation.trained_seconds += message.metrics[
            names.EPOCH_SECONDS
        ]  # last: what fails before is repeated
        return Answer.PRUNE if prune else Answer.GO

    def round(self, evaluation: ActiveEvaluation, number: int, score: float) -> Answer:
        """Take note of one training of several; prune where the stage prunes by seed."""
        if self.prunes_by != "seed":
            return Answer.GO
        evaluation.trial.report(score, number)
        return Answer.PRUNE if not evaluation.baseline and evaluation.trial.should_prune() else Answer.GO

    # The end

    def finish(self, evaluation: ActiveEvaluation, result: EvaluationResult) -> None:
        """Tell Optuna, once; a stopped or lost evaluation stays as it is."""
        with self._lock:
            if result.state not in (STOPPED, LOST):
                self._tell(evaluation, result)
                self._counted = self._count()
            self._running.pop(evaluation.trial_id, None)

    def _tell(self, evaluation: ActiveEvaluation, result: EvaluationResult) -> None:
        attributes: dict[str, Any] = {"state": result.state, WALL_SECONDS: self._wall_seconds(evaluation)}
        constraints = dict(result.violations)
        if result.reason:
            attributes["reason"] = result.reason[:1000]
        if evaluation.built is not None:
            attributes["candidate"] = evaluation.built.candidate()
            attributes["fingerprint"] = evaluation.built.candidate_fingerprint
            attributes["label"] = evaluation.built.label
            constraints = self._violations(evaluation.built) | constraints
        if result.metrics:
            attributes["metrics"] = {k: v for k, v in result.metrics.items() if v == v}
        values, state = self._as_optuna(result)
        with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
            for name, violation in constraints.items():
                evaluation.trial.set_constraint(name, violation)
            if state == TrialState.PRUNED:  # its last report is its value: Optuna sees to that
                self.storage.end(evaluation.trial_id, attributes, TrialState.RUNNING)
                self.study.tell(evaluation.trial, state=state, skip_if_finished=True)
            else:  # `tell` would only read the trial twice
                self.storage.end(evaluation.trial_id, attributes, state, values)

    def _wall_seconds(self, evaluation: ActiveEvaluation) -> float:
        """Of the time that passed for the study, what this training took: all workers share it."""
        machines, share = 1, evaluation.task.threads / self.config.threads
        if self.storage.shared and self.config.protocol.hours is not None:
            machines = len(set(self.storage.owners(self.study._study_id).values()))
        return evaluation.trained_seconds * share / (self.workers * max(machines, 1))

    def _as_optuna(self, result: EvaluationResult) -> tuple[list[float] | None, TrialState]:
        """What Optuna is told. TPE ignores FAIL and would draw it again, so only breakdowns are failures."""
        known = result.state == names.DUPLICATE and result.score == result.score
        if result.state == names.COMPLETE or known:
            return self.values(result), TrialState.COMPLETE
        if result.state in (names.FAILED, names.DUPLICATE):
            return None, TrialState.FAIL
        return None, TrialState.PRUNED

    def values(self, result: EvaluationResult) -> list[float]:
        """What a complete evaluation is worth, in the order of the directions."""
        return [result.score]

    def _violations(self, built: Built) -> dict[str, float]:
        protocol = self.config.protocol
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

    def running(self) -> list[ActiveEvaluation]:
        """What is being evaluated now."""
        return list(self._running.values())
