"""`candor score`: a model made elsewhere becomes a row of a study's table. It competes for nothing."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.workflows.models.predictors import folded, predictions_of
from experiments.workflows.study.lookup import images_of, newest_study
from reports.records.predictions import Predictions
from reports.statistics import accuracy_interval
from search.models.classifier import Classifier, open_file
from search.tracking import names
from search.tracking.client import open_client
from search.training.measures import metrics
from search.workspace import Workspace
from spaces.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from experiments.workflows.study.lookup import RecordedRun


@dataclass(frozen=True)
class Scored:
    """What came of it.

    Attributes:
        new: it was not in the table before.
        replaced: it took the place of the same file's row, which had been read in another way (other class
            names, or pixels fed otherwise).
    """

    label: str
    accuracy: float
    low: float
    high: float
    images: int
    new: bool
    replaced: bool
    notes: tuple[str, ...]


def score(
    file: Path, experiment: str, workspace: Workspace, tracking_uri: str, say: Callable[[str], None]
) -> Scored:
    """Record the answers of a `.keras` file to the validation images of the newest study, once.

    The record belongs to the file as it was read: its bytes, its class names in order, and how pixels are fed
    to it. A file that is read in another way than before replaces its earlier row.

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
    client = open_client(tracking_uri)
    identity = _identity(digest, classifier)
    new = _record(
        client, recorded, _tags(recorded, file, digest, identity), answers, _counts(classifier.network)
    )
    replaced = _remove_other_readings(client, recorded, digest, identity)
    found = accuracy_interval(answers.correct[None].astype(float), groups=answers.groups)
    return Scored(
        file.stem, found.estimate, found.low, found.high, len(answers.ids), new, replaced, tuple(notes)
    )


def _counts(network: Any) -> dict[str, float]:
    from spaces.counting import count

    try:
        counted = count(network)
    except Exception:  # a network from elsewhere may have no graph to count
        return {names.PARAMETERS: float(network.count_params())}
    return {names.PARAMETERS: float(counted.parameters), names.MACS: float(counted.macs)}


def _identity(digest: str, classifier: Classifier) -> str:
    """A digest of all that decides a model's answers: its bytes, its classes in order, its pixels' scale."""
    known = [digest, classifier.labels.class_names, classifier.scale]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()


def _record(
    client: "MlflowClient",
    recorded: "RecordedRun",
    tags: dict[str, str],
    answers: Predictions,
    counts: dict[str, float],
) -> bool:
    """Write the run, found again by its key; whether it is new."""
    experiment = client.get_run(recorded.parent.run_id).info.experiment_id
    found = client.search_runs([experiment], f"tags.`{names.KEY}` = '{tags[names.KEY]}'", max_results=1)
    if found and found[0].info.status == "FINISHED":
        return False
    called = f"scored: {tags[names.LABEL]}"
    run = found[0] if found else client.create_run(experiment, run_name=called, tags=tags)
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


def _remove_other_readings(
    client: "MlflowClient", recorded: "RecordedRun", digest: str, identity: str
) -> bool:
    """Delete the rows of the same file that were read in another way; whether there were any."""
    experiment = client.get_run(recorded.parent.run_id).info.experiment_id
    wanted = {
        names.STUDY: recorded.parent.tags[names.STUDY],
        names.STAGE: names.SCORED,
        names.ARCHITECTURE: digest[:12],
    }
    chosen = " and ".join(f"tags.`{name}` = '{value}'" for name, value in wanted.items())
    others = [
        run
        for run in client.search_runs([experiment], chosen)
        if run.data.tags[names.CANDIDATE] != identity[:12]
    ]
    for run in others:
        client.delete_run(run.info.run_id)
    return bool(others)


def _tags(recorded: "RecordedRun", file: Path, digest: str, identity: str) -> dict[str, str]:
    study = recorded.parent.tags[names.STUDY]
    return {
        names.KIND: names.EVALUATION_KIND,
        names.KEY: f"{study}/{names.SCORED}/{identity[:12]}/0",
        names.STUDY: study,
        names.EXPERIMENT: recorded.experiment,
        names.STAGE: names.SCORED,
        names.STATE: names.RUNNING,
        names.CANDIDATE: identity[:12],
        names.ARCHITECTURE: digest[:12],
        names.LABEL: file.stem,
        names.TRIAL: "0",
        names.SEED: "0",
        names.REASON: f"made elsewhere ({file.name}): one network, trained on what is not known here",
        "mlflow.parentRunId": recorded.parent.run_id,
    }
