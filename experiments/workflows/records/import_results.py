"""`candor import`: results that exist already become a study in MLflow, by the contract of a search."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.workflows.records.imported_rows import (
    Place,
    digest,
    fingerprint,
    origin,
    stage_of,
    write_evaluations,
)
from reports.records.open_store import open_store
from reports.records.store import Run
from search.imports.evaluations import Result, Results
from search.safety.paths import checked_name
from search.tracking import names
from search.tracking.spool import Record
from search.tracking.writer import Writer, prepare_store
from search.workspace import Workspace, option
from spaces.errors import UserError


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
        digests = {key: digest(one) for key, one in planned.items()}
        added = [key for key in planned if key not in held]
        kept = [key for key in planned if key in held]
        changed = [key for key in kept if held[key].tags.get(names.CONTENT) != digests[key]]
        moved = [key for key in kept if held[key].tags.get(names.SOURCE) != origin(source, planned[key])]
        gone = [key for key in held if key not in planned and key != study]
        writer = Writer(workspace.tracking_uri, name, workspace.artifacts)
        about = json.dumps(_about(results, name, study, source), indent=1, sort_keys=True)
        if study not in held or about != _text(writer, study):
            _begin(writer, study, name, source, about, now)
        place = Place(name, study, source, workspace, str(writer.run_id(study)), now)
        written = {key: planned[key] for key in dict.fromkeys([*added, *changed, *moved])}
        write_evaluations(writer, place, written, slots, held, digests)
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
            f"with `candor rm {name}{option(workspace.folder)}`"
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
        if (candidate := fingerprint(one)) not in slots:
            last += 1
            slots[candidate] = last
    return slots


def _key(study: str, slots: Mapping[str, int], one: Result) -> str:
    return f"{study}/{stage_of(one)}/{slots[fingerprint(one)]}/{one.seed}"
