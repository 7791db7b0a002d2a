"""Whether a network is made for pixels from 0 to 255 or for those in [0, 1]: asked of itself.

Imports Keras: only processes that build networks may import this module.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from spaces.shapes import Shape

#: Networks are fed numbers that differ by about 1; pixels in [0, 1] divided by 255 differ by 1/255.
_LEAST = 1 / 16


def takes_bytes(model: keras.Model, image_shape: Shape) -> bool:
    """Whether images in [0, 1] would reach its first weights all but black, or all but the same.

    However it scales (a layer, a function such as `preprocess_input`, a division, statistics of bytes): it
    runs on noise in [0, 1] and on black, and what the first layer with weights to train reads of them is
    compared. A model for whole numbers is one for bytes.
    """
    if not keras.backend.is_float_dtype(model.inputs[0].dtype):
        return True
    images = np.random.default_rng(0).random((5, *image_shape), dtype=np.float32)
    images[-1] = 0.0
    seen = _first_read(model, images)
    if seen is None:
        return False
    places = seen.reshape(len(seen), -1, seen.shape[-1])  # image, place, channel
    span = places.max(axis=(0, 1)) - places.min(axis=(0, 1))
    offset = np.abs(places[-1]).max(axis=0)
    return bool(span.max() < _LEAST or (offset > span / _LEAST).all())


def _first_read(model: keras.Model, images: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """What the first layer with weights to train is called with; None if there is no such layer."""
    reads: list[Any] = []
    with _noting(reads):
        model(images, training=False)
    return keras.ops.convert_to_numpy(keras.ops.cast(reads[0], "float32")) if reads else None


@contextmanager
def _noting(reads: list[Any]) -> Iterator[None]:
    """Keep the first thing that a layer with weights of its own is called with."""
    call = keras.layers.Layer.__call__

    def noted(self: Any, *args: Any, **options: Any) -> Any:
        if not reads and args and self._trainable_variables and keras.ops.is_tensor(args[0]):
            reads.append(args[0])
        return call(self, *args, **options)

    keras.layers.Layer.__call__ = noted
    try:
        yield
    finally:
        keras.layers.Layer.__call__ = call
