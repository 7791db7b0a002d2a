"""A stage of a study: a plan of evaluations in an Optuna study, claimed one at a time, told once.

Optuna's storage is the only record of the plan. A stage puts waiting trials into it; a worker slot
claims one, evaluates it and tells the result. Whoever dies in between leaves a running trial,
which is *adopted* by another coordinator: same trial number, same draws, same key, so that the
evaluation finds its checkpoint and its MLflow run again. Nothing is failed and queued anew.

A stage plans and claims. Whose a trial is: `ownership`. What Optuna is told: `tell`.
"""

import threading
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
    Built,
    Decision,
    Epoch,
    EvaluationResult,
    Value,
)
from search.safety.paths import checked_name
from search.study.optuna._optuna_private import reseed, study_id_of
from search.study.optuna.samplers import (
    make_pruner,
    make_sampler,
    trial_seed,
)
from search.study.optuna.storage import Storage
from search.study.planning.config import StudyConfig
from search.study.stages.evaluation import ActiveEvaluation
from search.study.stages.ownership import Ownership
from search.study.stages.tell import tell
from search.tracking import names
from spaces.domains import Domain

#: Optuna's states of a trial that is over.
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)

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
        self.workers = 1  # how many slots claim from it; the coordinator says
        self._studies: dict[int, optuna.Study] = {}
        self.study = optuna.create_study(
            study_name=study_name,
            storage=storage.cached,
            directions=self.directions(),
            load_if_exists=True,
            sampler=optuna.samplers.RandomSampler(seed=0),
        )
        if len(self.study.directions) > 1:  # of one alone, Optuna's frames would not call the column "value"
            self.study.set_metric_names(self._metric_names())
        self.study_id = study_id_of(self.study)
        self.ownership = Ownership(storage, self.study_id)
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

    def built(self, evaluation: ActiveEvaluation, built: Built) -> Decision:
        """Whether to train the candidate that was drawn and built."""
        evaluation.built = built
        return Decision.CONTINUE

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
                    going_on = trial is None and self.storage.count(self.study_id, TrialState.RUNNING)
                    return Wait if going_on else trial
                begun, attributes = self.storage.read(trial)
            # Only now: a claim that fails as it ends is repeated, and must find the trial an orphan.
            evaluation = self._work(self._study_of(worker, attributes["slot"]), trial, begun, attributes)
            self.ownership.evaluations[trial] = evaluation
            return evaluation

    def _next(self) -> int | type[Wait] | None:
        """The trial to go on with: one that was left behind, else one that waits."""
        if self.ownership.orphan_is_due() and (orphan := self.ownership.adopt()) is not None:
            return orphan
        begun = self._begun()
        return begun if isinstance(begun, int) else self.ownership.adopt() or begun

    def _begun(self) -> int | type[Wait] | None:
        """A waiting trial, planned now if need be. It has an owner and a heartbeat before it runs."""
        begun = self.storage.claim_first(self.study_id)
        if begun is None:
            verdict = self.plan_next()
            begun = self.storage.claim_first(self.study_id)
            if begun is None:
                return verdict
        return begun

    def deserted(self) -> bool:
        """Whether no other process evaluates anything of it."""
        return self.ownership.deserted()

    def lost(self, evaluation: ActiveEvaluation, *, since: float = 0.0) -> bool:
        """Whether another machine has taken this evaluation over: see `Ownership.lost`."""
        return self.ownership.lost(evaluation, since=since)

    def _study_of(self, worker: int, slot: int) -> optuna.Study:
        """This worker's view of the study, with a sampler of its own where anything is drawn.

        The sampler is seeded for the trial at this place of the plan.
        """
        if not self.learns:
            return self.study
        protocol = self.config.protocol
        seed = trial_seed(protocol.sampler_options.get("seed", 0), slot, self.origin)
        if worker not in self._studies:
            self._studies[worker] = optuna.load_study(
                study_name=self.study_name,
                storage=self.storage.cached,
                sampler=make_sampler(protocol.sampler, protocol.sampler_options, seed + worker),
                pruner=make_pruner(protocol.pruner, protocol.pruner_options, protocol.epochs),
            )
        reseed(self._studies[worker].sampler, seed)
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

    @abstractmethod
    def suggest(self, evaluation: ActiveEvaluation, name: str, domain: Domain) -> Value:
        """The value of a hyperparameter that the child asks for.

        Args:
            evaluation: whose candidate is being drawn.
            name: the hyperparameter, with the condition path that it stands under.
            domain: what it may be.
        """

    def epoch(self, evaluation: ActiveEvaluation, message: Epoch) -> Decision:
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
        return Decision.PRUNE if prune else Decision.CONTINUE

    def round(self, evaluation: ActiveEvaluation, number: int, score: float) -> Decision:
        """Take note of one training of several; prune where the stage prunes by seed."""
        if self.prunes_by != "seed":
            return Decision.CONTINUE
        evaluation.trial.report(score, number)
        return (
            Decision.PRUNE
            if not evaluation.baseline and evaluation.trial.should_prune()
            else Decision.CONTINUE
        )

    # The end

    def finish(self, evaluation: ActiveEvaluation, result: EvaluationResult) -> None:
        """Tell Optuna, once; a stopped or lost evaluation stays as it is."""
        with self._lock:
            if result.state not in (STOPPED, LOST):
                tell(
                    self.storage,
                    self.study,
                    evaluation,
                    result,
                    protocol=self.config.protocol,
                    values=self.values(result),
                    wall_seconds=self._wall_seconds(evaluation),
                )
                self._counted = self._count()
            self.ownership.evaluations.pop(evaluation.trial_id, None)

    def _wall_seconds(self, evaluation: ActiveEvaluation) -> float:
        """Of the time that passed for the study, what this training took: all workers share it."""
        machines, share = 1, evaluation.task.threads / self.config.threads
        if self.storage.shared and self.config.protocol.hours is not None:
            machines = self.ownership.machines()
        return evaluation.trained_seconds * share / (self.workers * machines)

    def values(self, result: EvaluationResult) -> list[float]:
        """What a complete evaluation is worth, in the order of the directions."""
        return [result.score]

    def beat(self) -> None:
        """Say that every running trial of this process is alive."""
        self.ownership.beat()

    def running(self) -> list[ActiveEvaluation]:
        """What is being evaluated now."""
        return list(self.ownership.evaluations.values())
