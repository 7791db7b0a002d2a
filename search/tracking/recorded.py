"""What MLflow holds of a study: found by the study's id, whatever people renamed or deleted in its pages."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from search.tracking import names
from search.tracking.mlflow_schema import MlflowFile

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


@dataclass(frozen=True)
class Recorded:
    """One evaluation as MLflow holds it.

    state: one of names.STATES. candidate: its fingerprint, "" before it was known. stage: see names.
    """

    state: str
    candidate: str
    stage: str


def experiment_of(client: "MlflowClient", name: str, study: str | None) -> str | None:
    """The MLflow experiment that holds a study; a deleted one is restored.

    Args:
        client: MLflow's client.
        name: The experiment's name. In MLflow it may have been renamed.
        study: The study's id; None to look for the name alone.

    Returns:
        MLflow's id of the experiment; None where there is none of this name and none that holds the study.
    """
    named = client.get_experiment_by_name(name)
    found = named.experiment_id if named is not None else None
    if study is not None and (found is None or not _study_runs(client, [found], study)):
        others = _study_runs(client, _every_experiment(client), study)
        found = others[0].info.experiment_id if others else found
    if found is not None and client.get_experiment(found).lifecycle_stage == "deleted":
        client.restore_experiment(found)
    return found


def recorded_evaluations(client: "MlflowClient", experiment_id: str, study: str) -> dict[str, Recorded]:
    """The evaluations of a study that MLflow holds, by their keys.

    Args:
        client: MLflow's client.
        experiment_id: MLflow's id of the experiment.
        study: The study's id.
    """
    tags = {names.STUDY: study, names.KIND: names.EVALUATION_KIND}
    file = MlflowFile.open(client.tracking_uri)
    held = (
        [run.tags for run in file.runs(experiment_id, tags)]
        if file is not None
        else [run.data.tags for run in _search(client, [experiment_id], tags)]
    )
    return {
        run[names.KEY]: Recorded(
            run.get(names.STATE, ""), run.get(names.CANDIDATE, ""), run.get(names.STAGE, "")
        )
        for run in held
        if names.KEY in run
    }


def restore_deleted(client: "MlflowClient", study: str, there: Collection[str]) -> list[str]:
    """Restore what was deleted of a study in MLflow's pages.

    Args:
        client: MLflow's client.
        study: The study's id.
        there: Keys of runs that need none restored.

    Returns:
        The keys of the restored runs; of two deleted runs of one key the later one is restored.
    """
    latest: dict[str, Run] = {}
    for run in sorted(_deleted(client, study), key=_worth):
        latest[run.data.tags.get(names.KEY, "")] = run
    restored = {key: run for key, run in latest.items() if key and key not in there}
    for run in restored.values():
        client.restore_run(run.info.run_id)
    return sorted(restored)


def forget_evaluations(client: "MlflowClient", experiment_id: str, study: str, keys: Collection[str]) -> None:
    """Delete the runs of evaluations that are tried again, so that they are never restored.

    Args:
        client: MLflow's client.
        experiment_id: MLflow's id of the experiment.
        study: The study's id.
        keys: Of the evaluations.
    """
    for run in _search(client, [experiment_id], {names.STUDY: study, names.KIND: names.EVALUATION_KIND}):
        if run.data.tags.get(names.KEY) in keys:
            client.set_tag(run.info.run_id, names.STUDY, f"tried again {study}")
            client.delete_run(run.info.run_id)


def restore_all(client: "MlflowClient", study: str) -> list[str]:
    """Restore every deleted run of a study, so that it can be removed with the others.

    Args:
        client: MLflow's client.
        study: The study's id.

    Returns:
        The ids of the runs.
    """
    found = [run.info.run_id for run in _deleted(client, study)]
    for run_id in found:
        client.restore_run(run_id)
    return found


def study_is_there(client: "MlflowClient", experiment_id: str, study: str) -> bool:
    """Whether the study's own run is in an experiment, and not deleted.

    Args:
        client: MLflow's client.
        experiment_id: MLflow's id of the experiment.
        study: The study's id.
    """
    tags = {names.STUDY: study, names.KIND: names.STUDY_KIND}
    return bool(_search(client, [experiment_id], tags))


def _deleted(client: "MlflowClient", study: str) -> "list[Run]":
    from mlflow.entities import ViewType

    return _search(client, _every_experiment(client), {names.STUDY: study}, view=ViewType.DELETED_ONLY)


def _worth(run: "Run") -> tuple[bool, int]:
    return run.data.tags.get(names.STATE) == names.COMPLETE, run.info.start_time or 0


def _study_runs(client: "MlflowClient", experiments: list[str], study: str) -> "list[Run]":
    from mlflow.entities import ViewType

    tags = {names.STUDY: study, names.KIND: names.STUDY_KIND}
    return _search(client, experiments, tags, view=ViewType.ALL)


def _every_experiment(client: "MlflowClient") -> list[str]:
    from mlflow.entities import ViewType

    found: list[str] = []
    token: Any = None
    while True:
        page = client.search_experiments(view_type=ViewType.ALL, page_token=token)
        found += [experiment.experiment_id for experiment in page]
        token = page.token
        if not token:
            return found


def _search(
    client: "MlflowClient", experiments: list[str], tags: Mapping[str, str], view: int | None = None
) -> "list[Run]":
    from mlflow.entities import ViewType

    wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
    found: list[Run] = []
    token: Any = None
    while True:
        page = client.search_runs(
            experiments,
            wanted,
            run_view_type=ViewType.ACTIVE_ONLY if view is None else view,
            max_results=1000,
            page_token=token,
        )
        found += page
        token = page.token
        if not token:
            return found
