"""Takes runs out of MLflow for good: their rows, their artifacts, and what was registered from them."""

import contextlib
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


def registered_from(client: "MlflowClient", name: str, run_ids: Collection[str]) -> "list[ModelVersion]":
    """The versions of a registered model that come from these runs."""
    versions = client.search_model_versions(f"name = '{name}'")
    return [version for version in versions if version.run_id in run_ids]


def erase(client: "MlflowClient", experiment_id: str, run_ids: Collection[str]) -> bool:
    """Remove runs with what they logged, in the order given; the experiment too, once it is empty.

    False where the store only marks them as deleted, as a tracking server does: there `mlflow gc` ends it.
    """
    store = client._tracking_client.store
    for model in client.search_logged_models([experiment_id]):
        if model.source_run_id in run_ids:
            _artifacts(model.artifact_location).delete_artifacts()
            client.delete_logged_model(model.model_id)
            _for_good(store, "_hard_delete_logged_model", model.model_id)
    for run_id in run_ids:
        _artifacts(client.get_run(run_id).info.artifact_uri).delete_artifacts()
        client.delete_run(run_id)
        _for_good(store, "_hard_delete_run", run_id)
    if not client.search_runs([experiment_id], max_results=1):
        client.delete_experiment(experiment_id)
        _for_good(store, "_hard_delete_experiment", experiment_id)
    return hasattr(store, "_hard_delete_run")


def unregister(client: "MlflowClient", versions: "Collection[ModelVersion]") -> None:
    """Remove versions from the registry, and a registered model with its last version."""
    for version in versions:
        client.delete_model_version(version.name, version.version)
    for name in {version.name for version in versions}:
        if not client.search_model_versions(f"name = '{name}'"):
            client.delete_registered_model(name)


def drop_file(client: "MlflowClient", run_id: str, path: str) -> None:
    """Remove one artifact of a run."""
    _artifacts(client.get_run(run_id).info.artifact_uri).delete_artifacts(path)


def _artifacts(place: str) -> Any:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(place)


def _for_good(store: Any, how: str, number: str) -> None:
    """What `mlflow gc` does, for this one alone: the command itself would take whatever else is deleted."""
    with contextlib.suppress(AttributeError):
        getattr(store, how)(number)
