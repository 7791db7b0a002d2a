"""`candor audit --labels`: predictions are made once, by networks that never saw the image."""

import csv
import html
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from search.datasets.prepare import prepare
from search.labels import out_of_fold as predictions
from search.labels.audit import FACTS, PAGE, TABLE, audit_labels, write_label_audits
from search.labels.out_of_fold import OutOfFold, out_of_fold
from spaces.errors import UserError
from tests.support.images.small_pictures import in_folder, silent, tree

pytestmark = pytest.mark.slow  # cleanlab takes seconds

SOURCE = "synthetic:train=160,validation=80,test=40"


def clear(data: predictions.Prepared, flipped: int) -> OutOfFold:
    """What networks would say that see every expression, of which `flipped` training labels are others."""
    parts = (data.train(), data.validation())
    ids, labels, groups = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("ids", "labels", "groups")
    )
    order = np.argsort(ids)
    ids, labels, groups = ids[order], labels[order], groups[order]
    shares = np.full((len(labels), 7), 0.02, np.float32)
    shares[np.arange(len(labels)), labels] = 0.88
    for row in np.flatnonzero(labels == 3)[::2][:flipped]:  # labelled happy, seen as neutral
        shares[row] = np.eye(7, dtype=np.float32)[4] * 0.86 + 0.02
    return OutOfFold(ids, labels, groups, shares)


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> predictions.Prepared:
    data = prepare(SOURCE, tmp_path / "cache", say=silent)
    monkeypatch.setattr(predictions, "_trained", lambda data, log, say: clear(data, 5))
    return data


def test_page_table_and_counts_name_the_suspects(planted: predictions.Prepared, tmp_path: Path) -> None:
    audit = audit_labels(planted, tmp_path / "cache", tmp_path / "log", silent)
    (page,) = write_label_audits([audit], tmp_path / "out")
    assert page == tmp_path / "out" / PAGE
    facts = json.loads((tmp_path / "out" / FACTS).read_text())
    assert facts["pairs"] == [{"given": "happy", "suggested": "neutral", "suspects": 5}]
    assert (facts["images"], facts["suspects"]) == (240, 5)
    assert facts["wrong_share_low"] <= 5 / 240 <= facts["wrong_share_high"]
    with (tmp_path / "out" / TABLE).open(newline="", encoding="utf-8-sig") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 240
    assert [line["suspect"] for line in lines] == ["yes"] * 5 + ["no"] * 235
    assert {(line["given"], line["suggested"]) for line in lines[:5]} == {("happy", "neutral")}
    test_ids = {line["id"] for line in lines if "/test/" in line["id"]}
    assert not test_ids
    text = html.unescape(page.read_text(encoding="utf-8"))
    assert text.count('<img src="data:image/png;base64,') == 5
    assert "5 of synthetic's 240 training and validation labels (2.1%) are doubtful" in text


def test_weak_networks_estimate_no_share(planted: predictions.Prepared, tmp_path: Path) -> None:
    """They doubt hard images too: on drawn faces their estimate was three times the truth."""
    strong = audit_labels(planted, tmp_path / "cache", tmp_path / "log", silent)
    weak = replace(strong, predicted=clear(planted, 40))
    assert strong.predicted.accuracy >= 0.9 > weak.predicted.accuracy
    assert any("estimates that" in said and "%" in said for said in strong.sentences())
    assert any(said.startswith("How many labels are wrong cannot be estimated") for said in weak.sentences())
    assert [weak.facts()[f"wrong_share{end}"] for end in ("", "_low", "_high")] == [None] * 3


def test_predictions_are_made_once(
    planted: predictions.Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = out_of_fold(planted, tmp_path / "cache", tmp_path / "log", silent)
    monkeypatch.setattr(predictions, "_trained", lambda *_: pytest.fail("trained again"))
    again = out_of_fold(planted, tmp_path / "cache", tmp_path / "log", silent)
    np.testing.assert_array_equal(first.probabilities, again.probabilities)


def test_a_class_with_too_few_images_is_refused_before_training(tmp_path: Path) -> None:
    source = in_folder(tree(each=3, side=24), tmp_path / "few")
    data = prepare(str(source), tmp_path / "cache", say=silent)
    with pytest.raises(UserError, match=r"cat has 6 training and validation images .* 8 are the fewest"):
        out_of_fold(data, tmp_path / "cache", tmp_path / "log", silent)


@pytest.mark.trains
def test_networks_judge_images_that_they_have_not_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictions, "EPOCHS", 1)
    monkeypatch.setattr(predictions, "FOLDS", 2)
    said: list[str] = []
    data = prepare(SOURCE, tmp_path / "cache", say=silent)
    found = out_of_fold(data, tmp_path / "cache", tmp_path / "log", said.append)
    both = np.concatenate([data.train().ids, data.validation().ids])
    np.testing.assert_array_equal(found.ids, np.sort(both))
    np.testing.assert_allclose(found.probabilities.sum(1), 1, atol=1e-4)
    assert found.probabilities.std() > 0.01
    assert said[0].startswith("labels: 2 networks for each of 2 folds of 240 training and validation images")
