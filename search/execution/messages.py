"""The trial protocol: what a child and its coordinator say to each other, as JSON over a pipe.

The child asks and reports, the coordinator answers each message once, so that a conversation
reads as plain function calls on both sides. Nothing is pickled.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from multiprocessing.connection import Connection
from typing import Any

Value = str | int | float | bool

#: The file in a task's folder that holds its EvaluationResult once it is decided.
RESULT = "result.json"

#: States of an evaluation that has not ended: it goes on later; another machine has taken it over.
STOPPED = "stopped"
LOST = "lost"


class Decision(StrEnum):
    """What the coordinator answers to a candidate that is built, to an epoch and to a training of several."""

    CONTINUE = "continue"
    SKIP = "skip"  # the candidate is known already: do not train it
    PRUNE = "prune"  # not worth more epochs: end, with the kept weights
    STOP = "stop"  # the study is being stopped: save the checkpoint and end


@dataclass(frozen=True)
class Task:
    """One evaluation: all that a child needs to know, paths included."""

    key: str
    seed: int
    space: str | Sequence[str]
    dataset: str  # folder of the prepared data set
    folder: str  # checkpoint, result and artifacts of this evaluation
    recipe: Mapping[str, Any]
    epochs: int
    patience: int
    objective: str
    precision: str
    threads: int
    monitor_fraction: float
    monitor_seed: int
    fix: Mapping[str, Value] = field(default_factory=dict)
    domains: Mapping[str, Any] = field(default_factory=dict)  # narrowed domains of the space, as dicts
    recipe_domains: Mapping[str, Any] = field(default_factory=dict)
    candidate: Mapping[str, Any] | None = None  # a fixed candidate: nothing is drawn
    validate: bool = False  # measure the validation split too: the confirm stage alone does
    keep_model: bool = False
    #: Learning rates, one an epoch: train on monitor too, exactly so long, and keep the last weights.
    rates: Sequence[float] | None = None
    max_parameters: int | None = None
    max_macs: int | None = None
    describe_only: bool = False  # draw and build, then end: a probe
    train_images: int | None = None  # train on so many images, every class in its proportion
    sample: int | None = None  # train on so many images, to learn how fast: a calibration
    rounds: int = 1  # trainings with different seeds, pooled
    folds: int | None = None  # in place of rounds: one for each fold of train and validation together
    environment: Mapping[str, str] = field(
        default_factory=dict
    )  # variables of the child: which GPU it may see


#: Fields of a task that decide its result, beside the candidate, the images, precision and threads.
REPEATED = (
    *("key", "seed", "space", "epochs", "patience", "objective"),
    *("monitor_fraction", "monitor_seed", "validate", "rates", "rounds", "folds", "train_images"),
)


@dataclass(frozen=True)
class Suggest:
    """A hyperparameter of this name is needed. Answered with its value."""

    name: str
    domain: Mapping[str, Any]


@dataclass(frozen=True)
class Built:
    """The candidate is drawn and its network built. Answered continue or skip."""

    family: str
    variant: str
    label: str
    architecture: Mapping[str, Any]
    facts: Mapping[str, Any]
    recipe: Mapping[str, Any]
    architecture_fingerprint: str
    candidate_fingerprint: str
    parameters: int
    macs: int
    unmet: Sequence[str] = field(
        default_factory=list
    )  # names that the task fixes or narrows, and this candidate has not
    stood: Mapping[str, Any] = field(
        default_factory=dict
    )  # by path, of what the task fixes: its plain name, its domain as a dict, its value

    def candidate(self) -> dict[str, Any]:
        """The candidate as a plan stores it, so that a later task can build it again."""
        return {
            "family": self.family,
            "variant": self.variant,
            "label": self.label,
            "architecture": dict(self.architecture),
            "recipe": dict(self.recipe),
            "parameters": self.parameters,
            "macs": self.macs,
        }


@dataclass(frozen=True)
class Infeasible:
    """The candidate cannot be built, or not within the budgets. Not answered: the child ends."""

    reason: str
    violation: float  # relative: value / budget - 1
    parameters: int | None = None
    macs: int | None = None


@dataclass(frozen=True)
class Epoch:
    """One epoch is over. Answered continue, prune or stop."""

    epoch: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Round:
    """One training of several is over, none of which was cut short. Answered continue, prune or stop."""

    number: int  # from 1
    score: float  # the objective's monitor twin at the kept epoch


@dataclass(frozen=True)
class Closing:
    """The last training is over: what came of it is measured and written now. Not answered."""


@dataclass(frozen=True)
class EvaluationResult:
    """How an evaluation ended. Its files lie in the task's folder, under `artifacts`.

    The child reports complete, pruned or stopped. The coordinator decides the other states.

    Attributes:
        state: one of `names.STATES`, STOPPED or LOST.
        reason: why, for people; empty where the state says it all.
        score: the objective on the monitor split at the kept epoch; NaN where there is none.
        metrics: the final metrics by name.
        violations: by name of the budget, value / budget - 1.
    """

    state: str
    reason: str = ""
    score: float = float("nan")
    metrics: Mapping[str, float] = field(default_factory=dict)
    violations: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Failed:
    """The evaluation broke.

    Attributes:
        kind: diverged, memory, disk, machine, user, hypermodel (the user's own code) or error.
        message: what happened, in one line.
        detail: the traceback, where there is one.
    """

    kind: str
    message: str
    detail: str = ""


Message = Task | Suggest | Built | Infeasible | Epoch | Round | Closing | EvaluationResult | Failed
_MESSAGES: dict[str, type[Any]] = {
    c.__name__: c for c in (Task, Suggest, Built, Infeasible, Epoch, Round, Closing, EvaluationResult, Failed)
}


def send(pipe: Connection, message: Message) -> None:
    """Send one message."""
    pipe.send_bytes(json.dumps({"type": type(message).__name__, **asdict(message)}).encode())


def receive(pipe: Connection) -> Any:
    """The next message. Raises EOFError when the other side is gone."""
    fields = json.loads(pipe.recv_bytes())
    return _MESSAGES[fields.pop("type")](**fields)


def answer(pipe: Connection, value: Value) -> None:
    """Answer the message just received."""
    pipe.send_bytes(json.dumps(value).encode())


def ask(pipe: Connection, message: Message) -> Any:
    """Send a message and wait for its answer."""
    send(pipe, message)
    return json.loads(pipe.recv_bytes())
