"""What an imported evaluation becomes in MLflow: the rows of its run, and the file with its predictions."""

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from reports.records.store import Run
from search.archives import mlflow_rows
from search.archives.tables import TABLES, Rows
from search.imports.evaluations import Result, canonical
from search.safety.paths import below
from search.tracking import names
from search.tracking.params import as_params
from search.tracking.writer import Writer
from search.training.measures import metrics as measures
from search.workspace import Workspace

#: What an imported score is called in MLflow where its name means something narrower in a search: train
#: without augmentation, test of a sealed set.
_REPORTED: Final = (
    "train_accuracy", "train_loss", "test_accuracy", "test_loss", "train_macro_f1", "test_macro_f1",
)  # fmt: skip
#: By epoch, the split that chooses epochs is called monitor.
_BY_EPOCH: Final = {
    "val_accuracy": "monitor_accuracy",
    "val_loss": "monitor_loss",
    "train_accuracy": "train_accuracy",
    "train_loss": "train_loss",
}


@dataclass(frozen=True)
class Place:
    """Where the evaluations of one study go."""

    name: str
    study: str
    source: str
    workspace: Workspace
    parent: str
    now: int


def write_evaluations(
    writer: Writer,
    place: Place,
    written: Mapping[str, Result],
    slots: Mapping[str, int],
    held: Mapping[str, Run],
    digests: Mapping[str, str],
) -> None:
    """Write evaluations, those that are there anew, all of them or none.

    Args:
        writer: Knows the experiment in MLflow.
        place: Where they go.
        written: The evaluations to write, by key.
        slots: The slot of each candidate, by its fingerprint.
        held: Runs that are there already, by key.
        digests: Of what is written of each evaluation, by key.
    """
    if not written:
        return
    rows: Rows = {table: [] for table in TABLES}
    for key, one in written.items():
        run = held[key].run_id if key in held else uuid.uuid4().hex
        folder = below(place.workspace.artifacts, place.name, run, "artifacts")
        _write_predictions(folder, one)
        tags = {
            **_tags(place, one),
            names.KEY: key,
            names.TRIAL: str(slots[fingerprint(one)]),
            names.CONTENT: digests[key],
        }
        params = as_params(
            names.ARCH, {name: _canonical_text(value) for name, value in one.candidate.items()}
        )
        started = held[key].started if key in held else place.now
        rows["runs"].append(_run_row(run, one, folder, started or place.now, place.now))
        rows["tags"] += [
            {"run_uuid": run, "key": name, "value": value[:8000]} for name, value in tags.items()
        ]
        params |= {names.PARAM_SEED: str(one.seed)}
        rows["params"] += [
            {"run_uuid": run, "key": name, "value": value[:6000]} for name, value in params.items()
        ]
        _add_metrics(rows, run, one, place.now)
    replaced = sorted(held[key].run_id for key in written if key in held)
    mlflow_rows.write_rows(place.workspace.store, rows, writer.experiment_id(), replaced=replaced)


def fingerprint(one: Result) -> str:
    """A candidate's id: a digest of what tells it from others."""
    return hashlib.sha256(json.dumps(one.identity).encode()).hexdigest()[:12]


def stage_of(one: Result) -> str:
    """The stage that an evaluation counts as: confirm where it came to its end."""
    return names.CONFIRM if one.state == names.COMPLETE else names.EXPLORE


def origin(source: str, one: Result) -> str:
    """Where an evaluation comes from, for people."""
    return f"{source}, {one.where}"


def digest(one: Result) -> str:
    """Of everything that is written of an evaluation, but for its place in the source."""
    whole = [one.label, one.state, one.reason, dict(one.candidate), dict(one.metrics), dict(one.curves)]
    digest = hashlib.sha256(json.dumps(whole, sort_keys=True).encode())
    if one.predictions is not None:
        for array in (one.predictions.labels, one.predictions.probabilities):
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update("\0".join(one.predictions.ids.tolist()).encode())
    return digest.hexdigest()[:16]


def _metrics(one: Result) -> dict[str, float]:
    """The final metrics; those of a run that did not come to its end are no validation results."""
    found = {f"reported_{name}" if name in _REPORTED else name: value for name, value in one.metrics.items()}
    if one.predictions is not None:
        labels, probabilities = one.predictions.labels, one.predictions.probabilities
        own = measures.scores(labels, probabilities)
        found |= {names.VAL + name: value for name, value in own.items()}
        found[names.ECE] = measures.expected_calibration_error(labels, probabilities)
    if one.state != names.COMPLETE:
        found = {name.replace(names.VAL, names.MONITOR_FINAL, 1): value for name, value in found.items()}
    if one.curves:
        found.setdefault(names.EPOCHS, float(max(len(points) for points in one.curves.values())))
    return found


def _canonical_text(text: str) -> str:
    """A setting for a param: whole numbers without ".0"."""
    plain = canonical(text)
    return plain.removesuffix(".0") if plain != text else text


def _tags(place: Place, one: Result) -> dict[str, str]:
    tags = {
        names.KIND: names.EVALUATION_KIND,
        names.STUDY: place.study,
        names.EXPERIMENT: place.name,
        names.STAGE: stage_of(one),
        names.STATE: one.state,
        names.SEED: str(one.seed),
        names.CANDIDATE: fingerprint(one),
        names.ARCHITECTURE: fingerprint(one),
        names.LABEL: one.label,
        names.SOURCE: origin(place.source, one),
        "mlflow.parentRunId": place.parent,
        "mlflow.runName": f"{one.label}, seed {one.seed}"[:250],
    }
    return tags | ({names.REASON: one.reason} if one.reason else {})


def _run_row(run: str, one: Result, folder: Path, started: int, ended: int) -> dict[str, Any]:
    return {
        "run_uuid": run,
        "name": f"{one.label}, seed {one.seed}"[:250],
        "source_type": "LOCAL",
        "source_name": "",
        "entry_point_name": "",
        "user_id": "",
        "status": names.MLFLOW_STATUS[one.state],
        "start_time": started,
        "end_time": ended,
        "source_version": "",
        "lifecycle_stage": "active",
        "artifact_uri": folder.as_uri(),
        "deleted_time": None,
    }


def _write_predictions(folder: Path, one: Result) -> None:
    if one.predictions is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    said = one.predictions
    arrays: dict[str, Any] = {
        "ids": said.ids,
        "labels": said.labels,
        "probabilities": said.probabilities,
        **said.twins,
    }
    np.savez_compressed(folder / names.PREDICTIONS_NPZ, **arrays)


def _add_metrics(rows: Rows, run: str, one: Result, now: int) -> None:
    points: dict[str, Sequence[tuple[int, float]]] = {
        name: [(0, value)] for name, value in _metrics(one).items()
    }
    points |= {_BY_EPOCH[score]: own for score, own in one.curves.items() if own}
    for name, own in points.items():
        held = [
            {"run_uuid": run, "key": name, "value": value, "timestamp": now, "step": step, "is_nan": False}
            for step, value in own
            if np.isfinite(value)
        ]
        rows["metrics"] += held
        rows["latest_metrics"] += held[-1:]
