"""A study and what follows from it: comparison, verdict, sentences. Tables and figures show this, no more."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isclose, isnan
from typing import Any

import numpy as np
import pandas as pd

from reports.inference.comparison import Comparison, Row, Rule, compare, compare_rounds
from reports.inference.rounds import MAX_SEEDS, RoundDecision, waiting
from reports.inference.scores import ScoreComparison, compare_scores, known_problems, score_sentences
from reports.inference.sentences import sentences
from reports.inference.verdict import Verdict, decide
from reports.inference.wording import many
from reports.labels import labels_of
from reports.records.evaluation import Evaluation
from reports.records.frames import each
from reports.records.store import MissingArtifactError
from reports.records.study import StudyRecords, load_study
from search.tracking import names
from spaces.errors import UserError

#: Accuracy recomputed in float64 from stored float32 probabilities must agree this well.
AGREEMENT = 1e-6
#: The metric that ranks candidates in explore, for each objective.
MONITOR_TWIN = {
    "val_accuracy": names.MONITOR_FINAL + "accuracy",
    "macro_f1": names.MONITOR_FINAL + "macro_f1",
    "loss": names.MONITOR_FINAL + "loss",
}


@dataclass(frozen=True)
class Analysis:
    """What tables and figures are made of. Without a finished confirm evaluation there is no comparison."""

    study: StudyRecords
    rule: Rule
    confirmed: tuple[Evaluation, ...]  # complete, with predictions
    missing: Mapping[str, str]  # run id of a confirmed evaluation -> why its predictions are missing
    comparison: Comparison | None
    verdict: Verdict | None
    decision: RoundDecision | None  # of a study in rounds
    sentences: tuple[str, ...]
    labels: Mapping[str, str]  # what to call each candidate, no two alike
    disagreements: tuple[str, ...]  # logged numbers that the stored predictions contradict
    scores: ScoreComparison | None = None  # of imported runs without predictions

    @property
    def rows(self) -> tuple[Row, ...]:
        """Confirmed candidates, best first."""
        return self.comparison.rows if self.comparison else ()

    @property
    def objective_in_explore(self) -> str:
        """The monitor metric that ranked the candidates."""
        return MONITOR_TWIN[self.rule.objective]

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; numbers where the study does not say."""
        known = tuple(self.study.data.get("class_names") or ())
        count = self.confirmed[0].probabilities.shape[1] if self.confirmed else len(known)
        return known if len(known) == count else tuple(f"class {index}" for index in range(count))

    @property
    def alpha_of_intervals(self) -> float:
        """What both ends of an interval leave out together."""
        return self.comparison.alpha if self.comparison else 0.05

    @property
    def leader(self) -> str:
        """The selected candidate, else the best one; raises IndexError before anything is confirmed."""
        return (self.verdict.selected if self.verdict else None) or self.rows[0].candidate

    def evaluations_of(self, candidate: str) -> list[Evaluation]:
        """The confirmed evaluations of one candidate, by seed."""
        return [one for one in self.confirmed if one.candidate == candidate]

    def runs_of(self, candidate: str) -> pd.DataFrame:
        """Rows of `study.evaluations`: the complete confirm runs of one candidate."""
        frame = self.study.evaluations
        confirmed = (frame.stage == names.CONFIRM) & (frame.state == names.COMPLETE)
        return frame[confirmed & (frame.candidate == candidate)]

    def word(self, candidate: str) -> str:
        """The verdict's word for a confirmed candidate, '' without a verdict."""
        return self.verdict.words()[candidate] if self.verdict else ""


def verdict_of(experiment: str, tracking_uri: str, study: str | None = None) -> Verdict:
    """The verdict of a study as it stands in MLflow. Raises UserError when nothing is confirmed yet."""
    verdict = analyse(load_study(experiment, tracking_uri, study)).verdict
    if verdict is None:
        raise UserError(
            f"No candidate of {experiment} has a finished confirm evaluation, so there is no verdict yet: "
            f"let the search go on, or see the reasons with `candor report {experiment}`."
        )
    return verdict


