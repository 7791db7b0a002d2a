"""The model registry: one registered model for each experiment, its versions, champion and challenger.

The first version becomes champion. A later one becomes challenger and replaces nobody: that is for a
person to decide, with `candor promote`, and to take back, with `candor rollback`.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from search.models.classifier import Labels
from search.models.registry.packaging import Contents, pack
from search.tracking import names
from search.tracking.recorded import experiment_of
from spaces.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel


@dataclass(frozen=True)
class Registration:
    """What is registered: the model of one run, under the experiment's name.

    tags: shown with the version, numbers among them. texts: further files to keep with it, by name.
    """

    name: str
    run_id: str
    labels: Labels
    image_shape: tuple[int, int, int]
    tags: Mapping[str, str]
    description: str
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Registered:
    """What came of it. alias: the one that this version has, "" if none; new: it was not there before."""

    name: str
    version: str
    alias: str
    new: bool


def register(client: "MlflowClient", registration: Registration) -> Registered:
    """Register the model of a run, once. A second time updates the version's tags and files.

    Args:
        client: MLflow's client.
        registration: What to register.
    """
    from mlflow.exceptions import MlflowException

    name = registration.name
    try:
        client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        client.create_registered_model(name, description=f"What the studies of `{name}` selected.")
    version = version_of_run(client, name, registration.run_id)
    new = version is None
    if version is None:
        version = _create(client, registration)
    else:
        attach(client, version, registration.texts)
    for tag, value in registration.tags.items():
        client.set_model_version_tag(name, version.version, tag, value)
    client.update_model_version(name, version.version, registration.description)
    alias = _take_place(client, name, str(version.version))
    return Registered(name, str(version.version), alias, new)


def version_of_run(client: "MlflowClient", name: str, run_id: str) -> "ModelVersion | None":
    """The version that holds the model of this run."""
    found = client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
    return found[0] if found else None


def attach(client: "MlflowClient", version: "ModelVersion", texts: Mapping[str, str]) -> None:
    """Put further files, such as a model card, beside a version's model.

    Args:
        client: MLflow's client.
        version: The version.
        texts: Contents by file name; they replace files of the same name.
    """
    if not texts:
        return
    with TemporaryDirectory() as folder:
        for name, text in texts.items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        client.log_model_artifacts(_model_id(version), folder)


def _model_id(version: "ModelVersion") -> str:
    return str(version.source).rpartition("/")[2]


def _create(client: "MlflowClient", registration: Registration) -> "ModelVersion":
    """Write the version's files to the artifact store, then the version itself."""
    from mlflow.models import Model

    run = client.get_run(registration.run_id)
    with TemporaryDirectory() as place:
        model = Path(client.download_artifacts(run.info.run_id, names.MODEL_KERAS, place))
        contents = Contents(model, registration.labels, registration.image_shape, registration.texts)
        folder = pack(contents, Path(place) / "version")
        logged = client.create_logged_model(
            run.info.experiment_id, name=registration.name, source_run_id=run.info.run_id
        )
        described = Model.load(folder)
        described.model_id, described.run_id = logged.model_id, run.info.run_id
        described.save(folder / "MLmodel")
        client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, "READY")
    with _tracking_at(client.tracking_uri):
        return client.create_model_version(
            registration.name,
            source=f"models:/{logged.model_id}",
            run_id=run.info.run_id,
            tags=dict(registration.tags),
            model_id=logged.model_id,
        )


@contextmanager
def _tracking_at(uri: str) -> Iterator[None]:
    """Lend the process this address, for MLflow looks "models:/m-..." up where the process tracks."""
    import mlflow

    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)  # the environment too; None removes it


def _take_place(client: "MlflowClient", name: str, version: str) -> str:
    """Champion where there is none yet, else challenger, unless the version has been either before."""
    model = client.get_registered_model(name)
    having = [alias for alias, number in model.aliases.items() if str(number) == version]
    if having or version in former_champions(model):
        return having[0] if having else ""
    alias = names.CHALLENGER if names.CHAMPION in model.aliases else names.CHAMPION
    client.set_registered_model_alias(name, alias, version)
    return alias


