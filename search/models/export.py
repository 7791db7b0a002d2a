"""A model as a file to take elsewhere, checked against what Keras itself answers."""

import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from search.models.classifier import Classifier, open_file
from search.models.predict import raw_probabilities
from search.safety.output import OutputFolder
from search.tracking import names
from spaces.errors import UserError

if TYPE_CHECKING:
    pass

FORMATS: Final = ("keras", "onnx")
_BATCH: Final = 256


@dataclass(frozen=True)
class Exported:
    """What was written. largest_difference: of one probability, over all images that were compared."""

    path: Path
    images: int
    largest_difference: float
    changed_labels: int


def export(
    classifier: Classifier,
    source: Path,
    form: str,
    folder: Path,
    images: NDArray[np.uint8],
    *,
    force: bool = False,
) -> Exported:
    """Write a model and its labels into a folder, and compare its answers with the original's.

    Args:
        classifier: The model.
        source: The `.keras` file that it was opened from.
        form: "keras" or "onnx".
        folder: The folder to write to.
        images: Images to compare on, uint8 (images, height, width, channels).
        force: Whether to overwrite files that Candor did not write.

    Returns:
        The file and how far its answers differ.

    Raises:
        UserError: If a format cannot be had here, or the folder holds a file of somebody else's.
    """
    if form not in FORMATS:
        raise UserError(f'"{form}" is no format: choose one of {", ".join(FORMATS)}')
    expected = raw_probabilities(classifier, images)
    if (folder / f"model.{form}").exists() and (folder / f"model.{form}").samefile(source):
        raise UserError(f"{source} is the model itself: name another folder to export it to")
    with OutputFolder(folder, force=force) as files:
        files.check((f"model.{form}", names.LABELS_JSON))
        answer = {"keras": _to_keras, "onnx": _to_onnx}[form](classifier, source, files.path(f"model.{form}"))
        files.write(names.LABELS_JSON, classifier.labels.text(image_shape=classifier.image_shape))
    found = np.concatenate([answer(images[at : at + _BATCH]) for at in range(0, len(images), _BATCH)])
    return Exported(
        path=folder / f"model.{form}",
        images=len(images),
        largest_difference=float(np.abs(found - expected).max()),
        changed_labels=int((found.argmax(axis=1) != expected.argmax(axis=1)).sum()),
    )


Answer = Callable[[NDArray[np.uint8]], NDArray[np.floating[Any]]]


def _to_keras(classifier: Classifier, source: Path, path: Path) -> Answer:
    shutil.copyfile(source, path)
    again = open_file(path, classifier.labels)
    return lambda images: raw_probabilities(again, images)


def _to_onnx(classifier: Classifier, source: Path, path: Path) -> Answer:
    import keras

    try:
        import onnx  # noqa: F401
        import onnxruntime
    except ImportError as error:
        raise UserError(
            f"{error.name} is not installed: in Candor's folder, .venv/bin/pip install -e '.[onnx]'"
        ) from error
    if keras.backend.backend() != "tensorflow":
        raise UserError("ONNX is written through TensorFlow: unset KERAS_BACKEND for this command")
    network, shape = classifier.network, classifier.image_shape
    network(np.zeros((1, *shape), classifier.inputs(np.zeros((1, *shape), np.uint8)).dtype))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tf2onnx looks for names that numpy had before version 2
        network.export(str(path), format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: np.asarray(session.run(None, {name: classifier.inputs(images)})[0])
