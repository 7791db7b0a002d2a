"""Images in batches: to train on, in an order that seed and epoch alone decide, and to predict."""

from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray

from search.training.mixing import Mixing

_PREDICTED: Final = 256  # images predicted at once
_SIDE: Final = 96  # pixels a side; of larger images, as many as have the same pixels


class ShuffledBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """One epoch of images, each once; the last batch may be smaller.

    The order depends on (seed, epoch) only, so that a resumed training sees what an uninterrupted one sees.
    Set `epoch` before each epoch.

    Args:
        images: Images, uint8 (images, height, width, channels); a memory map is read batch by batch.
        targets: One-hot targets, float32 (images, classes).
        weights: The weight of each image, float32 (images,); None for equal weights.
        batch_size: The number of images of a batch.
        seed: Decides the orders.
        shuffle: False serves the images as they lie.
        mixing: Varies each batch; None serves the images as they are.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        targets: NDArray[np.float32],
        weights: NDArray[np.float32] | None,
        batch_size: int,
        seed: int,
        shuffle: bool = True,
        mixing: Mixing | None = None,
    ) -> None:
        super().__init__()
        self._columns: list[NDArray[Any]] = [images, targets, *([] if weights is None else [weights])]
        self._batch_size = batch_size
        self.seed = seed
        self._shuffle = shuffle
        self._mixing = mixing
        self.epoch = 0

    @property
    def images(self) -> int:
        """How many there are."""
        return len(self._columns[0])

    @property
    def epoch(self) -> int:
        """Whose order is served, counted from 0."""
        return self._epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epoch = epoch
        generator = np.random.default_rng([self.seed, epoch])
        self._order = generator.permutation(self.images) if self._shuffle else np.arange(self.images)

    def __len__(self) -> int:
        return -(-self.images // self._batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray[Any], ...]:
        chosen = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        columns = tuple(np.asarray(column[chosen]) for column in self._columns)
        return self._mixing.vary(columns, chosen, self._epoch, index) if self._mixing else columns


def backend_dataset(batches: ShuffledBatches) -> Any:
    """The batches as the backend trains on them best.

    What Keras makes of them for TensorFlow is tuned by a thread of its own, which may sleep for seconds
    when an epoch ends while the next one waits for it. Here nothing is tuned.

    Args:
        batches: The batches.

    Returns:
        Something that `fit` takes.
    """
    if keras.backend.backend() != "tensorflow":
        return batches
    import tensorflow as tf  # Keras's backend, imported already

    one = batches[0]
    signature = tuple(tf.TensorSpec((None, *column.shape[1:]), column.dtype) for column in one)
    dataset = tf.data.Dataset.from_generator(
        lambda: (batches[index] for index in range(len(batches))), output_signature=signature
    )
    untuned = tf.data.Options()
    untuned.autotune.enabled = False
    counted = dataset.apply(tf.data.experimental.assert_cardinality(len(batches)))
    return counted.prefetch(1).with_options(untuned)


def prediction_batch(height: int, width: int) -> int:
    """The number of images to predict at once: what the layers give of them must fit in memory.

    Args:
        height: Of the images, in pixels.
        width: Of the images, in pixels.
    """
    return max(1, min(_PREDICTED, _PREDICTED * _SIDE**2 // (height * width)))


def balanced_weights(labels: NDArray[np.integer[Any]], num_classes: int) -> NDArray[np.float32]:
    """Weights that give every class the same sum: n / (classes * n_class).

    Args:
        labels: The class of each image, (images,).
        num_classes: The number of classes.

    Returns:
        The weight of each image, float32 (images,). Their mean is 1 if no class is empty.
    """
    counts = np.bincount(labels, minlength=num_classes)
    by_class = len(labels) / (num_classes * np.maximum(counts, 1))
    return np.take(by_class, labels).astype(np.float32)
