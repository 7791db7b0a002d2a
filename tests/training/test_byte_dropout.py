"""Dropout that draws bytes drops as often as asked, keeps the mean, and repeats."""

import keras
import numpy as np
import pytest

from search.training.byte_dropout import draw_bytes

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="other backends keep Keras's own dropout"
)


def dropout(rate: float, **options: object) -> keras.Model:
    """A dropout, in a model within the model."""
    inner = keras.Sequential([keras.Input((40, 25, 10)), keras.layers.Dropout(rate, seed=7, **options)])
    images = keras.Input((40, 25, 10))
    model = keras.Model(images, inner(images))
    draw_bytes(model)
    return model


ONES = np.ones((8, 40, 25, 10), "float32")


@pytest.mark.parametrize("rate", [0.001, 0.1, 0.2, 0.5, 0.777, 0.999])
def test_it_drops_the_share_asked_for_and_keeps_the_mean(rate: float) -> None:
    """Over a hundred steps: a rate between two levels of a byte is met by drawing one of them a step."""
    model = dropout(rate)
    outputs = [np.asarray(model(ONES, training=True)) for _ in range(100)]
    values = np.stack(outputs)
    shares = [float((step == 0).mean()) for step in values]
    assert np.mean(shares) == pytest.approx(rate, abs=2e-3)
    assert values.mean() == pytest.approx(1.0, abs=0.05 if rate > 0.99 else 0.01)
    for step in values:  # what stays is one value, that of the rate drawn
        assert len(np.unique(step[step != 0])) <= 1


def test_values_are_dropped_independently() -> None:
    dropped = np.asarray(dropout(0.5)(ONES, training=True)) == 0
    halves = dropped.reshape(8, -1).astype(float)
    assert abs(np.corrcoef(halves)[np.triu_indices(8, 1)]).max() < 0.05  # between images
    assert abs(np.corrcoef(halves[:, :-1].ravel(), halves[:, 1:].ravel())[0, 1]) < 0.02  # neighbours
    assert abs(np.corrcoef(halves[:, :-4].ravel(), halves[:, 4:].ravel())[0, 1]) < 0.02  # of the same draw


def test_every_step_draws_anew_and_the_same_seed_draws_the_same() -> None:
    one, other = dropout(0.3), dropout(0.3)
    first, second = one(ONES, training=True), one(ONES, training=True)
    assert np.any(np.asarray(first) != np.asarray(second))
    np.testing.assert_array_equal(first, other(ONES, training=True))
    np.testing.assert_array_equal(second, other(ONES, training=True))


def test_its_gradient_is_what_it_lets_through() -> None:
    import tensorflow as tf

    model = dropout(0.25)
    images = tf.Variable(ONES)
    with tf.GradientTape() as tape:
        outputs = model(images, training=True)
    np.testing.assert_array_equal(tape.gradient(outputs, images), outputs)


def test_predictions_drop_nothing_and_masks_of_a_shape_stay_keras_own() -> None:
    np.testing.assert_array_equal(dropout(0.5)(ONES), ONES)
    shaped = np.asarray(dropout(0.5, noise_shape=(8, 1, 1, 10))(ONES, training=True))
    assert np.all(shaped == shaped[:, :1, :1])
