"""The model card says what a model is, how good, and where it fails, in the numbers of the store."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import reports
from reports.analysis import Analysis
from reports.card.card import card_of
from reports.card.parts import ModelFile
from reports.card.use import are_emotions
from reports.card.weaknesses import by_class
from reports.page.render import compute_figures, study_page
from reports.rows import comparison_rows
from reports.tables import tables
from spaces.errors import UserError


def test_a_card_holds_the_numbers_of_the_selected_candidate(joint: Analysis) -> None:
    assert joint.verdict is not None
    selected = joint.verdict.selected or joint.rows[0].candidate
    row = next(row for row in joint.rows if row.candidate == selected)
    card = card_of(joint)
    for text in (card.markdown, card.html):
        assert joint.labels[selected] in text
        assert f"{100 * row.val_accuracy:.1f}%" in text
        assert f"{100 * row.val_accuracy_ci_low:.1f} to {100 * row.val_accuracy_ci_high:.1f}%" in text
        assert "reads a face, not a feeling" in text
        for run in joint.runs_of(selected).run_id:
            assert f"candor reproduce {run}" in text


def test_recall_by_class_is_that_of_the_stored_predictions(joint: Analysis) -> None:
    evaluations = joint.evaluations_of(joint.rows[0].candidate)
    found = by_class(evaluations, joint.classes, 0.05)
    assert [one.recall for one in found] == sorted(one.recall for one in found)
    one = found[0]
    kind = joint.classes.index(one.name)
    said = [each.probabilities.argmax(axis=1)[each.labels == kind] for each in evaluations]
    assert one.recall == pytest.approx(np.mean(np.concatenate(said) == kind))
    assert one.low < one.recall < one.high


def test_a_retrained_file_is_labelled_and_a_kept_one_is_not(joint: Analysis) -> None:
    retrained = card_of(joint, file=ModelFile(retrained=True, images=28_000, epochs=17))
    assert "**Retrained.** This file was trained again on 28,000 images" in retrained.markdown
    assert "No number below was measured on it" in retrained.html
    assert "Retrained" not in card_of(joint, file=ModelFile(run_id="0" * 32)).markdown


def test_names_are_shown_as_they_are_all_over_the_card(joint: Analysis) -> None:
    odd = "a_b *c* <net>"
    study = replace(joint.study, about={**joint.study.about, "data": {**joint.study.data, "name": odd}})
    labels = {candidate: f"{odd} {label}" for candidate, label in joint.labels.items()}
    other = next(row.candidate for row in joint.rows if row.candidate != joint.leader)
    card = card_of(replace(joint, study=study, labels=labels), other).markdown
    shown = r"a\_b \*c\* &lt;net>"
    title, _, subtitle, _, warning = card.splitlines()[:5]
    assert title.startswith(f"# Model card: {shown} ")
    assert subtitle.endswith(f" on {shown}.")
    assert warning.startswith("> **Not selected.** ")
    assert shown in warning


def test_a_drawn_rate_is_shown_in_the_digits_that_matter(joint: Analysis) -> None:
    drawn = {
        "recipe.learning_rate": "0.0012345678901234567",
        "recipe.l2": "5e-05",
        "recipe.batch_size": "12800",
    }
    runs = {key: replace(run, params={**run.params, **drawn}) for key, run in joint.study.runs.items()}
    card = card_of(replace(joint, study=replace(joint.study, runs=runs))).markdown
    assert "learning rate 0.001235; batch size 12800; " in card.replace("\\", "")
    assert "l2 5e-05" in card


def test_a_study_on_drawn_pictures_says_so_first(grid: Analysis) -> None:
    assert "Synthetic data" not in card_of(grid).markdown
    about = {**grid.study.about, "data": {**grid.study.data, "synthetic": True}}
    card = card_of(replace(grid, study=replace(grid.study, about=about))).markdown
    assert card.index("**Synthetic data.**") < card.index("## ")


def test_limits_of_reading_faces_stand_only_where_classes_are_emotions() -> None:
    assert are_emotions(("angry", "happy", "neutral", "sad"))
    assert not are_emotions(("cat", "dog", "happy"))


@pytest.mark.slow
def test_nothing_confirmed_is_no_card_and_the_same_store_the_same_bytes(tracking_uri: str) -> None:
    with pytest.raises(UserError, match="no confirmed candidate yet"):
        reports.model_card("young", tracking_uri)
    assert reports.model_card("joint", tracking_uri) == reports.model_card("joint", tracking_uri)


def test_the_report_has_the_card_beside_it_and_leads_to_it(written: Path) -> None:
    assert (written / "joint" / "model_card.md").is_file()
    page = (written / "joint" / "index.html").read_text(encoding="utf-8")
    assert 'href="model_card.html"' in page
    card = (written / "joint" / "model_card.html").read_text(encoding="utf-8")
    assert 'href="../index.html"' in card
    assert "model_card.html" not in (written / "young" / "index.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_warnings_about_the_data_stand_in_the_card_and_at_the_top_of_the_page(joint: Analysis) -> None:
    """Notes that warn of nothing stay in the facts."""
    notes = ["WARNING: 9 of 10 images are <constant>.", "2 images were resized."]
    study = replace(joint.study, about={**joint.study.about, "data": {**joint.study.data, "notes": notes}})
    warned = replace(joint, study=study)
    shown = "9 of 10 images are &lt;constant"
    assert shown in card_of(warned).markdown
    text = study_page(warned, tables(warned, comparison_rows(warned)), compute_figures(warned))
    assert f'role="alert"><b>About the data.</b> {shown}' in text[: text.index('id="answer"')]
    assert "resized" not in text[: text.index('id="answer"')]
