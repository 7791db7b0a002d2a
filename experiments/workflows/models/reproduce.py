"""`candor reproduce`: a recorded evaluation is trained again from its record, and the two are compared."""

import csv
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np

from experiments.workflows.study.lookup import RecordedRun, find_evaluation, images_of
from reports import statistics
from reports.inference.wording import many
from reports.records.predictions import Predictions, read_predictions
from reports.records.store import MissingArtifactError
from search.execution.fork_client import ForkServer
from search.execution.messages import Epoch, EvaluationResult
from search.tracking import names
from search.tracking.environment import differing
from search.workers.reproduce import task_of, train_again
from search.workspace import Workspace
from spaces.errors import UserError

#: States of evaluations that were trained, if not to the end.
TRAINED = (names.COMPLETE, names.PRUNED, names.DIVERGED)
#: Numbers of an epoch that are to be the same; how long it took is not among them.
_NUMBERS = tuple(name for name in names.EPOCH_METRICS if name != names.EPOCH_SECONDS)

Likeness = Literal["same to the bit", "within noise", "not the same"]
History = Sequence[dict[str, float]]


@dataclass(frozen=True)
class Reproduction:
    """How alike the two are, the evidence, and what was not as it was."""

    likeness: Likeness
    evidence: str
    differing: tuple[str, ...]


def reproduce(
    text: str, workspace: Workspace, tracking_uri: str, source: str | None, say: Callable[[str], None]
) -> Reproduction:
    """Train a recorded evaluation again and compare the results.

    Args:
        text: A run id, the beginning of one, or an evaluation's key.
        workspace: The workspace with the prepared images.
        tracking_uri: MLflow's address.
        source: Where the images lie now; None for the study's own.
        say: Shows a sentence to the user.

    Returns:
        How far the new results agree with the recorded ones.

    Raises:
        UserError: If its record is not complete enough, or the images are others.
    """
    recorded = find_evaluation(text, tracking_uri)
    record = _record(recorded)
    _use_backend(record["conditions"]["backend"], say)
    server = ForkServer(workspace.logs / "children.log")
    server.start()  # Keras is imported while the data are prepared
    try:
        data = images_of(recorded, workspace, source, say)
        if not server.wait_until_ready(180):
            raise RuntimeError(f"Keras could not be loaded: see {workspace.logs / 'children.log'}")
        say(f"{recorded.run.name}: {_told(record)}")
        with TemporaryDirectory(prefix="candor-") as folder:
            result = _again(server, recorded, task_of(record, data, Path(folder)), say)
            return _compared(recorded, record, result, Path(folder) / "artifacts")
    finally:
        server.close()


def _record(recorded: RecordedRun) -> dict[str, Any]:
    state = recorded.run.tags.get(names.STATE, "")
    if state not in TRAINED:
        raise UserError(
            f"run {recorded.run.run_id} is {state}: only an evaluation that was trained can be reproduced"
        )
    try:
        text = recorded.store.artifact(recorded.run, names.EVALUATION_JSON).read_text(encoding="utf-8")
    except MissingArtifactError as error:
        raise UserError(
            f"run {recorded.run.run_id} lacks the record that it would be trained again from ({error})"
        ) from None
    record: dict[str, Any] = json.loads(text)
    return record


def _use_backend(recorded: str, say: Callable[[str], None]) -> None:
    """Children use the backend of the record, if it is installed; else the present one, which is said."""
    if find_spec(recorded) is not None:
        os.environ["KERAS_BACKEND"] = recorded
    else:
        say(f"the backend {recorded} is not installed: trained with another one")


def _told(record: dict[str, Any]) -> str:
    conditions = record["conditions"]
    threads = f"{conditions['threads']} thread{'s' if conditions['threads'] > 1 else ''}"
    return f"seed {record['seed']}, {conditions['backend']}, {conditions['precision']}, {threads}"


def _again(
    server: ForkServer, recorded: RecordedRun, task: Any, say: Callable[[str], None]
) -> EvaluationResult:
    last = None
    if recorded.run.tags[names.STATE] == names.PRUNED:
        last = len(_history(recorded.store.artifact(recorded.run, names.HISTORY_CSV)))

    def heard(epoch: Epoch) -> None:
        say(f"epoch {epoch.epoch}: monitor accuracy {epoch.metrics['monitor_accuracy']:.4f}")

    return train_again(server, task, heard, last)


