"""A `.keras` file names nothing but layers and known functions, and answers in float32 everywhere."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from search.models import keras_file
from search.models.classifier import Labels, load, open_file
from search.models.predict import raw_probabilities
from search.models.registry.serving import ImageClassifier
from spaces.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
CLASSES = ("left", "middle", "right")


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """One with what families and hypermodels have: 16 bits, operators, functions, regularizers."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        images = keras.Input((16, 16, 1), dtype="uint8")
        x = keras.layers.Rescaling(1 / 255, dtype="float32")(images)
        x = keras.layers.Conv2D(8, 3, activation="relu", kernel_regularizer="l2")(x)
        x = keras.layers.Conv2D(8, 3, kernel_constraint=keras.constraints.MaxNorm(2))(x)
        x = keras.ops.relu(x + 1.0) * keras.ops.mean(x, axis=(1, 2), keepdims=True)
        x = keras.layers.Dense(16, activation=keras.activations.gelu)(keras.layers.Flatten()(x))
        answers = keras.layers.Dense(3, activation="softmax", dtype="float32")(x)
        made = keras.Model(images, answers)
    finally:
        keras.config.set_dtype_policy("float32")
    made.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return made


@pytest.fixture
def file(network: keras.Model, tmp_path: Path) -> Path:
    path = tmp_path / "model.keras"
    network.save(path)
    return path


def rewritten(file: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """The same file with another description of its network."""
    with zipfile.ZipFile(file) as old:
        entries = {name: old.read(name) for name in old.namelist()}
    config = json.loads(entries["config.json"])
    changed = change(config)
    entries["config.json"] = json.dumps(config if changed is None else changed).encode()
    path = file.with_name("other.keras")
    with zipfile.ZipFile(path, "w") as new:
        for name, content in entries.items():
            new.writestr(name, content)
    return path


def test_an_ordinary_network_opens_and_answers_as_when_it_is_served(
    file: Path, network: keras.Model, tmp_path: Path
) -> None:
    classifier = open_file(file, Labels(CLASSES))
    labels = tmp_path / "labels.json"
    labels.write_text(classifier.labels.text(backend=keras.backend.backend()))
    served = ImageClassifier()
    served.load_context(SimpleNamespace(artifacts={"labels": str(labels), "model": str(file)}))
    pixels = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 1)).astype(np.uint8)
    answered = [one["probabilities"] for one in served.predict(None, [image[..., 0] for image in pixels])]
    predicted = raw_probabilities(classifier, pixels)
    assert np.array([[row[name] for name in CLASSES] for row in answered]) == pytest.approx(
        predicted, abs=1e-6
    )
    single = np.concatenate([raw_probabilities(classifier, image[None]) for image in pixels])
    assert single == pytest.approx(predicted, abs=1e-6)
    half = keras.ops.convert_to_numpy(network(pixels))
    assert half == pytest.approx(predicted, abs=0.02)


@pytest.mark.parametrize(
    ("module", "name", "config"),
    [
        ("keras.callbacks", "CSVLogger", {"filename": "/tmp/x"}),
        ("keras.callbacks", "ModelCheckpoint", {"filepath": "/tmp/x"}),
        ("keras.utils", "get_file", {"origin": "http://evil.example"}),
        ("keras.src.callbacks.csv_logger", "CSVLogger", {"filename": "/tmp/x"}),
        ("keras.layers", "TFSMLayer", {"filepath": "/tmp/x"}),
        ("keras.layers", "TorchModuleWrapper", {"module": "x"}),
        ("keras.layers", "StringLookup", {"vocabulary": "/etc/passwd"}),
        ("keras.layers", "Lambda", {"function": "x"}),
        ("builtins", "eval", {}),
        ("os", "system", {}),
        ("keras", "Variable", {}),
        (None, "CSVLogger", {}),
        ("keras.optimizers", "Adam", {}),
        ("keras_cv.layers", "Anything", {}),
        ([], "Dense", {}),
        ("keras.layers", ["Dense"], {}),
        ("keras.layers", "__class__", {}),
        ("builtins", "function", "open"),
        ("keras.utils", "function", "get_file"),
        (None, "__lambda__", {"value": "x"}),
        ("tensorflow", "__typespec__", []),
    ],
)
def test_what_is_no_part_of_a_network_is_not_made(
    file: Path, monkeypatch: pytest.MonkeyPatch, module: Any, name: Any, config: Any
) -> None:
    part = {"module": module, "class_name": name, "config": config, "registered_name": None}

    def add(whole: dict[str, Any]) -> None:
        whole["config"]["layers"][2]["config"]["kernel_initializer"] = part

    def made(*_: Any, **__: Any) -> None:
        raise AssertionError("Keras began to make something")

    monkeypatch.setattr(keras.saving, "load_model", made)
    with pytest.raises(UserError, match="build it from Keras' layers alone"):
        load(rewritten(file, add), "it")
    whole_is_it = rewritten(file, lambda _: part)
    with pytest.raises(UserError, match="build it from Keras' layers alone"):
        load(whole_is_it, "it")


