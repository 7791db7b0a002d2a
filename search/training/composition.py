"""From a network and a recipe to the two models that are run: one trains, one predicts."""

from typing import Any, Final, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from search.training.batches import prediction_batch
from search.training.layers.augmentation import AugmentationLayer
from search.training.recipe import Recipe

#: Steps that TensorFlow takes at one call: between them Python would do nothing but call again.
#: The other backends would compile each of the steps.
_STEPS_A_CALL: Final = 16
_OPTIMIZERS: Final = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.Adam,  # Keras' AdamW differs in its default decay alone
    "nadam": keras.optimizers.Nadam,
    "rmsprop": keras.optimizers.RMSprop,
}


class Composition(NamedTuple):
    """Two models that share one network. Both: uint8 images in, float32 probabilities out."""

    training: keras.Model  # rescaling, augmentation, network; compiled
    inference: keras.Model  # rescaling, network: Keras' own layers and operations, so it loads anywhere
    strength: keras.Variable  # of the augmentation: see `AugmentationLayer`
    one_view: keras.Model  # predicts from the image as it is, whatever the recipe's `test_time` averages


def compose(network: keras.Model, recipe: Recipe, image_shape: tuple[int, ...], seed: int) -> Composition:
    """Put what a recipe asks for around a network, and L2 onto its kernels.

    Args:
        network: From float images in [0, 1] to probabilities.
        recipe: How to train.
        image_shape: Height, width and channels of the images.
        seed: Of augmentation.

    Returns:
        The models. Where `test_time` is "none", `one_view` is `inference`.
    """
    images = keras.Input(image_shape, dtype="uint8", name="images")
    # float32 whatever the policy: bfloat16 cannot tell the 256 levels apart.
    floats = keras.layers.Rescaling(1 / 255, dtype="float32", name="rescaling")(images)
    augmentation = AugmentationLayer(recipe.layer_augmentation, seed)
    varied, shown = augmentation(floats), views(floats, recipe.test_time)
    if recipe.standardize:
        standardize = _standardizing()
        varied, shown = standardize(varied), [standardize(view) for view in shown]
    _penalise(network, recipe.l2)
    training = keras.Model(images, _probabilities(network, varied))
    training.compile(
        optimizer=make_optimizer(recipe),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=["accuracy"],
        steps_per_execution=_STEPS_A_CALL if keras.backend.backend() == "tensorflow" else 1,
    )
    one_view = inference = keras.Model(images, _probabilities(network, shown[0]))
    if len(shown) > 1:
        average = keras.layers.Average(dtype="float32", name="average")
        inference = keras.Model(images, average([network(view) for view in shown]))
    return Composition(training, inference, augmentation.strength, one_view)


def _standardizing() -> keras.layers.Layer:
    """Each image to mean 0 and deviation 1 over all its pixels and channels; a constant one to 0."""
    return keras.layers.LayerNormalization(
        axis=[1, 2, 3], center=False, scale=False, epsilon=1e-5, dtype="float32", name="standardizing"
    )


def make_optimizer(recipe: Recipe) -> keras.optimizers.Optimizer:
    """The recipe's optimizer; weight decay leaves biases and normalisation alone.

    Args:
        recipe: How to train.
    """
    common = {"learning_rate": recipe.learning_rate, "weight_decay": recipe.weight_decay or None}
    if recipe.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(momentum=recipe.momentum, nesterov=recipe.momentum > 0, **common)
    else:
        optimizer = _OPTIMIZERS[recipe.optimizer](**common)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def predict(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Predict in inference mode, in batches of one shape: the model is traced once.

    Args:
        model: From uint8 images to probabilities.
        images: Images, uint8 (images, height, width, channels).

    Returns:
        Probabilities, float32 (images, classes).
    """
    size = min(prediction_batch(*images.shape[1:3]), len(images))
    batches = [np.asarray(images[start : start + size]) for start in range(0, len(images), size)]
    missing = size - len(batches[-1])
    batches[-1] = np.pad(batches[-1], [(0, missing), (0, 0), (0, 0), (0, 0)])
    outputs = np.concatenate([np.asarray(model.predict_on_batch(batch)) for batch in batches])
    return outputs[: len(images)]


def views(images: Any, test_time: str) -> list[Any]:
    """What a network is shown of each image to predict it.

    The mirror image and small shifts are those of Jordan, 94% on CIFAR-10 in 3.29 Seconds (arXiv 2404.00498),
    section 3.5; here all views weigh alike. A shift is a 32nd of the shorter side, one pixel at least; the
    image's edge is repeated.

    Args:
        images: A symbolic tensor (images, height, width, channels).
        test_time: One of `TEST_TIME_VIEWS`.

    Returns:
        Tensors of the same shape, the images themselves first.
    """
    shown = [images]
    if test_time == "flip_shift":
        pixels = max(min(images.shape[1:3]) // 32, 1)
        shown += [_shifted(_shifted(images, axis=1, by=by), axis=2, by=by) for by in (-pixels, pixels)]
    if test_time != "none":
        shown += [keras.ops.flip(view, axis=2) for view in shown]
    return shown


def _shifted(images: Any, axis: int, by: int) -> Any:
    """Images moved by some pixels, whose edge is repeated: of layers that every runtime knows."""
    last = images.shape[axis] - 1

    def cropped(before: int, after: int) -> Any:
        crops = [(0, 0), (0, 0)]
        crops[axis - 1] = (before, after)
        return keras.layers.Cropping2D(tuple(crops), dtype="float32")(images)

    edge = [cropped(0, last) if by > 0 else cropped(last, 0)] * abs(by)
    parts = [*edge, cropped(0, by)] if by > 0 else [cropped(-by, 0), *edge]
    return keras.layers.Concatenate(axis=axis, dtype="float32")(parts)


def _probabilities(network: keras.Model, floats: Any) -> Any:
    outputs = network(floats)
    if keras.backend.standardize_dtype(outputs.dtype) == "float32":
        return outputs
    return keras.layers.Activation("linear", dtype="float32", name="probabilities")(outputs)


def _penalise(network: keras.Model, l2: float) -> None:
    """Add L2 to kernels alone: on the variables, so that the saved model does not carry it."""
    for variable in network.trainable_variables if l2 else ():
        if variable.name.endswith("kernel"):
            variable.regularizer = keras.regularizers.L2(l2)
