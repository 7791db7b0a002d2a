"""Opens the test set: the models of a frozen verdict, kept from the confirm stage, on test images, once.

This is the only module that may import `search.sealed`; the import linter sees to it.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from search.datasets.prepare import Part, Prepared
from search.models.classifier import load, register_own_classes
from search.sealed import sealed_test
from search.tracking import names
from search.training.measures import metrics
from spaces.errors import UserError

if TYPE_CHECKING:
    import keras
    from mlflow.entities import Run

    from search.tracking.writer import Writer

#: What the run of an opened test set takes over from the evaluation whose model it measures.
_COPIED = (
    *(names.STUDY, names.EXPERIMENT, names.TRIAL, names.SEED, names.STAGE, names.BASELINE),
    *(names.CANDIDATE, names.ARCHITECTURE, names.FAMILY, names.VARIANT, names.LABEL, "mlflow.parentRunId"),
)


@dataclass(frozen=True)
class Opening:
    """What opening the test set found: accuracies by candidate, one for each seed."""

    number: int  # which opening of this test set it is, over all experiments
    accuracies: dict[str, tuple[float, ...]]


def unseal(
    writer: "Writer",
    study: str,
    verdict_hash: str,
    candidates: Sequence[str],
    data: Prepared,
    say: Callable[[str], None],
) -> Opening:
    """Measure every confirmed seed of the candidates on the test set, and record it.

    An opening that was interrupted continues with the models that it had not reached.

    Args:
        writer: Writes to MLflow.
        study: The study's id.
        verdict_hash: The hash of the frozen verdict.
        candidates: Fingerprints of the candidates to measure.
        data: The study's images.
        say: Shows a sentence to the user.

    Returns:
        The number of this opening and the test accuracies of each candidate, in [0, 1].

    Raises:
        UserError: If the data have no test part, all was measured before, or a model was not kept or cannot
            be opened. None of these counts as an opening.
    """
    test = sealed_test(data)
    digest = data.test_digest or ""
    openings = _openings(writer, digest)
    number = len({*openings, (study, verdict_hash)})
    measured = openings.get((study, verdict_hash), set())
    kept = _kept_runs(writer, study, candidates)
    runs = [run for run in kept if run.data.tags[names.KEY] not in measured]
    if not runs:
        raise UserError(
            "the test set was opened for this verdict already: its numbers are in the report, and a second "
            "look would only invite choosing by them"
        )
    for run in runs:
        _open(writer, run)  # all of them before any is shown an image
    say(f"opening {number} of this test set: {len(test):,} images, {len(runs)} models")
    accuracies: dict[str, tuple[float, ...]] = {}
    for run in runs:
        scores = _measure(writer, run, test, {names.VERDICT_HASH: verdict_hash, names.TEST_DIGEST: digest})
        candidate = run.data.tags[names.CANDIDATE]  # candidates of one architecture share a label
        accuracies[candidate] = (*accuracies.get(candidate, ()), scores["accuracy"])
    return Opening(number, accuracies)


def _openings(writer: "Writer", digest: str) -> dict[tuple[str, str], set[str]]:
    """Every opening of this test set in this MLflow: (study, verdict) to the keys that were measured."""
    found: dict[tuple[str, str], set[str]] = {}
    for run in _search(
        writer, {names.KIND: names.UNSEALING_KIND, names.TEST_DIGEST: digest}, everywhere=True
    ):
        tags = run.data.tags
        keys = found.setdefault((tags[names.STUDY], tags[names.VERDICT_HASH]), set())
        if run.info.status == "FINISHED":
            keys.add(tags[names.KEY].partition("/test/")[0])
    return found


def _kept_runs(writer: "Writer", study: str, candidates: Sequence[str]) -> list["Run"]:
    found: list[Run] = []
    for candidate in candidates:
        tags = {
            names.KIND: names.EVALUATION_KIND,
            names.STUDY: study,
            names.STAGE: names.CONFIRM,
            names.STATE: names.COMPLETE,
            names.CANDIDATE: candidate,
        }
        found += sorted(_search(writer, tags), key=lambda run: int(run.data.tags[names.SEED]))
    kept = [run for run in found if _has_model(writer, run)]
    if len(kept) < len(found) or not kept:
        raise UserError(
            f"{len(found) - len(kept)} of {len(found)} models were not kept: run the confirm stage with "
            'protocol.keep_models = "leaders"'
        )
    return kept


def _has_model(writer: "Writer", run: "Run") -> bool:
    return any(item.path == names.MODEL_KERAS for item in writer.client.list_artifacts(run.info.run_id))


def _open(writer: "Writer", run: "Run") -> "keras.Model":
    """The model that a run kept. Raises UserError where Keras cannot open it."""
    with TemporaryDirectory() as folder:
        path = Path(writer.client.download_artifacts(run.info.run_id, names.MODEL_KERAS, folder))
        register_own_classes(path, run.data.tags.get(names.FAMILY, ""))
        return load(path, f"the model of {run.info.run_name}")


def _measure(writer: "Writer", run: "Run", test: Part, tags: dict[str, str]) -> dict[str, float]:
    """One model on the test images; its own run under the study's, which is there before it sees them."""
    client, parent = writer.client, run.data.tags
    model = _open(writer, run)
    opened = client.create_run(
        run.info.experiment_id,
        run_name=f"test: {run.info.run_name}",
        tags={
            names.KIND: names.UNSEALING_KIND,
            names.KEY: f"{parent[names.KEY]}/test/{tags[names.VERDICT_HASH][:12]}",
            names.STATE: names.RUNNING,
            **{name: parent[name] for name in _COPIED if name in parent},
            **tags,
        },
    )
    opened_id = opened.info.run_id
    predicted = model.predict(np.asarray(test.images), batch_size=512, verbose=0)
    probabilities = np.asarray(predicted, np.float32)
    scores = metrics.scores(test.labels, probabilities)
    for name in ("accuracy", "loss", "macro_f1"):
        client.log_metric(opened_id, names.TEST + name, scores[name], step=0)
    with TemporaryDirectory() as folder:
        predictions = Path(folder) / names.PREDICTIONS_NPZ
        np.savez_compressed(
            predictions,
            ids=test.ids,
            labels=test.labels,
            probabilities=probabilities,
            groups=test.groups,
            has_twin=test.has_twin,
        )
        client.log_artifact(opened_id, str(predictions))
    client.set_tag(opened_id, names.STATE, names.COMPLETE)
    client.set_terminated(opened_id)
    return scores


def _search(writer: "Writer", tags: dict[str, str], everywhere: bool = False) -> list["Run"]:
    client = writer.client
    ids = [e.experiment_id for e in client.search_experiments()] if everywhere else [writer.experiment_id()]
    wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
    found: list[Run] = []
    token: Any = None
    while True:
        page = client.search_runs(ids, filter_string=wanted, max_results=1000, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def frozen(text: str) -> str:
    """The hash of a verdict's JSON as it was frozen."""
    canonical = json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
