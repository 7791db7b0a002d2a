"""A study in which not everything is as it should be is told as it is: nothing twice, nobody nameless."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import reports
from experiments.schema.experiment import ExperimentConfig
from experiments.workflows.study import unseal
from reports import facts
from reports.analysis import Analysis, analyse
from reports.card.weaknesses import by_class, weaknesses
from reports.figures import load_figure
from reports.labels import labels_of
from reports.page import views
from reports.page.links import Links
from reports.progress import progress
from reports.records.store import Run
from reports.records.study import StudyRecords, load_study
from reports.rows import comparison_rows
from reports.tables import ReportTable, tables
from search.tracking import names
from search.unseal import Opening, frozen

#: Tags of a run whose candidate was never built.
NAMELESS = dict.fromkeys((names.CANDIDATE, names.ARCHITECTURE, names.FAMILY, names.VARIANT, names.LABEL), "")


def retold(study: StudyRecords, change: Callable[[Run], Mapping[str, str]]) -> StudyRecords:
    """The study as if its confirm evaluations had other tags."""
    runs = {
        name: replace(run, tags={**run.tags, **change(run)}) if is_confirmation(run) else run
        for name, run in study.runs.items()
    }
    return replace(study, runs=runs)


def is_confirmation(run: Run) -> bool:
    return (run.tags[names.KIND], run.tags[names.STAGE]) == (names.EVALUATION_KIND, names.CONFIRM)


def slot(run: Run) -> str:
    return run.tags[names.TRIAL]


def table(analysis: Analysis, name: str) -> ReportTable:
    return {each.name: each for _, each in tables(analysis, comparison_rows(analysis))}[name]


@pytest.fixture
def told_twice(tracking_uri: str) -> StudyRecords:
    """A grid whose last cell describes the candidate of its first in other words, and is the baseline."""
    study = load_study("grid", tracking_uri)
    first = next(run for run in study.runs.values() if slot(run) == "0")
    same = {tag: first.tags.get(tag, "") for tag in NAMELESS} | {names.BASELINE: "true"}
    return retold(study, lambda run: same if slot(run) == "5" else {})


def test_two_cells_of_one_candidate_count_once(told_twice: StudyRecords) -> None:
    analysis = analyse(told_twice)
    rows = comparison_rows(analysis)
    assert (len(rows), set(rows.n_seeds), set(rows.reason)) == (5, {3}, {""})
    assert analysis.disagreements == ()
    assert progress(told_twice).text == "finished, 15 of 15 confirmed"
    assert ("Confirmed", "5 candidates on 3 seeds") in facts.at_a_glance(analysis)


def test_the_cell_that_counts_is_the_baseline_if_the_other_is(told_twice: StudyRecords) -> None:
    analysis = analyse(told_twice)
    first = told_twice.evaluations.candidate[told_twice.evaluations.trial == 0].iloc[0]
    assert [row.candidate for row in analysis.rows if row.baseline] == [first]
    rows = comparison_rows(analysis)
    assert rows.candidate[rows.baseline].tolist() == [first]


def test_what_does_not_count_keeps_its_key_and_is_called_a_duplicate(told_twice: StudyRecords) -> None:
    frame = told_twice.evaluations
    again = frame[frame.state == names.DUPLICATE]
    assert again.trial.tolist() == [5, 5, 5]
    assert frame.key.nunique() == 18
    states = table(analyse(told_twice), "states").rows
    meaning = states.meaning[(states.stage == names.CONFIRM) & (states.state == names.DUPLICATE)]
    assert meaning.tolist() == ["another cell describes the same candidate: its evaluation counts"]


@pytest.mark.parametrize(
    ("recipe", "grid", "baseline", "left"),
    [
        ({}, {"conv_stages": [2, 3], "recipe.augmentation": ["none", "light"]}, {"conv_stages": 3}, 3),
        ({"l2": 1}, {"conv_stages": [2, 3]}, {"conv_stages": 3, "recipe.l2": 1.0}, 1),
        ({"l2": 1}, {"conv_stages": [2, 3]}, {"conv_stages": 3, "recipe.l2": 0.5}, 2),
    ],
)
def test_a_cell_equals_the_baseline_whatever_of_the_recipe_it_leaves_out(
    recipe: dict[str, Any], grid: dict[str, Any], baseline: dict[str, Any], left: int
) -> None:
    document = {"name": "mine", "question": "Which?", "space": "plain_cnn", "recipe": recipe, "grid": grid}
    spec = ExperimentConfig.parse(
        {**document, "fix": {"kernels": [64, 64, 64]}, "baseline": baseline}, "mine.toml"
    )
    assert len(spec.cells) == left


@pytest.fixture
def unbuilt(tracking_uri: str) -> StudyRecords:
    """A grid of which two cells cannot be built, and one evaluation failed before it was."""
    reasons = {"2": "2,000,000 parameters, twice the budget", "5": "a kernel is larger than its image"}

    def change(run: Run) -> Mapping[str, str]:
        if slot(run) in reasons:
            return {**NAMELESS, names.STATE: names.INFEASIBLE, names.REASON: reasons[slot(run)]}
        if (slot(run), run.tags[names.SEED]) == ("4", "1"):
            return {**NAMELESS, names.STATE: names.FAILED, names.REASON: "out of memory"}
        return {}

    return retold(load_study("grid", tracking_uri), change)


def test_cells_that_cannot_be_built_keep_their_own_rows_and_reasons(unbuilt: StudyRecords) -> None:
    rows = comparison_rows(analyse(unbuilt))
    infeasible = rows[rows.verdict == "infeasible"]
    assert dict(zip(infeasible.architecture, infeasible.reason, strict=True)) == {
        "trial 2": "3 of 3 seeds infeasible: 2,000,000 parameters, twice the budget",
        "trial 5": "3 of 3 seeds infeasible: a kernel is larger than its image",
    }
    assert set(infeasible.candidate) == {""}


def test_an_evaluation_that_never_was_built_belongs_to_its_slot(unbuilt: StudyRecords) -> None:
    analysis = analyse(unbuilt)
    rows = comparison_rows(analysis)
    short = rows[rows.n_seeds == 2]
    assert short.reason.tolist() == ["1 of 3 seeds failed: out of memory"]
    assert short.architecture.item() == analysis.labels[short.candidate.item()]
    assert len(rows) == 6


def test_cells_that_cannot_be_built_are_planned_but_no_candidates(unbuilt: StudyRecords) -> None:
    assert progress(unbuilt).text == "finished, 12 of 18 confirmed"
    assert ("Confirmed", "4 candidates on 3 seeds") in facts.at_a_glance(analyse(unbuilt))


def test_under_each_row_stand_its_own_seeds(unbuilt: StudyRecords) -> None:
    analysis = analyse(unbuilt)
    view = views.table_view(analysis, table(analysis, "comparison"), Links(None, ""), files=False)
    assert {len(entry.seeds) for entry in view.entries} == {3}


def test_an_opened_test_set_names_candidates_as_the_report_does(
    tracking_uri: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    alike = retold(load_study("grid", tracking_uri), lambda run: {names.LABEL: "plain"})
    labels = analyse(alike).labels
    chosen = list(labels)[:2]
    verdict = tmp_path / names.VERDICT_JSON
    verdict.write_text(json.dumps(dict(zip(("selected", "runner_up"), chosen, strict=True))))

    def artifact(run: Run, path: str) -> Path:
        return verdict if path == names.VERDICT_JSON else alike.store.artifact(run, path)

    tags = {**alike.run.tags, names.VERDICT_HASH: frozen(verdict.read_text())}
    study = replace(alike, run=replace(alike.run, tags=tags), store=SimpleNamespace(artifact=artifact))
    monkeypatch.setattr(reports, "load_study", lambda *asked: study)
    monkeypatch.setattr(unseal, "cached", lambda *asked: "images")
    monkeypatch.setattr(unseal, "tag_opened", lambda *asked: None)
    monkeypatch.setattr(unseal, "unseal", lambda *asked: Opening(1, dict.fromkeys(asked[3], (0.5,))))
    means = SimpleNamespace(tracking=tracking_uri, workspace=SimpleNamespace(artifacts=tmp_path))
    found = unseal.open_test_set("grid", means, print).accuracies
    assert list(found) == [labels[candidate] for candidate in chosen]
    assert len(found) == 2


def named(**settings: list[Any]) -> list[str]:
    """What candidates of one label are called that have these settings."""
    runs = [f"run {number}" for number in range(len(next(iter(settings.values()))))]
    frame = pd.DataFrame({"run_id": runs, "candidate": [f"{n}abcdefgh" for n in range(len(runs))]})
    own = pd.DataFrame({f"recipe.{name}": values for name, values in settings.items()}, index=runs)
    return list(labels_of(SimpleNamespace(evaluations=frame.assign(label="net"), settings=own)).values())


def test_three_settings_tell_candidates_apart_if_they_can() -> None:
    assert named(a=[1, 2], b=[1, 2], c=[1, 2], d=[1, 2]) == ["net · a 1 · b 1 · c 1", "net · a 2 · b 2 · c 2"]


def test_as_many_settings_are_told_as_it_takes_and_none_that_a_candidate_does_not_have() -> None:
    assert named(a=[1, 1, 2, 2], b=[1, 1, 1, 2], c=[5.0, 5.0, np.nan, 6.0], d=[0.1, 0.2, 0.1, 0.1]) == [
        "net · a 1 · b 1 · c 5.0 · d 0.1",
        "net · a 1 · b 1 · c 5.0 · d 0.2",
        "net · a 2 · b 1 · d 0.1",
        "net · a 2 · b 2 · c 6.0 · d 0.1",
    ]


def test_where_no_setting_differs_the_fingerprint_does() -> None:
    assert named(a=[1, 1]) == ["net · 0abcde", "net · 1abcde"]


def test_a_class_of_twins_of_one_image_is_shown_without_an_interval(joint: Analysis) -> None:
    odd = replace(
        joint,
        confirmed=tuple(replace(e, groups=np.where(e.labels == 0, -1, e.groups)) for e in joint.confirmed),
    )
    recall = load_figure("recall")
    numbers = recall.compute(odd)
    place = numbers.classes.index(joint.classes[0])
    for bar in numbers.bars:
        assert 0.0 < bar.recall[place] < 1.0
        assert np.flatnonzero(np.isnan(bar.low)).tolist() == [place]
    assert views.pictures(recall, numbers, ("svg",))
    assert recall.draw(numbers).to_json()
    found = by_class(odd.evaluations_of(odd.rows[0].candidate), odd.classes, 0.05)
    assert [one.name for one in found if np.isnan(one.low)] == [joint.classes[0]]


def test_of_a_single_class_no_best_one_is_told(joint: Analysis) -> None:
    alone = tuple(replace(one, labels=np.zeros_like(one.labels)) for one in joint.confirmed)
    first, second, *_ = weaknesses(replace(joint, confirmed=alone), joint.rows[0])
    told = r"The worst class is angry: \d+% of its 400 validation images are recognised\."
    assert re.fullmatch(told, first)
    assert second.startswith("Of disgust, ")


def widths(study: StudyRecords) -> dict[str, float]:
    """Of the intervals of a test accuracy, a recall and a model made elsewhere."""
    analysis = analyse(study)
    rows = comparison_rows(analysis)
    scored, bar = rows[rows.stage == names.SCORED].iloc[0], load_figure("recall").compute(analysis).bars[0]
    return {
        "test": (rows.test_ci_high - rows.test_ci_low)[rows.stage == names.CONFIRM].max(),
        "scored": scored.val_accuracy_ci_high - scored.val_accuracy_ci_low,
        "recall": sum(bar.high) - sum(bar.low),
    }


@pytest.mark.slow
def test_every_interval_widens_with_the_looks(tracking_uri: str) -> None:
    def change(run: Run) -> Mapping[str, str]:
        return {names.STAGE: names.SCORED} if (slot(run), run.tags[names.SEED]) == ("2", "4") else {}

    study = retold(load_study("joint", tracking_uri), change)
    again = replace(study, run=replace(study.run, tags={**study.run.tags, names.LOOKS: "2"}))
    first, second = widths(study), widths(again)
    assert [name for name in first if not second[name] > 1.05 * first[name]] == []


def test_a_baseline_of_another_family_leaves_the_cells_their_effects(tracking_uri: str) -> None:
    study = load_study("grid", tracking_uri)
    frame, settings = study.evaluations, study.settings
    baseline = frame.candidate == frame.candidate.iloc[0]
    frame.loc[baseline, "baseline"] = True
    settings["arch.modules"] = np.where(settings.index.isin(frame.run_id[baseline]), 3.0, np.nan)
    lines = load_figure("effects").compute(analyse(study)).lines
    assert [(line.label, line.settings) for line in lines] == [
        ("conv stages: 3 against 2", 2),
        ("conv stages: 4 against 2", 1),
        ("dense layers: 2 against 1", 2),
    ]