def former_champions(model: "RegisteredModel") -> list[str]:
    """The versions that were champion before, the latest last."""
    return [number for number in model.tags.get(names.FORMER_CHAMPIONS, "").split(",") if number]


@dataclass(frozen=True)
class Change:
    """Who was champion, and who is now: numbers of versions."""

    name: str
    before: str
    after: str


def promote(client: "MlflowClient", name: str) -> Change:
    """Make the challenger champion. Raises UserError where there is none."""
    model = _model(client, name)
    if names.CHALLENGER not in model.aliases:
        raise UserError(
            f"{name} has no challenger to promote: {_aliases(model)}; a study that selects another candidate "
            "makes one"
        )
    after, before = str(model.aliases[names.CHALLENGER]), str(model.aliases.get(names.CHAMPION, ""))
    _remember(client, name, [*former_champions(model), *([before] if before else [])])
    client.set_registered_model_alias(name, names.CHAMPION, after)
    client.delete_registered_model_alias(name, names.CHALLENGER)
    return Change(name, before, after)


def rollback(client: "MlflowClient", name: str) -> Change:
    """Make the last champion champion again; today's becomes challenger. Raises UserError where none was."""
    model = _model(client, name)
    there = {str(version.version) for version in client.search_model_versions(f"name = '{name}'")}
    former = [number for number in former_champions(model) if number in there]
    if not former:
        raise UserError(f"{name} has had no other champion: {_aliases(model)}")
    before, after = str(model.aliases.get(names.CHAMPION, "")), former[-1]
    client.set_registered_model_alias(name, names.CHAMPION, after)
    if before:
        client.set_registered_model_alias(name, names.CHALLENGER, before)
    _remember(client, name, former[:-1])
    return Change(name, before, after)


def _remember(client: "MlflowClient", name: str, former: list[str]) -> None:
    client.set_registered_model_tag(name, names.FORMER_CHAMPIONS, ",".join(former))


def _model(client: "MlflowClient", name: str) -> "RegisteredModel":
    models = {model.name: model for model in client.search_registered_models()}
    if name not in models:
        there = ", ".join(sorted(models)) or "none yet; a study that selects a candidate registers one"
        raise UserError(f'no model is registered as "{name}"; there is {there}')
    return models[name]


def _aliases(model: "RegisteredModel") -> str:
    found = sorted(model.aliases.items())
    return ", ".join(f"{alias} is version {number}" for alias, number in found) or "it has no aliases"


def tag_versions(
    client: "MlflowClient", name: str, wanted: Mapping[str, str], tags: Mapping[str, Any]
) -> "list[ModelVersion]":
    """Tag every version that has certain tags.

    Args:
        client: MLflow's client.
        name: The registered model's name.
        wanted: The tags that a version must have.
        tags: The tags to set.

    Returns:
        The versions.
    """
    found = [
        version
        for version in client.search_model_versions(f"name = '{name}'")
        if all(version.tags.get(tag) == value for tag, value in wanted.items())
    ]
    for version in found:
        for tag, value in tags.items():
            client.set_model_version_tag(name, version.version, tag, str(value))
    return found


def source_run(client: "MlflowClient", experiment: str, key: str) -> "Run | None":
    """The run of an evaluation, if it kept its model.

    Args:
        client: MLflow's client.
        experiment: The experiment's name.
        key: The evaluation's key.
    """
    known = experiment_of(client, experiment, key.partition("/")[0])
    if known is None:
        return None
    runs = client.search_runs([known], f"tags.`{names.KEY}` = '{key}'", max_results=1)
    kept = runs and any(i.path == names.MODEL_KERAS for i in client.list_artifacts(runs[0].info.run_id))
    return runs[0] if kept else None
