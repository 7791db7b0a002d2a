"""Where registered models are labelled up: with a few queries in a SQLite file, or through MLflow's client.

Importing MLflow takes longer than a prediction, so a store on this machine is read directly when its schema
is the known one; the client is asked in every other case. A test compares the two.
"""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import unquote, urlparse

from search.tracking import names

if TYPE_CHECKING:
    from mlflow import MlflowClient

_PREFIX: Final = "sqlite:///"
#: Alembic versions of MLflow's schema that the queries were written for.
_KNOWN_SCHEMAS: Final = frozenset({"dc11669786a5"})
_FOLDERS: Final = """
    SELECT logged_models.artifact_location FROM model_versions
    JOIN logged_models ON model_versions.source = 'models:/' || logged_models.model_id
    WHERE model_versions.name = ? AND model_versions.version = ?
"""
_FAMILIES: Final = """
    SELECT tags.value FROM model_versions JOIN tags ON tags.run_uuid = model_versions.run_id
    WHERE model_versions.name = ? AND model_versions.version = ? AND tags.key = ?
"""


class RegistryReader(Protocol):
    """Registered models."""

    def aliases(self) -> dict[str, dict[str, str]]:
        """Every registered model's aliases: name -> alias -> version."""
        ...

    def folder(self, name: str, version: str) -> Path | None:
        """The files of a version: where they lie, if that is on this machine, else a copy."""
        ...

    def family(self, name: str, version: str) -> str:
        """What built the model of a version; "" if its run does not say, or is gone."""
        ...


@dataclass(frozen=True)
class SqliteRegistry:
    """Reads the file, and never writes to it. folder: None where the files are elsewhere."""

    database: Path

    @classmethod
    def open(cls, tracking_uri: str) -> "SqliteRegistry | None":
        """None where the address is no SQLite file, or one of another schema."""
        if not tracking_uri.startswith(_PREFIX):
            return None
        registry = cls(Path(tracking_uri.removeprefix(_PREFIX)))
        try:
            versions = {version for (version,) in registry._rows("SELECT version_num FROM alembic_version")}
        except sqlite3.DatabaseError:
            return None
        return registry if versions <= _KNOWN_SCHEMAS else None

    def aliases(self) -> dict[str, dict[str, str]]:
        """See RegistryReader."""
        found: dict[str, dict[str, str]] = {
            name: {} for (name,) in self._rows("SELECT name FROM registered_models")
        }
        for name, alias, version in self._rows("SELECT name, alias, version FROM registered_model_aliases"):
            found[name][alias] = str(version)
        return found

    def folder(self, name: str, version: str) -> Path | None:
        """See RegistryReader."""
        places = self._rows(_FOLDERS, (name, int(version)))
        return local(places[0][0]) if places else None

    def family(self, name: str, version: str) -> str:
        """See RegistryReader."""
        found = self._rows(_FAMILIES, (name, int(version), names.FAMILY))
        return str(found[0][0]) if found else ""

    def _rows(self, query: str, values: tuple[Any, ...] = ()) -> list[Any]:
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            return connection.execute(query, values).fetchall()


@dataclass(frozen=True)
class ClientRegistry:
    """Asks MLflow."""

    client: "MlflowClient"

    def aliases(self) -> dict[str, dict[str, str]]:
        """See RegistryReader."""
        models = self.client.search_registered_models()
        return {model.name: {a: str(v) for a, v in model.aliases.items()} for model in models}

    def folder(self, name: str, version: str) -> Path:
        """See RegistryReader."""
        from mlflow.artifacts import download_artifacts

        place = self.client.get_model_version_download_uri(name, version)
        if place.startswith("models:/"):
            place = self.client.get_logged_model(place.rpartition("/")[2]).artifact_location
        copy = local(place) or download_artifacts(artifact_uri=place, tracking_uri=self.client.tracking_uri)
        return Path(copy)

    def family(self, name: str, version: str) -> str:
        """See RegistryReader."""
        from mlflow.exceptions import MlflowException

        try:
            run = self.client.get_run(self.client.get_model_version(name, version).run_id)
        except MlflowException:
            return ""
        return str(run.data.tags.get(names.FAMILY, ""))


def local(place: str) -> Path | None:
    """The folder that an artifact's address names, if it is on this machine."""
    address = urlparse(place)
    if address.scheme not in ("", "file"):
        return None
    path = Path(unquote(address.path))
    return path if path.is_dir() else None
