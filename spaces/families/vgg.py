"""Stages of two or three batch-normalised 3x3 convolutions, each stage twice as wide as the one before.

The variants are the network behind the best published result of a single network on FER-2013 without extra
data (Khaireddin and Chen 2021: 64-128-256-512, then 4096-4096, on crops of 40x40) and the same with global
average pooling, a sixth of the weights; `small` has as many weights as the VGG of Pramerdorfer and Kampel
(2016), 1.8 million, not its layers.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from spaces.blocks import (
    DenseHead,
    classify,
    convolve,
    dashes,
    facts_of,
    label_of_head,
    require_side,
    sample_head,
)
from spaces.shapes import Shape

if TYPE_CHECKING:
    import keras
    import keras_tuner


@dataclass(frozen=True, kw_only=True)
class Architecture(DenseHead):
    """`width`: kernels of the first stage; they double with every stage, up to 512."""

    conv_stages: int = 4
    convs_per_stage: int = 2
    width: int = 64
    dropout: float = 0.5

    @property
    def kernels(self) -> tuple[int, ...]:
        """Of each stage."""
        return tuple(min(self.width * 2**stage, 512) for stage in range(self.conv_stages))


_PUBLISHED = Architecture(neurons=(4096, 4096))
VARIANTS = {
    "khaireddin": _PUBLISHED,
    "average": replace(_PUBLISHED, head="average", neurons=()),
    "small": replace(_PUBLISHED, head="average", neurons=(), width=40),
}
COUNTS = {"neurons": "dense_layers"}


def sample(hp: "keras_tuner.HyperParameters") -> Architecture:
    """3 to 5 stages from 16 to 64 kernels up, with a dense head or averaged."""
    return Architecture(
        conv_stages=hp.Int("conv_stages", 3, 5, default=4),
        convs_per_stage=hp.Int("convs_per_stage", 2, 3),
        width=hp.Choice("width", [16, 32, 64], default=32),
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

    stages = architecture.conv_stages
    require_side(input_shape, 2**stages, f"{stages} poolings")
    inputs = x = keras.Input(input_shape)
    for kernels in architecture.kernels:
        for _ in range(architecture.convs_per_stage):
            x = convolve(x, kernels, 3, batch_norm=True)
        x = keras.layers.MaxPooling2D()(x)
    return keras.Model(inputs, classify(x, architecture, num_classes), name="vgg")


def facts(architecture: Architecture) -> dict[str, int | str]:
    """One kernel count for each stage."""
    return facts_of(architecture.kernels, architecture.neurons)


def label(architecture: Architecture) -> str:
    """VGG 2x(64-128-256-512) · 4096-4096."""
    trunk = f"vgg {architecture.convs_per_stage}x({dashes(architecture.kernels)})"
    return f"{trunk} · {label_of_head(architecture)}"
