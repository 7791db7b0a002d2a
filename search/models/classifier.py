"""A network ready to name what is in a picture: loaded safely, its input and output understood."""

import json
import re
import textwrap
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from search.datasets.images.pixel_range import DEPTHS
from search.models import keras_file
from search.tracking import names
from spaces.errors import UserError

if TYPE_CHECKING:
    import keras

SUFFIX: Final = ".keras"
_COLDEST, _HOTTEST = 1e-3, 1e3
_LARGEST_LABELS: Final = 16 * 2**20  # bytes
_LARGEST_METADATA: Final = 64 * 2**10
_LONGEST_REASON: Final = 240  # letters of what Keras says
#: What a file raises that is no archive, is encrypted or damaged, or holds other metadata.
_NO_METADATA: Final = (
    OSError, KeyError, ValueError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


@dataclass(frozen=True)
class Labels:
    """What a model file does not say.

    Attributes:
        class_names: in the order of its outputs.
        temperature: what its logits are divided by.
        bits: that images of 16 bits a channel used in its training data; None where that is not known.
    """

    class_names: tuple[str, ...]
    temperature: float = 1.0
    bits: int | None = None

    def __post_init__(self) -> None:
        """Raises UserError for a temperature that would turn answers round or make them no numbers."""
        if not _COLDEST <= self.temperature <= _HOTTEST:
            raise UserError(
                "a temperature divides the logarithms of probabilities and lies between "
                f"{_COLDEST:g} and {_HOTTEST:g}. Received: {self.temperature}"
            )

    @classmethod
    def read(cls, path: Path) -> "Labels":
        """Read the file that `text` makes.

        Args:
            path: The file.

        Raises:
            UserError: If it is another kind of file.
        """
        try:
            with path.open("rb") as file:
                raw = file.read(_LARGEST_LABELS + 1)
            if len(raw) > _LARGEST_LABELS:
                raise ValueError("too large")
            known: Mapping[str, Any] = json.loads(raw)
            listed, temperature, bits = known["class_names"], known.get("temperature", 1.0), known.get("bits")
            if not isinstance(listed, list) or not all(isinstance(one, str | int) for one in listed):
                raise TypeError("no list of names")
            if bits not in (None, *DEPTHS):
                raise ValueError("no depth of images")
            return cls(tuple(map(str, listed)), float(temperature), bits)
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise UserError(f'{path} is no file of labels: it needs "class_names", a list') from error

    def text(self, **more: Any) -> str:
        """As JSON, with whatever else is to be known."""
        known = {"class_names": list(self.class_names), "temperature": self.temperature, **more}
        if self.bits is not None:
            known["bits"] = self.bits
        return json.dumps(known, indent=1, ensure_ascii=False)


@dataclass(frozen=True)
class Classifier:
    """A loaded network.

    Attributes:
        network: images (n, *image_shape) to probabilities (n, classes).
        labels: its classes and its temperature.
        image_shape: height, width, channels (1 or 3).
        scale: what pixels from 0 to 255 are multiplied by before the network sees them: 1 where it is
            made for bytes, 1/255 where it is made for [0, 1] (`spaces.input_range.takes_bytes`).
        name: what a person calls it.
    """

    network: "keras.Model"
    labels: Labels
    image_shape: tuple[int, int, int]
    scale: float
    name: str

    def inputs(self, images: NDArray[np.uint8]) -> NDArray[Any]:
        """What the network is given for images.

        Args:
            images: Images, uint8 (images, height, width, channels), as the network takes them.
        """
        return images if self.scale == 1.0 else images.astype(np.float32) * np.float32(self.scale)


def open_file(path: Path, labels: Labels | None = None, name: str | None = None) -> Classifier:
    """Open a `.keras` file. Nothing in it is executed: what asks for that is refused.

    Args:
        path: The file.
        labels: Names of its classes; None for those in `labels.json` beside it, else numbers.
        name: What to call the model in messages; None for the path.

    Raises:
        UserError: If it is no image classifier, or asks to run code.
    """
    called = name or str(path)
    beside = path.with_name(names.LABELS_JSON)
    if labels is None and beside.is_file():
        labels = Labels.read(beside)
    return as_classifier(load(path, called), labels, called)


def register_own_classes(path: Path, family: str) -> None:
    """Let Keras know the custom classes of a model that a study kept.

    It imports the module of a hypermodel: never call it for a file from elsewhere.

    Args:
        path: The model's file.
        family: The family of the run that kept it.

    Raises:
        UserError: If the module cannot be imported, or lacks a class.
    """
    if ":" not in family:
        return
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return  # `load` says what is wrong with it
    from spaces.keras_tuner.custom_objects import import_custom_objects

    import_custom_objects(config, family)


def load(path: Path, called: str) -> "keras.Model":
    """Load the Keras model of a file.

    Args:
        path: The file.
        called: What to call the model in messages.

    Raises:
        UserError: If it is no model, broken, or asks to run code.
    """
    if path.is_dir():
        raise UserError(
            f"{called} is a folder: give a {SUFFIX} file, as model.save('name{SUFFIX}') writes it"
        )
    if not path.is_file():
        raise UserError(f"the model {called} does not exist: check the path")
    if path.suffix != SUFFIX:
        raise UserError(f"{called} is no {SUFFIX} file: save the model with model.save('name{SUFFIX}')")
    if not zipfile.is_zipfile(path):  # Keras would say that it does not exist
        raise UserError(_broken(called, "such a file is a zip archive, and this is none"))
    import keras

    version = _written_by(path)
    try:
        keras_file.check(path, called)
    except UserError as error:
        if not _of_another_version(version, keras.__version__) or "code of its own" in str(error):
            raise
        reason = re.sub(
            r"^is broken, or no Keras model \((.*)\): .*|: build .*", r"\1", _after(called, error)
        )
        raise UserError(_refusal(called, reason, version, keras.__version__)) from error
    try:
        return keras.saving.load_model(path, safe_mode=True, compile=False)
    except Exception as error:  # whatever a file from elsewhere makes Keras raise
        raise UserError(_refusal(called, str(error), version, keras.__version__)) from error


def _refusal(called: str, reason: str, version: str, own: str) -> str:
    """Say why Keras `own` does not open a file that version `version` wrote ("" where that is unknown)."""
    if "safe_mode" in reason or "unsafe" in reason.lower() or "Lambda" in reason:
        return (
            f"{called} asks for code of its own to be run when it is loaded (a Lambda layer, say), which is "
            "refused: build it from Keras' layers alone"
        )
    if _of_another_version(version, own):
        return (
            f"{called} was written by Keras {version}, and Keras {own}, which runs here, cannot open it "
            f"({_first_sentence(reason)}): {_way_over(version, own)}"
        )
    if "Could not locate" in reason or "register_keras_serializable" in reason:
        return f"{called} has a layer that is not one of Keras' own: build it from Keras' layers alone"
    return _broken(called, _first_sentence(reason))


def _of_another_version(version: str, own: str) -> bool:
    return bool(version) and version.split(".")[:2] != own.split(".")[:2]


def _after(called: str, error: UserError) -> str:
    return str(error).removeprefix(f"{called} ")


def _broken(called: str, reason: str) -> str:
    return f"{called} is broken, or no Keras model ({reason}): save or fetch it again"


def _way_over(version: str, own: str) -> str:
    """What brings a model from one version of Keras to another."""
    if version.split(".")[0] != own.split(".")[0]:
        return (
            f"build the same network with Keras {own}, give it the old one's weights "
            f"(set_weights(old.get_weights())), and save that with model.save('name{SUFFIX}')"
        )
    return (
        f"open it where Keras {version} is installed and save it there under Keras {own}, or install "
        f"keras=={version} beside Candor"
    )


def _written_by(path: Path) -> str:
    """The version of Keras that wrote a file; "" where it says none."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open("metadata.json") as file:
            version = str(json.loads(file.read(_LARGEST_METADATA))["keras_version"])
    except _NO_METADATA:
        return ""
    return version if re.fullmatch(r"\d+(\.\w+){1,5}", version[:40], re.ASCII) else ""


def _first_sentence(reason: str) -> str:
    """What Keras complained of first, as a whole sentence, without the configs that it repeats."""
    said = " ".join(reason.rpartition("Exception encountered: ")[2].split())
    first = re.split(r"(?<=[^.])\.(?= |$)| config=\{", said)[0]
    short = first if len(first) <= _LONGEST_REASON else re.split(r":? [{\[(]", first)[0]
    return textwrap.shorten(short, _LONGEST_REASON, placeholder=" ...") or "no reason is given"


def as_classifier(network: "keras.Model", labels: Labels | None, called: str) -> Classifier:
    """Find out what goes into a network, computed in float32, and what comes out.

    Args:
        network: The network.
        labels: Names of its classes; None for numbers.
        called: What to call the model in messages.

    Raises:
        UserError: If it is no image classifier.
    """
    shape = _image_shape(network, called)
    classes = _classes(network, called)
    network = keras_file.in_float32(network)
    labels = labels or Labels(tuple(f"class {number}" for number in range(classes)))
    given, different = len(labels.class_names), len(set(labels.class_names))
    if not given == different == classes:
        count = f"{different} different" if given == classes else f"{given}"
        raise UserError(
            f"{called} tells {classes} classes apart, but {count} names were given "
            f"({', '.join(labels.class_names)}): name each class once, in the model's order"
        )
    from spaces.input_range import takes_bytes  # late: it imports Keras

    return Classifier(network, labels, shape, 1.0 if takes_bytes(network, shape) else 1 / 255, called)


def _image_shape(network: "keras.Model", called: str) -> tuple[int, int, int]:
    shape = network.input_shape
    if not isinstance(shape, tuple) or len(shape) != 4:
        raise UserError(
            f"{called} does not take one image (height, width, channels) at a time: its input is {shape}"
        )
    _, height, width, channels = shape
    if channels not in (1, 3) or not height or not width:
        raise UserError(
            f"{called} takes images of {height} x {width} with {channels} channels: Candor can give it gray "
            "(1) or RGB (3) images of a fixed size"
        )
    return int(height), int(width), int(channels)


def _classes(network: "keras.Model", called: str) -> int:
    shape = network.output_shape
    if isinstance(shape, tuple) and len(shape) == 2 and shape[1] == 1:
        raise UserError(
            f"{called} ends in one number, such as a sigmoid unit: Candor needs a probability for each "
            'class, of two or more. End it in Dense(2, activation="softmax") and train that'
        )
    if not isinstance(shape, tuple) or len(shape) != 2 or not shape[1]:
        raise UserError(f"{called} gives no probabilities of two classes or more: its output is {shape}")
    return int(shape[1])
