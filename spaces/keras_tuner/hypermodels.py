"""Keras Tuner both ways: anybody's hypermodel as a space, and any family as a hypermodel.

Imports Keras Tuner, and with it Keras: only processes that build networks may import this module.
"""

import inspect
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import keras_tuner
import numpy as np
from numpy.typing import NDArray

from spaces.errors import HypermodelError, InfeasibleArchitecture, UserError
from spaces.family import Family
from spaces.input_range import takes_bytes
from spaces.keras_tuner._isolation import isolated
from spaces.keras_tuner.training_config import refuse_own_training
from spaces.shapes import Shape
from spaces.user_code import described, imported

#: Where Keras finds that a convolution or a pooling has more to take than there are pixels.
_SIZES = ("compute_conv_output_shape", "compute_pooling_output_shape")
#: Probabilities of 16 bits add up to 1 within a hundredth.
_TOLERANCE = 0.02


class FamilyHyperModel(keras_tuner.HyperModel):  # type: ignore[misc]
    """A family for Keras Tuner's own tuners: images in [0, 1], integer labels, compiled with Adam.

    What cannot be built for these images fails its trial, which Keras Tuner expects.

    Args:
        family: The family.
        input_shape: Height, width and channels of the images.
        num_classes: The number of classes.
    """

    def __init__(self, family: Family, input_shape: Shape, num_classes: int) -> None:
        super().__init__(name=family.name)
        self.family = family
        self.input_shape = input_shape
        self.num_classes = num_classes

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Draw an architecture and build it.

        Args:
            hp: Keras Tuner's hyperparameters.

        Raises:
            FailedTrialError: If it cannot be built for these images.
        """
        try:
            model = self.family.build(self.family.sample(hp), self.input_shape, self.num_classes)
        except InfeasibleArchitecture as infeasible:
            raise keras_tuner.errors.FailedTrialError(str(infeasible)) from infeasible
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model


class _Function(keras_tuner.HyperModel):  # type: ignore[misc]
    def __init__(self, build: Callable[..., keras.Model], name: str) -> None:
        super().__init__(name=name)
        self.build = build


def load_hypermodel(spec: str, input_shape: Shape, num_classes: int) -> keras_tuner.HyperModel:
    """Load a hypermodel: a function, a HyperModel or a class of such.

    A function or a class that takes `input_shape`, `num_classes` or `classes` by name gets them.

    Args:
        spec: "package.module:name".
        input_shape: Height, width and channels of the images.
        num_classes: The number of classes.

    Raises:
        UserError: If there is no such module or name, or it is no hypermodel.
    """
    with isolated(spec):
        found = imported(spec)
    known = {"input_shape": input_shape, "num_classes": num_classes, "classes": num_classes}
    if isinstance(found, keras_tuner.HyperModel):
        return found
    if not callable(found):
        raise UserError(f"{spec} is neither a function nor a Keras Tuner HyperModel. Received: {found!r}.")
    wanted = inspect.signature(found).parameters
    given = {name: value for name, value in known.items() if name in wanted}
    if not isinstance(found, type):
        return _Function(partial(found, **given), spec)
    try:
        with isolated(spec):
            hypermodel = found(**given)
    except TypeError as error:
        raise UserError(f"{spec} cannot be made ({error}): name an instance of it instead.") from error
    if not isinstance(hypermodel, keras_tuner.HyperModel):
        raise UserError(f"{spec} is a class, but not one of Keras Tuner's hypermodels.")
    return hypermodel


def built(
    hypermodel: keras_tuner.HyperModel, hp: keras_tuner.HyperParameters, input_shape: Shape, num_classes: int
) -> keras.Model:
    """Build a hypermodel's network, with weights, and check it against the images.

    Args:
        hypermodel: The hypermodel.
        hp: The hyperparameters to draw from.
        input_shape: Height, width and channels of the images.
        num_classes: The number of classes.

    Raises:
        InfeasibleArchitecture: If Keras finds no pixels left, or the hypermodel gives this trial up.
        UserError: If it is no Keras model, one for other images or classes, or one that trains its own way.
        HypermodelError: If its own code fails.
    """
    try:
        with isolated(hypermodel.name or type(hypermodel).__name__), _whole_tracebacks():
            hypermodel.declare_hyperparameters(hp)
            model = hypermodel.build(hp)
            if isinstance(model, keras.Sequential) and not model.built:
                model.build((None, *input_shape))
    except keras_tuner.errors.FailedTrialError as error:
        raise InfeasibleArchitecture(str(error), violation=1.0) from error
    except (InfeasibleArchitecture, UserError, MemoryError, ImportError):  # the last: of this machine
        raise
    except Exception as error:
        if _has_no_pixels(error):
            reason = " ".join(str(error).split())
            raise InfeasibleArchitecture(reason, violation=1.0) from error
        raise HypermodelError(
            f"{hypermodel.name or type(hypermodel).__name__}: {described(error)}"
        ) from error
    if not isinstance(model, keras.Model):
        raise UserError(f"build(hp) must return a Keras model. Received: {model!r}.")
    refuse_own_training(model)
    return _functional(model, input_shape, num_classes)


@contextmanager
def _whole_tracebacks() -> Iterator[None]:
    """Let Keras keep what an error passed, which it hides from people otherwise."""
    hidden = keras.config.is_traceback_filtering_enabled()
    keras.config.disable_traceback_filtering()
    try:
        yield
    finally:
        if hidden:
            keras.config.enable_traceback_filtering()


def _has_no_pixels(error: Exception) -> bool:
    """Whether Keras raised it where it computes what is left of an image, whatever it says."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return (
        isinstance(error, ValueError)
        and frame.f_code.co_name in _SIZES
        and frame.f_globals.get("__name__", "").startswith("keras.")
    )