@pytest.mark.parametrize("document", [[], 3, "x", None])
def test_a_description_that_is_no_table_is_one_sentence(file: Path, document: Any) -> None:
    with pytest.raises(UserError, match="is broken, or no Keras model"):
        load(rewritten(file, lambda _: document if document is not None else 0), "it")


def test_depth_size_and_further_files_are_bounded(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    deep = tmp_path / "deep.keras"
    with zipfile.ZipFile(deep, "w") as archive:
        archive.writestr("config.json", '{"class_name": ' + "[" * 100_000 + "]" * 100_000 + "}")
    with pytest.raises(UserError, match="is broken"):
        load(deep, "it")
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("assets/vocabulary.txt", "x")
    with pytest.raises(UserError, match=r"it holds 'assets/vocabulary\.txt'"):
        load(file, "it")
    monkeypatch.setattr(keras_file, "_LARGEST_CONFIG", 10)
    with pytest.raises(UserError, match="unpacks to more than a network takes"):
        load(deep, "it")


@pytest.mark.parametrize("temperature", [0, -1, "nan", "inf", 1e-9, 1e9, None, [], "x", "1" * 5000])
def test_a_temperature_that_is_none_is_one_sentence(tmp_path: Path, temperature: Any) -> None:
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"class_names": ["a", "b"], "temperature": temperature}))
    with pytest.raises(UserError, match=r"temperature divides|is no file of labels"):
        Labels.read(path)


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"class_names": ' + "[" * 50_000 + "]" * 50_000 + "}", "", "\x00", "[]",
     '{"class_names": "ab"}',
     '{"class_names": {"a": 1}}', '{"class_names": [["a"], "b"]}', '{"class_names": [' + "9" * 5000 + "]}"],
)  # fmt: skip
def test_labels_that_are_none_are_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "labels.json"
    path.write_text(text)
    with pytest.raises(UserError, match="is no file of labels"):
        Labels.read(path)


def test_a_file_of_labels_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    with path.open("wb") as sparse:
        sparse.truncate(10**12)
    with pytest.raises(UserError, match="is no file of labels"):
        Labels.read(path)


@pytest.mark.parametrize("number", [10**400, -(10**400), 1e308, float("nan"), "x", None, [], {}, [[[]]]])
def test_a_served_model_refuses_numbers_that_are_no_pixels(file: Path, tmp_path: Path, number: Any) -> None:
    labels = tmp_path / "labels.json"
    labels.write_text(Labels(CLASSES).text(backend=keras.backend.backend()))
    served = ImageClassifier()
    served.load_context(SimpleNamespace(artifacts={"labels": str(labels), "model": str(file)}))
    deep: Any = 1
    for _ in range(900):
        deep = [deep]
    for image in ([[number] * 16] * 16, deep):
        with pytest.raises(Exception, match="image 0 of the request is none") as refused:
            served.predict(None, [image])
        assert len(str(refused.value)) < 1000
