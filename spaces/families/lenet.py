"""LeNet-5 of 1998 with ReLU: two 5x5 convolutions and average pooling on images resized to 32x32.

The published instance is that of Im-Shivaprakash/Face-Emotion-CNN: its first dense layer is linear, its
second pooling has stride 1.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spaces.blocks import (
    convolve,
    dashes,
    facts_of,
    probabilities,
    resized,
)
from spaces.shapes import Shape

if TYPE_CHECKING:
    import keras
    import keras_tuner


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Kernels of the two convolutions, neurons of the two hidden layers."""

    kernels: tuple[int, int] = (6, 16)
    neurons: tuple[int, int] = (120, 84)


VARIANTS = {"published": Architecture()}


def sample(hp: "keras_tuner.HyperParameters") -> Architecture:
    """The published widths, and up to four times as many."""
    return Architecture(
        kernels=(hp.Choice("kernels_1", [6, 12, 24]), hp.Choice("kernels_2", [16, 32, 64])),
        neurons=(hp.Choice("neurons_1", [120, 240, 480]), hp.Choice("neurons_2", [84, 168, 336])),
    )


def build(architecture: Architecture, input_shape: Shape, num_classes: int) -> "keras.Model":
    """Build the network for images of any size: the first layer resizes them to 32x32.

    Args:
        architecture: What to build.
        input_shape: Height, width and channels of the images.
        num_classes: The number of classes.

    Returns:
        A model from images in [0, 1] to float32 probabilities (batch, classes).
    """
    import keras
    from keras import layers

    inputs = keras.Input(input_shape)
    x = convolve(resized(inputs, 32), architecture.kernels[0], 5, padding="valid")
    x = convolve(layers.AveragePooling2D(2)(x), architecture.kernels[1], 5, padding="valid")
    x = layers.Flatten()(layers.AveragePooling2D(2, strides=1)(x))
    x = layers.Dense(architecture.neurons[0])(x)
    x = layers.Dense(architecture.neurons[1], activation="relu")(x)
    return keras.Model(inputs, probabilities(x, num_classes), name="lenet")


def facts(architecture: Architecture) -> dict[str, int | str]:
    """One kernel count for each convolution."""
    return facts_of(architecture.kernels, architecture.neurons)


def label(architecture: Architecture) -> str:
    """LeNet 6-16 · 120-84."""
    return f"lenet {dashes(architecture.kernels)} · {dashes(architecture.neurons)}"