def sentences_of(experiment: str, tracking_uri: str, study: str | None = None) -> tuple[str, ...]:
    """What the report says first: what was asked, what was found, how sure one can be."""
    return analyse(load_study(experiment, tracking_uri, study)).sentences


def decision_of(experiment: str, tracking_uri: str, study: str | None = None) -> RoundDecision | None:
    """Decide after the last completed round of a study in rounds, as the report does.

    Args:
        experiment: the experiment's name.
        tracking_uri: MLflow's address.
        study: which study; None for the latest.

    Returns:
        The state of the decision; None where no candidate was built, or the seeds are a fixed number.
    """
    records = load_study(experiment, tracking_uri, study)
    return compared(records, _rule(records), _confirmed(records)[0])[1]


def analyse(study: StudyRecords) -> Analysis:
    """Everything that follows from a study's evaluations.

    A study with a fixed number of seeds is compared when it is over, or when what was concluded still holds;
    one in rounds after each completed round. Whoever looks in between sees means, no comparison: words at
    every look would claim too much.
    """
    rule = _rule(study)
    imported = study.about.get("imported") or {}
    if imported and not imported.get("predictions"):
        return _by_scores(study, rule)
    confirmed, missing = _confirmed(study)
    comparison, decision, state = compared(study, rule, confirmed)
    verdict = decide(comparison, rule) if comparison else None
    labels = labels_of(study)
    question = study.about.get("question") or ""
    published = _on_the_same_data(study)
    return Analysis(
        study=study,
        rule=rule,
        confirmed=confirmed,
        missing=missing,
        comparison=comparison,
        verdict=verdict,
        decision=decision,
        sentences=(
            *sentences(comparison, verdict, question, published, labels, study.folds, state),
            *known_problems(imported.get("findings") or ()),
        ),
        labels=labels,
        disagreements=tuple(_disagreements(study, confirmed)),
    )


def _by_scores(study: StudyRecords, rule: Rule) -> Analysis:
    """What follows from runs that were imported without predictions."""
    frame, labels = study.evaluations, labels_of(study)
    done = frame[(frame.stage == names.CONFIRM) & (frame.state == names.COMPLETE)]
    scores = {
        str(name): [float(value) for value in group.val_accuracy.dropna()]
        for name, group in done.groupby("candidate", sort=False)
    }
    images = (study.data.get("counts") or {}).get("validation")
    findings = study.about["imported"].get("findings") or []
    compared = compare_scores({name: own for name, own in scores.items() if own}, images, study.looks)
    return Analysis(
        study=study,
        rule=rule,
        confirmed=(),
        missing={},
        comparison=None,
        verdict=None,
        decision=None,
        sentences=tuple(score_sentences(compared, labels, findings)),
        labels=labels,
        disagreements=(),
        scores=compared,
    )


def compared(
    study: StudyRecords, rule: Rule, confirmed: Sequence[Evaluation]
) -> tuple[Comparison | None, RoundDecision | None, str]:
    """The comparison that may be shown, the state of the rounds, and why nothing is compared yet.

    Args:
        study: The records.
        rule: The rule of the verdict.
        confirmed: Complete confirm evaluations, all on the same images.
    """
    explored, lost = _explored(study, rule), _lost(study)
    if study.protocol.get("seeds") == "auto":
        planned = set(study.confirmations.candidate) - {""}
        if not planned:
            return None, None, ""
        limit = int(study.protocol.get("max_seeds") or MAX_SEEDS)
        own = {(one.candidate, one.seed) for one in confirmed}
        comparison, decision = compare_rounds(
            confirmed,
            rule,
            limit,
            study.looks,
            explored,
            candidates=planned,
            lost=lost,
            unread=_complete(study) - own,
        )
        if study.run.tags.get(names.ROUNDS) == "hours" and not decision.finished:
            decision = replace(decision, finished=True, reason="hours")
            comparison = replace(comparison, decision=decision) if comparison else None
        return comparison, decision, "" if comparison else waiting(decision)
    if not confirmed:
        return None, None, ""
    if not study.concluded:
        count = many(len(confirmed), "confirm evaluation is", "confirm evaluations are")
        return (
            None,
            None,
            f"The confirm stage is not over: {count} complete. Nothing is compared before its end, since "
            "every look at a half-finished comparison would raise its error.",
        )
    return compare(confirmed, rule, study.looks, explored, lost=lost), None, ""


