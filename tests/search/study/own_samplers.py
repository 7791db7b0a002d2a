"""A sampler and a pruner as a user might write them."""

from typing import Any

import optuna


class Lowest(optuna.samplers.RandomSampler):
    """Draws the low end of every number, plus `above`."""

    def __init__(self, above: float = 0.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.above = above
        self.seed = seed

    def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
        if isinstance(distribution, optuna.distributions.CategoricalDistribution):
            return distribution.choices[0]
        return distribution.low + type(distribution.low)(self.above)


class After(optuna.pruners.BasePruner):
    """Prunes whatever reports a step after `last`."""

    def __init__(self, last: int) -> None:
        self.last = last

    def prune(self, study: Any, trial: Any) -> bool:
        return bool(trial.last_step > self.last)


class Broken(optuna.samplers.RandomSampler):
    """Fails when it draws, not when it is made."""

    def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
        raise RuntimeError("no luck today")
