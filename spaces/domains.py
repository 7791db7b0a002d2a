"""What a hyperparameter may be: three frozen domains that travel as JSON between processes."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from spaces.errors import UserError

Value = str | int | float | bool


def is_number(value: object) -> bool:
    """Whether a value is an int or a float, and not a bool.

    Args:
        value: Any object.
    """
    return isinstance(value, int | float) and not isinstance(value, bool)


def same(one: Value, other: Value) -> bool:
    """Equality that tells True from 1, and takes 1 for 1.0.

    Args:
        one: A value.
        other: Another value.
    """
    return one == other and isinstance(one, bool) == isinstance(other, bool)


@dataclass(frozen=True)
class Categorical:
    """One of some strings, numbers or booleans."""

    kind: ClassVar[str] = "categorical"
    choices: tuple[Value, ...]
    default: Value | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "choices", tuple(self.choices))
        if not self.choices:
            raise UserError("A choice needs at least one value. Received: none.")

    def contains(self, value: object) -> bool:
        """Whether `value` is one of the choices."""
        return any(same(choice, value) for choice in self.choices)  # type: ignore[arg-type]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; `domain_from_dict` reads it back."""
        return {"kind": self.kind, **asdict(self), "choices": list(self.choices)}


@dataclass(frozen=True)
class Integer:
    """Whole numbers from `low` to `high`, both included, `step` apart; `log` draws small ones more often."""

    kind: ClassVar[str] = "integer"
    low: int
    high: int
    step: int = 1
    log: bool = False
    default: int | None = None

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, self.step, self.log)

    def contains(self, value: object) -> bool:
        """Whether `value` is an int within the range, on a step."""
        whole = isinstance(value, int) and not isinstance(value, bool)
        return whole and self.low <= value <= self.high and (value - self.low) % self.step == 0  # type: ignore[operator]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; `domain_from_dict` reads it back."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class Real:
    """Numbers from `low` to `high`, both included, `step` apart if there is one; `log` as for Integer."""

    kind: ClassVar[str] = "real"
    low: float
    high: float
    step: float | None = None
    log: bool = False
    default: float | None = None

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, self.step, self.log)

    def contains(self, value: object) -> bool:
        """Whether `value` is a number within the range, on a step (up to rounding)."""
        if not is_number(value) or not self.low <= value <= self.high:  # type: ignore[operator]
            return False
        if self.step is None:
            return True
        steps = (value - self.low) / self.step  # type: ignore[operator]
        return math.isclose(steps, round(steps), abs_tol=1e-6)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; `domain_from_dict` reads it back."""
        return {"kind": self.kind, **asdict(self)}


Domain = Categorical | Integer | Real
_KINDS: dict[str, type[Domain]] = {kind.kind: kind for kind in (Categorical, Integer, Real)}


def domain_from_dict(mapping: Mapping[str, Any]) -> Domain:
    """Read the domain that `to_dict` wrote.

    Args:
        mapping: What `to_dict` returned.
    """
    fields = dict(mapping)
    return _KINDS[fields.pop("kind")](**fields)


def _check_range(low: float, high: float, step: float | None, log: bool) -> None:
    if low > high:
        raise UserError(f"A range must not end below its start. Received: low {low}, high {high}.")
    if step is not None and step <= 0:
        raise UserError(f"The step of a range must be above 0. Received: {step}.")
    if log and low <= 0:
        raise UserError(f"A logarithmic range must start above 0. Received: low {low}.")
