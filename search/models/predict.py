"""Pictures in, labels and probabilities out.

From Python: `predict_emotion("champion", "me.jpg").label`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from search.models.classifier import Classifier, as_classifier
from search.models.images import Picture, stacked
from search.training.measures.probability_calibration import tempered
from spaces.errors import UserError

if TYPE_CHECKING:
    import keras

_FEW: Final = 8  # images up to which tracing the network would cost more than it brings


@dataclass(frozen=True)
class Prediction:
    """What a network says of one picture. probabilities: by class, in the network's order, summing to 1."""

    name: str
    probabilities: dict[str, float]

    @property
    def label(self) -> str:
        """The most probable class."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def confidence(self) -> float:
        """Its probability."""
        return self.probabilities[self.label]


def predict_emotion(model: "Classifier | keras.Model | str", image: Any) -> Prediction:
    """Name what one picture shows.

    Args:
        model: "champion", "NAME@alias", a run id, the path of a `.keras` file, or a loaded model.
        image: A path, the bytes of a file, a Pillow image, or uint8 pixels (height, width[, 1 or 3]).

    Raises:
        UserError: If one of the two cannot be used.
    """
    return predict_emotions(model, [image])[0]


def predict_emotions(model: "Classifier | keras.Model | str", images: Iterable[Any]) -> list[Prediction]:
    """Name what many pictures show: faster than one by one.

    Args:
        model: "champion", "NAME@alias", a run id, the path of a `.keras` file, or a loaded model.
        images: Pictures, each as for `predict_emotion`.

    Raises:
        UserError: If the model or a picture cannot be used.
    """
    classifier = classifier_of(model)
    pictures = [Picture.of(image) for image in images]
    found = probabilities(classifier, stacked(pictures, classifier.image_shape, classifier.labels.bits))
    return [prediction(classifier, picture.name, row) for picture, row in zip(pictures, found, strict=True)]


def prediction(classifier: Classifier, name: str, row: NDArray[np.float32]) -> Prediction:
    """One row of probabilities with the names of its classes.

    Args:
        classifier: The model.
        name: What to call the picture.
        row: Probabilities, (classes,).
    """
    return Prediction(name, dict(zip(classifier.labels.class_names, row.tolist(), strict=True)))


def classifier_of(model: "Classifier | keras.Model | str") -> Classifier:
    """The model as a classifier, opened where it is not yet.

    Args:
        model: "champion", "NAME@alias", a run id, the path of a `.keras` file, or a loaded model.
    """
    if isinstance(model, Classifier):
        return model
    if isinstance(model, str):
        from search.models.registry.references import open_model

        return open_model(model)
    return as_classifier(model, None, getattr(model, "name", "the model"))


def probabilities(classifier: Classifier, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Temperature-scaled probabilities.

    Args:
        classifier: The model.
        images: Images, uint8 (images, height, width, channels), as the network takes them.

    Returns:
        Float32 (images, classes).
    """
    return tempered(raw_probabilities(classifier, images), classifier.labels.temperature)


def raw_probabilities(classifier: Classifier, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The network's own probabilities.

    Args:
        classifier: The model.
        images: Images, uint8 (images, height, width, channels), as the network takes them.

    Returns:
        Float32 (images, classes).

    Raises:
        UserError: If the outputs are no probabilities.
    """
    classes = len(classifier.labels.class_names)
    if not len(images):
        return np.zeros((0, classes), np.float32)
    outputs = _few(classifier, images) if len(images) <= _FEW else _many(classifier, images)
    if not np.allclose(outputs.sum(axis=1), 1.0, atol=1e-2) or outputs.min() < 0:
        raise UserError(
            f"{classifier.name} gives no probabilities: its last layer must be a softmax, so that "
            "they sum to 1"
        )
    return outputs


def _few(classifier: Classifier, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Operation by operation: nothing is traced, so that the first answer comes at once."""
    return np.asarray(classifier.network(classifier.inputs(images), training=False), np.float32)


def _many(classifier: Classifier, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """In batches of one size, the last filled up, so that the network is traced once."""
    from search.training.batches import prediction_batch  # late: it imports Keras

    size = min(prediction_batch(*classifier.image_shape[:2]), len(images))
    outputs = [_filled(classifier, images[at : at + size], size) for at in range(0, len(images), size)]
    return np.concatenate(outputs)[: len(images)]


def _filled(classifier: Classifier, images: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """One batch, filled up to so many images."""
    batch = classifier.inputs(np.asarray(images))
    batch = np.pad(batch, [(0, size - len(batch)), (0, 0), (0, 0), (0, 0)])
    return np.asarray(classifier.network.predict_on_batch(batch), np.float32)
