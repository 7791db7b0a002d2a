"""The Keras layer that varies training images: one affine warp, contrast, random erasing."""

import math
from typing import Any, Final

import keras
from keras import ops

from search.training.augmentation import Augmentation

_ERASED_AREA: Final = (0.02, 0.2)  # share of the image
_ERASED_ASPECT: Final = math.log(3.3)  # height : width from 1 : 3.3 to 3.3 : 1, evenly in logarithms


class AugmentationLayer(keras.layers.Layer):  # type: ignore[misc]
    """Varies every image on its own while training; passes images through in inference.

    All geometry is one composed matrix and one interpolation (edges repeat outward), several times faster
    than stacked layers and without blurring twice. Always float32: half precision would move the pixels.

    Input and output shape: (batch, height, width, channels), floats from 0 to 1.

    Attributes:
        strength: from 0 to 1, a variable: all ranges and the share of erased images times this. Mirroring,
            which is done or not, goes on as it is.
    """

    def __init__(self, augmentation: Augmentation, seed: int) -> None:
        super().__init__(dtype="float32", name="augmentation")
        self.augmentation = augmentation
        self.random = keras.random.SeedGenerator(seed)
        self.strength = self.add_weight(shape=(), initializer="ones", trainable=False, name="strength")
        # TensorFlow has no XLA kernel for the warp; where another backend compiles, it may.
        self.supports_jit = keras.backend.backend() != "tensorflow"

    def call(self, images: Any, training: bool = False) -> Any:
        """Vary `images` if `training`."""
        if not training:
            return images
        # One draw for everything: each call of a random operation costs as much as its numbers.
        draws = keras.random.uniform((ops.shape(images)[0], 13), -1.0, 1.0, dtype="float32", seed=self.random)
        if self.augmentation.warps:
            mirror = draws[:, 6:7]
            images = self._warp(images, ops.concatenate([draws[:, :6] * self.strength, mirror], axis=1))
        if self.augmentation.contrast:
            images = self._contrast(images, draws[:, 7] * self.strength)
        if self.augmentation.erasing:
            images = self._erase(images, draws[:, 8:])
        return images

    def _warp(self, images: Any, draws: Any) -> Any:
        """Rotate, shear, zoom, mirror and shift about the centre; `draws` (batch, 7) from [-1, 1)."""
        height, width = images.shape[1:3]
        centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
        a, b, c, d = self._linear(draws)
        shift_x = centre_x + draws[:, 4] * self.augmentation.shift * width
        shift_y = centre_y + draws[:, 5] * self.augmentation.shift * height
        nought = ops.zeros_like(a)
        rows = [a, b, shift_x - a * centre_x - b * centre_y, c, d, shift_y - c * centre_x - d * centre_y]
        return ops.image.affine_transform(
            images,
            ops.stack([*rows, nought, nought], axis=1),
            interpolation="bilinear",
            fill_mode="nearest",
            data_format="channels_last",
        )

    def _linear(self, draws: Any) -> tuple[Any, Any, Any, Any]:
        """The 2x2 matrix rotation @ shear @ zoom @ mirror, from output to input positions, row by row."""
        angle = draws[:, 0] * math.radians(self.augmentation.rotation)
        shear = ops.tan(draws[:, 1] * math.radians(self.augmentation.shear))
        zoom_x = 1 + draws[:, 2] * self.augmentation.zoom
        zoom_y = 1 + draws[:, 3] * self.augmentation.zoom
        if self.augmentation.flip:
            zoom_x = ops.where(draws[:, 6] < 0, -zoom_x, zoom_x)
        cos, sin = ops.cos(angle), ops.sin(angle)
        return cos * zoom_x, (cos * shear - sin) * zoom_y, sin * zoom_x, (sin * shear + cos) * zoom_y

    def _contrast(self, images: Any, draws: Any) -> Any:
        factor = ops.reshape(1 + draws * self.augmentation.contrast, (-1, 1, 1, 1))
        mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
        return ops.clip(mean + (images - mean) * factor, 0.0, 1.0)

    def _erase(self, images: Any, draws: Any) -> Any:
        """Fill a rectangle of some images with the image's mean; `draws` (batch, 5) from [-1, 1)."""
        unit = (draws + 1) / 2
        low, high = _ERASED_AREA
        side = ops.sqrt(low + (high - low) * unit[:, 0])
        stretch = ops.exp(draws[:, 1] * _ERASED_ASPECT / 2)
        rows = _band(images.shape[1], side * stretch, unit[:, 2])
        columns = _band(images.shape[2], side / stretch, unit[:, 3])
        chosen = ops.reshape(unit[:, 4] < self.augmentation.erasing * self.strength, (-1, 1, 1, 1))
        hole = ops.logical_and(chosen, ops.logical_and(rows[:, :, None, None], columns[:, None, :, None]))
        return ops.where(hole, ops.mean(images, axis=(1, 2), keepdims=True), images)


def _band(size: int, extent: Any, place: Any) -> Any:
    """Mask (batch, size): a run of pixels of share `extent`, its free room split by `place` from [0, 1)."""
    start = place * (1 - extent) * size
    position = ops.arange(size, dtype="float32")[None, :] + 0.5
    return ops.logical_and(position >= start[:, None], position < (start + extent * size)[:, None])
