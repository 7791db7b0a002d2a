"""Residual networks whose blocks weigh their feature maps: squeeze and excitation (Hu et al. 2018)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spaces.families import resnet
from spaces.shapes import Shape

if TYPE_CHECKING:
    import keras
    import keras_tuner


@dataclass(frozen=True, kw_only=True)
class Architecture(resnet.Architecture):
    """`reduction`: the weights of the maps are computed from this many times fewer numbers."""

    reduction: int = 16


VARIANTS = {"se_resnet18": Architecture(stem="7x7"), "se_resnet18_small_images": Architecture()}
COUNTS = resnet.COUNTS


def sample(hp: "keras_tuner.HyperParameters") -> Architecture:
    """As for `resnet`, and a reduction of 4 to 16."""
    return Architecture(
        reduction=hp.Choice("reduction", [4, 8, 16], default=16), **resnet.sample_residual(hp)
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

    def attend(x: Any) -> Any:
        return _weighed(x, architecture.reduction)

    return resnet.residual_network(architecture, input_shape, num_classes, "se_resnet", attend)


def _weighed(x: Any, reduction: int) -> Any:
    """Each map times a number in (0, 1) that the averages of all maps decide."""
    from keras import layers

    kernels = x.shape[-1]
    weights = layers.GlobalAveragePooling2D(keepdims=True)(x)
    weights = layers.Dense(max(kernels // reduction, 1), activation="relu")(weights)
    return layers.Multiply()([x, layers.Dense(kernels, activation="sigmoid")(weights)])


def facts(architecture: Architecture) -> dict[str, int | str]:
    """One kernel count for each stage; the layers inside the blocks are not hidden dense layers."""
    return resnet.facts(architecture)


def label(architecture: Architecture) -> str:
    """SE-ResNet 64-128-256-512 · blocks 2-2-2-2 · 1/16."""
    return f"se-resnet {resnet.label_of_residual(architecture)} · 1/{architecture.reduction}"
