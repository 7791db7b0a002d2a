"""A network that Keras cannot save, or open again, is refused before it is trained, with its class."""

import random
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from search.datasets.prepare import Prepared, prepare
from search.execution.fork_client import ForkServer
from search.workers.probe import probe
from spaces.errors import UserError
from spaces.keras_tuner.hyperparameters import DrawnHyperParameters
from spaces.saving import require_saveable
from spaces.space import Space
from tests.support.processes.tasks import small_task

OTHERS = "tests.spaces.keras_tuner.hypermodels_of_others"
TO_KEEP = "tests.spaces.hypermodels_to_keep"
SHAPE, CLASSES = (16, 16, 1), 3
IMAGES = np.random.default_rng(0).integers(0, 256, (4, *SHAPE)).astype(np.uint8)
#: Of hypermodels_to_keep: what Keras opens again.
KEPT = (
    *("shifted", "scaled", "centred", "wrapped", "bare", "registered_function", "expression"),
    *("compiled_with_its_own", "graph_compiled_with_its_own"),
)
#: What it never will, and what the user is told.
REFUSED = {
    "lambda_layer": r"open Lambda again .*Python lambda.*: in place of a lambda, .* take .* keras\.ops",
    "lambda_of_a_function": r"open Lambda again .*function 'own_square'.*keras\.ops",
    "lambda_activation": r'open Dense again .*: in place of a lambda, .*activation="softmax", or go without',
    "softmax_of_tensorflow": r"open Dense again .*function 'softmax_v2'.*not registered",
    "own_function": r"open Dense again .*function 'own_softmax'",
    "forgetful": r"open Forgetful again .*'by'.*: define that class .* all that its __init__ takes",
    "class_in_a_function": r"open Hidden again .*class 'Hidden'.*: define that class outside of any function",
}
#: Opens such files where nothing of theirs is imported, and writes down what they say.
OPENS = f"""
import sys
from pathlib import Path
import numpy as np
from search.models.classifier import register_own_classes, load
images = np.load(sys.argv[1])
for file in map(Path, sys.argv[2:]):
    register_own_classes(file, f"{TO_KEEP}:{{file.stem}}")
    np.save(file.with_suffix(".npy"), load(file, file.stem).predict_on_batch(images))
"""


def built(name: str, module: str = OTHERS) -> keras.Model:
    hp = DrawnHyperParameters(lambda _, domain: domain.default)
    return Space.parse(f"{module}:{name}").build(hp, SHAPE, CLASSES).model


@pytest.fixture
def small(tmp_path: Path) -> Prepared:
    labels = np.arange(150) % CLASSES
    images = np.random.default_rng(0).integers(0, 256, (150, *SHAPE[:2])).astype(np.uint8)
    return prepare((images, labels), tmp_path / "cache", say=lambda text: None)


def test_a_class_that_keras_has_no_config_of_is_named() -> None:
    with pytest.raises(UserError, match=r"Keras cannot save OfDrawnValues: give that class a get_config"):
        require_saveable(built("of_drawn_values"))


@pytest.mark.parametrize("name", ["build", "logits_of_bytes", "subclassed_logits"])
def test_what_is_taken_keras_saves_and_opens_with_the_same_answers(name: str, tmp_path: Path) -> None:
    model = built(name)
    require_saveable(model)
    model.save(tmp_path / "model.keras")
    own = {type(layer).__name__: type(layer) for layer in [model, *model._flatten_layers()]}
    opened = keras.saving.load_model(tmp_path / "model.keras", custom_objects=own)
    assert opened.predict_on_batch(IMAGES) == pytest.approx(model.predict_on_batch(IMAGES), abs=1e-6)


@pytest.mark.parametrize("name", REFUSED)
def test_what_keras_would_not_open_is_refused_with_what_to_do(name: str) -> None:
    with pytest.raises(UserError, match=REFUSED[name]):
        require_saveable(built(name, TO_KEEP))


@pytest.mark.slow
def test_what_is_taken_opens_in_a_process_that_has_imported_nothing_of_it(tmp_path: Path) -> None:
    """As a study keeps it: within a model that takes bytes."""
    np.save(tmp_path / "images.npy", IMAGES)
    said = {}
    for name in KEPT:
        network = built(name, TO_KEEP)
        require_saveable(network)
        images = keras.Input(SHAPE, dtype="uint8")
        model = keras.Model(images, network(keras.layers.Rescaling(1 / 255)(images)))
        model.save(tmp_path / f"{name}.keras")
        said[name] = model.predict_on_batch(IMAGES)
    files = [str(tmp_path / f"{name}.keras") for name in KEPT]
    command = [sys.executable, "-W", "ignore", "-c", OPENS, str(tmp_path / "images.npy"), *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name, answers in said.items():
        assert np.load(tmp_path / f"{name}.npy") == pytest.approx(answers, abs=1e-6), name


@pytest.mark.parametrize("name", ["expression", "centred"])
def test_looking_changes_nothing_that_decides_training(name: str) -> None:
    """Whether its model is kept must not show in an evaluation's numbers: seeds are drawn from Python's."""
    network, policy = built(name, TO_KEEP), keras.config.dtype_policy()
    weights, randomness = network.get_weights(), random.getstate()
    require_saveable(network)
    assert random.getstate() == randomness
    assert keras.config.dtype_policy() == policy
    assert all(map(np.array_equal, network.get_weights(), weights))


def test_a_child_that_is_to_keep_its_model_refuses_before_it_trains(
    server: ForkServer, tmp_path: Path, small: Prepared
) -> None:
    task = small_task(
        space=f"{OTHERS}:of_drawn_values",
        dataset=str(small.folder),
        folder=str(tmp_path / "evaluation"),
        keep_model=True,
    )
    with pytest.raises(UserError, match="Keras cannot save OfDrawnValues"):
        probe(server, task, lambda _, domain: domain.default)
    assert not Path(task.folder).exists()
