"""Modules of parallel 1x1, 3x3 and 5x5 convolutions and a pooling branch, behind a small stem.

The published instance is avaneesh2001/Facial-Expression-Recognition-with-CNNs. Its code differs from its
description: the first stem convolution and the two hidden dense layers are made and never connected, and
pooling has stride 1, so that the classifier sees 1,695,744 numbers for an image of 48x48. `described` is the
description; `as_published` is what the code really trained: it makes the first stem convolution and drops it,
as the code does, and leaves out the hidden dense layers (217 million weights that nothing would ever train).
"""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from spaces.blocks import (
    DenseHead,
    classify,
    convolve,
    dashes,
    drop,
    label_of_head,
    normalise,
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
    """One stem, then equal modules.

    Args:
        stem: kernels of the 5x5 and of the 3x3 convolution before the modules, each followed by pooling.
        stem_stride: of these poolings; 2 halves the image twice.
        modules: how many there are.
        kernels_1x1, kernels_3x3, kernels_5x5: of the branches of a module.
        kernels_pool: of the 1x1 convolution behind the pooling branch; 0 is pooling alone.
        batch_norm: behind each pooling of the stem.
        connected: False repeats the published wiring; see the top of this file.
    """

    stem: tuple[int, int] = (32, 64)
    stem_stride: int = 2
    modules: int = 3
    kernels_1x1: int = 64
    kernels_3x3: int = 128
    kernels_5x5: int = 32
    kernels_pool: int = field(default=0, metadata={"least": 0})
    batch_norm: bool = True
    connected: bool = True


_DESCRIBED = Architecture(neurons=(128, 128))
VARIANTS = {
    "described": _DESCRIBED,
    "as_published": replace(_DESCRIBED, stem_stride=1, connected=False),
}
COUNTS = {"neurons": "dense_layers"}


def sample(hp: "keras_tuner.HyperParameters") -> Architecture:
    """1 to 4 modules, with 16 to 256 kernels in each branch."""
    return Architecture(
        stem=sample_widths(hp, "stem", 2, least=16, most=128, default=32),  # type: ignore[arg-type]
        modules=hp.Int("modules", 1, 4, default=3),
        kernels_1x1=hp.Choice("kernels_1x1", [16, 32, 64, 128], default=64),
        kernels_3x3=hp.Choice("kernels_3x3", [32, 64, 128, 256], default=128),
        kernels_5x5=hp.Choice("kernels_5x5", [16, 32, 64], default=32),
        kernels_pool=hp.Choice("kernels_pool", [0, 16, 32, 64], default=32),
        batch_norm=hp.Boolean("batch_norm", default=True),
        stem_stride=hp.Fixed("stem_stride", 2),
        connected=hp.Fixed("connected", True),
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
        InfeasibleArchitecture: If the image cannot be halved twice.
    """
    import keras

    require_side(input_shape, architecture.stem_stride**2, "2 poolings")
    inputs = keras.Input(input_shape)
    x = _stem(inputs, architecture)
    for _ in range(architecture.modules):
        x = drop(_module(x, architecture), architecture.dropout)
    head = architecture if architecture.connected else replace(architecture, neurons=(), dropout=0.0)
    return keras.Model(inputs, classify(x, head, num_classes), name="inception")


def _stem(inputs: Any, architecture: Architecture) -> Any:
    first = _stem_layer(inputs, architecture.stem[0], 5, architecture)
    # As published, `first` is made and dropped: the second convolution sees the image.
    return _stem_layer(first if architecture.connected else inputs, architecture.stem[1], 3, architecture)


def _stem_layer(x: Any, kernels: int, size: int, architecture: Architecture) -> Any:
    from keras import layers

    x = layers.MaxPooling2D(2, strides=architecture.stem_stride, padding="same")(convolve(x, kernels, size))
    x = drop(x, architecture.dropout)
    return normalise(x) if architecture.batch_norm else x


def _module(x: Any, architecture: Architecture) -> Any:
    from keras import layers

    pooled = layers.MaxPooling2D(3, strides=1, padding="same")(x)
    branches = [
        convolve(x, architecture.kernels_1x1, 1),
        convolve(x, architecture.kernels_3x3, 3),
        convolve(x, architecture.kernels_5x5, 5),
        convolve(pooled, architecture.kernels_pool, 1) if architecture.kernels_pool else pooled,
    ]
    return layers.Concatenate()(branches)


def facts(architecture: Architecture) -> dict[str, int | str]:
    """A stage is a convolution of the stem or a module; what is not connected does not count."""
    hidden = architecture.neurons if architecture.connected else ()
    stem = architecture.stem if architecture.connected else architecture.stem[1:]
    return {
        "conv_stages": len(stem) + architecture.modules,
        "kernels": "-".join([dashes(stem), *[dashes_of_module(architecture)] * architecture.modules]),
        "dense_layers": len(hidden),
        "neurons": dashes(hidden),
    }


def dashes_of_module(architecture: Architecture) -> str:
    """(64+128+32+0): the kernels of the branches, 0 for a pooling branch without any."""
    branches = (
        architecture.kernels_1x1,
        architecture.kernels_3x3,
        architecture.kernels_5x5,
        architecture.kernels_pool,
    )
    return f"({'+'.join(map(str, branches))})"


def label(architecture: Architecture) -> str:
    """Inception 32-64 3x(64+128+32+0) · 128-128, with a word on the published wiring."""
    trunk = f"inception {dashes(architecture.stem)} {architecture.modules}x{dashes_of_module(architecture)}"
    if not architecture.connected:
        return f"{trunk} · as published (stem {architecture.stem[0]} and dense layers not connected)"
    return f"{trunk} · {label_of_head(architecture)}" + " · no bn" * (not architecture.batch_norm)
