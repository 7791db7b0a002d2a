"""One study as it stands in MLflow: what it was, its evaluations, their histories and predictions."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from reports.records import frames
from reports.records.open_store import open_store
from reports.records.packed import open_packed
from reports.records.predictions import Predictions, read_predictions
from reports.records.store import MissingArtifactError, Run, Store
from search.archives.container import is_packed
from search.safety.secrets import masked_address
from search.tracking import names
from search.tracking.privacy import public_study
from spaces.errors import UserError


@dataclass(frozen=True)
class StudyRecords:
    """A study's records. The frames are described in docs/reports.md; all are computed on first use."""

    experiment: str
    experiment_id: str  # MLflow's
    study_id: str
    run: Run  # the parent run
    others: tuple[Run, ...]  # parent runs of the experiment's other studies, the latest first
    about: Mapping[str, Any]  # study.json, {} when it is missing
    runs: Mapping[str, Run]  # every evaluation and unsealing by run id
    openings: int  # how often this study's test set was opened, over all experiments
    store: Store = field(repr=False)
    notes: tuple[str, ...] = ()  # what could not be read

    @cached_property
    def evaluations(self) -> pd.DataFrame:
        """One row per evaluation: identity, state, facts, final metrics."""
        return frames.counted_once(frames.evaluations(self._of_kind(names.EVALUATION_KIND)))

    @cached_property
    def confirmations(self) -> pd.DataFrame:
        """The confirm evaluations that count, and what each belongs to: see frames.confirmations."""
        return frames.confirmations(self.evaluations)

    @cached_property
    def unsealings(self) -> pd.DataFrame:
        """The same columns for evaluations on the test set; empty before unsealing."""
        return frames.evaluations(self._of_kind(names.UNSEALING_KIND))

    @cached_property
    def settings(self) -> pd.DataFrame:
        """Parameters of every evaluation by run id, columns `arch.*` and `recipe.*`."""
        return frames.settings(self._of_kind(names.EVALUATION_KIND))

    @cached_property
    def history(self) -> pd.DataFrame:
        """Every epoch of every evaluation: run_id, epoch and names.EPOCH_METRICS. Large for large studies."""
        return self.history_of(list(self.evaluations.run_id))

    def history_of(
        self, run_ids: Sequence[str], metrics: Sequence[str] = names.EPOCH_METRICS
    ) -> pd.DataFrame:
        """The epochs of these evaluations, one row per run and epoch, one column per metric.

        Args:
            run_ids: The evaluations' runs.
            metrics: Names of metrics by epoch.
        """
        points = self.store.history(run_ids, metrics)
        points = points.drop_duplicates(["run_id", "metric", "step"], keep="last")
        wide = points.pivot(index=["run_id", "step"], columns="metric", values="value")
        wide = wide.reindex(columns=list(metrics)).rename_axis(columns=None).reset_index()
        return wide.rename(columns={"step": "epoch"})

    def predictions(self, run_id: str) -> Predictions:
        """Predictions of one evaluation on its ranking split; raises MissingArtifactError with the reason.

        Args:
            run_id: The evaluation's run.
        """
        return read_predictions(self.store.artifact(self.runs[run_id], names.PREDICTIONS_NPZ))

    @cached_property
    def audit(self) -> Path | None:
        """The page with what was found in the data, None where the study has none."""
        try:
            return self.store.artifact(self.run, names.AUDIT_HTML)
        except MissingArtifactError:
            return None

    @property
    def protocol(self) -> Mapping[str, Any]:
        """The experiment's protocol; {} when study.json is missing."""
        return self.about.get("protocol") or {}

    @property
    def data(self) -> Mapping[str, Any]:
        """What the data was; {} when study.json is missing."""
        return self.about.get("data") or {}

    @property
    def folds(self) -> int:
        """How many folds of train and validation together judge; 0 where validation is a part of its own."""
        return int(self.data.get("folds") or 0)

    @property
    def running(self) -> bool:
        """Whether the study's own run is still open in MLflow."""
        return self.run.status in ("RUNNING", "SCHEDULED")

    @property
    def seen(self) -> str:
        """Digest of what a look at the validation results sees: the complete confirm evaluations.

        All rounds of one confirm stage are one look. They are told by their candidates and their limit.
        """
        if self.protocol.get("seeds") == "auto":
            candidates = sorted(set(self.confirmations.candidate) - {""})
            text = "\n".join(["rounds", str(self.protocol.get("max_seeds")), *candidates])
            return hashlib.sha256(text.encode()).hexdigest()[:16]
        done = self.evaluations
        keys = done.key[(done.stage == names.CONFIRM) & (done.state == names.COMPLETE)]
        return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()[:16]

    @property
    def concluded(self) -> bool:
        """Whether the planned look at the validation results may be taken, or was taken at these."""
        return self.run.status == "FINISHED" or self.run.tags.get(names.SEEN) == self.seen

    @property
    def looks(self) -> int:
        """How often the validation results were looked at, this verdict included: at least 1."""
        text = self.run.tags.get(names.LOOKS, "")
        return max(int(text) if text.isdigit() else 0, 1)

    @cached_property
    def missing(self) -> int:
        """How many confirmed evaluations the frozen verdict rests on that are gone; 0 without a verdict."""
        try:
            file = self.store.artifact(self.run, names.VERDICT_JSON)
            verdict = json.loads(file.read_text(encoding="utf-8"))
            judged = {one["candidate"]: int(one["n_seeds"]) for one in verdict["judgements"]}
        except (MissingArtifactError, OSError, ValueError, LookupError, TypeError):
            return 0
        done = self.evaluations
        confirmed = done[(done.stage == names.CONFIRM) & (done.state == names.COMPLETE)]
        there = confirmed.candidate.value_counts()
        return sum(max(0, count - int(there.get(name, 0))) for name, count in judged.items())

    def _of_kind(self, kind: str) -> list[Run]:
        return [run for run in self.runs.values() if run.tags.get(names.KIND) == kind]


