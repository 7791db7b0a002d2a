"""What a study is: the resolved experiment, its data, how children compute. All of it frozen."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from search.datasets.prepare import Prepared
from search.execution.messages import Task, Value
from search.protocol import Protocol

Cell = Mapping[str, Any]  # name of a hyperparameter, "variant" or "recipe.<field>" -> value


@dataclass(frozen=True)
class StudyConfig:
    """One study, resolved: what its identity is made of, and its totals."""

    experiment: str
    question: str
    space: str | tuple[str, ...]
    recipe: Mapping[str, Any]
    protocol: Protocol
    data: Prepared
    precision: str
    threads: int
    fix: Mapping[str, Value] = field(default_factory=dict)
    domains: Mapping[str, Any] = field(default_factory=dict)  # domains as dicts, by name
    recipe_domains: Mapping[str, Any] = field(default_factory=dict)
    cells: tuple[Cell, ...] = ()  # a grid; empty for a search
    baseline: Cell | None = None
    folds: int | None = None  # in place of a validation part: see search.training.replicates
    identity: Mapping[str, Any] = field(default_factory=dict)  # of the experiment, without totals and paths

    @property
    def study_id(self) -> str:
        """The study's id: 12 hex digits over everything that makes results comparable."""
        return hashlib.sha256(json.dumps(self.identified_by(), sort_keys=True).encode()).hexdigest()[:12]

    def task(self, **fields: Any) -> Task:
        """The task of an evaluation of this study; `fields`: key, seed, folder, and what differs."""
        protocol = self.protocol
        common: dict[str, Any] = {
            "space": self.space,
            "dataset": str(self.data.folder),
            "recipe": self.recipe,
            "epochs": protocol.epochs,
            "patience": protocol.patience,
            "objective": protocol.objective,
            "precision": self.precision,
            "threads": self.threads,
            "monitor_fraction": protocol.monitor_fraction,
            "monitor_seed": 0,
            "fix": self.fix,
            "domains": self.domains,
            "recipe_domains": self.recipe_domains,
            "max_parameters": protocol.max_parameters,
            "max_macs": protocol.max_macs,
        }
        return Task(**(common | fields))

    def identified_by(self) -> dict[str, Any]:
        """What the id is the hash of; kept with the study, so that a difference can be named."""
        return {
            "experiment": dict(self.identity),
            "data": self.data.digest,
            "split": self.data.split_digest,
            "precision": self.precision,
            "threads": self.threads,
        }
