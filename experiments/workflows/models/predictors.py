"""Who can be asked about images: an evaluation in MLflow, a `.keras` file, a registered model."""

import json
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.workflows.study.lookup import RecordedRun, find_evaluation
from reports.records.predictions import Predictions, read_predictions
from reports.records.store import MissingArtifactError
from search.datasets.cache.prepared import Part, Prepared
from search.models.classifier import (
    Classifier,
    Labels,
    open_file,
    register_own_classes,
)
from search.models.images import Picture, stacked
from search.models.predict import raw_probabilities
from search.models.registry.references import Located, locate, names_file
from search.tracking import names
from spaces.errors import UserError

_RUN = re.compile(r"[0-9a-f]{6,32}")


@dataclass(frozen=True)
class Side:
    """One of the two: an evaluation in MLflow, or a file with its name."""

    text: str
    recorded: RecordedRun | None
    located: Located | None

    @classmethod
    def of(cls, text: str, tracking_uri: str) -> "Side":
        """What a person named: a run id, a candor.key, a file, or a registered model's alias."""
        if not names_file(text) and ("/" in text or _RUN.fullmatch(text)):
            return cls(text, find_evaluation(text, tracking_uri), None)
        return cls(text, None, locate(text, tracking_uri))

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self.recorded.run.name if self.recorded else self.text

    def stored(self) -> Predictions | None:
        """The answers that were stored with an evaluation."""
        if self.recorded is None:
            return None
        try:
            return read_predictions(self.recorded.store.artifact(self.recorded.run, names.PREDICTIONS_NPZ))
        except MissingArtifactError:
            return None

    def classifier(self) -> Classifier:
        """Its model, loaded. Raises UserError where there is none, or it has seen the validation images."""
        if self.located is not None:
            return open_file(self.located.path, self.located.labels, self.text)
        assert self.recorded is not None  # noqa: S101  it is one or the other
        if folded(self.recorded):
            raise UserError(
                f"run {self.text} was trained over folds of train and validation together: its models have "
                "seen these images. Compare it with runs of its own study"
            )
        try:
            path = self.recorded.store.artifact(self.recorded.run, names.MODEL_KERAS)
        except MissingArtifactError:
            raise UserError(
                f"run {self.text} kept no model, and its stored answers are to other images: only leaders "
                'keep theirs, or all with protocol.keep_models = "all"'
            ) from None
        register_own_classes(path, self.recorded.run.tags.get(names.FAMILY, ""))
        classes = class_names(self.recorded)
        return open_file(path, Labels(classes) if classes else None, self.name)


def class_names(recorded: RecordedRun) -> tuple[str, ...]:
    """The classes of a study, in the order of its networks' outputs; none where that was not kept."""
    return tuple(_data_of(recorded).get("class_names", ()))


def folded(recorded: RecordedRun) -> bool:
    """Whether a study judges over folds of train and validation together."""
    return bool(_data_of(recorded).get("folds"))


def _data_of(recorded: RecordedRun) -> dict[str, Any]:
    try:
        text = recorded.store.artifact(recorded.parent, names.STUDY_JSON).read_text(encoding="utf-8")
    except MissingArtifactError:
        return {}
    data: dict[str, Any] = json.loads(text)["data"]
    return data


def predictions_of(
    classifier: Classifier, data: Prepared, part: Part, *, of_study: bool = False
) -> tuple[Predictions, list[str]]:
    """What a network says of the images of a part, classes in the data's order, and remarks on it.

    Raises UserError where it tells other classes apart. Images are resized and recoloured to what it takes.
    """
    order, notes = _order(classifier, data.class_names)
    images = np.asarray(part.images)
    if classifier.image_shape != data.image_shape:
        notes.append(
            f"{classifier.name} takes images of {_size(classifier.image_shape)}: those of "
            f"{_size(data.image_shape)} were resized or recoloured for it."
        )
        images = stacked((Picture("image", flat(image)) for image in images), classifier.image_shape)
    if not of_study:
        fed = "divided by 255" if classifier.scale != 1 else "given as they are, from 0 to 255"
        notes.append(f"The pixels for {classifier.name} were {fed}, by what its first layers do to them.")
        notes.append(
            f"Whether {classifier.name} was trained on some of these images is not known: if it was, its "
            f"number is "
            "too high."
        )
    ranked = np.argsort(part.ids, kind="stable")
    return Predictions(
        ids=np.asarray(part.ids)[ranked].astype(str),
        labels=np.asarray(part.labels)[ranked],
        probabilities=raw_probabilities(classifier, images)[:, order][ranked],
        groups=np.asarray(part.groups)[ranked],
        has_twin=np.asarray(part.has_twin)[ranked],
    ), notes


def _order(classifier: Classifier, classes: tuple[str, ...]) -> tuple[list[int], list[str]]:
    """Where the data's classes stand among the network's outputs."""
    own = classifier.labels.class_names
    if len(own) != len(classes):
        raise UserError(
            f"{classifier.name} tells {len(own)} classes apart, the images have {len(classes)} "
            f"({', '.join(classes)}): they cannot be compared"
        )
    if set(own) == set(classes):
        return [own.index(name) for name in classes], []
    if own != tuple(f"class {number}" for number in range(len(own))):
        raise UserError(
            f"{classifier.name} tells {', '.join(own)} apart, the images are labelled {', '.join(classes)}"
        )
    note = f"{classifier.name} does not name its classes: taken to be {', '.join(classes)}, in this order."
    return list(range(len(classes))), [note]


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def flat(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A gray image without its last axis."""
    return image[:, :, 0] if image.shape[2] == 1 else image
