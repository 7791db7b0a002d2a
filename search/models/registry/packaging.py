"""A model version as a folder: what MLflow needs to load and to serve it. Nothing in it is pickled.

Keras is not imported: the code that a version carries (`serving.py`) imports it when it is loaded.
"""

import base64
import io
import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from search.models.classifier import Labels
from search.tracking import names

_CODE: Final = Path(__file__).with_name("serving.py")
_BACKENDS: Final = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}
_EXAMPLE: Final = {"artifact_path": "input_example.json", "serving_input_path": "serving_input_example.json"}


@dataclass(frozen=True)
class Contents:
    """What goes into a version. texts: further files, by name, such as a model card."""

    model: Path
    labels: Labels
    image_shape: tuple[int, int, int]
    texts: Mapping[str, str]


def pack(contents: Contents, folder: Path) -> Path:
    """Write a version's folder: signature, input example, pinned requirements.

    Args:
        contents: What the version is made of.
        folder: The folder, which must not exist.

    Returns:
        The folder.
    """
    labels = folder.with_name(names.LABELS_JSON)
    labels.write_text(contents.labels.text(backend=backend()), encoding="utf-8")
    with warnings.catch_warnings(record=True):
        # An image is text or numbers, which MLflow can only call "any", and it remarks upon that in spite
        # of any filter. serving.py checks what it is given.
        import mlflow.pyfunc

        mlflow.pyfunc.save_model(
            folder,
            python_model=str(_CODE),
            artifacts={"model": str(contents.model), "labels": str(labels)},
            pip_requirements=requirements(),
        )
    labels.unlink()
    _add_example(folder, contents.image_shape)
    for name, text in contents.texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def backend() -> str:
    """The backend that Keras would take here."""
    return os.environ.get("KERAS_BACKEND", "tensorflow")


def requirements() -> list[str]:
    """What loading and serving need, in the versions of this machine; MLflow adds itself."""
    packages = ("keras", _BACKENDS[backend()], "numpy", "pillow")
    return [f"{package}=={metadata.version(package)}" for package in packages]


def _add_example(folder: Path, image_shape: tuple[int, int, int]) -> None:
    """A gray image: an example of the form, which gives away no picture of the data.

    Passed to `save_model`, it would be predicted at once, and Keras loaded into this process.
    """
    from mlflow.models import Model

    height, width, channels = image_shape
    image = Image.fromarray(np.full((height, width, 3), 127, np.uint8)).convert(
        "L" if channels == 1 else "RGB"
    )
    with io.BytesIO() as file:
        image.save(file, "PNG")
        example = [base64.b64encode(file.getvalue()).decode()]
    (folder / _EXAMPLE["artifact_path"]).write_text(json.dumps(example))
    (folder / _EXAMPLE["serving_input_path"]).write_text(json.dumps({"inputs": example}))
    described = Model.load(folder)
    described.saved_input_example_info = {"type": "json_object", **_EXAMPLE}
    described.save(folder / "MLmodel")
