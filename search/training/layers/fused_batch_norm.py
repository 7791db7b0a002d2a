"""Batch norm by the backend's own kernel: one pass over the images instead of Keras's seven.

Keras 3 computes batch norm from elementwise operations, which on a CPU costs as much as the convolutions.
TensorFlow has a kernel for it, in bfloat16 too. Results agree within floating-point noise; the layers stay
Keras's own, so that what is saved loads anywhere. JAX compiles and PyTorch has its own: both are left alone.
"""

from functools import partial
from typing import Any

import keras

from search.training.layers._replacing import layers_of


def fuse_batch_norms(network: keras.Model) -> None:
    """Let the batch norms of `network` train by the backend's kernel, where it has one."""
    if keras.backend.backend() != "tensorflow":
        return
    for layer in layers_of(network, keras.layers.BatchNormalization):
        if _is_plain(layer):
            layer.call = partial(_call, layer)


def _is_plain(layer: keras.layers.BatchNormalization) -> bool:
    """Whether it is what the kernel computes: images, channels last, this device's batch alone."""
    images = layer.built and layer.input_spec.ndim == 4 and layer.axis in (-1, 3)
    return bool(images and not (layer.renorm or layer.synchronized))


def _call(
    layer: keras.layers.BatchNormalization, inputs: Any, training: bool | None = None, mask: Any = None
) -> Any:
    if not (training and layer.trainable) or mask is not None:  # predicts as what is saved will, to the bit
        return type(layer).call(layer, inputs, training=training, mask=mask)
    import tensorflow as tf  # Keras's backend, imported already

    channels = inputs.shape[-1]
    outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
        inputs,
        tf.cast(layer.gamma, tf.float32) if layer.scale else tf.ones(channels),
        tf.cast(layer.beta, tf.float32) if layer.center else tf.zeros(channels),
        epsilon=layer.epsilon,
        is_training=True,
    )
    # The kernel's variance is the sample's (n - 1), Keras keeps the batch's (n).
    count = tf.cast(tf.size(inputs) // channels, tf.float32)
    variance *= (count - 1.0) / count
    kept = layer.momentum
    layer.moving_mean.assign(layer.moving_mean * kept + mean * (1.0 - kept))
    layer.moving_variance.assign(layer.moving_variance * kept + variance * (1.0 - kept))
    return tf.cast(outputs, layer.compute_dtype)
