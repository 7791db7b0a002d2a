"""ReLU behind max pooling: the same numbers to the bit, and only where they are."""

from pathlib import Path

import keras
import numpy as np
import pytest

from search.training.layers.late_relu import pool_before_relu
from tests.support.training.small_training import regressed, reloaded

layers = keras.layers
ON_TENSORFLOW = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="other backends keep the network as it is"
)


def stage(x, kernels, seed, relu, padding="valid"):
    weights = keras.initializers.GlorotUniform(seed)
    x = layers.Conv2D(kernels, 3, padding="same", use_bias=False, kernel_initializer=weights)(x)
    return layers.MaxPooling2D(padding=padding)(relu(layers.BatchNormalization()(x)))


def network():
    inputs = keras.Input((9, 9, 3))
    inner_inputs = keras.Input((4, 4, 4))
    inner = keras.Model(inner_inputs, stage(inner_inputs, 4, 2, layers.ReLU(), padding="same"))
    x = inner(stage(inputs, 4, 1, layers.Activation("relu")))
    outputs = layers.Dense(5, kernel_initializer=keras.initializers.GlorotUniform(3))(layers.Flatten()(x))
    return keras.Model(inputs, outputs)


def late(model):
    """The names of the layers that were given another call."""
    return sorted(type(layer).__name__ for layer in model._flatten_layers() if "call" in vars(layer))


@pytest.mark.trains
def test_training_is_the_same_to_the_bit(policy):
    plain, changed = network(), network()
    pool_before_relu(changed)
    losses, weights = regressed(plain)
    changed_losses, changed_weights = regressed(changed)
    assert changed_losses == losses
    for one, other in zip(weights, changed_weights, strict=True):
        np.testing.assert_array_equal(other, one)


@ON_TENSORFLOW
def test_it_happens_in_models_within_models_too():
    model = network()
    pool_before_relu(model)
    assert late(model) == ["Activation", "MaxPooling2D", "MaxPooling2D", "ReLU"]


def test_what_is_saved_is_plain_keras(tmp_path: Path):
    model = network()
    pool_before_relu(model)
    assert late(reloaded(model, tmp_path)) == []


def _read_twice(x):
    x = layers.ReLU()(layers.BatchNormalization()(x))
    return layers.Add()([layers.MaxPooling2D(1)(x), x])


def _pooling_called_twice(x):
    pooling = layers.MaxPooling2D(3, 1, "same")
    return pooling(pooling(layers.ReLU()(layers.BatchNormalization()(x))))


def _relu_called_twice(x):
    relu = layers.ReLU()
    return layers.MaxPooling2D()(relu(layers.BatchNormalization()(relu(x))))


@ON_TENSORFLOW
@pytest.mark.parametrize(
    "block",
    [
        lambda x: layers.MaxPooling2D()(layers.ReLU(negative_slope=0.1)(layers.BatchNormalization()(x))),
        lambda x: layers.MaxPooling2D()(layers.Activation("gelu")(layers.BatchNormalization()(x))),
        lambda x: layers.AveragePooling2D(2)(layers.ReLU()(layers.BatchNormalization()(x))),
        lambda x: layers.MaxPooling2D()(layers.ReLU()(layers.Conv2D(4, 3)(x))),
        _read_twice,
        _pooling_called_twice,
        _relu_called_twice,
    ],
    ids=["leaky", "gelu", "mean", "no batch norm", "read twice", "pooling twice", "relu twice"],
)
def test_what_would_not_be_the_same_or_no_faster_is_left_alone(block):
    inputs = keras.Input((9, 9, 3))
    model = keras.Model(inputs, block(inputs))
    pool_before_relu(model)
    assert late(model) == []


@ON_TENSORFLOW
def test_a_relu_whose_pixels_are_an_answer_is_left_alone():
    inputs = keras.Input((9, 9, 3))
    pixels = layers.ReLU()(layers.BatchNormalization()(inputs))
    model = keras.Model(inputs, [pixels, layers.MaxPooling2D()(pixels)])
    pool_before_relu(model)
    assert late(model) == []
