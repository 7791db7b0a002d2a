"""Networks that scale pixels in whatever way are asked which pixels they are made for."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from spaces.input_range import takes_bytes

SHAPE = (32, 32, 3)


def normalised(pixels: Any) -> Any:
    """By the statistics of bytes."""
    layer = layers.Normalization()
    layer.adapt(np.random.default_rng(0).integers(0, 256, (8, *SHAPE)).astype("float32"))
    return layer(pixels)


def whitened(pixels: Any) -> Any:
    """By the statistics of ImageNet in [0, 1]."""
    return layers.Normalization(mean=[0.485, 0.456, 0.406], variance=[0.0524, 0.0502, 0.0506])(pixels)


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        (lambda x: x, False),
        (lambda x: x - 0.5, False),
        (lambda x: 2 * x - 1, False),
        (whitened, False),
        (layers.BatchNormalization(), False),
        (layers.RandomFlip(), False),
        (lambda x: layers.GlobalAveragePooling2D()(x), False),
        (lambda x: layers.Rescaling(1 / 255)(layers.Rescaling(255.0)(x)), False),
        (layers.Rescaling(1 / 255), True),
        (layers.Rescaling(1 / 127.5, offset=-1), True),
        (lambda x: x / 255.0, True),
        (normalised, True),
        (keras.applications.mobilenet_v2.preprocess_input, True),
        (keras.applications.resnet50.preprocess_input, True),
        (keras.applications.densenet.preprocess_input, True),
    ],
)
def test_a_network_says_which_pixels_it_is_made_for(scale: Callable[[Any], Any], expected: bool) -> None:
    images = keras.Input(SHAPE)
    model = keras.Model(images, layers.Dense(4)(layers.Flatten()(scale(images))))
    assert takes_bytes(model, SHAPE) is expected


def test_what_a_backbone_scales_itself_counts() -> None:
    """EfficientNet and ConvNeXt divide bytes inside; what hands them bytes takes [0, 1] itself."""
    for backbone in (keras.applications.EfficientNetB0, keras.applications.ConvNeXtTiny):
        inside = backbone(include_top=False, weights=None, input_shape=SHAPE, pooling="avg")
        images = keras.Input(SHAPE)
        assert takes_bytes(keras.Model(images, inside(images)), SHAPE)
        assert not takes_bytes(keras.Model(images, inside(layers.Rescaling(255.0)(images))), SHAPE)


def test_whole_numbers_are_bytes_and_a_network_without_weights_is_none() -> None:
    images = keras.Input(SHAPE, dtype="uint8")
    assert takes_bytes(keras.Model(images, layers.Flatten()(images)), SHAPE)
    images = keras.Input(SHAPE)
    assert not takes_bytes(keras.Model(images, layers.Flatten()(images / 255)), SHAPE)
