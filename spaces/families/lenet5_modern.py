"""LeNet-5 with modern parts: 3x3 convolutions, batch norm, dropout and L2, on images resized to 256x256.

The published instance is Muhammad-Lukman/Emotion-Recognition-from-Facial-Images-Using-CNN-Architectures. It
names neither the strength of its L2 nor its dropout: 0.01 and 0.2 are ours. Its rescaling to [0, 1] is left
out, since every family gets images in [0, 1].
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spaces.blocks import (
    dashes,
    drop,
    facts_of,
    probabilities,
    require_side,
    resized,
    sample_dropout,
    sample_widths,
)
from spaces.shapes import Shape

if TYPE_CHECKING:
    import keras
    import keras_tuner


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Two convolutions, two hidden layers; `side`: what images are resized to."""

    kernels: tuple[int, int] = (6, 16)
    neurons: tuple[int, int] = (100, 10)
    dropout: float = 0.2
    l2: float = 0.01
    side: int = 256


VARIANTS = {"published": Architecture()}


def sample(hp: "keras_tuner.HyperParameters") -> Architecture:
    """Widths, the size of the images and how much is held back."""
    return Architecture(
        side=hp.Choice("side", [64, 128, 256], default=256),
        kernels=sample_widths(hp, "kernels", 2, least=6, most=48, default=6),  # type: ignore[arg-type]
        neurons=(hp.Choice("neurons_1", [50, 100, 200]), hp.Choice("neurons_2", [10, 20, 40])),
        dropout=sample_dropout(hp),
        l2=hp.Float("l2", 1e-4, 1e-1, sampling="log", default=1e-2),
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
        InfeasibleArchitecture: If `side` is under 10 pixels.
    """
    import keras
    from keras import layers

    require_side((architecture.side, architecture.side, 1), 10, "2 unpadded convolutions and 2 poolings")
    inputs = keras.Input(input_shape)
    x = _stage(resized(inputs, architecture.side), architecture.kernels[0], architecture)
    x = _stage(drop(x, architecture.dropout), architecture.kernels[1], architecture)
    x = layers.Flatten()(x)
    for neurons in architecture.neurons:
        x = layers.BatchNormalization()(layers.Dense(neurons, activation="relu")(x))
        x = drop(x, architecture.dropout)
    return keras.Model(inputs, probabilities(x, num_classes), name="lenet5_modern")


def _stage(x: Any, kernels: int, architecture: Architecture) -> Any:
    from keras import layers, regularizers

    l2 = regularizers.L2(architecture.l2)
    x = layers.Conv2D(kernels, 3, activation="relu", kernel_regularizer=l2)(x)
    return layers.MaxPooling2D()(layers.BatchNormalization()(x))


def facts(architecture: Architecture) -> dict[str, int | str]:
    """One kernel count for each convolution."""
    return facts_of(architecture.kernels, architecture.neurons)


def label(architecture: Architecture) -> str:
    """LeNet-5 modern 6-16 · 100-10 · 256 px."""
    widths = f"{dashes(architecture.kernels)} · {dashes(architecture.neurons)}"
    return f"lenet5 modern {widths} · {architecture.side} px"
