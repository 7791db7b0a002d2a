"""What changes from epoch to epoch: the learning rate, the strength of augmentation, the end of a training.

Functions of the history alone, so that a resumed training decides as an uninterrupted one. `early_stopping`
has the rule that ends a training, and says what a history is.
"""

import math
from dataclasses import dataclass

from search.training import early_stopping
from search.training.early_stopping import History
from search.training.recipe import Recipe


@dataclass(frozen=True)
class Schedule:
    """When to slow down, when to end, which epoch to keep.

    Attributes:
        recipe: the recipe, with its learning rates.
        epochs: the largest number of epochs.
        patience: the number of epochs in a row without progress after which a training ends.
        objective: one of `early_stopping.OBJECTIVES`.
    """

    recipe: Recipe
    epochs: int
    patience: int
    objective: str

    def best_epoch(self, history: History) -> int:
        """The epoch whose weights are kept, counted from 1: see `early_stopping.best_epoch`."""
        return early_stopping.best_epoch(history, self.objective)

    def over(self, history: History) -> bool:
        """Whether all epochs are done, or progress has stopped."""
        if len(history) >= self.epochs:
            return bool(history)
        return early_stopping.should_stop(history, self.objective, self.patience)

    def learning_rate(self, history: History) -> float:
        """The rate of the epoch that follows `history`.

        Where a rate follows a line, an epoch has the line's height in the middle of the epoch.

        Args:
            history: The epochs so far.
        """
        recipe, warmup = self.recipe, self.recipe.warmup_epochs
        if recipe.schedule == "one_cycle":
            return self._at(self._one_cycle((len(history) + 0.5) / self.epochs))
        if len(history) < warmup:
            return self._at((len(history) + 0.5) / warmup)
        if recipe.schedule == "plateau":
            dropped = recipe.learning_rate * recipe.plateau_factor ** self._plateaus(history[warmup:])
            return max(dropped, self._floor)
        if recipe.schedule == "cosine":
            # Loshchilov and Hutter, SGDR (2017), without restarts.
            angle = math.pi * (len(history) - warmup) / max(self.epochs - warmup, 1)
            return self._at((1 + math.cos(angle)) / 2)
        return recipe.learning_rate

    def _at(self, height: float) -> float:
        """The rate at a height from 0, the floor, to 1, the recipe's learning rate."""
        return self._floor + (self.recipe.learning_rate - self._floor) * height

    def _one_cycle(self, done: float) -> float:
        """The height after a share of all epochs: a line up, then a line down."""
        share = self.recipe.warmup_share
        return done / share if done < share else max(1 - done, 0.0) / (1 - share)

    def strength(self, history: History) -> float:
        """How strongly the images of the epoch that follows `history` are varied, from 0 to 1."""
        ramp = self.recipe.augmentation_ramp
        return min(len(history) / ramp, 1.0) if ramp else 1.0

    @property
    def _floor(self) -> float:
        return min(self.recipe.min_learning_rate, self.recipe.learning_rate)

    def _plateaus(self, history: History) -> int:
        """How often `plateau_patience` epochs in a row made no progress."""
        waiting = early_stopping.epochs_without_progress(history, self.objective)
        return sum(n > 0 and n % self.recipe.plateau_patience == 0 for n in waiting)


@dataclass(frozen=True)
class FixedSchedule(Schedule):
    """A training of which everything is known beforehand: nothing is left for monitor to decide.

    Attributes:
        rates: the learning rate of each epoch; the weights of the last epoch are kept.
    """

    rates: tuple[float, ...]

    def best_epoch(self, history: History) -> int:
        """The last one."""
        return len(history)

    def over(self, history: History) -> bool:
        """Whether every rate was used."""
        return len(history) >= len(self.rates)

    def learning_rate(self, history: History) -> float:
        """The rate of the epoch that follows `history`."""
        return self.rates[min(len(history), len(self.rates) - 1)]
