"""What TensorFlow is served are the batches themselves, in the order of the epoch at hand."""

import keras
import numpy as np
import pytest

from search.training.batches import ShuffledBatches, backend_dataset, balanced_weights
from tests.support.training.small_training import CLASSES, labelled

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="other backends take the batches as they are"
)


@pytest.mark.parametrize("weighted", [False, True])
def test_they_are_served_as_they_are_and_each_epoch_in_its_own_order(weighted: bool) -> None:
    images, labels = labelled(70, 0)
    targets = np.eye(CLASSES, dtype=np.float32)[labels]
    weights = balanced_weights(labels, CLASSES) if weighted else None
    batches = ShuffledBatches(images, targets, weights, batch_size=32, seed=3)
    dataset = backend_dataset(batches)
    seen = []
    for epoch in (0, 1):
        batches.epoch = epoch
        told = list(dataset.as_numpy_iterator())
        assert [len(batch[0]) for batch in told] == [32, 32, 6]
        for mine, theirs in zip((batches[n] for n in range(len(batches))), told, strict=True):
            assert len(mine) == len(theirs) == (3 if weighted else 2)
            for one, other in zip(mine, theirs, strict=True):
                assert one.dtype == other.dtype
                np.testing.assert_array_equal(one, other)
        seen.append(np.concatenate([batch[0] for batch in told]))
    assert np.any(seen[0] != seen[1])


def test_no_thread_tunes_them() -> None:
    images, labels = labelled(8, 0)
    dataset = backend_dataset(ShuffledBatches(images, np.eye(CLASSES, dtype=np.float32)[labels], None, 4, 0))
    assert dataset.options().autotune.enabled is False
    assert int(dataset.cardinality()) == 2
