"""Predictions in the files that people keep them in: one meaning, whatever the form."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from search.imports.find_reader import results_from
from search.imports.predictions import read_predictions
from search.imports.request import Request
from spaces.errors import UserError

GENERATOR = np.random.default_rng(0)
LABELS = GENERATOR.integers(0, 3, 40)
PROBABILITIES = GENERATOR.dirichlet([1.0, 1.0, 1.0], 40).astype(np.float32)
NAMES = ("angry", "happy", "sad")


def _files(folder: Path) -> list[Path]:
    """The same predictions in every form that is read."""
    np.savez(folder / "a.npz", y_true=LABELS, y_pred=PROBABILITIES)
    np.savez(folder / "one_hot.npz", labels=np.eye(3)[LABELS], probabilities=PROBABILITIES)
    np.savez(folder / "logits.npz", labels=LABELS, logits=np.log(PROBABILITIES) + 3)
    frame = pd.DataFrame(PROBABILITIES, columns=[f"prob_{name}" for name in NAMES])
    frame = frame.assign(label=[NAMES[n] for n in LABELS], image=[f"{n:03}.png" for n in range(40)])
    frame.to_csv(folder / "b.csv", index=False)
    frame.to_csv(folder / "semicolons.csv", index=False, sep=";")
    pd.DataFrame({"target": LABELS, "prediction": list(PROBABILITIES)}).to_parquet(folder / "c.parquet")
    rows = [[int(label), said] for label, said in zip(LABELS, PROBABILITIES.tolist(), strict=True)]
    table = {"columns": ["label", "predictions"], "data": rows}
    (folder / "eval_results_table.json").write_text(json.dumps(table))
    return sorted(folder.iterdir())


def test_every_form_gives_the_same_predictions(tmp_path: Path) -> None:
    files = _files(tmp_path)
    assert len(files) == 7
    for file in files:
        found = read_predictions(file)
        assert list(found.labels) == list(LABELS), file.name
        np.testing.assert_allclose(found.probabilities, PROBABILITIES, atol=1e-5, err_msg=file.name)
        assert len(set(found.ids)) == 40
    assert read_predictions(tmp_path / "b.csv").class_names == NAMES
    assert read_predictions(tmp_path / "b.csv").ids[3] == "003.png"
    assert "softmax" in read_predictions(tmp_path / "logits.npz").notes[0]


def test_keras_predictions_lie_beside_their_labels(tmp_path: Path) -> None:
    np.save(tmp_path / "said.npy", PROBABILITIES)
    np.save(tmp_path / "labels.npy", LABELS)
    found = read_predictions(tmp_path / "said.npy", tmp_path / "labels.npy")
    assert found.accuracy == pytest.approx((PROBABILITIES.argmax(axis=1) == LABELS).mean())
    with pytest.raises(UserError, match="has no labels: name the file that has them with --labels"):
        read_predictions(tmp_path / "said.npy")


def test_one_column_is_the_second_class_or_the_answer(tmp_path: Path) -> None:
    labels = np.array([0, 1, 1, 0])
    np.savez(tmp_path / "sigmoid.npz", labels=labels, y_pred=np.array([[0.2], [0.7], [0.4], [0.6]]))
    found = read_predictions(tmp_path / "sigmoid.npz")
    np.testing.assert_allclose(found.probabilities[0], [0.8, 0.2], atol=1e-6)
    assert found.accuracy == 0.5
    pd.DataFrame({"label": ["cat", "dog", "dog"], "prediction": ["cat", "cat", "dog"]}).to_csv(
        tmp_path / "answers.csv"
    )
    answers = read_predictions(tmp_path / "answers.csv")
    assert answers.accuracy == pytest.approx(2 / 3)
    assert answers.class_names == ("cat", "dog")
    assert "answers without probabilities" in answers.notes[0]


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"labels": LABELS[:30], "probabilities": PROBABILITIES}, "of 40 images and labels of 30"),
        ({"labels": LABELS}, "has no predictions"),
        ({"probabilities": PROBABILITIES}, "has no labels"),
        ({"labels": LABELS + 5, "probabilities": PROBABILITIES}, "labels should be numbers from 0 to 2"),
        ({"labels": LABELS, "probabilities": PROBABILITIES / 2}, "should sum to 1"),
        ({"labels": LABELS, "probabilities": PROBABILITIES * np.nan}, "no numbers"),
        ({"labels": LABELS, "probabilities": np.zeros((40, 3, 2))}, "a row for each image"),
        ({"labels": LABELS, "probabilities": PROBABILITIES, "ids": np.zeros(40)}, "names an image twice"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    arrays: dict[str, np.ndarray], says: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "p.npz", **arrays)
    with pytest.raises(UserError, match=says) as refused:
        read_predictions(tmp_path / "p.npz")
    assert "\n" not in str(refused.value)


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="cannot be read as predictions"):
        read_predictions(tmp_path / "p.npy")
    np.savez(tmp_path / "p.npz", labels=np.array([{"a": 1}], dtype=object))
    with pytest.raises(UserError, match="Python objects"):
        read_predictions(tmp_path / "p.npz")


def _write(path: Path, labels: np.ndarray = LABELS, said: np.ndarray = PROBABILITIES) -> None:
    path.parent.mkdir(exist_ok=True)
    np.savez(path, labels=labels, probabilities=said)


def test_files_alone_are_a_source(tmp_path: Path) -> None:
    for arch in ("wide", "deep"):
        for seed in (1, 2):
            _write(tmp_path / "widths" / f"{arch}-{seed}.npz")
    table, results = results_from(str(tmp_path / "widths" / "{arch}-{seed}.npz"), Request())
    assert (table.name, results.images) == ("widths", 40)
    assert [(one.label, one.seed) for one in results.evaluations] == [
        ("arch deep", 1), ("arch deep", 2), ("arch wide", 1), ("arch wide", 2),
    ]  # fmt: skip
    accuracy = (PROBABILITIES.argmax(axis=1) == LABELS).mean()
    assert results.evaluations[0].metrics["val_accuracy"] == pytest.approx(accuracy)
    with pytest.raises(UserError, match="no file fits"):
        results_from(str(tmp_path / "{arch}-{seed}.npz"), Request())


def test_predictions_that_contradict_the_table_are_refused(tmp_path: Path) -> None:
    accuracy = float((PROBABILITIES.argmax(axis=1) == LABELS).mean())
    file, pattern = tmp_path / "r.csv", str(tmp_path / "p" / "{arch}.npz")
    _write(tmp_path / "p" / "a.npz")
    file.write_text(f"arch,val_acc\na,{accuracy:.3f}\n")
    _, results = results_from(str(file), Request(predictions=pattern))
    assert results.evaluations[0].metrics["val_accuracy"] == accuracy
    shuffled = np.random.default_rng(1).permutation(LABELS)
    _write(tmp_path / "p" / "a.npz", shuffled)
    with pytest.raises(UserError, match="the labels are in another order, or of other images"):
        results_from(str(file), Request(predictions=pattern))
    _write(tmp_path / "p" / "a.npz")
    _write(tmp_path / "p" / "b.npz", LABELS[::-1].copy(), PROBABILITIES[::-1].copy())
    file.write_text(f"arch,val_acc\na,{accuracy}\nb,{accuracy}\n")
    with pytest.raises(UserError, match="not the same images in the same order"):
        results_from(str(file), Request(predictions=pattern))
    _write(tmp_path / "p" / "b.npz", LABELS[:20], PROBABILITIES[:20])
    file.write_text("arch,val_acc\na,\nb,\n")
    with pytest.raises(UserError, match="are of other images"):
        results_from(str(file), Request(predictions=pattern))
    (tmp_path / "p" / "b.npz").unlink()
    with pytest.raises(UserError, match="Received --images 39"):
        results_from(str(file), Request(predictions=pattern, images=39))
