"""What a `.keras` file asks Keras to make, checked before anything is made, and computed in float32."""

import json
import re
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from search.safety.sizes import check_unpacked
from spaces.errors import UserError

if TYPE_CHECKING:
    import keras

#: Bytes of a description: a network of ten thousand layers has some 20 MB.
_LARGEST_CONFIG: Final = 64 * 2**20
_LARGEST: Final = 32 * 2**30
_FILES: Final = frozenset({"metadata.json", "config.json", "model.weights.h5"})
_PLAIN: Final = frozenset(
    {"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"}
)
#: They run code of the file's, or read files that it names; no image classifier needs them.
_REFUSED: Final = frozenset(
    {
        "Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer",
        "StringLookup", "IntegerLookup", "TextVectorization", "IndexLookup", "__lambda__", "__typespec__",
    }
)  # fmt: skip
_FUNCTIONS: Final = ("activations", "ops", "initializers", "regularizers", "constraints")
_KINDS: Final = (
    "layers",
    "initializers",
    "regularizers",
    "constraints",
    "models",
    "dtype_policies",
    "random",
)


def check(path: Path, called: str) -> None:
    """Look through the description of a network without making any of it.

    Args:
        path: a zip archive, as Keras writes it.
        called: what a person calls the file.

    Raises:
        UserError: where it names anything but layers and functions of Keras, or classes that were registered
            in this process, or is larger than a network can be.
    """
    try:
        config = _config(path)
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise UserError(
            f"{called} is broken, or no Keras model ({reason}): save or fetch it again"
        ) from error
    config.pop("compile_config", None)  # it is not read
    try:
        for part in _named(config):
            _check_part(part, called)
    except RecursionError:
        raise UserError(f"{called} describes its network too deeply nested: it is no Keras model") from None


def _config(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist() if not entry.is_dir()}
        if sizes.keys() - _FILES:
            raise ValueError(f"it holds {min(sizes.keys() - _FILES)[:60]!a}")
        described = max(sizes.get("config.json", 0), sizes.get("metadata.json", 0))
        if sum(sizes.values()) > _LARGEST or described > _LARGEST_CONFIG:
            raise ValueError("it unpacks to more than a network takes")
        check_unpacked(path, sum(sizes.values()))
        config = json.loads(archive.read("config.json"))
    if not isinstance(config, dict):
        raise ValueError("its config.json is no table")
    return config


def _named(config: Any) -> Iterator[Mapping[str, Any]]:
    """Every part that Keras would make by a name, wherever it stands."""
    if isinstance(config, list):
        for one in config:
            yield from _named(one)
    elif isinstance(config, dict):
        if "class_name" in config:
            yield config
        for one in config.values():
            yield from _named(one)


def _check_part(part: Mapping[str, Any], called: str) -> None:
    name, module = part["class_name"], part.get("module")
    registered = part.get("registered_name")
    if isinstance(name, str) and name in _PLAIN:
        return
    if not isinstance(name, str) or name in _REFUSED:
        raise UserError(
            f"{called} asks for code of its own to be run when it is loaded ({str(name)[:40]!a}), which is "
            "refused: build it from Keras' layers alone"
        )
    kind = "function" if name == "function" else "layer"
    if name == "function":
        name, known = part.get("config"), _is_function(part.get("config"), registered)
    else:
        known = _is_registered(registered or name) or _is_part_of_a_network(module, name)
    if not known:
        raise UserError(
            f"{called} has a {kind} that is not one of Keras' own for networks "
            f"({str(module)[:60]!a}, {str(name)[:60]!a}): build it from Keras' layers alone"
        )


def _is_registered(name: Any) -> bool:
    """Whether it was registered with Keras in this process, for a model of one's own."""
    import keras

    return isinstance(name, str) and keras.saving.get_registered_object(name) is not None


def _is_function(name: Any, registered: Any) -> bool:
    import keras

    if not isinstance(name, str):
        return False
    if _is_registered(name) or _is_registered(registered):
        return True
    return any(callable(getattr(getattr(keras, kind), name, None)) for kind in _FUNCTIONS)


def _is_part_of_a_network(module: Any, name: str) -> bool:
    """Whether a class of Keras, found without importing anything, is a layer or what layers are made of."""
    import keras

    if module is None:  # as Keras wrote it before version 3
        places: list[Any] = [getattr(keras, kind) for kind in _KINDS]
    else:
        public = isinstance(module, str) and re.fullmatch(r"keras(\.\w+)*", module)
        places = [sys.modules.get(module)] if public else []
    found = next((made for place in places if isinstance(made := getattr(place, name, None), type)), None)
    return found is not None and issubclass(found, _bases())


def _bases() -> tuple[type, ...]:
    import keras

    return (
        keras.Operation, keras.initializers.Initializer, keras.regularizers.Regularizer,
        keras.constraints.Constraint, keras.dtype_policies.DTypePolicy, keras.random.SeedGenerator,
    )  # fmt: skip


def in_float32(network: "keras.Model") -> "keras.Model":
    """The same network and weights, computed in float32.

    Answers in 16 bits differ by how many images are asked at once, and runtimes for ONNX know no
    convolution in bfloat16.

    Args:
        network: The network.
    """
    import keras

    layers = network._flatten_layers(include_self=True, recursive=True)
    if not any("float16" in str(layer.compute_dtype) for layer in layers):
        return network
    described = json.dumps(keras.saving.serialize_keras_object(network))
    plain = re.sub(r'"(mixed_)?b?float16"', '"float32"', described)
    same = keras.saving.deserialize_keras_object(json.loads(plain), safe_mode=True)
    same.set_weights([weights.astype("float32") for weights in network.get_weights()])
    return same