def load_study(experiment: str, tracking_uri: str = "", study: str | None = None) -> StudyRecords:
    """An experiment's study that was last worked on, or the one with this id.

    Args:
        experiment: The experiment's name (in MLflow it may have been renamed), or the path of a packed
            study (`NAME.study.zip`).
        tracking_uri: MLflow's address; not needed for a packed study.
        study: A study's id, where the latest one is not meant.

    Raises:
        UserError: There is no such study, or the file cannot be read.
    """
    if is_packed(experiment):
        return load_packed([Path(experiment)])[0]
    store = open_store(tracking_uri)
    experiments = store.experiments()
    parents = _studies_of(store, experiments, experiment)
    if not parents and experiment not in experiments:
        raise UserError(_unknown(experiment, list(experiments), tracking_uri))
    chosen = [run for _, run in parents if study in (None, run.tags.get(names.STUDY))]
    if not chosen:
        wanted = f"no study {study}" if study else "no study yet"
        known = ", ".join(run.tags.get(names.STUDY, "?") for _, run in parents) or "none"
        raise UserError(
            f"Experiment {experiment} has {wanted} in {masked_address(tracking_uri)}; studies found: {known}."
        )
    number = next(number for number, run in parents if run is chosen[0])
    return _read(store, experiment, number, experiments, chosen[0], [run for _, run in parents])


def _studies_of(store: Store, experiments: Mapping[str, str], experiment: str) -> list[tuple[str, Run]]:
    """The studies of an experiment, with MLflow's id of the experiment that holds each.

    Where MLflow has none under this name, those that say they are the experiment's: it was renamed there.
    """
    named = experiments.get(experiment)
    found = [(named, run) for run in studies(store, named)] if named is not None else []
    if found:
        return found
    return [
        (number, run)
        for number in experiments.values()
        for run in studies(store, number)
        if run.tags.get(names.EXPERIMENT) == experiment
    ]


