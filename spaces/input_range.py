"""Whether a network is made for pixels from 0 to 255 or for those in [0, 1], found by a forward pass.

Imports Keras: only processes that build or open networks may import this module.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray

from spaces.shapes import Shape

#: Networks are fed numbers that differ by about 1; pixels in [0, 1] divided by 255 differ by 1/255.
_LEAST: Final = 1 / 16
#: Whatever scales bytes to about 1 leaves pixels in [0, 1] well below; the product of both spans tells it too
#: where that is no division: a root, a gamma curve, a logarithm.
_PRODUCT: Final = 1 / 2


def takes_bytes(model: keras.Model, image_shape: Shape) -> bool:
    """Say whether a network is made for pixels from 0 to 255.

    It is, if images in [0, 1] look almost constant to its first trainable layer, however it scales them: by
    a layer, a function such as `preprocess_input`, an operator, or the statistics of a batch norm. Where it
    bends the range, by a root for example, it is if images from 0 to 255 are the ones that differ by about 1
    there. A model for whole numbers is made for bytes. A model that scales nothing counts as made for [0, 1].

    Args:
        model: a built network with one input.
        image_shape: (height, width, channels) of its input.
    """
    if not keras.backend.is_float_dtype(model.inputs[0].dtype):
        return True
    images = np.random.default_rng(0).random((5, *image_shape), dtype=np.float32)
    images[-1] = 0.0
    seen = _first_read(model, images)
    if seen is None:
        return False
    places = seen.reshape(len(seen), -1, seen.shape[-1])  # image, place, channel
    span = _span(seen)
    offset = np.abs(places[-1]).max(axis=0)
    if span.max() < _LEAST or (offset > span / _LEAST).all():
        return True
    of_bytes = _first_read(model, images * 255.0)
    return of_bytes is not None and bool(span.max() * _span(of_bytes).max() < _PRODUCT)


def _span(seen: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far the numbers of each channel lie apart, (channels,); NaN where one is no number."""
    places = seen.reshape(-1, seen.shape[-1])
    return np.asarray(places.max(axis=0) - places.min(axis=0))


class _Found(BaseException):
    """Ends the forward pass once the first read is known. Keras rewrites what derives from Exception."""

    def __init__(self, read: Any) -> None:
        super().__init__()
        self.read = read


def _first_read(model: keras.Model, images: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """What the first layer with weights to train is called with; None if there is no such layer."""
    try:
        with _stopping_at_weights():
            model(images, training=False)
    except _Found as found:
        return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(found.read, "float32")))
    return None


@contextmanager
def _stopping_at_weights() -> Iterator[None]:
    """Stop at the first layer that trains weights of its own.

    A batch norm is passed through: its statistics are a way of scaling, and do nothing before training.
    """
    call = keras.layers.Layer.__call__

    def stopping(self: Any, *args: Any, **options: Any) -> Any:
        trains = self._trainable_variables and not isinstance(self, keras.layers.BatchNormalization)
        if trains and args and keras.ops.is_tensor(args[0]):
            raise _Found(args[0])
        return call(self, *args, **options)

    keras.layers.Layer.__call__ = stopping
    try:
        yield
    finally:
        keras.layers.Layer.__call__ = call
