"""`candor import`: results that exist already become a study in MLflow, by the contract of a search."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.imports.results import Result, Results
from search.safety.paths import checked_name
from search.tracking import names
from search.tracking.params import as_params
from search.tracking.spool import Record
from search.tracking.writer import Writer, prepare_store
from search.workspace import Workspace
from spaces.errors import UserError

#: What an imported score is called in MLflow where its name means something narrower in a search: train
#: without augmentation, test of a sealed set.
_REPORTED = ("train_accuracy", "train_loss", "test_accuracy", "test_loss", "train_macro_f1", "test_macro_f1")


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Attributes:
        study: The study's id.
        added: Evaluations that are new.
        changed: Evaluations whose numbers are others than before.
        gone: Evaluations that MLflow has and the source has not; they stay.
    """

    study: str
    added: int
    changed: int
    gone: int


def study_of(name: str) -> str:
    """The id of the study that results imported under this name are."""
    return hashlib.sha256(f"imported/{name}".encode()).hexdigest()[:12]


def write_results(results: Results, name: str, source: str, workspace: Workspace) -> Imported:
    """Write results to the workspace's MLflow store, or bring it up to date. Twice changes nothing.

    Args:
        results: The evaluations.
        name: What to call the experiment.
        source: What the results come from, for people: "csv:results.csv".
        workspace: Where to.

    Raises:
        UserError: The name is none, or belongs to a study that was not imported.
    """
    checked_name(name, "experiment")
    with workspace.lock(0):
        prepare_store(workspace.tracking_uri, workspace.folder / "mlflow.lock")
        writer, study = Writer(workspace.tracking_uri, name, workspace.artifacts), study_of(name)
        held = _held(writer, name, study)
        now = time.time_ns() // 1_000_000
        about = json.dumps(_about(results, name, study, source), indent=1, sort_keys=True)
        if not held or about != _text(writer, study):
            _begin(writer, study, name, source, about, now)
        slots = _slots(results, held)
        added = changed = 0
        for one in results.evaluations:
            key = f"{study}/{names.CONFIRM}/{slots[_fingerprint(one)]}/{one.seed}"
            if key not in held:
                _write(writer, one, key, slots[_fingerprint(one)], name, study, source, now)
                added += 1
            elif _update(writer, held[key], one, now):
                changed += 1
        if added or changed or not held:
            writer.write(Record(Path(), "close", now, {"key": study, "status": "FINISHED"}))
        keys = {
            f"{study}/{names.CONFIRM}/{slots[_fingerprint(one)]}/{one.seed}" for one in results.evaluations
        }
        return Imported(study, added, changed, len(held.keys() - keys - {study}))


def _held(writer: Writer, name: str, study: str) -> dict[str, Any]:
    """Runs of the study by key. Raises UserError where the experiment holds other studies."""
    runs = writer.client.search_runs([writer.experiment_id()], max_results=50_000)
    others = {run.data.tags.get(names.STUDY) for run in runs} - {study}
    if others:
        raise UserError(
            f"the experiment {name} holds studies that were not imported: name the results something else "
            "with --name"
        )
    return {run.data.tags[names.KEY]: run for run in runs if names.KEY in run.data.tags}


def _text(writer: Writer, study: str) -> str:
    """The study.json that was written before, "" where there is none."""
    run = writer.run_id(study)
    try:
        return Path(writer.client.download_artifacts(str(run), names.STUDY_JSON)).read_text(encoding="utf-8")
    except Exception:  # every artifact store raises its own kind
        return ""


def _about(results: Results, name: str, study: str, source: str) -> dict[str, Any]:
    counts = {"validation": results.images, "test": results.test_images}
    return {
        "experiment": name,
        "study": study,
        "question": f"Which of the candidates in {source.partition(':')[2]} is best?",
        "imported": {"source": source, "guess": list(results.guess), "findings": list(results.findings)},
        "data": {
            "name": "as imported",
            "source": source,
            "counts": {part: count for part, count in counts.items() if count},
        },
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


def _slots(results: Results, held: Mapping[str, Any]) -> dict[str, int]:
    """The slot of each candidate: the one that it has, or the next one."""
    slots = {
        run.data.tags[names.CANDIDATE]: int(run.data.tags[names.TRIAL])
        for run in held.values()
        if names.CANDIDATE in run.data.tags
    }
    for one in results.evaluations:
        slots.setdefault(_fingerprint(one), max(slots.values(), default=0) + 1)
    return slots


def _fingerprint(one: Result) -> str:
    return hashlib.sha256(json.dumps(dict(one.candidate), sort_keys=True).encode()).hexdigest()[:12]


def _metrics(one: Result) -> dict[str, float]:
    return {f"reported_{name}" if name in _REPORTED else name: value for name, value in one.metrics.items()}


def _write(
    writer: Writer, one: Result, key: str, slot: int, name: str, study: str, source: str, now: int
) -> None:
    tags = {
        names.KIND: names.EVALUATION_KIND,
        names.STUDY: study,
        names.EXPERIMENT: name,
        names.STAGE: names.CONFIRM,
        names.STATE: names.COMPLETE,
        names.TRIAL: str(slot),
        names.SEED: str(one.seed),
        names.CANDIDATE: _fingerprint(one),
        names.ARCHITECTURE: _fingerprint(one),
        names.LABEL: one.label,
        names.SOURCE: f"{source}, {one.where}",
    }
    fields = {
        "key": key,
        "parent": study,
        "name": f"{one.label}, seed {one.seed}",
        "tags": tags,
        "params": as_params(names.ARCH, one.candidate) | {names.PARAM_SEED: str(one.seed)},
        "metrics": _metrics(one),
        "state": names.COMPLETE,
    }
    writer.write(Record(Path(), "end", now, fields))


def _update(writer: Writer, run: Any, one: Result, now: int) -> bool:
    """Log the numbers that are others than before; whether there are any."""
    from mlflow.entities import Metric

    new = {name: value for name, value in _metrics(one).items() if run.data.metrics.get(name) != value}
    if new:
        writer.client.log_batch(run.info.run_id, [Metric(name, value, now, 0) for name, value in new.items()])
    return bool(new)
