"""Backbones of keras.applications, with ImageNet's weights, a file's or none, frozen or trained further.

Gray images are repeated over three channels; all are brought to the range that the backbone was trained on.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from spaces.blocks import (
    DenseHead,
    classify,
    dashes,
    label_of_head,
    require_side,
    resized,
    sample_head,
)
from spaces.errors import UserError
from spaces.shapes import Shape

if TYPE_CHECKING:
    import keras
    import keras_tuner

Backbone = Literal["mobilenet_v3_small", "mobilenet_v3_large", "efficientnet_b0", "resnet50", "vgg16"]
_CLASSES = {
    "mobilenet_v3_small": "MobileNetV3Small",
    "mobilenet_v3_large": "MobileNetV3Large",
    "efficientnet_b0": "EfficientNetB0",
    "resnet50": "ResNet50",
    "vgg16": "VGG16",
}
#: What ResNet50 and VGG16 subtract from blue, green and red in [0, 255]; the others normalise inside.
_IMAGENET_MEANS = (103.939, 116.779, 123.68)


@dataclass(frozen=True, kw_only=True)
class Architecture(DenseHead):
    """A backbone and a dense head.

    Args:
        backbone: one of keras.applications.
        weights: "imagenet" (fetched once, kept by Keras), the path of a weights file without top, or "none".
        frozen: whether the backbone stays as it is, and only the head is trained.
        side: what images are resized to; 0 keeps them.
    """

    backbone: Backbone = "mobilenet_v3_small"
    weights: str = "imagenet"
    frozen: bool = True
    side: int = field(default=0, metadata={"least": 0})
    head: Literal["flatten", "average"] = "average"
    neurons: tuple[int, ...] = ()


VARIANTS = {backbone: Architecture(backbone=backbone) for backbone in get_args(Backbone)}
VARIANTS |= {f"{name}_tuned": replace(frozen, frozen=False) for name, frozen in VARIANTS.items()}
COUNTS = {"neurons": "dense_layers"}


def sample(hp: "keras_tuner.HyperParameters") -> Architecture:
    """The backbone, whether it is trained further, and the head; where weights come from is not searched."""
    weights = hp.Fixed("weights", "imagenet")
    return Architecture(
        backbone=hp.Choice("backbone", list(get_args(Backbone))),
        weights=weights,
        frozen=weights != "none" and hp.Boolean("frozen", default=True),
        side=hp.Fixed("side", 0),
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
        InfeasibleArchitecture: For images under 32 pixels.
        UserError: If the weights cannot be had.
    """
    import keras

    require_side(
        (architecture.side or input_shape[0], architecture.side or input_shape[1], 3), 32, "backbones"
    )
    inputs = keras.Input(input_shape)
    images = resized(inputs, architecture.side)
    trunk = _trunk(architecture, images.shape[1:3])
    trunk.trainable = not architecture.frozen
    x = trunk(_in_the_backbones_range(images, architecture.backbone))
    return keras.Model(inputs, classify(x, architecture, num_classes), name="pretrained")


def _trunk(architecture: Architecture, size: tuple[int, int]) -> "keras.Model":
    import keras

    backbone = getattr(keras.applications, _CLASSES[architecture.backbone])
    wanted = architecture.weights
    if wanted not in ("none", "imagenet") and not Path(wanted).is_file():
        raise UserError(f"The weights {wanted!r} are not a file: give its path, 'imagenet' or 'none'.")
    try:
        return backbone(
            include_top=False, weights=None if wanted == "none" else wanted, input_shape=(*size, 3)
        )
    except Exception as error:
        if wanted == "none":
            raise
        raise UserError(_no_weights(architecture, error)) from error


def _no_weights(architecture: Architecture, error: Exception) -> str:
    if architecture.weights != "imagenet":
        return f"{architecture.weights} does not fit {architecture.backbone} without its top: {error}"
    return (
        f"ImageNet's weights for {architecture.backbone} cannot be fetched ({error}). Fetch them on a "
        "machine with a network and give its path as `weights`, or use weights = 'none' for no weights."
    )


def _in_the_backbones_range(x: Any, backbone: str) -> Any:
    """From [0, 1], gray or RGB, to what the backbone takes."""
    from keras import layers, ops

    if x.shape[-1] == 1:
        x = layers.Concatenate()([x, x, x])
    x = layers.Rescaling(255.0)(x)
    if backbone not in ("resnet50", "vgg16"):
        return x
    return layers.Normalization(mean=_IMAGENET_MEANS, variance=(1.0, 1.0, 1.0))(ops.flip(x, axis=-1))


def facts(architecture: Architecture) -> dict[str, int | str]:
    """Of the head alone."""
    return {"dense_layers": len(architecture.neurons), "neurons": dashes(architecture.neurons)}


def label(architecture: Architecture) -> str:
    """Backbone, weights, how they are used, head."""
    weights = Path(architecture.weights).name
    how = "from scratch" if weights == "none" else f"{weights} {'frozen' if architecture.frozen else 'tuned'}"
    size = f" · {architecture.side} px" * (architecture.side > 0)
    return f"{architecture.backbone} {how}{size} · {label_of_head(architecture)}"
