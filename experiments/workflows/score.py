"""`candor score`: a model made elsewhere becomes a row of a study's table. It competes for nothing."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.workflows.lookup import images_of, newest_study
from experiments.workflows.predictors import folded, predictions_of
from reports.records.predictions import Predictions
from reports.statistics import accuracy_interval
from search.models.classifier import open_file
from search.tracking import names
from search.tracking.client import open_client
from search.training import metrics
from search.workspace import Workspace
from spaces.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from experiments.workflows.lookup import Recorded


@dataclass(frozen=True)
class Scored:
    """What came of it. new: it was not in the table before."""

    label: str
    accuracy: float
    low: float
    high: float
    images: int
    new: bool
    notes: tuple[str, ...]


def score(
    file: Path, experiment: str, workspace: Workspace, tracking_uri: str, say: Callable[[str], None]
) -> Scored:
    """Record the answers of a `.keras` file to the validation images of the newest study, once.

    Args:
        file: The model file.
        experiment: The experiment's name.
        workspace: The workspace with the prepared images.
        tracking_uri: MLflow's address.
        say: Shows a sentence to the user.

    Returns:
        The model's accuracy with its interval.

    Raises:
        UserError: If the file is no classifier of these classes, or the images are gone.
    """
    recorded = newest_study(experiment, tracking_uri)
    if folded(recorded):
        raise UserError(
            f"{experiment} judges over folds of train and validation together, each image by a network "
            f"that has "
            "not seen it: a finished model has no place in its table"
        )
    classifier = open_file(file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    data = images_of(recorded, workspace, None, say)
    answers, notes = predictions_of(classifier, data, data.validation())
    new = _record(open_client(tracking_uri), recorded, file, digest, answers, _counts(classifier.network))
    found = accuracy_interval(answers.correct[None].astype(float), groups=answers.groups)
    return Scored(file.stem, found.estimate, found.low, found.high, len(answers.ids), new, tuple(notes))


def _counts(network: Any) -> dict[str, float]:
    from spaces.counting import count

    try:
        counted = count(network)
    except Exception:  # a network from elsewhere may have no graph to count
        return {names.PARAMETERS: float(network.count_params())}
    return {names.PARAMETERS: float(counted.parameters), names.MACS: float(counted.macs)}


def _record(
    client: "MlflowClient",
    recorded: "Recorded",
    file: Path,
    digest: str,
    answers: Predictions,
    counts: dict[str, float],
) -> bool:
    """Write the run, found again by the file's digest; whether it is new."""
    parent = recorded.parent
    experiment = client.get_run(parent.run_id).info.experiment_id
    key = f"{parent.tags[names.STUDY]}/{names.SCORED}/{digest[:12]}/0"
    found = client.search_runs([experiment], f"tags.`{names.KEY}` = '{key}'", max_results=1)
    if found and found[0].info.status == "FINISHED":
        return False
    tags = _tags(recorded, file, digest, key)
    run = found[0] if found else client.create_run(experiment, run_name=f"scored: {file.stem}", tags=tags)
    scores = metrics.scores(answers.labels, answers.probabilities)
    logged = {names.VAL + name: scores[name] for name in ("accuracy", "loss", "macro_f1")} | counts
    logged[names.ECE] = metrics.expected_calibration_error(answers.labels, answers.probabilities)
    for name, value in logged.items():
        client.log_metric(run.info.run_id, name, value, step=0)
    with TemporaryDirectory() as folder:
        path = Path(folder) / names.PREDICTIONS_NPZ
        np.savez_compressed(path, **vars(answers))
        client.log_artifact(run.info.run_id, str(path))
    client.set_tag(run.info.run_id, names.STATE, names.COMPLETE)
    client.set_terminated(run.info.run_id)
    return not found


def _tags(recorded: "Recorded", file: Path, digest: str, key: str) -> dict[str, str]:
    return {
        names.KIND: names.EVALUATION_KIND,
        names.KEY: key,
        names.STUDY: recorded.parent.tags[names.STUDY],
        names.EXPERIMENT: recorded.experiment,
        names.STAGE: names.SCORED,
        names.STATE: names.RUNNING,
        names.CANDIDATE: digest[:12],
        names.ARCHITECTURE: digest[:12],
        names.LABEL: file.stem,
        names.TRIAL: "0",
        names.SEED: "0",
        names.REASON: f"made elsewhere ({file.name}): one network, trained on what is not known here",
        "mlflow.parentRunId": recorded.parent.run_id,
    }
