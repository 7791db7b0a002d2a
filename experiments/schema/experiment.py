"""The experiment file: TOML in, a frozen `ExperimentConfig` out. docs/experiments.md describes its keys."""

import tomllib
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Self

import tomli_w
from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, ValidationError

from experiments.schema import (
    catalog,
    checks,
    error_messages,
)
from experiments.schema.cells import cells, expand, is_recipe
from experiments.schema.sections import (
    MARGINS,
    Images,
    Published,
    Range,
    VerdictRule,
)
from search.protocol import TOTALS, Protocol, Section
from search.safety.paths import NAME
from search.training.recipe import Recipe
from spaces.domains import (
    Categorical,
    Domain,
    Integer,
    Real,
)
from spaces.errors import UserError


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
    return value


def _no_recipe(settings: dict[str, Any]) -> dict[str, Any]:
    if any(is_recipe(name) for name in settings):
        raise ValueError("must hold hyperparameters alone; fixed fields of the recipe go into [recipe]")
    return settings


def _choices(values: object) -> object:
    if not isinstance(values, list) or not values:
        raise ValueError("must be a list with at least one value")
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


class ExperimentConfig(Section):
    """One experiment: what is asked, in which space, by which protocol and on which images."""

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

    @classmethod
    def load(cls, name_or_path: str | Path) -> Self:
        """Read an experiment by its name or by the path of its file. Raises UserError."""
        path = catalog.find(name_or_path)
        return cls.parse({"name": path.stem, **catalog.read(path)}, catalog.shown(path))

    @classmethod
    def parse(cls, document: Mapping[str, Any], where: str) -> Self:
        """Validate a document; `where` opens the sentence of a UserError: a file, or "--set"."""
        try:
            experiment = cls.model_validate(dict(document))
        except ValidationError as error:
            raise UserError(f"{where}: {error_messages.sentence(error, document, cls)}") from None
        try:
            checks.check(experiment)
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
        return experiment

    def override(self, settings: Mapping[str, Any], where: str = "--set") -> Self:
        """The same experiment with other values at some keys.

        Args:
            settings: Values by dotted key, such as "protocol.epochs".
            where: What opens the sentence of a UserError.

        Raises:
            UserError: If a key or a value is not one that an experiment can have.
        """
        document = self.model_dump(mode="json", exclude_none=True)
        for key, value in settings.items():
            try:
                _put(document, key, value)
            except UserError as error:
                raise UserError(f"{where}: {error}") from None
        return self.parse(document, where)

    @property
    def is_grid(self) -> bool:
        """Whether the cells are given: then nothing is explored and every cell is confirmed."""
        return bool(self.grid)

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
        counts = checks.counts(self.space).items()
        return expand(self.fix, {name: count for name, count in counts if count not in self.varied})

    @cached_property
    def cells(self) -> tuple[Mapping[str, Any], ...]:
        """The grid's cells, each complete with what `[fix]` fixes; empty for a search.

        The cell that is the baseline is left out: it is confirmed as the baseline.
        """
        every = cells(self.grid, self.fix, checks.counts(self.space))
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
        return expand(own, checks.counts(self.space))

    def resolved(self) -> dict[str, Any]:
        """Everything spelt out, defaults too, as plain values for JSON and TOML in a stable order."""
        document = self.model_dump(mode="json", exclude_none=True)
        recipe = Recipe.from_dict(self.recipe).to_dict()
        document["recipe"] = {k: v for k, v in recipe.items() if f"recipe.{k}" not in self.varied}
        document["verdict"].setdefault("margin", MARGINS[self.protocol.objective])
        return document

    def identity(self) -> dict[str, Any]:
        """What makes it this study: `resolved()` without words, totals and paths."""
        document = self.resolved()
        del document["question"], document["published"], document["data"]["source"]
        document["protocol"] = {k: v for k, v in document["protocol"].items() if k not in TOTALS}
        return document

    def to_toml(self) -> str:
        """The resolved experiment as a file that `load` reads again as the same experiment."""
        return tomli_w.dumps({name: value for name, value in self.resolved().items() if value})


def parse_setting(text: str) -> tuple[str, Any]:
    """Split "protocol.epochs=3" into its key and its value, which is TOML; a bare word is a string."""
    key, equals, value = (part.strip() for part in text.partition("="))
    if not key or not equals:
        raise UserError(f'--set takes key=value, such as protocol.epochs=3. Received: "{text}".')
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a ValueError of its own
        wrong = not value or value[0] in "\"'[{" or not isinstance(error, tomllib.TOMLDecodeError)
        if wrong:
            raise UserError(f"--set {key}: {value[:60] or 'nothing'} is not a TOML value.") from None
        return key, value
    catalog.check_document(parsed, f"--set {key}")
    return key, parsed


def _domain(entry: Sequence[Any] | Range) -> Domain:
    if not isinstance(entry, Range):
        return Categorical(tuple(entry), default=entry[0])
    default = entry.low if entry.default is None else entry.default
    numbers = (entry.low, entry.high, default, entry.step or 0)
    if all(isinstance(number, int) for number in numbers):
        return Integer(int(entry.low), int(entry.high), int(entry.step or 1), entry.log, int(default))
    return Real(float(entry.low), float(entry.high), entry.step, entry.log, float(default))


def _put(document: dict[str, Any], key: str, value: Any) -> None:
    section, _, name = key.partition(".")
    if section == "grid" and name:
        _put_axis(document, name, value)
        return
    path = name.split(".") if section in ("protocol", "verdict", "data") else [name] if name else []
    target, keys = document, [section, *path]
    for part in keys[:-1]:
        target = target.setdefault(part, {})
        if not isinstance(target, dict):
            raise UserError(f"{part} is not a table: {keys[-1]} cannot be set in it.")
    target[keys[-1]] = value


def _put_axis(document: dict[str, Any], name: str, values: Any) -> None:
    tables = document["grid"]
    if len(tables) > 1:
        raise UserError(f"this experiment has {len(tables)} [[grid]] tables; edit a copy of its file.")
    document["grid"] = [{**(tables[0] if tables else {}), name: values}]
