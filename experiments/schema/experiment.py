"""The experiment file: TOML in, a frozen `ExperimentConfig` out. docs/experiments.md describes its keys."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import tomli_w
from pydantic import ValidationError

from experiments.schema import catalog, checks, error_messages
from experiments.schema.experiment_sections import ExperimentSections
from experiments.schema.sections import MARGINS
from search.protocol import TOTALS
from search.training.recipe import Recipe
from spaces.errors import UserError


class ExperimentConfig(ExperimentSections):
    """One experiment: what is asked, in which space, by which protocol and on which images."""

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
        if document["data"]["labels"] == "keep":
            del document["data"]["labels"]
        elif document["data"]["labels"] != "drop-train":  # the votes are in the digest of the data
            document["data"]["labels"] = "votes"
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
