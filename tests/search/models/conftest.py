"""What the tests of models share: a small network in a file, pictures of every kind, a store with a run."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from PIL import Image

from search.models.classifier import Classifier, Labels, open_file
from search.models.registry.references import client_of
from search.tracking import names
from tests.support.images.odd_pictures import NOTES, TRANSPARENT, sideways, strokes
from tests.support.studies.stores import new_store

CLASSES = ("angry", "happy", "sad")


@pytest.fixture(scope="session")
def network_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network: uint8 (24, 20, 1) to 3 classes. Not square, so that no axis can be mistaken."""
    import keras

    keras.utils.set_random_seed(3)
    network = keras.Sequential(
        [
            keras.Input((24, 20, 1), dtype="uint8"),
            keras.layers.Rescaling(1 / 255, dtype="float32"),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(
                3, activation="softmax", kernel_initializer=keras.initializers.RandomNormal(stddev=9)
            ),
        ]
    )
    path = tmp_path_factory.mktemp("network") / "small.keras"
    network.save(path)
    return path


@pytest.fixture(scope="session")
def classifier(network_file: Path) -> Classifier:
    return open_file(network_file, Labels(CLASSES, temperature=1.5))


def drawing(mode: str, size: tuple[int, int] = (31, 45)) -> Image.Image:
    """A colourful gradient in one of Pillow's modes; size: width, height."""
    width, height = size
    rows, columns = np.mgrid[0:height, 0:width]
    rgb = np.stack([rows * 255 // height, columns * 255 // width, (rows * columns) % 256], axis=2)
    image = Image.fromarray(rgb.astype(np.uint8))
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    return image.convert(mode)


@pytest.fixture
def pictures(tmp_path: Path) -> dict[str, Path]:
    """A file of every colour mode that the formats know, in different sizes; transparent and turned ones."""
    kinds = {
        "1": "png",
        "L": "png",
        "LA": "png",
        "P": "png",
        "RGB": "bmp",
        "RGBA": "webp",
        "CMYK": "jpg",
        "I;16": "png",
    }
    found = {}
    for number, (mode, suffix) in enumerate(kinds.items()):
        found[mode] = tmp_path / f"{number}.{suffix}"
        drawing(mode, (20 + 7 * number, 24 + 5 * number)).save(found[mode])
    odd = {f"turned by {note}": sideways(drawing("RGB", (60, 30)), note) for note in NOTES}
    odd |= {f"transparent {mode}": strokes(mode) for mode in TRANSPARENT}
    for name, content in odd.items():
        found[name] = tmp_path / f"{name}.png"
        found[name].write_bytes(content)
    return found


@pytest.fixture
def store(tmp_path: Path) -> tuple[str, MlflowClient]:
    """A new MLflow store in a file, and its client."""
    tracking = new_store(tmp_path)
    MlflowClient(tracking).create_experiment("small", artifact_location=(tmp_path / "artifacts").as_uri())
    return tracking, client_of(tracking)


@pytest.fixture
def run_of(store: tuple[str, MlflowClient], network_file: Path, tmp_path: Path) -> Callable[[str], str]:
    """Makes the run of an evaluation that kept its model, under a study's; gives its id."""
    client = store[1]
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    parent = client.create_run(experiment.experiment_id)
    client.log_text(parent.info.run_id, json.dumps({"data": {"class_names": CLASSES}}), names.STUDY_JSON)
    model = tmp_path / names.MODEL_KERAS
    model.write_bytes(network_file.read_bytes())

    def make(key: str) -> str:
        tags = {names.KEY: key, "mlflow.parentRunId": parent.info.run_id}
        run = client.create_run(experiment.experiment_id, tags=tags)
        client.log_metric(run.info.run_id, names.TEMPERATURE, 1.5)
        client.log_artifact(run.info.run_id, str(model))
        return str(run.info.run_id)

    return make