def _compared(
    recorded: RecordedRun, record: dict[str, Any], result: EvaluationResult, artifacts: Path
) -> Reproduction:
    new = json.loads((artifacts / names.EVALUATION_JSON).read_text())
    likeness, evidence = _likeness(recorded, result, artifacts)
    return Reproduction(likeness, evidence, tuple(differing(record["conditions"], new["conditions"])))


def _likeness(recorded: RecordedRun, result: EvaluationResult, artifacts: Path) -> tuple[Likeness, str]:
    state = recorded.run.tags[names.STATE]
    if result.state != state:
        return "not the same", f"it was {state} and is {result.state} now"
    if state == names.DIVERGED:
        same = result.reason == recorded.run.tags.get(names.REASON, "")
        return "same to the bit" if same else "within noise", f"it diverges again: {result.reason}"
    then, now = (
        _history(recorded.store.artifact(recorded.run, names.HISTORY_CSV)),
        _history(artifacts / names.HISTORY_CSV),
    )
    parted = _parted(then, now)
    if state == names.PRUNED:
        return _by_curves(then, now, parted)
    said = read_predictions(recorded.store.artifact(recorded.run, names.PREDICTIONS_NPZ))
    says = read_predictions(artifacts / names.PREDICTIONS_NPZ)
    return likeness_of(said, says, parted, len(then))


def _history(path: Path) -> History:
    with path.open(newline="") as file:
        return [{name: float(row[name]) for name in _NUMBERS} for row in csv.DictReader(file)]


def _parted(then: History, now: History) -> int | None:
    """The first epoch, from 1, at which two courses are not the same; None if they are to the end."""
    for epoch, (old, new) in enumerate(zip(then, now, strict=False), start=1):
        if old != new:
            return epoch
    return None if len(then) == len(now) else min(len(then), len(now)) + 1


def _by_curves(then: History, now: History, parted: int | None) -> tuple[Likeness, str]:
    """Of a pruned evaluation there are the epochs alone."""
    if parted is None:
        return "same to the bit", f"{many(len(then), 'epoch', 'epochs')}, until it was pruned"
    gap = now[-1]["monitor_accuracy"] - then[-1]["monitor_accuracy"]
    spread = float(np.std(np.diff([row["monitor_accuracy"] for row in then]))) if len(then) > 2 else 0.0
    likeness: Likeness = "within noise" if abs(gap) <= 2 * spread else "not the same"
    evidence = f"apart from epoch {parted} on; at the end monitor accuracy differs by {100 * gap:+.1f} points"
    return likeness, f"{evidence}, from epoch to epoch it moves by {100 * spread:.1f}"


def likeness_of(then: Predictions, now: Predictions, parted: int | None, epochs: int) -> tuple[Likeness, str]:
    """How alike the answers of two trainings are, and the evidence. parted: see `_parted`."""
    if not np.array_equal(then.ids, now.ids):
        return "not the same", "it was measured on other images"
    if parted is None and np.array_equal(then.probabilities, now.probabilities):
        return (
            "same to the bit",
            f"{many(epochs, 'epoch', 'epochs')} and the probabilities of {len(then.ids):,} images",
        )
    tables = [one.correct[None].astype(float) for one in (now, then)]
    found = statistics.paired_difference(tables[0], tables[1], groups=then.groups)
    other = int((then.guesses != now.guesses).sum())
    largest = float(np.abs(then.probabilities - now.probabilities).max())
    since = "the same epochs" if parted is None else f"apart from epoch {parted} on"
    points = [f"{100 * value:+.1f}" for value in (found.estimate, found.low, found.high)]
    evidence = (
        f"{since}; accuracy {now.accuracy:.4f}, recorded {then.accuracy:.4f}: "
        f"{points[0]} points, 95% interval {points[1]} to {points[2]}; "
        f"{other} of {len(then.ids):,} answers differ, the largest probability by {largest:.2g}"
    )
    return ("within noise" if found.low <= 0.0 <= found.high else "not the same"), evidence
