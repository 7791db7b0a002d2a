"""`candor import`: results that exist already become a study in MLflow, by the contract of a search."""

import hashlib
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from reports.records.open_store import open_store
from reports.records.store import Run
from search.archives import mlflow_rows
from search.archives.tables import TABLES, Rows
from search.imports.evaluations import Result, Results, canonical
from search.safety.paths import below, checked_name
from search.tracking import names
from search.tracking.params import as_params
from search.tracking.spool import Record
from search.tracking.writer import Writer, prepare_store
from search.training.measures import metrics as measures
from search.workspace import Workspace
from spaces.errors import UserError

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
class Imported:
    """What an import did.

    Attributes:
        study: The study's id.
        added: Runs that are new.
        changed: Runs whose numbers are others than before.
        removed: Runs that the source has no longer; they were deleted, and MLflow can restore them.
    """

    study: str
    added: int
    changed: int
    removed: int


@dataclass(frozen=True)
class _Place:
    """Where the evaluations of one study go."""

    name: str
    study: str
    source: str
    workspace: Workspace
    parent: str
    now: int


def study_of(name: str) -> str:
    """The id of the study that results imported under this name are.

    Args:
        name: The experiment's name.
    """
    return hashlib.sha256(f"imported/{name}".encode()).hexdigest()[:12]


def write_results(results: Results, name: str, source: str, workspace: Workspace) -> Imported:
    """Write results to the workspace's MLflow store, or bring it up to date. Twice changes nothing.

    All runs are written in one transaction. Each import that changes a study counts as one more look at it.

    Args:
        results: The evaluations.
        name: What to call the experiment.
        source: What the results come from, for people: "csv:results.csv".
        workspace: Where to.

    Returns:
        What was changed.

    Raises:
        UserError: The name is none, belongs to a study that was not imported, or to another source.
    """
    checked_name(name, "experiment")
    with workspace.lock(0):
        prepare_store(workspace.tracking_uri, workspace.folder / "mlflow.lock")
        study, now = study_of(name), time.time_ns() // 1_000_000
        held = _held(workspace, name, study, source)
        slots = _slots(results, held)
        planned = {_key(study, slots, one): one for one in results.evaluations}
        digests = {key: _digest(one) for key, one in planned.items()}
        added = [key for key in planned if key not in held]
        kept = [key for key in planned if key in held]
        changed = [key for key in kept if held[key].tags.get(names.CONTENT) != digests[key]]
        moved = [key for key in kept if held[key].tags.get(names.SOURCE) != _origin(source, planned[key])]
        gone = [key for key in held if key not in planned and key != study]
        writer = Writer(workspace.tracking_uri, name, workspace.artifacts)
        about = json.dumps(_about(results, name, study, source), indent=1, sort_keys=True)
        if study not in held or about != _text(writer, study):
            _begin(writer, study, name, source, about, now)
        place = _Place(name, study, source, workspace, str(writer.run_id(study)), now)
        written = {key: planned[key] for key in dict.fromkeys([*added, *changed, *moved])}
        _write(writer, place, written, slots, held, digests)
        for key in gone:
            writer.client.delete_run(held[key].run_id)
        tags = {}
        if study in held and (added or changed or gone):
            tags[names.LOOKS] = str(max(int(held[study].tags.get(names.LOOKS, "1")), 1) + 1)
        writer.write(Record(Path(), "close", now, {"key": study, "status": "FINISHED", "tags": tags}))
        return Imported(study, len(added), len(changed), len(gone))


def _held(workspace: Workspace, name: str, study: str, source: str) -> dict[str, Run]:
    """Runs of the study by key. Raises UserError where the name is taken by something else."""
    store = open_store(workspace.tracking_uri)
    number = store.experiments().get(name)
    runs = store.runs(number, {}) if number is not None else []
    if {run.tags.get(names.STUDY) for run in runs} - {study}:
        raise UserError(
            f"the experiment {name} holds studies that were not imported: name the results something else "
            "with --name"
        )
    held = {run.tags[names.KEY]: run for run in runs if names.KEY in run.tags}
    before = held[study].tags.get(names.SOURCE, "") if study in held else source
    if _plain(before) != _plain(source):
        raise UserError(
            f"{name} holds results from {before}: name these something else with --name, or remove those "
            "with "
            f"`candor rm {name}`"
        )
    return held


