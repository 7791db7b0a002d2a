"""Dropout that draws a byte for each value, where Keras draws a number of 32 bits and compares that.

On a CPU the draws of dropout take half as long as the convolutions of a small network. Four bytes come from
one draw of TensorFlow's counter-based generator, seeded as Keras seeds its own, so that a training repeats to
the bit and resumes where it was. JAX and PyTorch compile theirs, or have a kernel: both are left alone.
"""

from functools import partial
from typing import Any, Final

import keras

from search.training.layers import layers_of

_LEVELS: Final = 256


def draw_bytes(network: keras.Model) -> None:
    """Let the dropouts of `network` draw bytes, where that is the faster way."""
    if keras.backend.backend() != "tensorflow":
        return
    for layer in layers_of(network, keras.layers.Dropout):
        if 0 < layer.rate <= 1 - 1 / _LEVELS and layer.noise_shape is None:
            layer.call = partial(_call, layer)


def _call(layer: keras.layers.Dropout, inputs: Any, training: bool = False) -> Any:
    """Drop with the layer's rate, and divide what stays by the share that does.

    A byte can tell 256 rates apart. The step draws one of the two nearest, so that the mean is the layer's.
    """
    if not training:
        return inputs
    import tensorflow as tf  # Keras's backend, imported already

    count = tf.size(inputs)
    seed = tf.cast(layer.seed_generator.next(), tf.int32)
    draws = tf.random.stateless_uniform([count // 4 + 2], seed, minval=None, maxval=None, dtype=tf.int32)
    between = (tf.cast(draws[-1], tf.float32) + 2.0**31) / 2.0**32
    dropped = tf.minimum(tf.floor(layer.rate * _LEVELS + between), _LEVELS - 1.0)
    bytes_ = tf.reshape(tf.reshape(tf.bitcast(draws, tf.uint8), [-1])[:count], tf.shape(inputs))
    stays = tf.cast(bytes_ >= tf.cast(dropped, tf.uint8), inputs.dtype)
    return inputs * (stays * tf.cast(_LEVELS / (_LEVELS - dropped), inputs.dtype))
