"""A kept model with classes of a hypermodel's own opens by importing that; a file alone imports nothing."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from mlflow import MlflowClient

from search.models.classifier import Labels, open_file
from search.models.export import export
from search.models.registry.queries import ClientRegistry, SqliteRegistry
from search.models.registry.references import labels_of_run, open_model
from search.models.registry.registry import Registration, register
from search.tracking import names
from spaces.errors import UserError
from tests.search.models.conftest import CLASSES

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

MODULE = "somebodys_networks"
CODE = """
import keras


class Halved(keras.layers.Layer):
    def call(self, images):
        return images / 2


@keras.saving.register_keras_serializable("somebody")
class Doubled(keras.layers.Layer):
    def call(self, images):
        return images * 2


def build(hp):
    images = keras.Input((24, 20, 1))
    numbers = keras.layers.Flatten()(Doubled()(Halved()(images)))
    return keras.Model(images, keras.layers.Dense(3, activation="softmax")(numbers))
"""


@pytest.fixture
def forget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Makes this process one that has not imported the module."""
    known = keras.saving.get_custom_objects()
    before = dict(known)

    def forgotten() -> None:
        sys.modules.pop(MODULE, None)
        known.clear()
        known.update(before)

    (tmp_path / f"{MODULE}.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield forgotten
    forgotten()


@pytest.fixture
def run(
    store: tuple[str, MlflowClient],
    run_of: Callable[[str], str],
    forget: Callable[[], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """The run of the module's hypermodel, which kept its model."""
    with monkeypatch.context() as here:
        here.syspath_prepend(str(tmp_path))
        model = __import__(MODULE).build(None)
    model.save(tmp_path / names.MODEL_KERAS)
    forget()
    client, found = store[1], run_of("a")
    client.log_artifact(found, str(tmp_path / names.MODEL_KERAS))
    client.set_tag(found, names.FAMILY, f"{MODULE}:build")
    return found


def _register(client: MlflowClient, run: str) -> None:
    labels = labels_of_run(client, run)
    register(client, Registration("small", run, labels, (24, 20, 1), {}, "What it is."))


def test_it_opens_by_run_and_by_alias(
    store: tuple[str, MlflowClient], run: str, forget: Callable[[], None]
) -> None:
    tracking, client = store
    _register(client, run)
    for reference in (run, "champion"):
        forget()
        classifier = open_model(reference, tracking)
        assert [type(layer).__name__ for layer in classifier.network.layers[1:3]] == ["Halved", "Doubled"]
        assert MODULE in sys.modules


def test_both_shelves_know_what_built_it(store: tuple[str, MlflowClient], run: str) -> None:
    """And say nothing where the run does not, or there is none."""
    tracking, client = store
    _register(client, run)
    direct, asked = SqliteRegistry.open(tracking), ClientRegistry(client)
    assert direct is not None
    for registry in (direct, asked):
        assert (registry.family("small", "1"), registry.family("small", "9")) == (f"{MODULE}:build", "")
    client.delete_tag(run, names.FAMILY)
    assert [registry.family("small", "1") for registry in (direct, asked)] == ["", ""]


@pytest.mark.parametrize("form", ["keras", "onnx"])
def test_it_is_exported(store: tuple[str, MlflowClient], run: str, tmp_path: Path, form: str) -> None:
    if form == "onnx":
        pytest.importorskip("onnxruntime")
    classifier = open_model(run, store[0])
    images = np.random.default_rng(0).integers(0, 256, (5, 24, 20, 1)).astype(np.uint8)
    done = export(classifier, tmp_path / names.MODEL_KERAS, form, tmp_path / "out", images)
    assert done.changed_labels == 0


def test_a_file_imports_nothing(run: str, tmp_path: Path) -> None:
    """The same one, from elsewhere: what it names is code."""
    for opening in (
        lambda: open_file(tmp_path / names.MODEL_KERAS, Labels(CLASSES)),
        lambda: open_model(str(tmp_path / names.MODEL_KERAS), labels=Labels(CLASSES)),
    ):
        with pytest.raises(UserError, match="has a layer that is not one of Keras' own"):
            opening()
    assert MODULE not in sys.modules


def test_a_module_that_is_gone_or_has_changed_is_named(
    store: tuple[str, MlflowClient], run: str, forget: Callable[[], None], tmp_path: Path
) -> None:
    file = tmp_path / f"{MODULE}.py"
    for code, expected in {
        CODE.replace("Halved", "Third"): f"needs Halved of {MODULE}, which Keras does not find",
        "1 / 0": rf"{MODULE}, which built a kept model, cannot be imported \(ZeroDivisionError: division",
        "import nothing_of_this_name": f"{MODULE} imports nothing_of_this_name, which is not installed",
    }.items():
        forget()
        file.write_text(code)
        with pytest.raises(UserError, match=expected):
            open_model(run, store[0])
    file.unlink()
    with pytest.raises(UserError, match=f"no module '{MODULE}': start in the folder that holds it"):
        open_model(run, store[0])


def test_a_model_of_keras_layers_needs_no_module(
    store: tuple[str, MlflowClient], run_of: Callable[[str], str]
) -> None:
    """It opens in any folder, as it did."""
    found = run_of("a")
    store[1].set_tag(found, names.FAMILY, "not_there:build")
    assert open_model(found, store[0]).labels.class_names == CLASSES
