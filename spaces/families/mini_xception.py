"""Mini-Xception (Arriaga et al. 2017): separable convolutions with shortcuts, 60 thousand weights in all.

A module is two batch-normalised separable convolutions and pooling, beside a 1x1 convolution of stride 2.
There is no dense layer: the last convolution has a map for each class, whose average is the class's score.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from spaces.blocks import dashes, facts_of, normalise
from spaces.shapes import Shape

if TYPE_CHECKING:
    import keras
    import keras_tuner


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """`width`: kernels of the two first convolutions; they double with every module. `l2`: on these two."""

    width: int = 8
    modules: int = 4
    l2: float = 0.01

    @property
    def kernels(self) -> tuple[int, ...]:
        """Of the two first convolutions and of each module."""
        return (self.width, *(self.width * 2**stage for stage in range(self.modules + 1)))


_PUBLISHED = Architecture()
VARIANTS = {"published": _PUBLISHED, "wide": replace(_PUBLISHED, width=32)}


def sample(hp: "keras_tuner.HyperParameters") -> Architecture:
    """2 to 5 modules, from the published width up to four times as wide."""
    return Architecture(
        width=hp.Choice("width", [8, 16, 32]),
        modules=hp.Int("modules", 2, 5, default=4),
        l2=hp.Float("l2", 1e-5, 1e-1, sampling="log", default=1e-2),
    )


def build(architecture: Architecture, input_shape: Shape, num_classes: int) -> "keras.Model":
    """Build the network for images from 5x5 up: padding keeps at least one position.

    Args:
        architecture: What to build.
        input_shape: Height, width and channels of the images.
        num_classes: The number of classes.

    Returns:
        A model from images in [0, 1] to float32 probabilities (batch, classes).
    """
    import keras
    from keras import layers, regularizers

    first, second, *modules = architecture.kernels
    inputs = x = keras.Input(input_shape)
    for kernels in (first, second):
        l2 = regularizers.L2(architecture.l2)
        x = layers.Conv2D(kernels, 3, use_bias=False, kernel_regularizer=l2)(x)
        x = layers.ReLU()(normalise(x))
    for kernels in modules:
        x = _module(x, kernels)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(num_classes, 3, padding="same")(x))
    outputs = layers.Activation("softmax", dtype="float32", name="probabilities")(x)
    return keras.Model(inputs, outputs, name="mini_xception")


def _module(x: Any, kernels: int) -> Any:
    from keras import layers

    shortcut = layers.Conv2D(kernels, 1, strides=2, padding="same", use_bias=False)(x)
    x = layers.ReLU()(_separable(x, kernels))
    x = layers.MaxPooling2D(3, strides=2, padding="same")(_separable(x, kernels))
    return layers.Add()([x, normalise(shortcut)])


def _separable(x: Any, kernels: int) -> Any:
    from keras import layers

    x = layers.SeparableConv2D(kernels, 3, padding="same", use_bias=False)(x)
    return normalise(x)


def facts(architecture: Architecture) -> dict[str, int | str]:
    """Two convolutions and the modules; there are no dense layers."""
    return facts_of(architecture.kernels, ())


def label(architecture: Architecture) -> str:
    """Mini-Xception 8-8-16-32-64-128."""
    return f"mini-xception {dashes(architecture.kernels)}"
