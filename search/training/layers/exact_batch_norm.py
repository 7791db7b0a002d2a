"""What batch norm knows of its inputs when it predicts: measured after every epoch, for the weights of then.

Keras follows mean and variance with a moving average over the last hundred steps or so, in which the weights
change: a search trains for few steps, and its first epochs are judged by statistics of networks that are no
more. Wu and Johnson, Rethinking "Batch" in BatchNorm (2021), section 3. Training itself never reads them.
"""

import math
from collections import Counter
from functools import partial
from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray

from search.training.batches import prediction_batch
from search.training.layers._replacing import layers_of

#: A sixteenth of the images, a fiftieth of an epoch's work. How many matters little: see
#: docs/speed.md.
_SHARE: Final = 16
_FEWEST: Final = 128
_MOST: Final = 512


class ExactBatchNorm:
    """Measures the statistics of every batch norm that is trained, on some images as they are.

    Args:
        inference: the model that predicts, from uint8 images.
        images: those to train on, uint8 (n, height, width, channels); 128 to 512 of them are used.
        seed: which ones.
    """

    def __init__(self, inference: keras.Model, images: NDArray[np.uint8], seed: int) -> None:
        # A layer that several of its models share is found in each.
        found = dict.fromkeys(layers_of(inference, keras.layers.BatchNormalization))
        self._layers = [layer for layer in found if layer.trainable]
        # A model of its own: Keras traces it once, with its batch norms measuring.
        self._model = keras.Model(inference.inputs, inference.outputs)
        self._images = images
        self._batches = self._drawn(max(_FEWEST, min(len(images) // _SHARE, _MOST)), seed)
        self._measuring = False
        self._calls: Counter[Any] = Counter()  # of each layer, in the batch at hand
        for layer in self._layers:
            layer.call = partial(self._call, layer, layer.call)

    def _drawn(self, count: int, seed: int) -> NDArray[np.int64]:
        """So many images in batches: by memory within a batch, drawn between batches."""
        count = min(count, len(self._images))
        batches = math.ceil(count / prediction_batch(*self._images.shape[1:3]))
        size = count // batches  # of each: what is left over is left out
        rows = np.random.default_rng(seed).choice(len(self._images), batches * size, replace=False)
        return np.sort(rows.reshape(batches, size))

    def measure(self) -> None:
        """Give the layers the mean and the variance of their inputs, with the weights as they are."""
        if not self._layers:
            return
        means: list[list[NDArray[np.float32]]] = []
        variances: list[list[NDArray[np.float32]]] = []
        self._measuring = True
        for rows in self._batches:
            self._calls.clear()
            self._model.predict_on_batch(np.asarray(self._images[rows]))
            # Copies: a backend may show its own memory, which the next batch overwrites.
            means.append([np.array(layer.moving_mean) for layer in self._layers])
            variances.append([np.array(layer.moving_variance) for layer in self._layers])
        self._measuring = False
        for layer, mean, variance in zip(
            self._layers, zip(*means, strict=True), zip(*variances, strict=True), strict=True
        ):
            layer.moving_mean.assign(np.mean(mean, axis=0))
            # Batches of one size: the variance within them and that between them.
            layer.moving_variance.assign(np.mean(variance, axis=0) + np.var(mean, axis=0))

    def _call(
        self, layer: Any, call: Any, inputs: Any, training: bool | None = None, mask: Any = None
    ) -> Any:
        if not self._measuring:
            return call(inputs, training=training, mask=mask)
        # What it keeps is this batch's own; where a network calls it several times, the mean over the calls.
        calls, followed = self._calls[layer], layer.momentum
        self._calls[layer] += 1
        layer.momentum = calls / (calls + 1)
        try:
            return call(inputs, training=True, mask=mask)
        finally:
            layer.momentum = followed
