"""Stages of convolution, batch norm, pooling and dropout on images resized to 128x128, then one hidden layer.

The published comparison with pre-trained networks names the size, the batch norm and the dropout of its
custom network, and not its widths: those of the variant `published` are ours.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spaces.blocks import (
    DenseHead,
    classify,
    convolve,
    dashes,
    drop,
    facts_of,
    label_of_head,
    require_side,
    resized,
    sample_head,
    sample_widths,
)
from spaces.shapes import Shape

if TYPE_CHECKING:
    import keras
    import keras_tuner


@dataclass(frozen=True, kw_only=True)
class Architecture(DenseHead):
    """`kernels`: of each stage, one number a stage. `side`: what images are resized to."""

    kernels: tuple[int, ...] = (32, 64, 128, 256)
    neurons: tuple[int, ...] = (256,)
    side: int = 128


VARIANTS = {"published": Architecture()}
COUNTS = {"kernels": "conv_stages", "neurons": "dense_layers"}


def sample(hp: "keras_tuner.HyperParameters") -> Architecture:
    """3 to 5 stages of 16 to 256 kernels on images of 64 to 128 pixels."""
    stages = hp.Int("conv_stages", 3, 5, default=4)
    return Architecture(
        side=hp.Choice("side", [64, 96, 128], default=128),
        kernels=sample_widths(hp, "kernels", stages, least=16, most=256, default=64),
        **sample_head(hp),
    )


def build(architecture: Architecture, input_shape: Shape, num_classes: int) -> "keras.Model":
    """Build the network for images of any size, which are resized.

    Args:
        architecture: What to build.
        input_shape: Height, width and channels of the images.
        num_classes: The number of classes.

    Returns:
        A model from images in [0, 1] to float32 probabilities (batch, classes).

    Raises:
        InfeasibleArchitecture: If `side` has room for fewer stages.
    """
    import keras

    stages = len(architecture.kernels)
    require_side((architecture.side, architecture.side, 1), 2**stages, f"{stages} poolings")
    inputs = keras.Input(input_shape)
    x = resized(inputs, architecture.side)
    for stage, kernels in enumerate(architecture.kernels):
        x = convolve(drop(x, architecture.dropout) if stage else x, kernels, 3, batch_norm=True)
        x = keras.layers.MaxPooling2D()(x)
    return keras.Model(inputs, classify(x, architecture, num_classes), name="custom_cnn")


def facts(architecture: Architecture) -> dict[str, int | str]:
    """One kernel count for each stage."""
    return facts_of(architecture.kernels, architecture.neurons)


def label(architecture: Architecture) -> str:
    """Custom 32-64-128-256 · 256 · 128 px."""
    return f"custom {dashes(architecture.kernels)} · {label_of_head(architecture)} · {architecture.side} px"
