"""Residual networks of basic blocks (He et al. 2016): depth and width are free, ResNet-18 is one of them.

`resnet34_half` has half the kernels of ResNet-34, and so as many weights as the ResNet of Pramerdorfer and
Kampel (2016) on FER-2013: 5.3 million.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from spaces.blocks import (
    dashes,
    drop,
    facts_of,
    normalise,
    probabilities,
    resized,
    sample_dropout,
)
from spaces.shapes import Shape

if TYPE_CHECKING:
    import keras
    import keras_tuner


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Stages of basic blocks; all but the first halve the image and double the kernels.

    Args:
        blocks: in each stage, one number a stage.
        width: kernels of the first stage.
        stem: "3x3" keeps the size of the image; "7x7" halves it twice, as for ImageNet.
        dropout: before the last layer.
        side: what images are resized to; 0 keeps them.
    """

    blocks: tuple[int, ...] = (2, 2, 2, 2)
    width: int = 64
    stem: Literal["3x3", "7x7"] = "3x3"
    dropout: float = 0.0
    side: int = field(default=0, metadata={"least": 0})

    @property
    def kernels(self) -> tuple[int, ...]:
        """Of each stage."""
        return tuple(self.width * 2**stage for stage in range(len(self.blocks)))


_RESNET18 = Architecture(stem="7x7")
VARIANTS = {
    "resnet18": _RESNET18,
    "resnet18_224": replace(_RESNET18, side=224),
    "resnet18_small_images": Architecture(),
    "resnet34_half": Architecture(blocks=(3, 4, 6, 3), width=32),
}
COUNTS = {"blocks": "conv_stages"}


def sample(hp: "keras_tuner.HyperParameters") -> Architecture:
    """2 to 4 stages of 1 to 3 blocks, from 16 to 64 kernels up."""
    return Architecture(**sample_residual(hp))


def sample_residual(hp: "keras_tuner.HyperParameters") -> dict[str, Any]:
    """Draw the fields that all residual families share.

    Args:
        hp: The hyperparameters to draw from.

    Returns:
        Values by the name of the field.
    """
    stages = hp.Int("conv_stages", 2, 4, default=3)
    return {
        "blocks": tuple(hp.Int(f"blocks_{i}", 1, 3, default=2) for i in range(1, stages + 1)),
        "width": hp.Choice("width", [16, 32, 64], default=32),
        "dropout": sample_dropout(hp),
        "stem": hp.Fixed("stem", "3x3"),
        "side": hp.Fixed("side", 0),
    }


def build(architecture: Architecture, input_shape: Shape, num_classes: int) -> "keras.Model":
    """Build the network for images of any size: padding keeps at least one position.

    Args:
        architecture: What to build.
        input_shape: Height, width and channels of the images.
        num_classes: The number of classes.

    Returns:
        A model from images in [0, 1] to float32 probabilities (batch, classes).
    """
    return residual_network(architecture, input_shape, num_classes, "resnet", lambda x: x)


def residual_network(
    architecture: Architecture, input_shape: Shape, num_classes: int, name: str, attend: Callable[[Any], Any]
) -> "keras.Model":
    """Build a residual network whose blocks change their maps before the shortcut is added.

    Args:
        architecture: Stages, kernels and stem.
        input_shape: Height, width and channels of the images.
        num_classes: The number of classes.
        name: The model's name.
        attend: Changes the maps of a block (batch, height, width, channels), of the same shape;
            squeeze-and-excitation for instance.

    Returns:
        A model from images in [0, 1] to float32 probabilities (batch, classes).
    """
    import keras

    inputs = keras.Input(input_shape)
    x = _stem(resized(inputs, architecture.side), architecture)
    for stage, (blocks, kernels) in enumerate(zip(architecture.blocks, architecture.kernels, strict=True)):
        for block in range(blocks):
            x = _block(x, kernels, 2 if stage and not block else 1, attend)
    x = drop(keras.layers.GlobalAveragePooling2D()(x), architecture.dropout)
    return keras.Model(inputs, probabilities(x, num_classes), name=name)


def _stem(x: Any, architecture: Architecture) -> Any:
    from keras import layers

    if architecture.stem == "3x3":
        return layers.ReLU()(normalised(x, architecture.width, 3))
    x = layers.ReLU()(normalised(x, architecture.width, 7, strides=2))
    return layers.MaxPooling2D(3, strides=2, padding="same")(x)


def _block(x: Any, kernels: int, strides: int, attend: Callable[[Any], Any]) -> Any:
    from keras import layers

    shortcut = x
    if strides > 1 or x.shape[-1] != kernels:
        shortcut = normalised(x, kernels, 1, strides=strides)
    x = layers.ReLU()(normalised(x, kernels, 3, strides=strides))
    x = attend(normalised(x, kernels, 3))
    return layers.ReLU()(layers.Add()([x, shortcut]))


def normalised(x: Any, kernels: int, size: int, strides: int = 1) -> Any:
    """A convolution without bias, batch-normalised.

    Args:
        x: A Keras tensor (batch, height, width, channels).
        kernels: The number of output channels.
        size: The side of a kernel, in pixels.
        strides: The step between two places of a kernel, in pixels.

    Returns:
        A Keras tensor (batch, height / strides, width / strides, kernels).
    """
    from keras import layers

    x = layers.Conv2D(kernels, size, strides=strides, padding="same", use_bias=False)(x)
    return normalise(x)


def facts(architecture: Architecture) -> dict[str, int | str]:
    """One kernel count for each stage; there are no hidden dense layers."""
    return facts_of(architecture.kernels, ())


def label(architecture: Architecture) -> str:
    """ResNet 64-128-256-512 · blocks 2-2-2-2, then what differs from a 3x3 stem and images as they are."""
    return "resnet " + label_of_residual(architecture)


def label_of_residual(architecture: Architecture) -> str:
    """What all residual families are called by."""
    extras = " · 7x7 stem" * (architecture.stem == "7x7") + f" · {architecture.side} px" * (
        architecture.side > 0
    )
    return f"{dashes(architecture.kernels)} · blocks {dashes(architecture.blocks)}{extras}"
