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
        (lambda x: keras.ops.power(x / 255, 1 / 2.2), True),
        (lambda x: keras.ops.sqrt(x) / 16, True),
        (lambda x: keras.ops.log1p(x) / keras.ops.log(256.0), True),
        (lambda x: keras.ops.power(x, 0.45), False),
        (lambda x: keras.ops.clip(x, 0, 1), False),
        (lambda x: keras.ops.tanh(2 * x), False),
    ],
)
def test_a_network_says_which_pixels_it_is_made_for(scale: Callable[[Any], Any], expected: bool) -> None:
    images = keras.Input(SHAPE)
    model = keras.Model(images, layers.Dense(4)(layers.Flatten()(scale(images))))
    assert takes_bytes(model, SHAPE) is expected


@pytest.mark.parametrize(("mean", "variance", "expected"), [(128.0, 5000.0, True), (0.5, 0.08, False)])
def test_the_statistics_of_a_first_batch_norm_tell(mean: float, variance: float, expected: bool) -> None:
    """Nothing else scales, and the network was trained: its statistics are those of its pixels."""
    images, norm = keras.Input(SHAPE), layers.BatchNormalization()
    model = keras.Model(images, layers.Dense(4)(layers.Flatten()(norm(images))))
    norm.set_weights([np.ones(3), np.zeros(3), np.full(3, mean), np.full(3, variance)])
    assert takes_bytes(model, SHAPE) is expected


def test_the_forward_pass_stops_at_the_first_weights_and_leaves_keras_as_it_was() -> None:
    call = layers.Layer.__call__
    images = keras.Input(SHAPE)
    model = keras.Model(images, layers.Dense(4)(layers.Flatten()(layers.Rescaling(1 / 255)(images))))
    model.trainable = False  # frozen weights are weights
    assert takes_bytes(model, SHAPE)
    assert layers.Layer.__call__ is call
    assert model(np.zeros((1, *SHAPE), np.float32)).shape == (1, 4)


@pytest.mark.slow
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
