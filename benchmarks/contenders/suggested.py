"""Keras Tuner's way to ask for a value, spoken to an Optuna trial: what using a hypermodel there takes."""

from collections.abc import Sequence
from typing import Any

import optuna


class Suggested:
    """`hp` of a hypermodel. Defaults have no counterpart in Optuna."""

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial

    def Boolean(self, name: str, default: bool = False) -> bool:  # noqa: N802 - Keras Tuner's name
        """True or false."""
        return bool(self._trial.suggest_categorical(name, [False, True]))

    def Choice(self, name: str, values: Sequence[Any], default: Any = None) -> Any:  # noqa: N802
        """One of `values`."""
        return self._trial.suggest_categorical(name, values)

    def Int(self, name: str, low: int, high: int, default: int | None = None) -> int:  # noqa: N802
        """A whole number from `low` to `high`."""
        return self._trial.suggest_int(name, low, high)

    def Float(  # noqa: N802
        self,
        name: str,
        low: float,
        high: float,
        step: float | None = None,
        sampling: str = "linear",
        default: float | None = None,
    ) -> float:
        """A number from `low` to `high`."""
        return self._trial.suggest_float(name, low, high, step=step, log=sampling == "log")
