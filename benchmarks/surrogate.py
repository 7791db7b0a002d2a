"""Networks that answer at once: forests that have learnt recorded learning curves.

A random forest learns curves and durations from the record, so that any other draw can be "trained" too (a
surrogate benchmark: Eggensperger et al., Efficient Benchmarking of Hyperparameter Optimizers via Surrogates,
AAAI 2015); what the forest misses of a recorded curve is put back as noise.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    json_to_distribution,
)
from sklearn.ensemble import RandomForestRegressor

#: A file for each set of images: see `benchmarks.recording`.
CURVES = Path(__file__).with_name("curves")
EPOCHS = 12
#: A list's values -> how many of them there are.
COUNTS = {"kernels": "conv_stages", "neurons": "dense_layers"}
Values = Mapping[str, Any]


def recorded(images: str) -> dict[str, Any]:
    """`space` (distributions as JSON by name) and `curves` (values, accuracies, seconds)."""
    held: dict[str, Any] = json.loads((CURVES / f"{images}.json").read_text())
    return held


class Surrogate:
    """What a training of any values would have said, epoch by epoch."""

    def __init__(self, images: str) -> None:
        held = recorded(images)
        self.space = {name: json_to_distribution(text) for name, text in held["space"].items()}
        self.count = len(held["curves"])
        features = np.array([self._features(curve["values"]) for curve in held["curves"]])
        self.recorded = curves = np.array([curve["monitor_accuracy"] for curve in held["curves"]])
        seconds = np.array([curve["epoch_seconds"] for curve in held["curves"]])
        self._curves = _forest(features, curves)
        self._seconds = _forest(features, np.log(seconds))
        self._noise = curves - self._curves.oob_prediction_
        self.mean_seconds = float(seconds.sum(axis=1).mean())
        #: What the first epoch takes beyond the others: tracing.
        self.tracing_seconds = float((seconds[:, 0] - np.median(seconds[:, 1:], axis=1)).mean())

    @cache  # noqa: B019  one for each process, and it stays
    def best(self, fixed: tuple[tuple[str, Any], ...] = ()) -> float:
        """The accuracy of the best of 5,000 random draws, without noise; fixed: what all of them have."""
        rng = np.random.default_rng(0)
        drawn = [self._features(self.draw(_Random(rng), dict(fixed))) for _ in range(5000)]
        return float(self._curves.predict(np.array(drawn)).max(axis=1).max())

    def draw(self, trial: Any, fixed: Values) -> Values:
        """Ask a trial for every value that these networks have and that is not fixed."""
        drawn: dict[str, Any] = {}
        for name, distribution in sorted(
            self.space.items(), key=lambda entry: entry[0] not in COUNTS.values()
        ):
            stem, _, number = name.rpartition("_")
            if stem not in COUNTS or int(number) <= drawn[COUNTS[stem]]:
                drawn[name] = fixed[name] if name in fixed else _suggested(trial, name, distribution)
        return drawn

    def curve(self, values: Values, rng: np.random.Generator) -> np.ndarray:
        """Monitor accuracy by epoch, of shape (epochs,)."""
        noise = self._noise[rng.integers(len(self._noise))]
        return self._curves.predict(np.array([self._features(values)]))[0] + noise

    def seconds(self, values: Values) -> np.ndarray:
        """Seconds by epoch, of shape (epochs,)."""
        return np.exp(self._seconds.predict(np.array([self._features(values)]))[0])

    def truth(self, values: Values) -> float:
        """The best accuracy of a whole training, without noise."""
        return float(self._curves.predict(np.array([self._features(values)])).max())

    def _features(self, values: Values) -> list[float]:
        return [_number(values.get(name), distribution) for name, distribution in self.space.items()]


@cache
def surrogate(images: str) -> Surrogate:
    """One for each process."""
    return Surrogate(images)


def _forest(features: np.ndarray, answers: np.ndarray) -> RandomForestRegressor:
    forest = RandomForestRegressor(200, oob_score=True, random_state=0, min_samples_leaf=2)
    return forest.fit(features, answers)


def _number(value: Any, distribution: BaseDistribution) -> float:
    if value is None:
        return -1.0
    if isinstance(distribution, CategoricalDistribution):
        return float(distribution.choices.index(value))
    logarithmic = isinstance(distribution, FloatDistribution) and distribution.log
    return float(np.log(value)) if logarithmic else float(value)


class _Random:
    """A trial that draws at random, for those that no search draws."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return choices[self._rng.integers(len(choices))]

    def suggest_int(self, name: str, low: int, high: int, **_: Any) -> int:
        return int(self._rng.integers(low, high + 1))

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float:
        if step:
            return low + step * float(self._rng.integers(round((high - low) / step) + 1))
        return (
            float(np.exp(self._rng.uniform(np.log(low), np.log(high))))
            if log
            else self._rng.uniform(low, high)
        )


def _suggested(trial: Any, name: str, distribution: BaseDistribution) -> Any:
    match distribution:
        case CategoricalDistribution():
            return trial.suggest_categorical(name, distribution.choices)
        case IntDistribution():
            return trial.suggest_int(name, distribution.low, distribution.high, log=distribution.log)
        case FloatDistribution():
            low, high = distribution.low, distribution.high
            return trial.suggest_float(name, low, high, step=distribution.step, log=distribution.log)
    raise TypeError(f"nothing is known of {distribution}")
