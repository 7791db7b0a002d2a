"""Keras Tuner's `hp`, with values that come from any suggester (an Optuna trial, a pipe, a random generator).

Imports Keras Tuner, and with it Keras: only processes that build networks may import this module.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import keras_tuner

from spaces.domains import (
    Categorical,
    Domain,
    Integer,
    Real,
    Value,
    is_number,
)
from spaces.errors import UserError

Suggest = Callable[[str, Domain], Value]


def path_of(hyperparameter: Any) -> str:
    """The name of a hyperparameter behind its conditions: `family=inception/modules`.

    One name may have other values in another branch; Optuna needs one name for each.

    Args:
        hyperparameter: One of Keras Tuner's.
    """
    conditions = (f"{c.name}={'|'.join(map(str, c.values))}" for c in hyperparameter.conditions)
    return "/".join([*conditions, hyperparameter.name])


def domain_of(hyperparameter: Any) -> Domain:
    """What a hyperparameter may be, as a domain.

    A logarithmic step multiplies, which no range of Optuna's does: its values become choices. "reverse_log"
    becomes a linear range: the same values, without the preference for large ones.

    Args:
        hyperparameter: Keras Tuner's `Choice`, `Boolean`, `Int`, `Float` or `Fixed`.
    """
    hp, default = hyperparameter, hyperparameter.default
    if not hasattr(hp, "sampling"):
        return Categorical(tuple(hp.values), default)
    whole = isinstance(hp, keras_tuner.engine.hyperparameters.Int)
    if hp.step is not None and hp.sampling != "linear":
        return Categorical(tuple(sorted(int(v) if whole else v for v in hp.values)), default)
    log = hp.sampling == "log"
    high = _last_on_step(hp.min_value, hp.max_value, hp.step)
    if whole:
        return Integer(hp.min_value, int(high), hp.step or 1, log, default)
    return Real(hp.min_value, high, hp.step, log, float(default))


def _last_on_step(low: float, high: float, step: float | None) -> float:
    # The small allowance keeps 1.0 in 0.0, 0.2, ... 1.0, whatever the rounding.
    return high if step is None else min(high, low + step * int((high - low) / step + 1e-8))


class FixedHyperparameter(NamedTuple):
    """A hyperparameter that was fixed beforehand: its plain name, what it might have been, what it is."""

    name: str
    domain: Domain
    value: Value


class DrawnHyperParameters(keras_tuner.HyperParameters):  # type: ignore[misc]
    """Hyperparameters whose unseen, active values are fixed beforehand or suggested, once each.

    Args:
        suggest: gives the value for a path and its domain.
        fixed: values by plain name or by path; they are never asked for.
        domains: domains by plain name or by path, in place of the declared ones (a narrowed search).
    """

    def __init__(
        self,
        suggest: Suggest,
        fixed: Mapping[str, Value] | None = None,
        domains: Mapping[str, Domain] | None = None,
    ) -> None:
        super().__init__()
        self._suggest = suggest
        self._fixed = dict(fixed or {})
        self._domains = dict(domains or {})
        self._met: set[str] = set()
        self._stood: dict[str, FixedHyperparameter] = {}
        self._answers: dict[str, Value] = {}  # by path; shared with copies, as `_met` and `_lent` are
        self._lent: dict[str, Value] = {}

    @property
    def drawn(self) -> dict[str, Value]:
        """Every active value by plain name, and those that copies were given."""
        return {**self._lent, **self.values}

    @property
    def unmet(self) -> frozenset[str]:
        """Names in `fixed` and `domains` that no hyperparameter has answered to so far."""
        return frozenset({*self._fixed, *self._domains} - self._met)

    @property
    def stood(self) -> dict[str, FixedHyperparameter]:
        """What was fixed beforehand and declared so far, by path."""
        return dict(self._stood)

    def copy(self) -> "DrawnHyperParameters":
        """A copy for a hypermodel that is not tunable: it knows all values, and draws none on its own.

        As in Keras Tuner, new names take their defaults, unless they were fixed or given a domain beforehand.
        """
        twin = _UndrawnHyperParameters(self._suggest, self._fixed, self._domains)
        for hyperparameter in self.space:
            twin._hps[hyperparameter.name].append(hyperparameter)
        twin._space = list(self.space)
        twin.values = dict(self.values)
        twin._met, twin._answers, twin._lent = self._met, self._answers, self._lent
        twin._stood = self._stood
        return twin

    def _register(self, hyperparameter: Any, overwrite: bool = False) -> Any:
        unseen = hyperparameter.name not in self.values
        if unseen and self.is_active(hyperparameter):
            self.values[hyperparameter.name] = self._draw(hyperparameter)
        return super()._register(hyperparameter, overwrite and not unseen)

    def _draw(self, hyperparameter: Any) -> Value:
        path, domain = path_of(hyperparameter), domain_of(hyperparameter)
        for name in (path, hyperparameter.name):
            if name in self._fixed:
                self._met.add(name)
                value = _accepted(name, self._fixed[name], hyperparameter, domain)
                if not _is_constant(hyperparameter):
                    searched = self._narrowed(path, hyperparameter.name) or domain
                    self._stood[path] = FixedHyperparameter(hyperparameter.name, searched, value)
                return value
        narrowed = self._narrowed(path, hyperparameter.name)
        if narrowed is not None:
            return _accepted(path, self._asked(path, narrowed), hyperparameter, domain)
        return self._declared(hyperparameter, path, domain)

    def _narrowed(self, *names: str) -> Domain | None:
        """The domain given beforehand under one of these names."""
        for name in names:
            if name in self._domains:
                self._met.add(name)
                return self._domains[name]
        return None

    def _declared(self, hyperparameter: Any, path: str, domain: Domain) -> Value:
        if _is_constant(hyperparameter):
            return hyperparameter.value  # type: ignore[no-any-return]
        return _accepted(path, self._asked(path, domain), hyperparameter, domain)

    def _asked(self, path: str, domain: Domain) -> Value:
        if path not in self._answers:
            self._answers[path] = self._suggest(path, domain)
        return self._answers[path]


class _UndrawnHyperParameters(DrawnHyperParameters):
    """The copy for a hypermodel that is not tunable."""

    def _draw(self, hyperparameter: Any) -> Value:
        value = super()._draw(hyperparameter)
        if self._met & {path_of(hyperparameter), hyperparameter.name}:
            self._lent[hyperparameter.name] = value
        return value

    def _declared(self, hyperparameter: Any, path: str, domain: Domain) -> Value:
        return hyperparameter.default  # type: ignore[no-any-return]


def _is_constant(hyperparameter: Any) -> bool:
    return isinstance(hyperparameter, keras_tuner.engine.hyperparameters.Fixed)


def _accepted(name: str, value: Value, hyperparameter: Any, domain: Domain) -> Value:
    """`value`, as a float where the domain is real.

    A number may lie outside of the declared range: whoever fixes it knows why. A misspelt word may not; of a
    declared constant there are no choices to be misspelt, any value of its type will do.
    """
    choices = domain.choices if isinstance(domain, Categorical) else (domain.low,)
    if is_number(value) and is_number(choices[0]):
        return float(value) if isinstance(choices[0], float) else value
    if domain.contains(value) or (_is_constant(hyperparameter) and type(value) is type(choices[0])):
        return value
    expected = ", ".join(map(repr, choices)) if isinstance(domain, Categorical) else "a number"
    raise UserError(f"{name} cannot be {value!r}: expected {expected}.")
