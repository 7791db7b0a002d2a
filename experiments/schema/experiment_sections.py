"""The sections of an experiment file and what follows from them. `experiment` reads whole files."""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from experiments.schema.cells import cells, expand, is_recipe
from experiments.schema.hyperparameters import counts
from experiments.schema.sections import Images, Published, Range, VerdictRule
from search.protocol import Protocol, Section
from search.safety.paths import NAME
from search.training.recipe import Recipe
from spaces.domains import Categorical, Domain, Integer, Real


def _flat(section: object) -> object:
    """Accept `recipe.momentum = 0.9` with and without quotes: as one name, "recipe.momentum"."""
    if not isinstance(section, dict) or not isinstance(section.get("recipe"), dict):
        return section
    named = {f"recipe.{name}": value for name, value in section["recipe"].items()}
    return {name: value for name, value in section.items() if name != "recipe"} | named


def _hyperparameter_value(value: object) -> object:
    plain = value if isinstance(value, list) else [value]
    if not plain or not all(isinstance(item, str | int | float | bool | dict) for item in plain):
        raise ValueError("must be a number, a string, true or false, or a list of these")
    _require_finite(plain)
    return value


def _no_recipe(settings: dict[str, Any]) -> dict[str, Any]:
    if any(is_recipe(name) for name in settings):
        raise ValueError("must hold hyperparameters alone; fixed fields of the recipe go into [recipe]")
    return settings


def _require_finite(values: Sequence[object]) -> None:
    """NaN equals nothing, not even itself: a candidate with it would be another one each time."""
    if any(isinstance(value, float) and not math.isfinite(value) for value in values):
        raise ValueError("must hold finite numbers alone")


def _choices(values: object) -> object:
    if not isinstance(values, list) or not values:
        raise ValueError("must be a list with at least one value")
    _require_finite(values)
    if any(value in values[:position] for position, value in enumerate(values)):
        raise ValueError("must not name one value twice")
    return values


def _rows(section: object) -> object:
    return tuple(section) if isinstance(section, list) else (section,)


HyperparameterValue = Annotated[Any, BeforeValidator(_hyperparameter_value)]
HyperparameterValues = Annotated[dict[str, HyperparameterValue], BeforeValidator(_flat)]
Choices = Annotated[list[Any], BeforeValidator(_choices)]
Searched = Annotated[
    Annotated[Choices, Tag("choices")] | Annotated[Range, Tag("range")],
    Discriminator(lambda value: "choices" if isinstance(value, list) else "range"),
]
Name = Annotated[str, Field(pattern=NAME)]
Names = Annotated[tuple[str, ...], Field(min_length=1), BeforeValidator(_rows)]


class ExperimentSections(Section):
    """The sections of an experiment file, each valid by itself, and what follows from them."""

    name: Name
    question: Annotated[str, Field(min_length=1)]
    space: Names
    fix: Annotated[dict[str, HyperparameterValue], BeforeValidator(_flat), AfterValidator(_no_recipe)] = (
        Field(default_factory=dict)
    )
    search: Annotated[dict[str, Searched], BeforeValidator(_flat)] = Field(default_factory=dict)
    grid: Annotated[
        tuple[Annotated[dict[str, Choices], Field(min_length=1), BeforeValidator(_flat)], ...],
        BeforeValidator(_rows),
    ] = ()
    recipe: dict[str, Any] = Field(default_factory=dict)
    baseline: HyperparameterValues | None = None
    published: Annotated[tuple[Published, ...], BeforeValidator(_rows)] = ()
    protocol: Protocol = Protocol()
    verdict: VerdictRule = VerdictRule()
    data: Images = Images()

    @property
    def varied(self) -> tuple[str, ...]:
        """The names in `[search]` or `[grid]`, in the file's order: the factors of the experiment."""
        return tuple(dict.fromkeys(chain(self.search, *self.grid)))

    @cached_property
    def domains(self) -> Mapping[str, Domain]:
        """What `[search]` narrows or adds, by hyperparameter name or "recipe.<field>"."""
        return {name: _domain(entry) for name, entry in self.search.items()}

    @cached_property
    def fixed(self) -> Mapping[str, Any]:
        """What `[fix]` fixes, lists spelt out; a count that is searched or a grid's stays free."""
        decided = counts(self.space).items()
        return expand(self.fix, {name: count for name, count in decided if count not in self.varied})

    @cached_property
    def cells(self) -> tuple[Mapping[str, Any], ...]:
        """The grid's cells, each complete with what `[fix]` fixes; empty for a search.

        The cell that is the baseline is left out: it is confirmed as the baseline.
        """
        every = cells(self.grid, self.fix, counts(self.space))
        if self.baseline_cell is None:
            return every
        baseline = self._in_full(self.baseline_cell)
        return tuple(cell for cell in every if self._in_full(cell) != baseline)

    def _in_full(self, cell: Mapping[str, Any]) -> tuple[dict[str, Any], Recipe]:
        """A cell's hyperparameters, and its recipe with what `[recipe]` fixes and the defaults."""
        recipe = {name.removeprefix("recipe."): value for name, value in cell.items() if is_recipe(name)}
        rest = {name: value for name, value in cell.items() if not is_recipe(name)}
        return rest, Recipe.from_dict({**self.recipe, **recipe})

    @cached_property
    def baseline_cell(self) -> Mapping[str, Any] | None:
        """The user's present candidate as a cell: a variant or settings, and "recipe.*" where it differs."""
        if self.baseline is None:
            return None
        own = self.baseline if "variant" in self.baseline else {**self.fix, **self.baseline}
        return expand(own, counts(self.space))


def _domain(entry: Sequence[Any] | Range) -> Domain:
    if not isinstance(entry, Range):
        return Categorical(tuple(entry), default=entry[0])
    default = entry.low if entry.default is None else entry.default
    numbers = (entry.low, entry.high, default, entry.step or 0)
    if all(isinstance(number, int) for number in numbers):
        return Integer(int(entry.low), int(entry.high), int(entry.step or 1), entry.log, int(default))
    return Real(float(entry.low), float(entry.high), entry.step, entry.log, float(default))
