"""Batch norm by the backend's kernel gives what Keras's own gives, and leaves the layers Keras's own."""

from pathlib import Path

import keras
import numpy as np
import pytest

from search.training.layers.fused_batch_norm import fuse_batch_norms
from tests.support.training.small_training import regressed, reloaded


def network(**options):
    inner = keras.Sequential([keras.Input((6, 6, 4)), keras.layers.BatchNormalization(**options)])
    inputs = keras.Input((6, 6, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", kernel_initializer=keras.initializers.GlorotUniform(1))(
        inputs
    )
    outputs = keras.layers.Dense(5, kernel_initializer=keras.initializers.GlorotUniform(2))(
        keras.layers.Flatten()(keras.layers.ReLU()(inner(x)))
    )
    return keras.Model(inputs, outputs)


@pytest.mark.trains
@pytest.mark.parametrize(
    "options", [{}, {"scale": False}, {"center": False, "momentum": 0.5, "epsilon": 0.1}]
)
def test_training_is_the_same_within_floating_point_noise(policy, options):
    plain, fused = network(**options), network(**options)
    fuse_batch_norms(fused)
    losses, weights = regressed(plain)
    fused_losses, fused_weights = regressed(fused)
    noise = 1e-5 if policy == "float32" else 2e-2
    assert fused_losses == pytest.approx(losses, rel=noise)
    for one, other in zip(weights, fused_weights, strict=True):
        np.testing.assert_allclose(other, one, rtol=noise, atol=noise)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="only TensorFlow has the kernel in Keras 3"
)
def test_the_kernel_is_used():
    """Else the test above would compare Keras with itself."""
    import tensorflow as tf

    model = network()
    fuse_batch_norms(model)
    step = tf.function(lambda x: model(x, training=True))
    graph = step.get_concrete_function(np.zeros((2, 6, 6, 3), "float32")).graph.as_graph_def()
    operations = {node.op for node in graph.node}
    operations |= {node.op for function in graph.library.function for node in function.node_def}
    assert "FusedBatchNormV3" in operations


def test_what_is_saved_is_plain_keras(tmp_path: Path):
    model = network()
    fuse_batch_norms(model)
    loaded = reloaded(model, tmp_path)
    assert type(loaded.layers[2].layers[0]) is keras.layers.BatchNormalization


def test_frozen_layers_keep_their_averages():
    model = network()
    model.layers[2].layers[0].trainable = False
    fuse_batch_norms(model)
    before = model.layers[2].layers[0].get_weights()
    regressed(model)
    for one, other in zip(before, model.layers[2].layers[0].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
