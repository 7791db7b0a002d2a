"""What a person calls a model, and where it lies: "champion", "NAME@alias", a run's id, or a file."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from search.models.classifier import (
    SUFFIX,
    Classifier,
    Labels,
    open_file,
    register_own_classes,
)
from search.models.registry.queries import ClientRegistry, RegistryReader, SqliteRegistry
from search.sqlite_files import sqlite_path, sqlite_url
from search.tracking import names
from search.tracking.artifact_places import STORE_NAME
from search.tracking.client import open_client
from spaces.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient

_RUN: Final = re.compile(r"[0-9a-f]{32}")
#: How files of models end, Keras' and others': names of registered models do not end so.
_FILE_SUFFIXES: Final = (
    SUFFIX,
    *(".h5", ".hdf5", ".weights", ".pb", ".tf", ".onnx", ".tflite", ".pt", ".pth", ".ckpt", ".safetensors"),
    *(".json", ".pkl", ".joblib", ".zip"),
)


@dataclass(frozen=True)
class Located:
    """A model file, and what is known about it. version: "NAME version 3", a run, or the path."""

    path: Path
    labels: Labels | None
    version: str


def open_model(reference: str, tracking_uri: str | None = None, labels: Labels | None = None) -> Classifier:
    """Find and load a model. labels: in place of those that are kept with it. Raises UserError."""
    found = locate(reference, tracking_uri or default_tracking_uri())
    return open_file(found.path, labels or found.labels, found.version)


def default_tracking_uri() -> str:
    """MLflow's address as the command line would find it."""
    workspace = Path(os.environ.get("CANDOR_WORKSPACE", "runs")).resolve()
    return os.environ.get("MLFLOW_TRACKING_URI") or sqlite_url(workspace / STORE_NAME)


def locate(reference: str, tracking_uri: str) -> Located:
    """Where the file of a model lies, fetched from MLflow if need be. Raises UserError.

    Keras gets to know what a hypermodel's model in MLflow needs; nothing is imported for a file.
    """
    if names_file(reference) or os.sep in reference:
        return Located(Path(reference), None, reference)
    if _RUN.fullmatch(reference):
        return _of_run(client_of(tracking_uri), reference)
    _check_exists(tracking_uri)
    registry = SqliteRegistry.open(tracking_uri)
    return _in_registry(registry or ClientRegistry(client_of(tracking_uri)), reference, tracking_uri)


def names_file(reference: str) -> bool:
    """Say whether a text names a model file, there or not, rather than a run or a registered model."""
    path = Path(reference)
    return path.is_file() or path.suffix.lower() in _FILE_SUFFIXES or reference.startswith((".", "~", os.sep))


def _in_registry(registry: RegistryReader, reference: str, tracking_uri: str) -> Located:
    aliases = registry.aliases()
    name, alias = named(aliases, reference)
    version = aliases[name][alias]
    folder = registry.folder(name, version)
    if folder is None:
        folder = ClientRegistry(client_of(tracking_uri)).folder(name, version)
    files = folder / names.SERVED
    called = f"{name} version {version} ({alias})"
    register_own_classes(files / names.MODEL_KERAS, registry.family(name, version))
    return Located(files / names.MODEL_KERAS, Labels.read(files / names.LABELS_JSON), called)


def client_of(tracking_uri: str) -> "MlflowClient":
    """MLflow's client: see `open_client`. Raises UserError where a SQLite store does not exist."""
    _check_exists(tracking_uri)
    return open_client(tracking_uri)


def _check_exists(tracking_uri: str) -> None:
    database = sqlite_path(tracking_uri)
    if database is not None and not database.is_file():
        raise UserError(
            f"there is no study in {database.parent}: run `candor search` first, name its --workspace, or "
            f"give a {SUFFIX} file with --model"
        )


def named(models: Mapping[str, Mapping[str, str]], reference: str) -> tuple[str, str]:
    """The registered model and the alias that a reference means: "joint@champion", "joint", "champion".

    models: name -> alias -> version. An alias alone means the one registered model that has it. Raises
    UserError, with what there is.
    """
    name, at, alias = reference.partition("@")
    if at or name in models:
        alias = alias or names.CHAMPION
        if name not in models:
            raise UserError(f'no model is registered as "{name}": {_there_is(models)}')
        if alias not in models[name]:
            raise UserError(f'{name} has no alias "{alias}": {_there_is({name: models[name]})}')
        return name, alias
    having = sorted(one for one, aliases in models.items() if reference in aliases)
    if not having:
        raise UserError(f'no model is called "{reference}": {_there_is(models)}')
    if len(having) > 1:
        wanted = " or ".join(f"{one}@{reference}" for one in having)
        raise UserError(f'{len(having)} models have the alias "{reference}": say which, {wanted}')
    return having[0], reference


def _there_is(models: Mapping[str, Mapping[str, str]]) -> str:
    found = sorted(f"{name}@{alias}" for name, aliases in models.items() for alias in aliases)
    if not found:
        return "there is none yet; a study that selects a candidate registers one at its end"
    return f"there is {', '.join(found)}"


def _of_run(client: "MlflowClient", run_id: str) -> Located:
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        raise UserError(f"there is no run {run_id} in this MLflow: copy its id from `candor ui`") from error
    called = f"run {run_id[:8]} ({run.info.run_name})"
    if all(item.path != names.MODEL_KERAS for item in client.list_artifacts(run_id)):
        raise UserError(f"{called} kept no model: only the leaders of a study keep theirs")
    path = Path(client.download_artifacts(run_id, names.MODEL_KERAS))
    register_own_classes(path, run.data.tags.get(names.FAMILY, ""))
    return Located(path, labels_of_run(client, run_id), called)


def labels_of_run(client: "MlflowClient", run_id: str) -> Labels:
    """The class names of a run's study, and the run's own temperature."""
    run = client.get_run(run_id)
    study = Path(client.download_artifacts(run.data.tags["mlflow.parentRunId"], names.STUDY_JSON))
    data = json.loads(study.read_text(encoding="utf-8"))["data"]
    temperature = run.data.metrics.get(names.TEMPERATURE, 1.0)
    return Labels(tuple(data["class_names"]), temperature, data.get("bits"))
