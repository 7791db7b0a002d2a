"""One study's rows as MLflow's client tells them, for stores that are no SQLite file of a known schema."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from search.archives.tables import TABLES, Row, Rows
from search.tracking import names

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


def rows_from_client(client: "MlflowClient", experiment_id: str, study: str, test_digest: str) -> Rows:
    """Everything that MLflow's client tells of one study: see `search.archives.mlflow_rows.read_rows`."""
    own = _search(client, [experiment_id], {names.STUDY: study})
    if test_digest:
        everywhere = [each.experiment_id for each in client.search_experiments()]
        wanted = {names.KIND: names.UNSEALING_KIND, names.TEST_DIGEST: test_digest}
        known = {run.info.run_id for run in own}
        own += [run for run in _search(client, everywhere, wanted) if run.info.run_id not in known]
    rows: Rows = {table: [] for table in TABLES}
    for run in own:
        _add_run(rows, run)
        for name, value in run.data.metrics.items():
            points = client.get_metric_history(run.info.run_id, name) if name in names.EPOCH_METRICS else []
            _add_metric(rows, run, name, value, points)
        _add_datasets(rows, run)
    rows["datasets"] = list({row["dataset_uuid"]: row for row in rows["datasets"]}.values())
    return rows


def _search(client: "MlflowClient", experiments: Sequence[str], tags: Mapping[str, str]) -> "list[Run]":
    wanted = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
    found: list[Run] = []
    token = None
    while True:
        page = client.search_runs(list(experiments), wanted, max_results=1000, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _add_run(rows: Rows, run: "Run") -> None:
    facts = run.info
    rows["runs"].append(
        {
            "run_uuid": facts.run_id,
            "name": facts.run_name or "",
            "source_type": "LOCAL",
            "source_name": "",
            "entry_point_name": "",
            "user_id": "",
            "status": facts.status,
            "start_time": facts.start_time,
            "end_time": facts.end_time,
            "source_version": "",
            "lifecycle_stage": "active",
            "artifact_uri": facts.artifact_uri,
            "deleted_time": None,
        }
    )
    for table, held in (("tags", run.data.tags), ("params", run.data.params)):
        rows[table] += [{"run_uuid": facts.run_id, "key": key, "value": value} for key, value in held.items()]


def _add_metric(rows: Rows, run: "Run", name: str, value: float, points: Sequence[Any]) -> None:
    """A metric's points; a final one has a single point, at step 0."""
    at = run.info.end_time or run.info.start_time
    held = [(point.value, point.timestamp, point.step) for point in points] or [(value, at, 0)]
    for number, time, step in held:
        rows["metrics"].append(_point(run.info.run_id, name, number, time, step))
    number, time, step = max(held, key=lambda point: (point[2], point[1]))
    rows["latest_metrics"].append(_point(run.info.run_id, name, number, time, step))


def _point(run: str, name: str, value: float, time: int, step: int) -> Row:
    nan = value != value
    number = 0.0 if nan else min(max(value, -1.7976931348623157e308), 1.7976931348623157e308)
    return {
        "run_uuid": run, "key": name, "value": number, "timestamp": time, "step": step, "is_nan": nan,
    }  # fmt: skip


def _add_datasets(rows: Rows, run: "Run") -> None:
    for place, used in enumerate(run.inputs.dataset_inputs if run.inputs else ()):
        dataset = used.dataset
        number = f"{dataset.digest}-{dataset.name}"[:36]
        link = f"{run.info.run_id[:30]}-{place}"
        rows["datasets"].append(
            {
                "dataset_uuid": number,
                "name": dataset.name,
                "digest": dataset.digest,
                "dataset_source_type": dataset.source_type,
                "dataset_source": dataset.source,
                "dataset_schema": dataset.schema,
                "dataset_profile": dataset.profile,
            }
        )
        rows["inputs"].append(
            {
                "input_uuid": link,
                "source_type": "DATASET",
                "source_id": number,
                "destination_type": "RUN",
                "destination_id": run.info.run_id,
                "step": 0,
            }
        )
        rows["input_tags"] += [{"input_uuid": link, "name": tag.key, "value": tag.value} for tag in used.tags]
