"""Takes runs out of MLflow for good: their rows, their artifacts, and what was registered from them."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Final

from search.tracking import names
from search.tracking.artifact_places import is_below, local_path
from search.tracking.mlflow_schema import artifact_store, delete_for_good, deletes_for_good
from spaces.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion


def registered_from(client: "MlflowClient", name: str, run_ids: Collection[str]) -> "list[ModelVersion]":
    """The versions of a registered model that come from these runs.

    Args:
        client: MLflow's client.
        name: The registered model.
        run_ids: The runs.
    """
    versions = client.search_model_versions(f"name = '{name}'")
    return [version for version in versions if version.run_id in run_ids]


#: Ids that MLflow gives to runs and to logged models.
_ID: Final = re.compile(r"(m-)?[0-9a-f]{32}")


def check_artifacts(address: str, owner: str, root: Path | None) -> None:
    """Refuse to remove a local folder that is not the artifact folder of the run or model that names it.

    Args:
        address: the artifact address, from the store.
        owner: the id of the run or model. MLflow keeps local artifacts in .../ID/artifacts.
        root: the folder that local artifacts must lie in; None where the store is on a server.

    Raises:
        UserError: for any other local folder.
    """
    named = local_path(address)
    if named is None:
        return
    folder = named.resolve()
    if root is not None and not is_below(named, root):
        raise UserError(
            f"files of {owner!a} lie in {named}, outside of this workspace: remove the study where it "
            "was made, or delete this copy of the workspace as a whole"
        )
    if not _ID.fullmatch(owner) or folder.parts[-2:] != (owner, "artifacts"):
        raise UserError(
            f"{named} is not where MLflow keeps the files of {owner!a}: nothing is removed. Correct the "
            "address in the store, or delete the workspace as a whole"
        )


def models_of(client: "MlflowClient", experiment_id: str, run_ids: Collection[str]) -> "list[LoggedModel]":
    """The logged models that come from these runs.

    Args:
        client: MLflow's client.
        experiment_id: MLflow's id of the experiment.
        run_ids: The runs.
    """
    return [one for one in client.search_logged_models([experiment_id]) if one.source_run_id in run_ids]


def erase(
    client: "MlflowClient", experiment_id: str, run_ids: Collection[str], root: Path | None = None
) -> bool:
    """Remove runs with what they logged, in the order given; the experiment too, once it is empty.

    Args:
        client: MLflow's.
        experiment_id: MLflow's, of the experiment that the runs belong to.
        run_ids: which runs.
        root: the folder that local artifacts must lie in; see `check_artifacts`.

    Returns:
        False where the store only marks them as deleted, as a server does: there `mlflow gc` ends it.

    Raises:
        UserError: where an artifact address leads elsewhere.
    """
    for_good = True
    for model in models_of(client, experiment_id, run_ids):
        check_artifacts(model.artifact_location, model.model_id, root)
        artifact_store(model.artifact_location).delete_artifacts()
        client.delete_logged_model(model.model_id)
        delete_for_good(client, "logged_model", model.model_id)
    for run_id in run_ids:
        address = client.get_run(run_id).info.artifact_uri
        check_artifacts(address, run_id, root)
        artifact_store(address).delete_artifacts()
        if not deletes_for_good(client):  # else the next search of the study would restore it
            client.set_tag(run_id, names.STUDY, "removed")
        client.delete_run(run_id)
        for_good = delete_for_good(client, "run", run_id)
    if not client.search_runs([experiment_id], max_results=1):
        client.delete_experiment(experiment_id)
        delete_for_good(client, "experiment", experiment_id)
    return for_good


def unregister(client: "MlflowClient", versions: "Collection[ModelVersion]") -> None:
    """Remove versions from the registry, and a registered model with its last version.

    Args:
        client: MLflow's client.
        versions: Of one model or of several.
    """
    for version in versions:
        client.delete_model_version(version.name, version.version)
    for name in {version.name for version in versions}:
        if not client.search_model_versions(f"name = '{name}'"):
            client.delete_registered_model(name)


def drop_file(client: "MlflowClient", run_id: str, path: str) -> None:
    """Remove one artifact of a run.

    Args:
        client: MLflow's client.
        run_id: The run.
        path: The artifact's name.
    """
    artifact_store(client.get_run(run_id).info.artifact_uri).delete_artifacts(path)
