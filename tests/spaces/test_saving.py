"""A network that Keras cannot save is refused before it is trained, with the name of its class."""

from pathlib import Path

import keras
import numpy as np
import pytest

from search.datasets.prepare import Prepared, prepare
from search.execution.children import ForkServer
from search.execution.probe import probe
from search.execution.protocol import Task
from spaces.errors import UserError
from spaces.hyperparameters import DrawnHyperParameters
from spaces.saving import require_saveable
from spaces.space import Space

OTHERS = "tests.spaces.hypermodels_of_others"
SHAPE, CLASSES = (16, 16, 1), 3


def built(name: str) -> keras.Model:
    hp = DrawnHyperParameters(lambda _, domain: domain.default)
    return Space.parse(f"{OTHERS}:{name}").realise(hp, SHAPE, CLASSES).model


@pytest.fixture
def small(tmp_path: Path) -> Prepared:
    labels = np.arange(150) % CLASSES
    images = np.random.default_rng(0).integers(0, 256, (150, *SHAPE[:2])).astype(np.uint8)
    return prepare((images, labels), tmp_path / "cache", say=lambda text: None)


def test_a_class_that_keras_has_no_config_of_is_named() -> None:
    with pytest.raises(UserError, match=r"Keras cannot save OfDrawnValues: give that class a get_config"):
        require_saveable(built("of_drawn_values"))


@pytest.mark.parametrize("name", ["build", "logits_of_bytes", "subclassed_logits"])
def test_what_keras_saves_is_taken(name: str, tmp_path: Path) -> None:
    model = built(name)
    require_saveable(model)
    model.save(tmp_path / "model.keras")


def test_a_child_that_is_to_keep_its_model_refuses_before_it_trains(tmp_path: Path, small: Prepared) -> None:
    task = Task(
        key="saving",
        seed=0,
        space=f"{OTHERS}:of_drawn_values",
        dataset=str(small.folder),
        folder=str(tmp_path / "evaluation"),
        recipe={},
        epochs=1,
        patience=1,
        objective="val_accuracy",
        precision="float32",
        threads=1,
        monitor_fraction=0.1,
        monitor_seed=0,
        keep_model=True,
    )
    server = ForkServer(tmp_path / "children.log")
    server.start()
    try:
        assert server.wait_until_ready(240)
        with pytest.raises(UserError, match="Keras cannot save OfDrawnValues"):
            probe(server, task, lambda _, domain: domain.default)
    finally:
        server.close()
    assert not Path(task.folder).exists()
