"""Three unpadded convolutions and three wide dense layers, without any regularisation.

The published instance is the basic CNN of Im-Shivaprakash/Face-Emotion-CNN: four fifths of its 15.5 million
weights lie between the last convolution and the first dense layer.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spaces.blocks import (
    DenseHead,
    classify,
    convolve,
    dashes,
    facts_of,
    label_of_head,
    require_side,
    sample_widths,
)
from spaces.shapes import Shape

if TYPE_CHECKING:
    import keras
    import keras_tuner


@dataclass(frozen=True, kw_only=True)
class Architecture(DenseHead):
    """`kernels`: of the three 3x3 convolutions; pooling follows the first and the second."""

    kernels: tuple[int, ...] = (32, 64, 64)
    neurons: tuple[int, ...] = (2960, 1080, 64)
    dropout: float = 0.0


VARIANTS = {"published": Architecture()}


def sample(hp: "keras_tuner.HyperParameters") -> Architecture:
    """The widths of the three convolutions and of the three dense layers."""
    return Architecture(
        kernels=sample_widths(hp, "kernels", 3, least=16, most=128, default=64),
        neurons=sample_widths(hp, "neurons", 3, least=64, most=2048, default=512),
        head=hp.Fixed("head", "flatten"),
        dropout=hp.Fixed("dropout", 0.0),
    )


def build(architecture: Architecture, input_shape: Shape, num_classes: int) -> "keras.Model":
    """Build the network.

    Args:
        architecture: What to build.
        input_shape: Height, width and channels of the images.
        num_classes: The number of classes.

    Returns:
        A model from images in [0, 1] to float32 probabilities (batch, classes).

    Raises:
        InfeasibleArchitecture: For images under 18 pixels.
    """
    import keras

    require_side(input_shape, 18, "3 unpadded convolutions and 2 poolings")
    inputs = x = keras.Input(input_shape)
    for stage, kernels in enumerate(architecture.kernels):
        x = convolve(keras.layers.MaxPooling2D()(x) if stage else x, kernels, 3, padding="valid")
    return keras.Model(inputs, classify(x, architecture, num_classes), name="basic_cnn")


def facts(architecture: Architecture) -> dict[str, int | str]:
    """One kernel count for each convolution."""
    return facts_of(architecture.kernels, architecture.neurons)


def label(architecture: Architecture) -> str:
    """Basic 32-64-64 · 2960-1080-64."""
    return f"basic {dashes(architecture.kernels)} · {label_of_head(architecture)}"