def _functional(model: keras.Model, input_shape: Shape, num_classes: int) -> keras.Model:
    """`model` as a graph from images to one tensor, in a wrapper if it is a list of layers or a class."""
    graph = getattr(model, "_functional", model)
    is_graph = hasattr(graph, "_nodes_by_depth")
    batch, *sizes = _only("input", graph.inputs).shape if is_graph else (None, *input_shape)
    takes = tuple(sizes)
    if batch is not None:
        raise UserError(
            f"The hypermodel takes exactly {batch} images at a time: leave batch_size out of its Input, "
            "recipe.batch_size decides."
        )
    if takes != input_shape and None not in takes:
        raise UserError(f"The hypermodel takes images of shape {takes}, the data set's are {input_shape}.")
    if graph is not model or not is_graph:
        images = keras.Input(input_shape)
        model = _compiled_like(model, keras.Model(images, model(images)))
    gives = _only("output", model.outputs).shape
    if gives != (None, num_classes):
        hint = ""
        if gives == (None, 1):
            hint = f' Instead of one sigmoid unit, end in Dense({num_classes}, activation="softmax").'
        raise UserError(
            f"The hypermodel gives {gives[1:]} numbers for an image, expected ({num_classes},).{hint}"
        )
    if model.input is model.inputs[0] and model.output is model.outputs[0]:
        return model
    unpacked = keras.Model(model.inputs[0], model.outputs[0], name=model.name)  # from a list or a dict
    return _compiled_like(model, unpacked)


def _only(what: str, tensors: Sequence[Any]) -> Any:
    if len(tensors) != 1:
        raise UserError(
            f"The hypermodel has {len(tensors)} {what}s, expected one: images in, a number a class out."
        )
    return tensors[0]


def adapted(model: keras.Model, input_shape: Shape) -> keras.Model:
    """Wrap a model so that it takes images in [0, 1] and returns float32 probabilities.

    A model for bytes gets 0 to 255. One whose outputs are no probabilities gets a softmax; sigmoids are
    divided by their sum, as Keras' cross-entropy does. It runs on a few images to tell.

    Args:
        model: Any model with one output per class.
        input_shape: Height, width and channels of the images.
    """
    images = keras.Input(input_shape)
    scales = takes_bytes(model, input_shape)
    numbers = model(_as_bytes(images, model.inputs[0].dtype) if scales else images)
    final = _gives_probabilities(keras.Model(images, numbers))
    if final and not scales and numbers.dtype == "float32":
        return model
    if not final and _ends_in_sigmoids(model):
        numbers = _shares(keras.layers.Activation("linear", dtype="float32")(numbers))
        final = True
    activation = "linear" if final else "softmax"
    probabilities = keras.layers.Activation(activation, dtype="float32", name="probabilities")(numbers)
    return _compiled_like(model, keras.Model(images, probabilities, name=model.name))


def _as_bytes(images: Any, dtype: str) -> Any:
    """Images in [0, 1] as 0 to 255, rounded where the model takes whole numbers."""
    whole = not keras.backend.is_float_dtype(dtype)
    scaled = keras.layers.Rescaling(255.0, 0.5 if whole else 0.0, dtype="float32")(images)
    return keras.ops.cast(scaled, dtype) if whole else scaled


def _shares(numbers: Any) -> Any:
    """Numbers from 0 up, of shape (n, classes), over the sum of each row."""
    sums = keras.ops.sum(numbers, axis=-1, keepdims=True)
    return keras.ops.divide(numbers, keras.ops.maximum(sums, keras.config.epsilon()))


def _gives_probabilities(model: keras.Model) -> bool:
    """Whether what it says of each image is never below 0 and adds up to 1; what overflows tells nothing."""
    said = model(_unlike_images(model.input_shape[1:]), training=False)
    numbers = keras.ops.convert_to_numpy(keras.ops.cast(said, "float32"))
    numbers = numbers[np.isfinite(numbers).all(axis=1)]
    return bool((numbers >= 0).all() and (np.abs(numbers.sum(axis=1) - 1) < _TOLERANCE).all())


def _unlike_images(shape: Shape) -> NDArray[np.float32]:
    """Noise, bright and dark, even and fading: logits that by chance add up to 1 for one do not for all."""
    images = np.random.default_rng(0).random((4, *shape), dtype=np.float32)
    images[1::2] *= 0.1
    images[2:] *= np.linspace(0, 1, shape[0], dtype=np.float32).reshape(-1, 1, 1)
    return images


def _ends_in_sigmoids(model: keras.Model) -> bool:
    """Whether the layer that gives the output has them, also within models that are used as layers."""
    layer = model.outputs[0]._keras_history.operation
    layer = getattr(layer, "_functional", layer)
    if hasattr(layer, "_nodes_by_depth"):
        return _ends_in_sigmoids(layer)
    return getattr(layer, "activation", None) is keras.activations.sigmoid


def _compiled_like(model: keras.Model, wrapper: keras.Model) -> keras.Model:
    if getattr(model, "compiled", False):
        wrapper.compile(model.optimizer, "categorical_crossentropy")
    return wrapper
