"""Where registered models are looked up: with a few queries in a SQLite file, or through MLflow's client.

Importing MLflow takes longer than a prediction, so a store on this machine is read directly when its schema
is the known one; the client is asked in every other case. A test compares the two.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from search.sqlite_files import sqlite_path
from search.tracking import names
from search.tracking.artifact_places import OutsideError, home_of, path_in
from search.tracking.mlflow_schema import MlflowFile
from spaces.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient


class RegistryReader(Protocol):
    """Registered models."""

    def aliases(self) -> dict[str, dict[str, str]]:
        """Every registered model's aliases: name -> alias -> version."""
        ...

    def folder(self, name: str, version: str) -> Path | None:
        """The files of a version: where they lie, if that is on this machine, else a copy.

        Args:
            name: The registered model.
            version: Its version, a number.
        """
        ...

    def family(self, name: str, version: str) -> str:
        """What built the model of a version; "" if its run does not say, or is gone.

        Args:
            name: The registered model.
            version: Its version, a number.
        """
        ...


@dataclass(frozen=True)
class SqliteRegistry:
    """Reads the tables of a store on this machine."""

    file: MlflowFile

    @classmethod
    def open(cls, tracking_uri: str) -> "SqliteRegistry | None":
        """None where the address is no SQLite file, or one of an unknown schema: see MlflowFile."""
        file = MlflowFile.open(tracking_uri)
        return None if file is None else cls(file)

    def aliases(self) -> dict[str, dict[str, str]]:
        """See RegistryReader."""
        return self.file.aliases()

    def folder(self, name: str, version: str) -> Path | None:
        """See RegistryReader; None where the files are elsewhere. Raises UserError: see `local`."""
        address = self.file.model_address(name, version)
        return None if address is None else local(address, self.file.home)

    def family(self, name: str, version: str) -> str:
        """See RegistryReader."""
        return self.file.tag_of_version(name, version, names.FAMILY)


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
        database = sqlite_path(self.client.tracking_uri)
        found = local(place, home_of(database) if database else None)
        copy = found or download_artifacts(artifact_uri=place, tracking_uri=self.client.tracking_uri)
        return Path(copy)

    def family(self, name: str, version: str) -> str:
        """See RegistryReader."""
        from mlflow.exceptions import MlflowException

        try:
            run = self.client.get_run(self.client.get_model_version(name, version).run_id)
        except MlflowException:
            return ""
        return str(run.data.tags.get(names.FAMILY, ""))


def local(address: str, home: Path | None = None) -> Path | None:
    """The folder that an artifact's address names.

    Args:
        address: As MLflow keeps it.
        home: The workspace of the store, out of which no address is followed; None if it has none.

    Returns:
        None where it is no folder on this machine.

    Raises:
        UserError: The address leads out of the workspace.
    """
    try:
        path = path_in(home, address)
    except OutsideError as error:
        raise UserError(f"the model's files are not read: {error}") from None
    return path if path is not None and path.is_dir() else None