def load_packed(paths: Sequence[Path]) -> list[StudyRecords]:
    """The studies in these files, parts of one study merged, in the order in which they are first named.

    Raises:
        UserError: A file cannot be read, or two parts of one study contradict each other.
    """
    found = []
    for store in open_packed(paths):
        ((experiment, number),) = store.experiments().items()
        parents = studies(store, number)
        found.append(_read(store, experiment, number, store.experiments(), parents[0], parents))
    return found


def studies(store: Store, experiment_id: str) -> list[Run]:
    """The parent runs of an experiment's studies, the one that was last worked on first.

    Args:
        store: The store.
        experiment_id: MLflow's id of the experiment.
    """
    parents = store.runs(experiment_id, {names.KIND: names.STUDY_KIND})[::-1]
    latest: dict[str, Run] = {}  # of two runs of one study, as a restored one leaves them
    for run in sorted(parents, key=lambda run: (names.VERDICT_HASH in run.tags, _resumed(run))):
        latest[run.tags.get(names.STUDY, run.run_id)] = run
    return sorted(latest.values(), key=lambda run: (_resumed(run), run.run_id), reverse=True)


def _resumed(run: Run) -> int:
    text = run.tags.get(names.RESUMED, "")
    return int(text) if text.isdigit() else run.started or 0


def experiments_with_studies(tracking_uri: str) -> list[str]:
    """Names of the experiments that hold at least one study, sorted.

    Args:
        tracking_uri: MLflow's address.
    """
    store = open_store(tracking_uri)
    found = {
        run.tags.get(names.EXPERIMENT, name)
        for name, number in store.experiments().items()
        for run in store.runs(number, {names.KIND: names.STUDY_KIND})
    }
    return sorted(found)


def _read(
    store: Store,
    experiment: str,
    experiment_id: str,
    experiments: Mapping[str, str],
    parent: Run,
    parents: Sequence[Run],
) -> StudyRecords:
    study_id = parent.tags.get(names.STUDY, "")
    children = store.runs(experiment_id, {names.STUDY: study_id})
    about, notes = _about(store, parent)
    return StudyRecords(
        experiment=experiment,
        experiment_id=experiment_id,
        study_id=study_id,
        run=parent,
        others=tuple(run for run in parents if run.run_id != parent.run_id),
        about=about,
        runs={run.run_id: run for run in children if run.tags.get(names.KIND) != names.STUDY_KIND},
        openings=_openings(store, experiments, parent.tags.get(names.TEST_DIGEST, "")),
        store=store,
        notes=notes,
    )


def _about(store: Store, parent: Run) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    try:
        held = json.loads(store.artifact(parent, names.STUDY_JSON).read_text(encoding="utf-8"))
        return (
            (public_study(held), ())
            if isinstance(held, dict)
            else ({}, (f"{names.STUDY_JSON} is no table.",))
        )
    except (MissingArtifactError, OSError, ValueError) as error:
        return {}, (f"What this study was is not known in full: {error}.",)


def _openings(store: Store, experiments: Mapping[str, str], test_digest: str) -> int:
    """Openings of this test set: distinct (study, frozen verdict) pairs over all experiments."""
    if not test_digest:
        return 0
    tags = {names.KIND: names.UNSEALING_KIND, names.TEST_DIGEST: test_digest}
    runs = [run for number in experiments.values() for run in store.runs(number, tags)]
    return len({(run.tags.get(names.STUDY), run.tags.get(names.VERDICT_HASH)) for run in runs})


def _unknown(experiment: str, known: list[str], tracking_uri: str) -> str:
    near = get_close_matches(experiment, known, 1)
    hint = f" Did you mean {near[0]}?" if near else ""
    held = ", ".join(name for name in known if name != "Default") or "none"
    return (
        f"MLflow at {masked_address(tracking_uri)} holds no experiment {experiment}; "
        f"experiments found: {held}.{hint}"
    )
