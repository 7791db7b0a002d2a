"""Words are shown at planned looks alone: at the end of a fixed design, after a complete round."""

from dataclasses import replace
from typing import Any

import pytest

from reports.analysis import Analysis, analyse
from reports.figures import NothingToDraw, figure_names, load_figure
from reports.page import views
from reports.progress import progress
from reports.records.study import StudyRecords, load_study
from reports.rows import comparison_rows
from search.tracking import names


@pytest.fixture
def study(tracking_uri: str) -> StudyRecords:
    """Four candidates with four seeds each, finished."""
    return load_study("joint", tracking_uri)


def running(study: StudyRecords, **tags: str) -> StudyRecords:
    """The same study while it is still at work."""
    return replace(study, run=replace(study.run, status="RUNNING", tags={**study.run.tags, **tags}))


def in_rounds(study: StudyRecords, max_seeds: int = 20) -> StudyRecords:
    """The same study with seeds in rounds."""
    protocol = {**study.protocol, "seeds": "auto", "max_seeds": max_seeds}
    return replace(study, about={**study.about, "protocol": protocol})


def without(study: StudyRecords, seed: int, rank: int = 0) -> StudyRecords:
    """The same study before one candidate's evaluation with this seed is over."""
    key = f"{study.study_id}/confirm/{rank}/{seed}"
    runs = {name: run for name, run in study.runs.items() if run.tags.get(names.KEY) != key}
    assert len(runs) == len(study.runs) - 1
    return replace(study, runs=runs)


@pytest.mark.slow
def test_a_running_study_with_fixed_seeds_shows_means_and_no_words(study: StudyRecords) -> None:
    analysis = analyse(running(study))
    assert (analysis.comparison, analysis.verdict) == (None, None)
    assert analysis.sentences[1].startswith("The confirm stage is not over: 16 confirm evaluations are ")
    rows = comparison_rows(analysis)
    confirmed = rows[rows.stage == names.CONFIRM]
    assert set(confirmed.verdict) == {""}
    assert confirmed.val_accuracy.notna().all()
    assert confirmed.delta_ci_low.isna().all()


def test_what_was_concluded_stays_while_nothing_new_is_there(study: StudyRecords) -> None:
    concluded = running(study, **{names.SEEN: study.seen})
    assert analyse(concluded).verdict == analyse(study).verdict
    assert analyse(without(concluded, 4)).verdict is None


def test_every_figure_of_an_open_comparison_is_drawn_or_says_why_not(study: StudyRecords) -> None:
    analysis, reasons = analyse(running(study)), []
    for name in figure_names():
        try:
            load_figure(name).compute(analysis)
        except NothingToDraw as reason:
            reasons.append(str(reason))
    assert all(reasons)
    assert views.chosen(analysis) is None


def test_rounds_are_compared_when_they_are_complete(study: StudyRecords) -> None:
    analysis = analyse(running(in_rounds(study)))
    assert analysis.comparison is not None
    assert analysis.decision is not None
    assert analysis.comparison.level < analysis.comparison.alpha
    assert "in all rounds together" in analysis.sentences[-1]
    rows = comparison_rows(analysis)
    assert set(rows.verdict[rows.stage == names.CONFIRM]) <= set(views.WORDS)


def test_an_incomplete_round_changes_nothing(study: StudyRecords) -> None:
    three = in_rounds(study)
    for rank in range(4):
        three = without(three, 4, rank)
    four = without(in_rounds(study), 4)
    assert told(three) == told(four)
    assert analyse(four).decision.seeds == 3  # type: ignore[union-attr]


def told(study: StudyRecords) -> tuple[Any, ...]:
    analysis = analyse(study)
    assert analysis.verdict is not None
    return analysis.verdict.hash(), analysis.sentences


def test_before_the_first_round_is_complete_the_state_is_said(study: StudyRecords) -> None:
    analysis = analyse(without(in_rounds(study), 2))
    assert analysis.comparison is None
    assert analysis.sentences[1] == ("The first round of 3 seeds is not complete: nothing is decided yet.")
    assert progress(in_rounds(study)).share is None


def test_a_seed_that_diverged_does_not_block_the_rounds(study: StudyRecords) -> None:
    key = f"{study.study_id}/confirm/0/2"
    runs = {
        name: replace(run, tags={**run.tags, names.STATE: names.DIVERGED})
        if run.tags.get(names.KEY) == key
        else run
        for name, run in study.runs.items()
    }
    analysis = analyse(in_rounds(replace(study, runs=runs)))
    assert analysis.decision is not None
    assert analysis.decision.round >= 1
    assert sum(row.seeds_lost for row in analysis.rows) == 1
    assert any(sentence.startswith("Diverged or broke off") for sentence in analysis.sentences)


def test_published_rows_are_commented_on_where_the_study_ran_on_their_data(joint: Analysis) -> None:
    assert not any(sentence.startswith("Published") for sentence in joint.sentences)
    counts = {**joint.study.data["counts"], "validation": 7066}
    study = joint.study
    same = replace(study, about={**study.about, "data": {**study.data, "counts": counts}})
    assert any(sentence.startswith("Published") for sentence in analyse(same).sentences)
