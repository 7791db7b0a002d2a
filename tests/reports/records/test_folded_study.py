"""A study over folds is told as one: all images judge, and the file of a model has no numbers of its own."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from experiments.workflows.study.register import confirmed, describe, tags_of
from reports import facts
from reports.analysis import Analysis, analyse
from reports.card.card import card_of
from reports.card.parts import ModelFile
from reports.records.study import load_study
from reports.rows import comparison_rows
from reports.tables import tables
from search.tracking import names

FILE = ModelFile(run_id="0" * 32)


@pytest.fixture(scope="module")
def folded(tracking_uri: str) -> Analysis:
    """The grid, as if its 2,400 training and 300 validation images had judged over five folds."""
    study = load_study("grid", tracking_uri)
    return analyse(replace(study, about={**study.about, "data": {**study.data, "folds": 5}}))


def told(analysis: Analysis) -> str:
    """Everything in words: facts, sentences, the card of a file, what stands above the table."""
    found = [*facts.at_a_glance(analysis), *(fact for _, own in facts.in_full(analysis) for fact in own)]
    readings = [table.reading for _, table in tables(analysis, comparison_rows(analysis))]
    card = card_of(analysis, file=FILE).markdown
    return "\n".join([*(f"{name}: {value}" for name, value in found), *analysis.sentences, *readings, card])


@pytest.mark.slow
def test_the_page_and_the_card_say_how_the_images_judge(folded: Analysis, grid: Analysis) -> None:
    assert folded.comparison is not None
    images = folded.comparison.images
    once = "each image is judged by a network that has not seen it"
    for sentence in (
        "Folds: 5 of train and validation together\n",
        f"Folds: 5 of train and validation together; {once}\n",
        f"Judged on {images} different images of train and validation over 5 folds, each by a network ",
        "Every number is a mean over seeds over folds of train and validation together, ±",
        f"measured on {images} different images of train and validation. Each was judged by a network that "
        "has not seen it, and trained those of the other folds; what is called validation here is all "
        "of them.",
        "the network that run 00000000000000000000000000000000 trained without the first of its 5 folds",
    ):
        assert sentence in told(folded)
        assert sentence not in told(grid)
    assert "fold" not in told(grid).lower()


@pytest.mark.slow
def test_what_holds_of_a_validation_part_alone_is_not_said(folded: Analysis, grid: Analysis) -> None:
    for sentence in (
        f"Judged on {grid.comparison.images if grid.comparison else 0} different validation images; ",
        "validation images that decided nothing in training",
        "one of the 3 that the numbers below are the mean of",
        "twin in training",
        "twin in the training side",
    ):
        assert sentence in told(grid)
        assert sentence not in told(folded)


def test_without_a_file_all_networks_are_counted(folded: Analysis) -> None:
    assert "numbers are means over 15 networks;" in card_of(folded).markdown


def test_a_version_counts_the_images_that_judged_and_has_no_numbers_of_its_own(
    folded: Analysis, grid: Analysis
) -> None:
    metrics = {names.VAL + name: 0.5 for name in ("accuracy", "loss", "macro_f1")}
    run: Any = SimpleNamespace(data=SimpleNamespace(metrics=metrics, tags={names.KEY: "bb22/confirm/0/1"}))
    tags, plain = (
        tags_of(confirmed(analysis.study, analysis.leader), run, False) for analysis in (folded, grid)
    )
    assert (tags[names.VAL_IMAGES], plain[names.VAL_IMAGES]) == ("2700", "300")
    assert plain.keys() - tags.keys() == {names.OWN + name for name in metrics}
    assert tags.keys() < plain.keys()
    described = describe(confirmed(folded.study, folded.leader), tags, False)
    assert (
        "on 2700 images of train and validation, each judged by a network that has not seen it." in described
    )
    assert described.endswith(
        "This file is the network that bb22/confirm/0/1 trained without the first of its 5 folds: the "
        "numbers are not its own."
    )
