"""The comparison without doubtful labels stands beside the verdict; leaks are told by what they claim."""

from dataclasses import replace

import numpy as np
import pytest

from reports import formats
from reports.analysis import Analysis
from reports.rows import comparison_rows
from reports.tables import load_table
from reports.without_suspects import suspect_images, without_suspects

PLANTED = 12


@pytest.fixture(scope="module")
def mislabelled(joint: Analysis) -> Analysis:
    """The study, with wrong labels on images about which all candidates agree."""
    classes = len(joint.classes)
    sure = np.mean([one.probabilities for one in joint.confirmed], axis=0)
    labels = joint.confirmed[0].labels.copy()
    rows = np.argsort(-sure[np.arange(len(labels)), labels], kind="stable")[:PLANTED]
    labels[rows] = (labels[rows] + 1) % classes
    return replace(joint, confirmed=tuple(replace(one, labels=labels) for one in joint.confirmed))


def planted(mislabelled: Analysis, joint: Analysis) -> np.ndarray:
    return mislabelled.confirmed[0].labels != joint.confirmed[0].labels


def test_wrong_labels_are_suspect_in_most_seeds(mislabelled: Analysis, joint: Analysis) -> None:
    suspect = suspect_images(mislabelled)
    wrong = planted(mislabelled, joint)
    assert wrong.sum() == PLANTED
    assert (suspect & wrong).sum() >= 0.8 * PLANTED


def test_the_verdict_itself_is_not_touched(mislabelled: Analysis, joint: Analysis) -> None:
    found = without_suspects(mislabelled)
    assert found is not None
    assert found.comparison.rows != mislabelled.rows
    assert mislabelled.verdict == joint.verdict
    before = [row.candidate for row in mislabelled.rows]
    after = [row.candidate for row in found.comparison.rows]
    assert found.order_changes == (before != after)


def test_the_table_says_how_many_images_and_whether_the_order_changes(mislabelled: Analysis) -> None:
    module = load_table("suspects")
    rows = comparison_rows(mislabelled)
    first, again = module.table(mislabelled, rows), module.table(mislabelled, rows)
    found = without_suspects(mislabelled)
    assert first is not None
    assert again is not None
    assert found is not None
    assert formats.to_markdown(first) == formats.to_markdown(again)
    count = int(suspect_images(mislabelled).sum())
    assert first.reading.startswith(f"{count} of {len(mislabelled.confirmed[0].labels)} validation images")
    order = "changes" if found.order_changes else "stays the same"
    assert f"the order of the candidates {order}" in first.reading
    kept = ~suspect_images(mislabelled)
    own = mislabelled.evaluations_of(mislabelled.rows[0].candidate)
    right = [(one.probabilities.argmax(1) == one.labels)[kept].mean() for one in own]
    assert first.rows.accuracy_without[0] == pytest.approx(np.mean(right))
    assert sorted(first.rows.place_without) == list(range(1, len(first.rows) + 1))


def test_without_a_verdict_there_is_no_table(empty: Analysis) -> None:
    assert load_table("suspects").table(empty, comparison_rows(empty)) is None
    assert load_table("leaky").table(empty, comparison_rows(empty)) is None


def test_a_study_that_purged_copies_claims_nothing_too_much(joint: Analysis) -> None:
    assert load_table("leaky").table(joint, comparison_rows(joint)) is None


def test_a_study_with_leaks_shows_what_the_copies_add(joint: Analysis) -> None:
    about = {**joint.study.about, "protocol": {**joint.study.protocol, "leaks": "report"}}
    leaky = replace(joint, study=replace(joint.study, about=about))
    correct = np.all([one.probabilities.argmax(1) == one.labels for one in joint.confirmed], axis=0)
    copied = correct & (np.arange(len(correct)) % 4 == 0)
    leaky = replace(leaky, confirmed=tuple(replace(one, has_twin=copied) for one in joint.confirmed))
    table = load_table("leaky").table(leaky, comparison_rows(leaky))
    assert table is not None
    assert (table.rows.copied == 1.0).all()
    assert (table.rows.clean < table.rows.claimed).all()
    np.testing.assert_allclose(table.rows.inflated, 100 * (table.rows.claimed - table.rows.clean))
    assert f"{copied.sum()} of {len(copied)} validation images have a copy" in table.reading
