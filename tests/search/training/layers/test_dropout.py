"""Dropout by windows of one row of draws drops as often as asked, and repeats."""

import keras
import numpy as np
import pytest

from search.training.layers.pooled_dropout import pool_masks

pytestmark = [
    pytest.mark.trains,
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow", reason="other backends keep Keras's own dropout"
    ),
]

ONES = np.ones((8, 40, 25, 10), "float32")


def made_cheap(model: keras.Model, batch_size: int, seed: int) -> keras.Model:
    pool_masks(model, batch_size, seed)
    return model


def dropout(rate: float, seed: int = 0, **options: object) -> keras.Model:
    """A dropout, in a model within the model; what a training draws depends on its seed."""
    # The row that masks are cut from is the training's own, whatever the layer's seed.
    inner = keras.Sequential([keras.Input((40, 25, 10)), keras.layers.Dropout(rate, seed=7, **options)])
    images = keras.Input((40, 25, 10))
    return made_cheap(keras.Model(images, inner(images)), len(ONES), seed)


@pytest.mark.parametrize("rate", [0.001, 0.1, 0.2, 0.5, 0.777, 0.999])
def test_it_drops_the_share_asked_for_and_keeps_the_mean(rate: float) -> None:
    """Over a hundred steps."""
    model = dropout(rate)
    outputs = [np.asarray(model(ONES, training=True)) for _ in range(100)]
    values = np.stack(outputs)
    shares = [float((step == 0).mean()) for step in values]
    assert np.mean(shares) == pytest.approx(rate, abs=2e-3)
    assert values.mean() == pytest.approx(1.0, abs=0.05 if rate > 0.99 else 0.01)
    assert len(np.unique(values)) == 2


def test_values_are_dropped_independently() -> None:
    dropped = np.asarray(dropout(0.5)(ONES, training=True)) == 0
    halves = dropped.reshape(8, -1).astype(float)
    assert abs(np.corrcoef(halves)[np.triu_indices(8, 1)]).max() < 0.05  # between images
    assert abs(np.corrcoef(halves[:, :-1].ravel(), halves[:, 1:].ravel())[0, 1]) < 0.02  # neighbours


def test_steps_and_trainings_drop_independently_of_each_other() -> None:
    one, other = dropout(0.5), dropout(0.5, seed=1)
    steps = np.stack([np.asarray(one(ONES, training=True)).ravel() == 0 for _ in range(20)])
    steps = np.concatenate([steps, [np.asarray(other(ONES, training=True)).ravel() == 0]])
    assert abs(np.corrcoef(steps.astype(float))[np.triu_indices(21, 1)]).max() < 0.02


def test_layers_of_one_rate_drop_differently_and_a_smaller_batch_is_dropped_too() -> None:
    pixels = keras.Input((40, 25, 10))
    model = keras.Model(pixels, [keras.layers.Dropout(0.5, seed=n)(pixels) for n in (1, 2)])
    made_cheap(model, len(ONES), 0)
    first, second = model(ONES[:3], training=True)
    assert np.asarray(first).shape == (3, 40, 25, 10)
    assert (np.asarray(first) != np.asarray(second)).mean() == pytest.approx(0.5, abs=0.02)


def test_an_odd_number_of_values_is_dropped_too() -> None:
    pixels = keras.Input((5, 5, 3))
    model = made_cheap(keras.Model(pixels, keras.layers.Dropout(0.5, seed=1)(pixels)), 1, 0)
    images = np.ones((1, 5, 5, 3), "float32")
    values = np.stack([np.asarray(model(images, training=True)) for _ in range(200)])
    assert np.all(abs((values == 0).mean(0) - 0.5) < 0.2)
    assert set(np.unique(values)) == {0.0, 2.0}


def test_patches_that_are_more_images_than_there_were_are_dropped_too() -> None:
    pixels = keras.Input((2000, 50, 50, 1))
    patches = keras.layers.Dropout(0.25)(keras.ops.reshape(pixels, (-1, 50, 50, 1)))
    model = keras.Model(pixels, keras.ops.mean(patches, (1, 2, 3)))
    made_cheap(model, 1, 0)
    means = np.asarray(model(np.ones((1, 2000, 50, 50, 1), "float32"), training=True))
    assert (means.mean(), len(np.unique(means)) > 100) == (pytest.approx(1.0, abs=0.01), True)


def test_every_step_draws_anew_and_the_same_seed_draws_the_same() -> None:
    one, other = dropout(0.3), dropout(0.3)
    first, second = one(ONES, training=True), one(ONES, training=True)
    assert np.any(np.asarray(first) != np.asarray(second))
    np.testing.assert_array_equal(first, other(ONES, training=True))
    np.testing.assert_array_equal(second, other(ONES, training=True))


def test_its_gradient_is_what_it_lets_through() -> None:
    import tensorflow as tf

    model, images = dropout(0.25), keras.ops.convert_to_tensor(ONES)
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = model(images, training=True)
    gradient = tape.gradient(outputs, images)
    assert np.any(np.asarray(outputs) == 0)
    np.testing.assert_array_equal(gradient, outputs)


def test_predictions_drop_nothing_and_masks_of_a_shape_stay_keras_own() -> None:
    np.testing.assert_array_equal(dropout(0.5)(ONES), ONES)
    shaped = np.asarray(dropout(0.5, noise_shape=(8, 1, 1, 10))(ONES, training=True))
    assert np.all(shaped == shaped[:, :1, :1])