def _plain(source: str) -> str:
    """A source without the address of its server or file."""
    return source.partition(" at ")[0].partition(" in ")[0]


def _text(writer: Writer, study: str) -> str:
    """The study.json that was written before, "" where there is none."""
    run = writer.run_id(study)
    try:
        return Path(writer.client.download_artifacts(str(run), names.STUDY_JSON)).read_text(encoding="utf-8")
    except Exception:  # every artifact store raises its own kind
        return ""


def _about(results: Results, name: str, study: str, source: str) -> dict[str, Any]:
    counts = {"validation": results.images, "test": results.test_images}
    data: dict[str, Any] = {
        "name": "as imported",
        "source": _plain(source),
        "counts": {part: count for part, count in counts.items() if count},
    }
    if results.class_names:
        data["class_names"] = list(results.class_names)
    return {
        "experiment": name,
        "study": study,
        "question": f"Which of the candidates in {_plain(source).partition(':')[2]} is best?",
        "imported": {
            "source": source,
            "guess": list(results.guess),
            "findings": list(results.findings),
            "predictions": sum(one.predictions is not None for one in results.complete),
        },
        "data": data,
    }


def _begin(writer: Writer, study: str, name: str, source: str, about: str, now: int) -> None:
    tags = {
        names.KIND: names.STUDY_KIND,
        names.STUDY: study,
        names.EXPERIMENT: name,
        names.RESUMED: str(now),
        names.SOURCE: source,
        "mlflow.note.content": f"Imported from {source}. Nothing was trained.",
    }
    named = {"key": study, "name": f"imported study {study}", "tags": tags}
    writer.write(Record(Path(), "study", now, named))
    writer.write(
        Record(Path(), "files", now, {"key": study, "texts": {names.STUDY_JSON: about}, "tags": tags})
    )


def _slots(results: Results, held: Mapping[str, Run]) -> dict[str, int]:
    """The slot of each candidate: the one that it has, or the next one."""
    slots = {
        run.tags[names.CANDIDATE]: int(run.tags[names.TRIAL])
        for run in held.values()
        if names.CANDIDATE in run.tags
    }
    last = max(slots.values(), default=0)
    for one in results.evaluations:
        if (candidate := _fingerprint(one)) not in slots:
            last += 1
            slots[candidate] = last
    return slots


def _fingerprint(one: Result) -> str:
    return hashlib.sha256(json.dumps(one.identity).encode()).hexdigest()[:12]


def _stage(one: Result) -> str:
    return names.CONFIRM if one.state == names.COMPLETE else names.EXPLORE


def _key(study: str, slots: Mapping[str, int], one: Result) -> str:
    return f"{study}/{_stage(one)}/{slots[_fingerprint(one)]}/{one.seed}"


def _origin(source: str, one: Result) -> str:
    return f"{source}, {one.where}"


def _digest(one: Result) -> str:
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


def _write(
    writer: Writer,
    place: _Place,
    written: Mapping[str, Result],
    slots: Mapping[str, int],
    held: Mapping[str, Run],
    digests: Mapping[str, str],
) -> None:
    """Write evaluations, those that are there anew, all of them or none."""
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
            names.TRIAL: str(slots[_fingerprint(one)]),
            names.CONTENT: digests[key],
        }
        params = as_params(names.ARCH, {name: canonical_text(value) for name, value in one.candidate.items()})
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


def canonical_text(text: str) -> str:
    """A setting for a param: whole numbers without ".0".

    Args:
        text: The cell.
    """
    plain = canonical(text)
    return plain.removesuffix(".0") if plain != text else text


def _tags(place: _Place, one: Result) -> dict[str, str]:
    tags = {
        names.KIND: names.EVALUATION_KIND,
        names.STUDY: place.study,
        names.EXPERIMENT: place.name,
        names.STAGE: _stage(one),
        names.STATE: one.state,
        names.SEED: str(one.seed),
        names.CANDIDATE: _fingerprint(one),
        names.ARCHITECTURE: _fingerprint(one),
        names.LABEL: one.label,
        names.SOURCE: _origin(place.source, one),
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
