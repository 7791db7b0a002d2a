"""Files with what one network said about each validation image, read without running anything in them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from search.safety.sizes import check_file, load_npz
from spaces.errors import UserError

ENDINGS: Final = (".npz", ".npy", ".csv", ".parquet", ".json")
_LARGEST: Final = 4 * 2**30
#: Names of arrays and columns, in the order in which they are looked for.
_PROBABILITIES: Final = ("probabilities", "probs", "y_prob", "y_score", "scores", "logits", "y_pred")
_ANSWERS: Final = ("predictions", "prediction", "predicted", "pred", "outputs", "output", "answers")
_LABELS: Final = ("labels", "label", "y_true", "target", "targets", "truth", "y", "y_test", "y_val")
_TWINS: Final = ("groups", "has_twin")
_IDS: Final = ("ids", "id", "image", "images", "image_id", "file", "filename", "path", "index")


@dataclass(frozen=True)
class ImportedPredictions:
    """What one network said about each image.

    Attributes:
        ids: Names of the images, (images,).
        labels: The right classes, numbered from 0, (images,).
        probabilities: (images, classes), float32, rows sum to 1.
        class_names: Names of the classes; () where they are numbers.
        notes: How the file was read, where it was not as plain as that.
        twins: `groups`, (images,), whole numbers that twins share, and `has_twin`, (images,), whether the
            training side had one; {} where the file does not say.
    """

    ids: NDArray[np.str_]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    twins: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return float((self.probabilities.argmax(axis=1) == self.labels).mean())


def read_predictions(path: Path, labels: Path | None = None) -> ImportedPredictions:
    """Read the predictions of one network.

    Args:
        path: npz, npy, csv, parquet, or an evaluation table of MLflow as JSON. It holds a probability for
            each class (or logits, or the probability of the second of two classes), or the answer alone.
        labels: A file with the right classes, where `path` has none.

    Returns:
        The predictions, images in the order of the file.

    Raises:
        UserError: The file cannot be read, or its parts do not fit together.
    """
    held = _columns(path)
    truth = _first(held, _LABELS)
    if labels is not None:
        others = _columns(labels)
        truth = _first(others, _LABELS)
        truth = next(iter(others.values())) if truth is None and len(others) == 1 else truth
    if truth is None:
        raise UserError(f"{path} has no labels: name the file that has them with --labels FILE")
    said = _said(held, path)
    truth = np.asarray(truth)
    if truth.ndim == 2 and truth.shape[1] > 1:  # one-hot
        truth = truth.argmax(axis=1)
    truth = truth.ravel()
    if len(truth) != len(said) or not len(truth):
        raise UserError(f"{path} has predictions of {len(said):,} images and labels of {len(truth):,}")
    ids = _first(held, _IDS)
    numbers = np.arange(len(truth))
    ids = np.char.zfill(numbers.astype(str), 8) if ids is None or len(ids) != len(truth) else ids.astype(str)
    if len(set(ids.tolist())) < len(ids):
        raise UserError(f"{path} names an image twice: each row should be one image")
    found = _checked(path, ids, truth, said, tuple(key for key in held if key.startswith("class:")))
    twins: dict[str, NDArray[Any]] = {
        str(name): held[name] for name in _TWINS if name in held and held[name].shape == truth.shape
    }
    return replace(found, twins=twins)


def _columns(path: Path) -> dict[str, NDArray[Any]]:
    """Arrays by name, whatever the form of the file."""
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    check_file(path, _LARGEST, "a file of predictions")
    ending = path.suffix.lower()
    try:
        if ending == ".npz":
            return load_npz(path)
        if ending == ".npy":
            return {"y_pred": np.load(path, allow_pickle=False)}
        return _frame_columns(path, ending)
    except (ValueError, KeyError, OSError, EOFError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path} cannot be read as predictions ({reason})") from error


def _frame_columns(path: Path, ending: str) -> dict[str, NDArray[Any]]:
    """The columns of a table; those that hold the classes' probabilities become one array."""
    import pandas as pd

    if ending == ".csv":
        frame = pd.read_csv(path, sep=None, engine="python")
    elif ending == ".parquet":
        frame = pd.read_parquet(path)
    else:
        held = json.loads(path.read_text(encoding="utf-8"))
        frame = pd.DataFrame(held["data"], columns=held["columns"])
    known = {*_PROBABILITIES, *_ANSWERS, *_LABELS, *_IDS}
    found = {str(name): frame[name].to_numpy() for name in frame.columns}
    for name in [name for name in (*_PROBABILITIES, *_ANSWERS) if name in found]:
        first = found[name][0] if len(found[name]) else None
        if isinstance(first, list | tuple | np.ndarray):  # a list in each cell
            found[name] = np.stack([np.asarray(one, dtype=np.float64) for one in found[name]])
    others = [name for name in found if name.lower() not in known and found[name].dtype.kind in "fiu"]
    if len(others) > 1 and not set(found) & set(_PROBABILITIES):
        stripped = _without_prefix(others)
        found["probabilities"] = np.stack([found[name] for name in others], axis=1)
        found |= {f"class:{name}": np.zeros(0) for name in stripped}
    return found


