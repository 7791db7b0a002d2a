"""Early stopping: a training ends after a number of epochs in a row without progress.

An epoch is better than another by the study's objective on monitor, and at equal accuracy or F1 by the
lower loss. An epoch makes progress if it is better than every earlier one, or if its monitor loss is the
lowest so far: a network that has yet to leave the commonest class shows what it learns in its loss alone.

All functions read the history alone, so that a resumed training decides as an uninterrupted one. A history
is a sequence of epochs, each a mapping with `monitor_accuracy`, `monitor_loss` and `monitor_macro_f1`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

Epoch = Mapping[str, float]
History = Sequence[Epoch]
_Score = tuple[float, ...]

_SCORES: Final[dict[str, Callable[[Epoch], _Score]]] = {
    "val_accuracy": lambda epoch: (epoch["monitor_accuracy"], -epoch["monitor_loss"]),
    "macro_f1": lambda epoch: (epoch["monitor_macro_f1"], -epoch["monitor_loss"]),
    "loss": lambda epoch: (-epoch["monitor_loss"],),
}
OBJECTIVES: Final = tuple(_SCORES)


def should_stop(history: History, objective: str, patience: int) -> bool:
    """Whether the last epochs made no progress for too long.

    Args:
        history: the epochs so far.
        objective: one of `OBJECTIVES`.
        patience: the number of epochs in a row without progress after which a training ends, 1 or more.
    """
    return bool(history) and epochs_without_progress(history, objective)[-1] >= patience


def epochs_without_progress(history: History, objective: str) -> list[int]:
    """After each epoch, how many in a row, up to this one, made no progress.

    Args:
        history: the epochs so far.
        objective: one of `OBJECTIVES`.

    Returns:
        One number for each epoch; 0 where it made progress.
    """
    best: _Score = (-math.inf,)
    lowest, waiting, found = math.inf, 0, []
    for epoch in history:
        score, loss = _SCORES[objective](epoch), epoch["monitor_loss"]
        waiting = 0 if score > best or loss < lowest else waiting + 1
        best, lowest = max(best, score), min(lowest, loss)
        found.append(waiting)
    return found


def best_epoch(history: History, objective: str) -> int:
    """The first epoch that no other surpasses.

    Args:
        history: the epochs so far, at least one.
        objective: one of `OBJECTIVES`.

    Returns:
        Its number, counted from 1.
    """
    scores = [_SCORES[objective](epoch) for epoch in history]
    return scores.index(max(scores)) + 1
