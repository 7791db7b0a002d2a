"""What changes from epoch to epoch: functions of the history alone, so a resumed training decides alike.

A history is a sequence of epochs, each a mapping with `monitor_accuracy`, `monitor_loss` and
`monitor_macro_f1`. One epoch is better than another by the study's objective on monitor, and at equal
accuracy or F1 by the lower loss. A network that has yet to leave the commonest class shows what it learns in
its loss alone: so an epoch has been of use if it brought a better one, or a lower loss.
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
        patience: end after so many epochs in a row that were of no use.
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
        return len(history) >= self.epochs or self._useless(history)[-1] >= self.patience

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

    def strength(self, history: History) -> float:
        """How strongly the images of the epoch that follows `history` are varied, from 0 to 1."""
        ramp = self.recipe.augmentation_ramp
        return min(len(history) / ramp, 1.0) if ramp else 1.0

    @property
    def _floor(self) -> float:
        return min(self.recipe.min_learning_rate, self.recipe.learning_rate)

    def _merit(self, epoch: Epoch) -> Merit:
        return _MERITS[self.objective](epoch)

    def _plateaus(self, history: History) -> int:
        """How often `plateau_patience` epochs in a row were of no use."""
        return sum(n > 0 and n % self.recipe.plateau_patience == 0 for n in self._useless(history))

    def _useless(self, history: History) -> list[int]:
        """After each epoch: how many in a row, up to this one, were of no use."""
        best: Merit = (-math.inf,)
        lowest, row, rows = math.inf, 0, []
        for epoch in history:
            merit, loss = self._merit(epoch), epoch["monitor_loss"]
            row = 0 if merit > best or loss < lowest else row + 1
            best, lowest = max(best, merit), min(lowest, loss)
            rows.append(row)
        return rows


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
