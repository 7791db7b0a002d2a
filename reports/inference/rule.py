"""How a study's verdict is reached; written before the search."""

from dataclasses import dataclass
from typing import get_args

from reports.records.evaluation import Objective


@dataclass(frozen=True)
class Rule:
    """The part of the protocol that the verdict follows.

    tau bounds relative_overfit. margin is the difference, in units of the objective, within which two
    candidates are as good as the same. alpha is the error that all looks together may spend. near_chance is
    the part of the way from the majority class's share to the best accuracy up to which a seed counts as
    having failed to learn.
    """

    objective: Objective = "val_accuracy"
    tau: float = 0.35
    margin: float = 0.01
    alpha: float = 0.05
    near_chance: float = 0.1

    def __post_init__(self) -> None:
        if self.objective not in get_args(Objective):
            raise ValueError(f"objective must be one of {get_args(Objective)}. Received: {self.objective!r}")
