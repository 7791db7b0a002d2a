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
    inference: keras.Model  # rescaling, network: stock Keras layers alone, so it loads anywhere
    strength: keras.Variable  # of the augmentation: see `AugmentationLayer`


def compose(network: keras.Model, recipe: Recipe, image_shape: tuple[int, ...], seed: int) -> Composition:
    """Put what a recipe asks for around a network, and L2 onto its kernels.

    Args:
        network: From float images in [0, 1] to probabilities.
        recipe: How to train.
        image_shape: Height, width and channels of the images.
        seed: Of augmentation.

    Returns:
        Two models that share the network: one trains, one predicts.
    """
    images = keras.Input(image_shape, dtype="uint8", name="images")
    # float32 whatever the policy: bfloat16 cannot tell the 256 levels apart.
    floats = keras.layers.Rescaling(1 / 255, dtype="float32", name="rescaling")(images)
    augmentation = AugmentationLayer(recipe.augmentation, seed)
    varied = augmentation(floats)
    if recipe.standardize:
        standardize = _standardizing()
        floats, varied = standardize(floats), standardize(varied)
    _penalise(network, recipe.l2)
    training = keras.Model(images, _probabilities(network, varied))
    training.compile(
        optimizer=make_optimizer(recipe),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=["accuracy"],
        steps_per_execution=_STEPS_A_CALL if keras.backend.backend() == "tensorflow" else 1,
    )
    inference = keras.Model(images, _probabilities(network, floats))
    return Composition(training, inference, augmentation.strength)


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
