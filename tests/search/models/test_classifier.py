"""A model file is loaded without running anything in it, or refused with the reason."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
from search.models.registry.references import open_model
from search.training.measures.probability_calibration import fit_temperature, tempered
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


def divided(pixels: Any) -> Any:
    """An operator, no layer."""
    return pixels / 255.0


def to_minus_one(fractions: Any) -> Any:
    """A layer that rescales, but fractions."""
    return keras.layers.Rescaling(2.0, offset=-1.0)(fractions)


def standardised(fractions: Any) -> Any:
    """A layer that normalises, but fractions."""
    return keras.layers.Normalization(mean=[0.5], variance=[0.08])(fractions)


@pytest.mark.parametrize(
    ("first", "scale"),
    [
        (divided, 1.0),
        (lambda x: x / 127.5 - 1.0, 1.0),
        (keras.layers.Rescaling(1 / 255), 1.0),
        (keras.layers.Normalization(mean=[130.0], variance=[4000.0]), 1.0),
        (keras.applications.mobilenet_v2.preprocess_input, 1.0),
        (to_minus_one, 1 / 255),
        (standardised, 1 / 255),
        (lambda x: x, 1 / 255),
    ],
)
def test_a_file_is_fed_the_pixels_that_it_is_made_for(
    first: Callable[[Any], Any], scale: float, tmp_path: Path
) -> None:
    """Dark and bright pictures are told apart however the model scales: by a threshold in the middle."""
    images = keras.Input((8, 8, 1))
    read = keras.layers.GlobalAveragePooling2D()(first(images))
    dense = keras.layers.Dense(2, activation="softmax")
    model = keras.Model(images, dense(read))
    grey = np.full((1, 8, 8, 1), 127.5 * scale, np.float32)
    middle = float(np.asarray(keras.Model(images, read)(grey)).item())
    dense.set_weights([np.array([[0.0, 40.0]]), np.array([0.0, -40.0 * middle])])
    model.save(tmp_path / "m.keras")
    opened = open_file(tmp_path / "m.keras", Labels(("dark", "bright")))
    shades = [np.full((8, 8), shade, np.uint8) for shade in (40, 110, 145, 220)]
    assert opened.scale == scale
    assert [one.label for one in predict_emotions(opened, shades)] == ["dark", "dark", "bright", "bright"]


def other_version(network_file: Path, path: Path, version: str, config: dict[str, str]) -> Path:
    """The same file, said to be written by another Keras, with some words of its config changed."""
    with zipfile.ZipFile(network_file) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "metadata.json":
                content = json.dumps({"keras_version": version}).encode()
            if name == "config.json":
                for one, other in config.items():
                    content = content.replace(one.encode(), other.encode())
            new.writestr(name, content)
    return path


def test_what_a_file_says_of_its_version_is_not_repeated_unless_it_is_one(
    network_file: Path, tmp_path: Path
) -> None:
    path = other_version(
        network_file, tmp_path / "odd.keras", "3\x1b[31m" + "9" * 500, {'"Conv2D"': '"Conv9D"'}
    )
    with pytest.raises(UserError) as caught:
        open_file(path)
    assert "9999" not in str(caught.value)


@pytest.mark.parametrize("version", ["2.15.0", "3.99.0"])
@pytest.mark.parametrize(
    "change",
    [{'"Conv2D"': '"Conv9D"'}, {'"filters": 4': '"filters": 4, "of_later": 1'}, {"{": "[", "}": "]"}],
)
def test_a_file_of_another_keras_says_which(
    network_file: Path, tmp_path: Path, version: str, change: dict[str, str]
) -> None:
    """In whole words, and with what to do: the file is neither broken nor somebody's own layer."""
    path = other_version(network_file, tmp_path / "other.keras", version, change)
    with pytest.raises(UserError) as caught:
        open_file(path)
    said = str(caught.value)
    assert f"was written by Keras {version}, and Keras {keras.__version__}" in said
    assert "set_weights" in said if version.startswith("2") else f"keras=={version}" in said
    assert len(said) < 700


def test_a_broken_file_of_this_keras_is_called_broken_in_whole_sentences(
    network_file: Path, tmp_path: Path
) -> None:
    change = {'"filters": 4': '"filters": 4, "unheard_of": 1'}
    path = other_version(network_file, tmp_path / "own.keras", keras.__version__, change)
    with pytest.raises(UserError, match=r"is broken, or no Keras model \(.*unheard_of.*\): save or fetch"):
        open_file(path)


def test_a_single_sigmoid_unit_gets_the_hint_at_two_classes() -> None:
    images = keras.Input((8, 8, 1))
    unit = keras.layers.Dense(1, activation="sigmoid")(keras.layers.Flatten()(images))
    with pytest.raises(UserError, match=r'one number, such as a sigmoid.*Dense\(2, activation="softmax"\)'):
        as_classifier(keras.Model(images, unit), None, "it")


def test_labels_that_are_no_list_are_refused(tmp_path: Path) -> None:
    """A text would be taken apart into letters."""
    (tmp_path / "labels.json").write_text('{"class_names": "cat"}')
    with pytest.raises(UserError, match='it needs "class_names", a list'):
        Labels.read(tmp_path / "labels.json")


@pytest.mark.parametrize(
    "reference", ["mine.h5", "models/mine", "./mine", "mine.keras", "out.onnx", "/m/mine"]
)
def test_a_missing_file_is_no_missing_study(reference: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"the model {reference} does not exist"):
        open_model(reference, f"sqlite:///{tmp_path}/mlflow.db")


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
