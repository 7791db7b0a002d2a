"""What a family of architectures is, and how the families in `spaces/families/` are found.

A family is one module: a docstring, a frozen dataclass (the architecture), `sample(hp)`, `build(architecture,
input_shape, num_classes)`, `label(architecture)`, `facts(architecture)` and, where there are named instances,
`VARIANTS`, and `COUNTS` where a hyperparameter says how long a list is. Nothing else has to mention it.
"""

import dataclasses
import difflib
import hashlib
import importlib
import json
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

import spaces.families
from spaces.domains import is_number
from spaces.errors import UserError
from spaces.shapes import Shape

if TYPE_CHECKING:
    import keras
    import keras_tuner


class _Largest:
    """Answers as Keras Tuner's `hp` does, with the largest values, and needs no import of it."""

    def Int(self, name: str, min_value: int, max_value: int, **_: Any) -> int:  # noqa: N802
        return max_value

    def Float(self, name: str, min_value: float, max_value: float, **_: Any) -> float:  # noqa: N802
        return max_value

    def Choice(self, name: str, values: Sequence[Any], **_: Any) -> Any:  # noqa: N802
        return max(values)

    def Boolean(self, name: str, **_: Any) -> bool:  # noqa: N802
        return True

    def Fixed(self, name: str, value: Any, **_: Any) -> Any:  # noqa: N802
        return value


@dataclasses.dataclass(frozen=True)
class Family:
    """One family: what its module says, under one type."""

    name: str
    summary: str
    architecture: type[Any]
    variants: Mapping[str, Any]
    sample: Callable[["keras_tuner.HyperParameters"], Any]
    build: Callable[[Any, Shape, int], "keras.Model"]
    facts: Callable[[Any], dict[str, int | str]]
    label: Callable[[Any], str]
    counts: Mapping[str, str]  # a list's hyperparameters NAME_1, NAME_2, ... -> the one that says how many

    def to_dict(self, architecture: Any) -> dict[str, Any]:
        """The architecture as plain JSON values.

        Args:
            architecture: An architecture of this family.
        """
        fields = dataclasses.asdict(architecture)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}

    def from_dict(self, mapping: Mapping[str, Any]) -> Any:
        """Read an architecture that `to_dict` or a person wrote. Missing fields keep their defaults.

        Args:
            mapping: Values by the name of the field.

        Raises:
            UserError: For an unknown field, or a value that the field cannot have.
        """
        fields = {field.name: field for field in dataclasses.fields(self.architecture)}
        for name in mapping:
            if name not in fields:
                raise UserError(f"{self.name} has no field {name!r}: {nearest(name, fields)}.")
        types = get_type_hints(self.architecture)
        values = {
            name: _checked(f"{self.name}.{name}", value, types[name], fields[name].metadata.get("least", 1))
            for name, value in mapping.items()
        }
        try:
            return self.architecture(**values)
        except TypeError as error:
            raise UserError(f"{self.name} is not described completely: {error}.") from None

    def max_list_lengths(self) -> dict[str, int]:
        """How many items each list has at most, as `sample` draws it; {} where that asks `hp` for more."""
        try:
            largest = self.to_dict(self.sample(_Largest()))
        except (AttributeError, TypeError):
            return {}
        return {name: len(value) for name, value in largest.items() if isinstance(value, list)}

    def variant_of(self, architecture: Any) -> str:
        """The name of the variant that is equal to an architecture; "" if there is none.

        Args:
            architecture: An architecture of this family.
        """
        return next((name for name, variant in self.variants.items() if variant == architecture), "")


def family_names() -> tuple[str, ...]:
    """The names of all families, from the file names in `spaces/families/` and in $CANDOR_FAMILIES."""
    folders = spaces.families.find_folders()
    return tuple(sorted(module.name for module in pkgutil.iter_modules(folders)))


@cache
def load_family(name: str) -> Family:
    """Load a family by its name.

    Args:
        name: The name of the family's file, without its ending.

    Raises:
        UserError: If there is no such family; the message names the nearest.
    """
    if name not in family_names():
        raise UserError(f"There is no family {name!r}: {nearest(name, family_names())}.")
    module = importlib.import_module(f"spaces.families.{name}")
    return Family(
        name=name,
        summary=(module.__doc__ or "").strip().partition("\n")[0],
        architecture=module.Architecture,
        variants=MappingProxyType(getattr(module, "VARIANTS", {})),
        sample=module.sample,
        build=module.build,
        facts=module.facts,
        label=module.label,
        counts=MappingProxyType(getattr(module, "COUNTS", {})),
    )


def fingerprint(mapping: Mapping[str, Any]) -> str:
    """12 hex digits of the SHA-256 of a mapping as canonical JSON: equal mappings, equal fingerprints.

    Args:
        mapping: Values that JSON can hold.
    """
    canonical = json.dumps(mapping, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def nearest(name: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    """The end of an error message: which names are known, and which one was probably meant.

    Args:
        name: The unknown name.
        known: The known names.
    """
    close = difflib.get_close_matches(name, list(known), n=1)
    meant = f"did you mean {close[0]!r}? " if close else ""
    return f"{meant}known are {', '.join(known)}"


def _checked(name: str, value: Any, kind: Any, least: int) -> Any:
    """`value` as its field needs it: lists as tuples, whole numbers from `least` up, known words only."""
    if get_origin(kind) is tuple and isinstance(value, list | tuple):
        return tuple(_checked(name, item, get_args(kind)[0], least) for item in value)
    if get_origin(kind) is Literal and value in get_args(kind):
        return value
    if kind is float and is_number(value) and value >= 0:
        return float(value)
    if kind is int and is_number(value) and value == int(value) and value >= least:
        return int(value)
    if kind in (bool, str) and isinstance(value, kind):
        return value
    raise UserError(f"{name} must be {_expected(kind, least)}. Received: {value!r}.")


def _expected(kind: Any, least: int) -> str:
    if get_origin(kind) is tuple:
        return "a list in which each is " + _expected(get_args(kind)[0], least)
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(map(repr, get_args(kind)))
    names = {int: f"a whole number, {least} or more", float: "a number, 0 or more", bool: "true or false"}
    return names.get(kind, "a word")
