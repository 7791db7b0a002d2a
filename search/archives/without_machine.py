"""Rows of MLflow's tables without what belongs to a machine or a person."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from search.archives.tables import OF_RUNS, Row, Rows
from search.tracking import names
from search.tracking.privacy import public_source, public_text

#: MLflow's own tags that say nothing of a machine or a person.
_KEPT: Final = ("mlflow.parentRunId", "mlflow.runName", "mlflow.note.content")
#: Tags whose values are identifiers or numbers: nothing in them is to be shortened.
_IDENTITY: Final = (names.KEY, names.STUDY, names.EXPERIMENT, "mlflow.parentRunId")
#: What is left of another study's opening of the same test set: enough to count it.
_COUNTED: Final = (names.KIND, names.STUDY, names.TEST_DIGEST, names.VERDICT_HASH)


def without_machine(rows: Rows, study: str) -> Rows:
    """The rows without what belongs to a machine or a person.

    Users, sources and process ids go; hosts become "machine 1", "machine 2", in the order of their first
    runs; artifact addresses become relative ("artifacts/RUN/artifacts").

    Args:
        rows: What `read_rows` returns.
        study: The study's id; of other studies only the opening of the test set is kept.
    """
    by_run: dict[str, dict[str, str]] = {}
    for tag in rows["tags"]:
        by_run.setdefault(tag["run_uuid"], {})[tag["key"]] = tag["value"]
    own = {run for run, tags in by_run.items() if tags.get(names.STUDY) == study}
    machines = _machines(rows["runs"], by_run)
    tags = [
        {**tag, "value": _tag(tag["key"], tag["value"], machines)}
        for tag in rows["tags"]
        if _is_kept(tag["key"], tag["run_uuid"] in own)
    ]
    shown: Rows = {table: [row for row in rows[table] if row["run_uuid"] in own] for table in OF_RUNS}
    shown["runs"] = [_run(row) for row in rows["runs"]]
    shown["tags"] = tags
    shown["params"] = [{**row, "value": public_text(row["value"])} for row in shown["params"]]
    shown["datasets"] = [
        {**row, "dataset_source": _source(row["dataset_source"])} for row in rows["datasets"]
    ]
    return shown | {table: rows[table] for table in ("inputs", "input_tags")}


def _machines(runs: Sequence[Row], tags: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """What each host is called, in the order in which they first began a run."""
    ordered = sorted(runs, key=lambda row: (row["start_time"] or 0, row["run_uuid"]))
    hosts = dict.fromkeys(host for row in ordered if (host := tags.get(row["run_uuid"], {}).get(names.HOST)))
    return {host: f"machine {number}" for number, host in enumerate(hosts, start=1)}


def _is_kept(key: str, own: bool) -> bool:
    if not own:
        return key in _COUNTED
    return key in _KEPT or not (key.startswith("mlflow.") or key == names.PID)


def _tag(key: str, value: str, machines: Mapping[str, str]) -> str:
    if key == names.HOST:
        return machines[value]
    return value if key in _IDENTITY else public_text(value or "")


def _run(row: Row) -> Row:
    kept = {
        "source_type": "LOCAL",
        "source_name": "",
        "entry_point_name": "",
        "user_id": "",
        "source_version": "",
        "artifact_uri": f"artifacts/{row['run_uuid']}/artifacts",
        "name": public_text(row["name"] or ""),
    }
    return row | kept


def _source(text: str) -> str:
    try:
        held = json.loads(text)
        return json.dumps({**held, "uri": public_source(str(held["uri"]))})
    except (ValueError, KeyError, TypeError):
        return json.dumps({"uri": public_source(text)})
