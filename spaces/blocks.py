"""The parts that several families share: convolutions, the dense head, and what to call them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from spaces.errors import InfeasibleArchitecture
from spaces.shapes import Shape

if TYPE_CHECKING:
    import keras_tuner


@dataclass(frozen=True, kw_only=True)
class DenseHead:
    """From feature maps to classes: flatten or average them, then hidden layers, each behind a dropout.

    Args:
        head: "flatten" keeps every position of the maps, "average" keeps one number for each map.
        neurons: of each hidden layer.
        dropout: the share of numbers that is dropped, here and between the stages of the families.
    """

    head: Literal["flatten", "average"] = "flatten"
    neurons: tuple[int, ...] = (256, 256)
    dropout: float = 0.2


def sample_head(hp: "keras_tuner.HyperParameters") -> dict[str, Any]:
    """Draw the fields of a `DenseHead`: 1 to 4 hidden layers of 64 to 1024 neurons.

    Args:
        hp: Keras Tuner's hyperparameters.

    Returns:
        The fields by name.
    """
    layers = hp.Int("dense_layers", 1, 4, default=2)
    return {
        "head": hp.Choice("head", ["flatten", "average"]),
        "neurons": sample_widths(hp, "neurons", layers, least=64, most=1024, default=256),
        "dropout": sample_dropout(hp),
    }


def sample_widths(
    hp: "keras_tuner.HyperParameters", name: str, count: int, *, least: int, most: int, default: int
) -> tuple[int, ...]:
    """Draw the widths of a number of layers, each a power of two times the smallest.

    Args:
        hp: Keras Tuner's hyperparameters.
        name: The prefix: the hyperparameters are `NAME_1` to `NAME_count`.
        count: The number of layers.
        least: The smallest width.
        most: The largest width, a power of two times the smallest.
        default: The width that is tried first.

    Returns:
        One width for each layer.
    """
    widths = [least * 2**power for power in range(int(math.log2(most // least)) + 1)]
    return tuple(hp.Choice(f"{name}_{i}", widths, default=default) for i in range(1, count + 1))


def sample_dropout(hp: "keras_tuner.HyperParameters") -> float:
    """Draw a dropout rate from 0 to 0.5, in tenths.

    Args:
        hp: Keras Tuner's hyperparameters.
    """
    return round(float(hp.Float("dropout", 0.0, 0.5, step=0.1, default=0.2)), 1)


def classify(x: Any, head: DenseHead, num_classes: int) -> Any:
    """From feature maps to class probabilities.

    Args:
        x: Feature maps (batch, height, width, channels).
        head: How to get there.
        num_classes: The number of classes.

    Returns:
        Float32 probabilities (batch, classes).
    """
    from keras import layers

    x = layers.Flatten()(x) if head.head == "flatten" else layers.GlobalAveragePooling2D()(x)
    for neurons in head.neurons:
        x = layers.Dense(neurons, activation="relu")(drop(x, head.dropout))
    return probabilities(x if head.neurons else drop(x, head.dropout), num_classes)


def probabilities(x: Any, num_classes: int) -> Any:
    """The last dense layer, in float32 under every precision: a softmax in bfloat16 loses two digits.

    Args:
        x: Features (batch, features).
        num_classes: The number of classes.

    Returns:
        Float32 probabilities (batch, classes).
    """
    from keras import layers

    return layers.Dense(num_classes, activation="softmax", dtype="float32", name="probabilities")(x)


def drop(x: Any, rate: float) -> Any:
    """Add dropout; no layer where the rate is 0.

    Args:
        x: A tensor.
        rate: The share of numbers to drop, in [0, 1).
    """
    from keras import layers

    return layers.Dropout(rate)(x) if rate else x


def convolve(x: Any, kernels: int, size: int, *, batch_norm: bool = False, **options: Any) -> Any:
    """Add a convolution, batch norm where it is asked for, and ReLU.

    Args:
        x: Feature maps (batch, height, width, channels).
        kernels: The number of kernels.
        size: The side of a kernel, in pixels.
        batch_norm: Whether to normalise before the ReLU; the convolution then has no bias.
        **options: Further arguments of `Conv2D`; padding is "same" unless it is given.

    Returns:
        Feature maps with `kernels` channels.
    """
    from keras import layers

    options = {"padding": "same", **options}
    if not batch_norm:
        return layers.Conv2D(kernels, size, activation="relu", **options)(x)
    x = layers.Conv2D(kernels, size, use_bias=False, **options)(x)
    return layers.ReLU()(normalise(x))


def normalise(x: Any) -> Any:
    """Batch norm whose averages follow within some ten steps.

    Candor measures them anew after every epoch; whoever trains the saved model further has few steps,
    behind which averages over a hundred batches, as by default, would lag.

    Args:
        x: Feature maps (batch, height, width, channels).
    """
    from keras import layers

    return layers.BatchNormalization(momentum=0.9)(x)


def require_side(input_shape: Shape, least: int, what: str) -> None:
    """Refuse images that are too small.

    Args:
        input_shape: Height, width and channels of the images.
        least: The smallest side that works, in pixels.
        what: What would leave nothing of smaller images, such as "5 poolings".

    Raises:
        InfeasibleArchitecture: For images with a shorter side.
    """
    side = min(input_shape[:2])
    if side < least:
        reason = f"{what} need images of at least {least} pixels a side, these have {side}"
        raise InfeasibleArchitecture(reason, violation=least / side - 1)


def resized(x: Any, side: int) -> Any:
    """Resize images to a square.

    Args:
        x: Images (batch, height, width, channels).
        side: The side in pixels; 0 leaves images as they are.
    """
    from keras import layers

    return x if side == 0 or x.shape[1:3] == (side, side) else layers.Resizing(side, side)(x)


def dashes(numbers: Iterable[int]) -> str:
    """Join numbers as labels do: 64-64-128-128.

    Args:
        numbers: The numbers.
    """
    return "-".join(map(str, numbers))


def facts_of(kernels: Sequence[int], neurons: Sequence[int]) -> dict[str, int | str]:
    """What tables show of the stages and hidden layers.

    Args:
        kernels: The kernels of each convolution stage.
        neurons: The neurons of each hidden layer.
    """
    return {
        "conv_stages": len(kernels),
        "kernels": dashes(kernels),
        "dense_layers": len(neurons),
        "neurons": dashes(neurons),
    }


def label_of_head(head: DenseHead) -> str:
    """What a table says of the head: 256-256, and what is unusual about it.

    Args:
        head: The head.
    """
    hidden = dashes(head.neurons) or "no dense"
    return hidden if head.head == "flatten" else f"{hidden} avg"
