"""Stages of convolutions and pooling, then dense layers: the network that everybody draws first.

A stage is one or two convolutions, 2x2 max pooling and dropout. The published instances are those of
avaneesh2001/Facial-Expression-Recognition-with-CNNs: six combinations of kernels and neurons.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from spaces.blocks import (
    DenseHead,
    classify,
    convolve,
    dashes,
    drop,
    facts_of,
    label_of_head,
    require_side,
    sample_head,
    sample_widths,
)
from spaces.shapes import Shape

if TYPE_CHECKING:
    import keras
    import keras_tuner


@dataclass(frozen=True, kw_only=True)
class Architecture(DenseHead):
    """`kernels`: of each stage, one number a stage. `kernel_size`: 3 is 3x3."""

    kernels: tuple[int, ...] = (64, 64, 128, 128)
    convs_per_stage: int = 1
    kernel_size: int = 3
    batch_norm: bool = False


_PUBLISHED = Architecture()
_NARROW = replace(_PUBLISHED, kernels=(64, 64, 64, 64), neurons=(128, 128))
VARIANTS = {
    "published_1": replace(_PUBLISHED, kernels=(32, 32, 64, 64), neurons=(128, 128)),
    "published_2": _PUBLISHED,
    "published_3": replace(_PUBLISHED, kernels=(128, 128, 256, 256), neurons=(512, 512)),
    "published_4": replace(_PUBLISHED, kernels=(256, 256, 256, 256)),
    "published_5": replace(_PUBLISHED, kernels=(256, 256, 256, 256), neurons=(512, 512)),
    "published_6": replace(_PUBLISHED, kernels=(512, 512, 512, 512), neurons=(512, 512)),
    "published_2_stages": replace(_NARROW, kernels=(64, 64)),
    "published_3_stages": replace(_NARROW, kernels=(64, 64, 64)),
    "published_4_stages": _NARROW,
    "published_5_stages": replace(_NARROW, kernels=(64, 64, 64, 64, 64)),
    "published_1_dense": replace(_PUBLISHED, neurons=(256,)),
    "published_3_dense": replace(_PUBLISHED, neurons=(256, 256, 256)),
    "published_4_dense": replace(_PUBLISHED, neurons=(256, 256, 256, 256)),
}
COUNTS = {"kernels": "conv_stages", "neurons": "dense_layers"}


def sample(hp: "keras_tuner.HyperParameters") -> Architecture:
    """2 to 5 stages of 32 to 512 kernels, and what goes with them."""
    stages = hp.Int("conv_stages", 2, 5, default=4)
    return Architecture(
        kernels=sample_widths(hp, "kernels", stages, least=32, most=512, default=64),
        convs_per_stage=hp.Int("convs_per_stage", 1, 2),
        kernel_size=hp.Choice("kernel_size", [3, 5]),
        batch_norm=hp.Boolean("batch_norm"),
        **sample_head(hp),
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
        InfeasibleArchitecture: If there are more stages than the image can be halved.
    """
    import keras

    stages = len(architecture.kernels)
    require_side(input_shape, 2**stages, f"{stages} poolings")
    inputs = x = keras.Input(input_shape)
    for stage, kernels in enumerate(architecture.kernels):
        # Between the stages only: behind the last one, the head begins with a dropout of its own.
        x = _stage(drop(x, architecture.dropout) if stage else x, kernels, architecture)
    return keras.Model(inputs, classify(x, architecture, num_classes), name="plain_cnn")


def _stage(x: Any, kernels: int, architecture: Architecture) -> Any:
    from keras import layers

    for _ in range(architecture.convs_per_stage):
        x = convolve(x, kernels, architecture.kernel_size, batch_norm=architecture.batch_norm)
    return layers.MaxPooling2D()(x)


def facts(architecture: Architecture) -> dict[str, int | str]:
    """One kernel count for each stage."""
    return facts_of(architecture.kernels, architecture.neurons)


def label(architecture: Architecture) -> str:
    """Plain 64-64-128-128 · 256-256, then what differs from single 3x3 convolutions, flattened."""
    extras = [
        f" · {architecture.convs_per_stage} convs" * (architecture.convs_per_stage > 1),
        f" · {architecture.kernel_size}x{architecture.kernel_size}" * (architecture.kernel_size != 3),
        " · bn" * architecture.batch_norm,
    ]
    return f"plain {dashes(architecture.kernels)} · {label_of_head(architecture)}" + "".join(extras)
