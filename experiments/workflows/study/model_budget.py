"""Keeps a study's models within the budget that its protocol states, the least wanted first to go."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from reports.analysis import MONITOR_TWIN
from reports.inference.verdict import Verdict
from reports.records.frames import each
from reports.records.study import StudyRecords
from search.tracking import names
from search.tracking.erase import drop_file

if TYPE_CHECKING:
    from mlflow import MlflowClient

_MB = 1_000_000


def keep_within(budget_mb: float, study: StudyRecords, verdict: Verdict, client: "MlflowClient") -> str:
    """Remove models until the rest is within the budget; what was done as a sentence, '' if nothing was.

    Explored ones go first, the lowest monitor score before the others, then confirmed ones from the end of
    the verdict. Those that the test set may yet be opened for, of the selected one and the runner-up, stay.
    """
    sizes = _sizes(study, client)
    kept, removed = sum(sizes.values()), 0
    for run_id in _least_wanted(study, verdict):
        if kept <= budget_mb * _MB:
            break
        if run_id in sizes:
            drop_file(client, run_id, names.MODEL_KERAS)
            kept -= sizes[run_id]
            removed += 1
    over = kept > budget_mb * _MB
    if not removed and not over:
        return ""
    told = f"{removed} of {len(sizes)} models were removed to keep within {budget_mb:g} MB"
    return f"{told}; what has to stay takes {kept / _MB:.1f} MB." if over else f"{told}."


def _sizes(study: StudyRecords, client: "MlflowClient") -> Mapping[str, int]:
    """Bytes of each model that is kept, by run id."""
    frame = study.evaluations
    return {
        run_id: int(item.file_size or 0)
        for run_id in frame.run_id[frame.state == names.COMPLETE]
        for item in client.list_artifacts(run_id)
        if item.path == names.MODEL_KERAS
    }


def _least_wanted(study: StudyRecords, verdict: Verdict) -> list[str]:
    places = {one.candidate: place for place, one in enumerate(verdict.judgements)}
    stay = {verdict.selected, verdict.runner_up} - {None} or {verdict.best}
    metric = MONITOR_TWIN[verdict.rule.objective]
    sign = -1 if verdict.rule.objective == "loss" else 1
    frame = study.evaluations
    explored = frame[frame.stage == names.EXPLORE]
    explored = explored.assign(score=sign * explored[metric]).sort_values("score", na_position="first")
    confirmed = [run for run in each(frame[frame.stage == names.CONFIRM]) if run.candidate not in stay]
    confirmed.sort(key=lambda run: -places.get(run.candidate, len(places)))
    return [*explored.run_id, *(run.run_id for run in confirmed)]
