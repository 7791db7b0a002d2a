"""The end of a study: its verdict frozen, its page kept, its champion registered."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.schema.experiment import ExperimentConfig
from experiments.workflows.study.context import RunContext
from search.study.optuna.reconcile import Looks
from search.tracking import names
from search.tracking.client import open_client
from search.tracking.delivery import Delivery
from search.workers.recorder import Recorder


class NoVerdict(Exception):
    """A study is over and nothing was confirmed: one sentence says why."""


def conclude(
    experiment: ExperimentConfig,
    context: RunContext,
    recorder: Recorder,
    delivery: Delivery,
    looks: Looks,
) -> tuple[str, ...]:
    """Freeze the verdict of a study that is over, count the look and log the page.

    A study in rounds that ended before its first round was complete has no verdict and takes no look.

    Args:
        experiment: The experiment.
        context: Where and with what the study runs.
        recorder: Records what belongs to the study.
        delivery: Brings records to MLflow.
        looks: Counts the looks at the validation results.

    Returns:
        The verdict's sentences; none where MLflow goes away meanwhile, and the next search concludes.

    Raises:
        NoVerdict: Nothing was confirmed.
    """
    import reports
    from reports.analysis import analyse

    own = (experiment.name, context.tracking, recorder.study_key)
    study = reports.load_study(*own)
    if not confirmed(study).any():
        raise NoVerdict(_nothing(study))
    analysis = analyse(study)
    if analysis.decision and not analysis.verdict:
        raise NoVerdict(" ".join(analysis.sentences))
    number, seen = look_at(study, looks)
    looks.keep(number, seen)
    recorder.study_files({}, {names.LOOKS: str(number), names.SEEN: seen})
    if delivery.drain(60):  # the verdict is drawn at the level of this look
        return ()
    verdict = reports.verdict_of(*own)
    text = json.dumps(verdict.to_dict(), indent=1, sort_keys=True)
    recorder.study_files(
        {names.VERDICT_JSON: text, f"{names.VERDICTS}/look_{number}.json": text},
        {names.VERDICT_HASH: verdict.hash()},
    )
    if delivery.drain(60):
        return ()
    sentences = reports.sentences_of(*own)
    recorder.study_files(
        {names.REPORT_HTML: reports.self_contained(*own)}, {"mlflow.note.content": _note(sentences)}
    )
    delivery.drain(60)
    return (*sentences, *_trimmed(experiment, context, recorder.study_key, verdict))


def _note(sentences: Sequence[str]) -> str:
    """What MLflow shows of the study: the report's sentences, in Markdown."""
    points = "\n".join(f"- {sentence}" for sentence in sentences)
    return f"{points}\n\n`report.html` shows the tables and figures behind it."


def _trimmed(
    experiment: ExperimentConfig, context: RunContext, study_id: str, verdict: Any
) -> tuple[str, ...]:
    """Keep the models within the protocol's budget; a sentence if any had to go."""
    if experiment.protocol.keep_models_mb is None:
        return ()
    import reports
    from experiments.workflows.study.model_budget import keep_within

    study, client = (
        reports.load_study(experiment.name, context.tracking, study_id),
        open_client(context.tracking),
    )
    told = keep_within(experiment.protocol.keep_models_mb, study, verdict, client)
    return (told,) if told else ()


def look_at(study: Any, looks: Looks) -> tuple[int, str]:
    """Which look at the validation results this is, and a digest of what is seen.

    Looking again at the same evaluations is no new look; one evaluation more is.
    """
    seen, tags = study.seen, study.run.tags
    recorded = (int(tags.get(names.LOOKS, "0")), str(tags.get(names.SEEN, "")))
    before, last_seen = max(recorded, looks.last(), key=lambda look: look[0])
    return (before, seen) if before and last_seen == seen else (before + 1, seen)


def confirmed(study: Any) -> Any:
    """Which rows of the evaluations are confirmed."""
    done = study.evaluations
    return (done.stage == names.CONFIRM) & (done.state == names.COMPLETE)


def _nothing(study: Any) -> str:
    """Why a study ends without a verdict: what became of its evaluations, and the first cause."""
    every = study.evaluations
    if every.empty:
        return "No evaluation is recorded, so there is no verdict."
    states = ", ".join(f"{count} {state}" for state, count in every.state.value_counts().items())
    causes = every[(every.reason.fillna("") != "") & (every.state != names.DUPLICATE)]
    first = f" The first cause: {causes.reason.iloc[0].splitlines()[0]}" if len(causes) else ""
    return f"No candidate could be confirmed, so there is no verdict ({states}).{first}"


def report(experiments: list[str], tracking: str, out: Path, ui_url: str | None = None) -> Path:
    """Write the pages and tables of these experiments into the workspace; the path of the page to open."""
    import reports

    page: Path = reports.build(experiments, tracking, out, ui_url=ui_url, force=True)
    return page
