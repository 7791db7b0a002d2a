"""Dropout whose masks are windows of one long row of draws, where Keras draws each value anew.

On a CPU the draws of dropout take half as long as the convolutions of a small network. Here a training draws
a row once for each rate, and a step takes the window at one of four million places in it. Within a step
values are dropped independently, each with the layer's rate; from step to step, too, as long as no place
comes twice. The places come from Keras's own generator of the layer, so that a training repeats to the bit
and resumes where it was. JAX and PyTorch compile their draws, or have a kernel: both are left
alone.
"""

import math
from functools import partial
from typing import Any, Final

import keras
import numpy as np

from search.training.layers._replacing import calls_of, graphs_of

#: So many places can a window begin at.
_PLACES: Final = 1 << 22


def pool_masks(network: keras.Model, batch_size: int, seed: int) -> None:
    """Let the dropouts of `network` take their masks from rows of draws, where that is the faster way."""
    if keras.backend.backend() != "tensorflow":
        return
    rows: dict[tuple[float, str], Any] = {}
    sizes = _sizes(network)
    for layer in sorted(sizes, key=lambda layer: -sizes[layer]):  # the largest first: its row is for all
        kind = (layer.rate, layer.compute_dtype)
        if kind not in rows:
            rows[kind] = _row(*kind, batch_size * sizes[layer] + _PLACES, (seed, len(rows)))
        layer.call = partial(_call, layer, rows[kind])


def _sizes(network: keras.Model) -> dict[keras.layers.Dropout, int]:
    """How many values of an image each dropout drops from; those alone of which that is known."""
    sizes: dict[keras.layers.Dropout, int] = {}
    for call in (call for graph in graphs_of(network) for call in calls_of(graph)):
        layer = call.operation
        if type(layer) is keras.layers.Dropout and 0 < layer.rate < 1 and layer.noise_shape is None:
            shape = call.input_tensors[0].shape[1:]
            if None not in shape:
                sizes[layer] = max(sizes.get(layer, 0), math.prod(shape))
    return sizes


def _row(rate: float, dtype: str, length: int, seed: tuple[int, int]) -> Any:
    """0 where a value is dropped, else what keeps the mean."""
    import tensorflow as tf  # Keras's backend, imported already

    draws = np.random.Generator(np.random.SFC64(seed)).random(length, dtype=np.float32)
    return tf.cast((draws >= rate).astype(np.float32) / np.float32(1 - rate), dtype)


def _call(layer: keras.layers.Dropout, row: Any, inputs: Any, training: bool = False) -> Any:
    if not training:
        return inputs
    import tensorflow as tf

    seed, size = tf.cast(layer.seed_generator.next(), tf.int32), tf.size(inputs)

    def window() -> Any:
        place = tf.random.stateless_uniform([], seed, maxval=_PLACES, dtype=tf.int32)
        return row[place : place + size]

    def drawn() -> Any:
        return tf.nn.experimental.stateless_dropout(tf.ones([size], row.dtype), layer.rate, seed)

    # A network may make more images than it is given, patches for instance: the row is too short for these.
    mask = tf.cond(size <= len(row) - _PLACES, window, drawn)
    return inputs * tf.reshape(mask, tf.shape(inputs))