def _without_prefix(names: Sequence[str]) -> list[str]:
    """What the headings of the classes say beyond what all of them say: "happy" of "prob_happy"."""
    for prefix in ("probability_", "probabilities_", "prob_", "p_", "class_", "score_"):
        if all(name.startswith(prefix) and len(name) > len(prefix) for name in names):
            return [name.removeprefix(prefix) for name in names]
    return list(names)


def _first(held: Mapping[str, NDArray[Any]], known: Sequence[str]) -> NDArray[Any] | None:
    by_name = {name.lower(): array for name, array in held.items()}
    return next((by_name[name] for name in known if name in by_name), None)


def _said(held: Mapping[str, NDArray[Any]], path: Path) -> NDArray[Any]:
    said = _first(held, _PROBABILITIES)
    said = _first(held, _ANSWERS) if said is None else said
    if said is None:
        raise UserError(
            f"{path} has no predictions: expected an array or a column called "
            f'"probabilities" or "predictions". Received: {", ".join(sorted(held)[:8])}'
        )
    return np.asarray(said)


def _checked(
    path: Path, ids: NDArray[Any], truth: NDArray[Any], said: NDArray[Any], headings: Sequence[str]
) -> ImportedPredictions:
    notes: list[str] = []
    if said.ndim == 2 and said.shape[1] == 1:
        said = said[:, 0]
    names = tuple(heading.removeprefix("class:") for heading in headings)
    if said.ndim == 1:
        probabilities, truth, names = _of_answers(path, truth, said, notes)
    elif said.ndim == 2:
        probabilities = said.astype(np.float64)
        truth, names = _numbered(path, truth, probabilities.shape[1], names)
    else:
        raise UserError(f"{path}: predictions should have a row for each image. Received shape: {said.shape}")
    if not np.isfinite(probabilities).all():
        raise UserError(f"{path} has predictions that are no numbers")
    if (probabilities < 0).any() or (probabilities.sum(axis=1) > 1.01).any():
        shifted = np.exp(probabilities - probabilities.max(axis=1, keepdims=True))
        probabilities = shifted / shifted.sum(axis=1, keepdims=True)
        notes.append("the predictions are logits: softmax makes them probabilities")
    sums = probabilities.sum(axis=1, keepdims=True)
    if (np.abs(sums - 1) > 0.01).any():
        raise UserError(f"{path}: the probabilities of an image should sum to 1. Received: {sums.min():.3f}")
    return ImportedPredictions(
        ids.astype(str), truth, (probabilities / sums).astype(np.float32), names, tuple(notes)
    )


def _of_answers(
    path: Path, truth: NDArray[Any], said: NDArray[Any], notes: list[str]
) -> tuple[NDArray[np.float64], NDArray[np.int64], tuple[str, ...]]:
    """Probabilities of a single column: of the second of two classes, or 1 for the answer."""
    if said.dtype.kind == "f" and not np.equal(said, np.round(said)).all():
        numbered, names = _numbered(path, truth, 2, ())
        high = said.astype(np.float64)
        if high.min() < 0 or high.max() > 1:
            high = 1 / (1 + np.exp(-high))
            notes.append("the predictions are logits: the logistic function makes them probabilities")
        return np.stack([1 - high, high], axis=1), numbered, names
    classes = sorted({*truth.tolist(), *said.tolist()})
    if said.dtype.kind in "fiu" and truth.dtype.kind in "fiub":
        classes = list(range(int(max(classes)) + 1))
    place = {one: number for number, one in enumerate(classes)}
    notes.append("the predictions are answers without probabilities: calibration and loss mean nothing")
    answers = np.array([place[one] for one in said.tolist()])
    numbered = np.array([place[one] for one in truth.tolist()], dtype=np.int64)
    names = () if said.dtype.kind in "fiu" else tuple(map(str, classes))
    return np.eye(max(len(classes), 2))[answers], numbered, names


def _numbered(
    path: Path, truth: NDArray[Any], classes: int, names: tuple[str, ...]
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Labels as numbers below `classes`."""
    if truth.dtype.kind in "fiub":
        if names and all(name.isdecimal() for name in names):
            names = ()
        numbers = truth.astype(np.int64)
        if not np.equal(truth, numbers).all() or numbers.min() < 0 or numbers.max() >= classes:
            raise UserError(
                f"{path}: labels should be numbers from 0 to {classes - 1}. "
                f"Received: {truth.min()} to {truth.max()}"
            )
        return numbers, names
    text = [str(one) for one in truth.tolist()]
    if not names:  # Keras and scikit-learn number classes in the order of their names
        names = tuple(sorted(set(text)))
    if not set(text) <= set(names) or len(names) != classes:
        raise UserError(
            f"{path}: labels {', '.join(sorted(set(text))[:5])} do not fit the {classes} classes of the "
            f"predictions{': ' + ', '.join(names[:8]) if names else ''}"
        )
    place = {name: number for number, name in enumerate(names)}
    return np.array([place[one] for one in text], dtype=np.int64), names
