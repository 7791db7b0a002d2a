"""A model file is loaded without running anything in it, or refused with the reason."""

from pathlib import Path

import keras
import numpy as np
import pytest

from search.models.classifier import (
    Classifier,
    Labels,
    as_classifier,
    open_file,
)
from search.models.predict import (
    predict_emotion,
    predict_emotions,
    probabilities,
    raw_probabilities,
)
from search.training.probability_calibration import fit_temperature, tempered
from spaces.errors import UserError
from tests.search.models.conftest import CLASSES, drawing

# Of Keras, when saving.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_a_file_that_asks_for_code_to_be_run_is_refused(tmp_path: Path) -> None:
    """A Lambda layer holds Python code; loading it would run whatever its author wrote."""
    path = tmp_path / "trap.keras"
    keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Lambda(lambda x: x), keras.layers.Flatten()]).save(
        path
    )
    with pytest.raises(UserError, match="asks for code of its own to be run"):
        open_file(path)


@pytest.mark.parametrize("kept", [0, 100, 2000])
def test_a_broken_file_is_refused(network_file: Path, tmp_path: Path, kept: int) -> None:
    """Empty, or cut off while it was copied."""
    path = tmp_path / "broken.keras"
    path.write_bytes(network_file.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"broken\.keras is broken, or no Keras model"):
        open_file(path)


def test_other_files_and_none_are_refused(tmp_path: Path) -> None:
    """What to do instead is part of the sentence."""
    other = tmp_path / "model.h5"
    other.write_bytes(b"")
    with pytest.raises(UserError, match=r"save the model with model\.save"):
        open_file(other)
    with pytest.raises(UserError, match="does not exist"):
        open_file(tmp_path / "none.keras")


@pytest.mark.parametrize(
    ("shape", "outputs", "expected"),
    [
        ((8, 8, 5), 3, "5 channels"),
        ((None, None, 1), 3, "fixed size"),
        ((8,), 3, "one image"),
        ((8, 8, 1), 1, "two"),
    ],
)
def test_what_is_no_image_classifier_is_refused(shape: tuple[int, ...], outputs: int, expected: str) -> None:
    """By what goes in and what comes out."""
    images = keras.Input(shape)
    flat = keras.layers.GlobalAveragePooling2D()(images) if len(shape) == 3 else images
    network = keras.Model(images, keras.layers.Dense(outputs)(flat))
    with pytest.raises(UserError, match=expected):
        as_classifier(network, None, "it")


def test_another_number_of_class_names_is_refused(network_file: Path) -> None:
    """Names that fall short would name the wrong class."""
    with pytest.raises(UserError, match="tells 3 classes apart, but 2 names were given"):
        open_file(network_file, Labels(("angry", "happy")))


def test_a_class_that_is_named_twice_is_refused(network_file: Path) -> None:
    """Its two probabilities would become one."""
    with pytest.raises(UserError, match=r"but 2 different names .*\(cat, cat, dog\): name each class once"):
        open_file(network_file, Labels(("cat", "cat", "dog")))


def test_what_is_no_softmax_is_refused() -> None:
    """Logits shown as probabilities would mislead."""
    images = keras.Input((8, 8, 1))
    logits = keras.layers.Dense(3, bias_initializer="ones")(keras.layers.Flatten()(images))
    with pytest.raises(UserError, match="must be a softmax"):
        predict_emotion(keras.Model(images, logits), drawing("L"))


def test_one_picture_and_many_get_the_same_answer(classifier: Classifier) -> None:
    """In batches or one by one, labels in the network's order, and probabilities that sum to 1."""
    images = [drawing("L", (20 + n, 24)) for n in range(11)]
    together = predict_emotions(classifier, images)
    assert [one.label for one in together] == [predict_emotion(classifier, image).label for image in images]
    assert list(together[0].probabilities) == list(CLASSES)
    assert sum(together[0].probabilities.values()) == pytest.approx(1)
    assert together[0].confidence == max(together[0].probabilities.values())


def test_a_network_that_takes_fractions_gets_fractions(classifier: Classifier) -> None:
    """A file of somebody else's without a rescaling layer expects pixels divided by 255."""
    inner = classifier.network.layers[1:]
    images = keras.Input((24, 20, 1))
    x = images
    for layer in inner:
        x = layer(x)
    other = as_classifier(keras.Model(images, x), None, "other")
    pixels = np.random.default_rng(0).integers(0, 256, (5, 24, 20, 1)).astype(np.uint8)
    assert (classifier.scale, other.scale) == (1.0, 1 / 255)
    assert raw_probabilities(other, pixels) == pytest.approx(raw_probabilities(classifier, pixels), abs=1e-5)


def test_no_picture_is_no_answer(classifier: Classifier) -> None:
    """An empty batch is not an error."""
    assert probabilities(classifier, np.zeros((0, 24, 20, 1), np.uint8)).shape == (0, 3)


def test_the_temperature_that_spoilt_probabilities_is_found_again() -> None:
    """Labels drawn from probabilities fit them at 1; made surer by 2, at 2; the order never changes."""
    random = np.random.default_rng(1)
    true = random.dirichlet(np.ones(5), 20_000)
    labels = (true.cumsum(axis=1) > random.random((20_000, 1))).argmax(axis=1)
    assert fit_temperature(true, labels) == pytest.approx(1, abs=0.03)
    sure = tempered(true, 0.5)
    assert fit_temperature(sure, labels) == pytest.approx(2, abs=0.06)
    assert np.array_equal(sure.argmax(axis=1), true.argmax(axis=1))
    assert sure.sum(axis=1) == pytest.approx(1, abs=1e-6)