#: States in which a confirm evaluation is over for good, and says nothing of any image.
_WITHOUT_PREDICTIONS = (names.DIVERGED, names.FAILED, names.INFEASIBLE)


def _lost(study: StudyRecords) -> set[tuple[str, int]]:
    """(candidate, seed) of the confirm stage that diverged or failed for good."""
    runs = study.confirmations
    ended = runs[runs.state.isin(_WITHOUT_PREDICTIONS) & runs.seed.notna()]
    pairs = {(str(group), int(seed)) for group, seed in zip(ended.group, ended.seed, strict=True)}
    return pairs - _complete(study)


def _complete(study: StudyRecords) -> set[tuple[str, int]]:
    """(candidate, seed) of every complete confirm evaluation, with predictions or without."""
    runs = study.confirmations
    done = runs[runs.state == names.COMPLETE]
    return {(str(name), int(seed)) for name, seed in zip(done.candidate, done.seed, strict=True)}


def _on_the_same_data(study: StudyRecords) -> list[Mapping[str, Any]]:
    """Published rows that were judged on as many images as this study's validation or test part has."""
    rows = study.about.get("published") or []
    if study.data.get("synthetic"):
        return []
    counts = set((study.data.get("counts") or {}).values())
    return [row for row in rows if {row.get("n"), row.get("n_test")} & counts]


def _rule(study: StudyRecords) -> Rule:
    known = {key: study.protocol[key] for key in ("objective", "tau", "margin") if key in study.protocol}
    return Rule(**known)


def _confirmed(study: StudyRecords) -> tuple[tuple[Evaluation, ...], dict[str, str]]:
    """Complete confirm evaluations with predictions, and why the others have none."""
    frame = study.evaluations
    chosen = frame[(frame.stage == names.CONFIRM) & (frame.state == names.COMPLETE)]
    found: list[Evaluation] = []
    missing: dict[str, str] = {}
    for row in each(chosen):
        try:
            one = _evaluation(study, row)
        except MissingArtifactError as error:
            missing[row.run_id] = str(error)
            continue
        if found and not np.array_equal(one.ids, found[0].ids):
            missing[row.run_id] = "it was judged on other images than the rest of the study"
        else:
            found.append(one)
    return tuple(found), missing


def _evaluation(study: StudyRecords, row: Any) -> Evaluation:
    predictions = study.predictions(row.run_id)
    return Evaluation(
        candidate=row.candidate,
        architecture=row.fingerprint,
        label=row.label,
        family=row.family,
        variant=row.variant,
        seed=int(row.seed),
        parameters=0 if isnan(row.parameters) else int(row.parameters),
        baseline=bool(row.baseline),
        train_clean_accuracy=float(row.train_clean_accuracy),
        **vars(predictions),
    )


def _explored(study: StudyRecords, rule: Rule) -> dict[str, float]:
    """Candidate to the monitor score that explore gave it, in the order of the trials."""
    frame = study.evaluations[study.evaluations.stage == names.EXPLORE]
    scored = frame.dropna(subset=MONITOR_TWIN[rule.objective]).sort_values("trial", kind="stable")
    return dict(zip(scored.candidate, scored[MONITOR_TWIN[rule.objective]].astype(float), strict=True))


def _disagreements(study: StudyRecords, confirmed: Sequence[Evaluation]) -> Iterator[str]:
    """Each logged accuracy that differs from the one recomputed from the stored predictions."""
    frame = study.evaluations
    complete = frame[(frame.stage == names.CONFIRM) & (frame.state == names.COMPLETE)]
    logged = complete.set_index(["candidate", "seed"]).val_accuracy
    for one in confirmed:
        told = float(logged[one.candidate, one.seed])
        right = float((one.probabilities.argmax(axis=1) == one.labels).mean())
        if not isclose(told, right, abs_tol=AGREEMENT):
            yield (
                f"{one.label}, seed {one.seed}: MLflow says {told:.4%} on validation, "
                f"its stored predictions give {right:.4%}."
            )
