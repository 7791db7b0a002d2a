"""What the monitor split decides: functions of the history alone, so a resumed training decides alike.

A history is a sequence of epochs, each a mapping with `monitor_accuracy`, `monitor_loss` and
`monitor_macro_f1`. One epoch is better than another by the study's objective on monitor, and at equal
accuracy or F1 by the lower loss.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from search.training.recipe import Recipe

Epoch = Mapping[str, float]
History = Sequence[Epoch]
Merit = tuple[float, ...]

_MERITS: Final[dict[str, Callable[[Epoch], Merit]]] = {
    "val_accuracy": lambda epoch: (epoch["monitor_accuracy"], -epoch["monitor_loss"]),
    "macro_f1": lambda epoch: (epoch["monitor_macro_f1"], -epoch["monitor_loss"]),
    "loss": lambda epoch: (-epoch["monitor_loss"],),
}
OBJECTIVES: Final = tuple(_MERITS)


@dataclass(frozen=True)
class Schedule:
    """When to slow down, when to end, what to keep.

    Attributes:
        recipe: with the learning rates.
        epochs: at most so many.
        patience: end after so many epochs without a better one.
        objective: one of `OBJECTIVES`.
    """

    recipe: Recipe
    epochs: int
    patience: int
    objective: str

    def best_epoch(self, history: History) -> int:
        """The first epoch, counted from 1, that no other surpasses."""
        merits = [self._merit(epoch) for epoch in history]
        return merits.index(max(merits)) + 1

    def over(self, history: History) -> bool:
        """Whether all epochs are done or patience has run out."""
        if not history:
            return False
        return len(history) >= self.epochs or len(history) - self.best_epoch(history) >= self.patience

    def learning_rate(self, history: History) -> float:
        """The rate of the epoch that follows `history`."""
        if self.recipe.schedule == "plateau":
            dropped = self.recipe.learning_rate * self.recipe.plateau_factor ** self._plateaus(history)
            return max(dropped, self._floor)
        if self.recipe.schedule == "cosine":
            # Loshchilov and Hutter, SGDR (2017), without restarts.
            height = self.recipe.learning_rate - self._floor
            return self._floor + height * (1 + math.cos(math.pi * len(history) / self.epochs)) / 2
        return self.recipe.learning_rate

    @property
    def _floor(self) -> float:
        return min(self.recipe.min_learning_rate, self.recipe.learning_rate)

    def _merit(self, epoch: Epoch) -> Merit:
        return _MERITS[self.objective](epoch)

    def _plateaus(self, history: History) -> int:
        """How often `plateau_patience` epochs in a row brought nothing better than the best so far."""
        best: Merit = (-math.inf,)
        waited = plateaus = 0
        for merit in map(self._merit, history):
            waited = 0 if merit > best else waited + 1
            best = max(best, merit)
            if waited == self.recipe.plateau_patience:
                plateaus, waited = plateaus + 1, 0
        return plateaus


@dataclass(frozen=True)
class Rehearsed(Schedule):
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
