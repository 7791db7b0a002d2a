"""GoogLeNet (Szegedy et al. 2015): nine Inception modules with 1x1 reductions, no auxiliary classifiers.

`small` has as many weights as the Inception network of Pramerdorfer and Kampel (2016), 1.2 million, not its
layers.
"""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from spaces.blocks import (
    convolve,
    drop,
    probabilities,
    resized,
    sample_dropout,
)
from spaces.shapes import Shape

if TYPE_CHECKING:
    import keras
    import keras_tuner

#: Table 1 of the paper: 1x1; 3x3 behind a reduction; 5x5 behind a reduction; 1x1 behind pooling. None pools.
MODULES = (
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    None,
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    None,
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The published table, narrower or wider.

    Args:
        width: factor on all kernels.
        batch_norm: behind each convolution, as in all later versions; the first one had none.
        dropout: before the last layer.
        side: what images are resized to; 0 keeps them.
    """

    width: float = 1.0
    batch_norm: bool = False
    dropout: float = 0.4
    side: int = field(default=0, metadata={"least": 0})


_PUBLISHED = Architecture()
VARIANTS = {
    "published": _PUBLISHED,
    "published_224": replace(_PUBLISHED, side=224),
    "normalised": replace(_PUBLISHED, batch_norm=True),
    "small": replace(_PUBLISHED, batch_norm=True, width=0.45),
}


def sample(hp: "keras_tuner.HyperParameters") -> Architecture:
    """A quarter of the published width up to all of it, with or without batch norm."""
    return Architecture(
        width=hp.Choice("width", [0.25, 0.5, 1.0], default=0.5),
        batch_norm=hp.Boolean("batch_norm", default=True),
        dropout=sample_dropout(hp),
        side=hp.Fixed("side", 0),
    )


def build(architecture: Architecture, input_shape: Shape, num_classes: int) -> "keras.Model":
    """Build the network for images of any size: padding keeps at least one position.

    Args:
        architecture: What to build.
        input_shape: Height, width and channels of the images.
        num_classes: The number of classes.

    Returns:
        A model from images in [0, 1] to float32 probabilities (batch, classes).
    """
    import keras

    inputs = keras.Input(input_shape)
    x = _stem(resized(inputs, architecture.side), architecture)
    for branches in MODULES:
        x = _pooled(x) if branches is None else _module(x, branches, architecture)
    x = drop(keras.layers.GlobalAveragePooling2D()(x), architecture.dropout)
    return keras.Model(inputs, probabilities(x, num_classes), name="googlenet")


def _stem(x: Any, architecture: Architecture) -> Any:
    x = _pooled(_convolve(x, 64, 7, architecture, strides=2))
    return _pooled(_convolve(_convolve(x, 64, 1, architecture), 192, 3, architecture))


def _pooled(x: Any) -> Any:
    from keras import layers

    return layers.MaxPooling2D(3, strides=2, padding="same")(x)


def _module(x: Any, branches: tuple[int, ...], architecture: Architecture) -> Any:
    from keras import layers

    ones, reduced_3x3, threes, reduced_5x5, fives, pooled = branches
    parts = [
        _convolve(x, ones, 1, architecture),
        _convolve(_convolve(x, reduced_3x3, 1, architecture), threes, 3, architecture),
        _convolve(_convolve(x, reduced_5x5, 1, architecture), fives, 5, architecture),
        _convolve(layers.MaxPooling2D(3, strides=1, padding="same")(x), pooled, 1, architecture),
    ]
    return layers.Concatenate()(parts)


def _convolve(x: Any, kernels: int, size: int, architecture: Architecture, strides: int = 1) -> Any:
    width = max(round(kernels * architecture.width), 1)
    return convolve(x, width, size, batch_norm=architecture.batch_norm, strides=strides)


def facts(architecture: Architecture) -> dict[str, int | str]:
    """Three convolutions and nine modules; there are no hidden dense layers."""
    return {"conv_stages": 12, "dense_layers": 0, "neurons": ""}


def label(architecture: Architecture) -> str:
    """GoogLeNet x1, with what is unusual about it."""
    extras = " · bn" * architecture.batch_norm + f" · {architecture.side} px" * (architecture.side > 0)
    return f"googlenet x{architecture.width:g}{extras}"
