"""The statistics that batch norm predicts with are those of the weights as they are."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from search.training.layers.exact_batch_norm import ExactBatchNorm
from tests.support.training.small_training import SHAPE, fit, labelled


def network(**options: Any) -> keras.Model:
    """Batch norm on images, in a model within the model, and on features."""
    keras.utils.set_random_seed(3)
    layers = keras.layers
    inner = keras.Sequential([keras.Input((11, 11, 4)), layers.BatchNormalization(name="images", **options)])
    inputs = keras.Input(SHAPE, dtype="uint8")
    x = layers.Conv2D(4, 3, strides=2, name="conv")(layers.Rescaling(1 / 255)(inputs))
    x = layers.Dropout(0.5)(layers.ReLU()(inner(x)))
    x = layers.Dense(5, name="dense")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.BatchNormalization(name="features")(x))


def called_twice(kind: str) -> keras.Model:
    """One batch norm behind two convolutions: as a layer, in one model, or in two models."""
    keras.utils.set_random_seed(3)
    layers = keras.layers
    shared = layers.BatchNormalization(name="shared")
    models = [keras.Sequential([keras.Input((11, 11, 4)), shared]) for _ in range(2)]
    calls = {"layer": [shared, shared], "model": [models[0], models[0]], "models": models}[kind]
    inputs = keras.Input(SHAPE, dtype="uint8")
    x = layers.Rescaling(1 / 255)(inputs)
    seen = [layers.Conv2D(4, 3, strides=2, name=name)(x) for name in ("one", "other")]
    return keras.Model(inputs, layers.Add()([call(y) for call, y in zip(calls, seen, strict=True)]))


def batch_norm(model: keras.Model, name: str) -> keras.layers.BatchNormalization:
    found = [layer for layer in model._flatten_layers() if layer.name == name]
    return found[0]


def test_they_are_the_mean_and_the_variance_of_what_goes_in() -> None:
    model = network()
    images = labelled(128, 0)[0]
    ExactBatchNorm(model, images, seed=0).measure()
    seen = keras.Model(model.inputs, model.get_layer("conv").output).predict(images, verbose=0)
    layer = batch_norm(model, "images")
    np.testing.assert_allclose(layer.moving_mean, seen.mean((0, 1, 2)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, seen.var((0, 1, 2)), rtol=1e-4, atol=1e-6)
    # With these, and nothing dropped, the second one sees what it will see in a prediction.
    seen = keras.Model(model.inputs, model.get_layer("dense").output).predict(images, verbose=0)
    layer = batch_norm(model, "features")
    np.testing.assert_allclose(layer.moving_mean, seen.mean(0), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, seen.var(0), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", ["layer", "model", "models"])
def test_a_layer_that_is_called_twice_keeps_the_mean_over_both_calls(kind: str) -> None:
    model = called_twice(kind)
    images = labelled(128, 0)[0]
    ExactBatchNorm(model, images, seed=0).measure()
    seen = [
        keras.Model(model.inputs, model.get_layer(name).output).predict(images, verbose=0)
        for name in ("one", "other")
    ]
    layer = batch_norm(model, "shared")
    means, variances = [one.mean((0, 1, 2)) for one in seen], [one.var((0, 1, 2)) for one in seen]
    assert np.abs(means[0] - means[1]).max() > 0.01
    np.testing.assert_allclose(layer.moving_mean, np.mean(means, axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, np.mean(variances, axis=0), rtol=1e-4, atol=1e-6)


def test_large_images_are_measured_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = keras.Input((192, 192, 1), dtype="uint8")
    floats = keras.layers.Rescaling(1 / 255)(inputs)
    model = keras.Model(inputs, keras.layers.BatchNormalization(name="images")(floats))
    images = np.random.default_rng(0).integers(0, 256, (128, 192, 192, 1), dtype=np.uint8)
    exact = ExactBatchNorm(model, images, seed=0)
    sizes: list[int] = []
    measured = exact._model.predict_on_batch

    def counted(batch: np.ndarray) -> Any:
        sizes.append(len(batch))
        return measured(batch)

    monkeypatch.setattr(exact._model, "predict_on_batch", counted)
    exact.measure()
    assert sizes == [64, 64]
    np.testing.assert_allclose(batch_norm(model, "images").moving_mean, images.mean() / 255, rtol=1e-3)


def test_a_sample_of_many_images_stands_for_all() -> None:
    """Sorted by brightness, so that the first ones would not."""
    model = network()
    images, labels = labelled(8192, 0)
    images = images[np.argsort(labels)]
    ExactBatchNorm(model, images, seed=0).measure()
    seen = keras.Model(model.inputs, model.get_layer("conv").output).predict(images, verbose=0)
    layer = batch_norm(model, "images")
    np.testing.assert_allclose(layer.moving_mean, seen.mean((0, 1, 2)), rtol=0.05)
    np.testing.assert_allclose(layer.moving_variance, seen.var((0, 1, 2)), rtol=0.05)
    dark = seen[: len(seen) // 3]
    assert np.all(np.abs(dark.mean((0, 1, 2)) / seen.mean((0, 1, 2)) - 1) > 0.1)


def test_frozen_layers_keep_theirs() -> None:
    model = network()
    batch_norm(model, "images").trainable = False
    ExactBatchNorm(model, labelled(64, 0)[0], seed=0).measure()
    np.testing.assert_array_equal(batch_norm(model, "images").moving_mean, np.zeros(4))
    assert np.any(np.asarray(batch_norm(model, "features").moving_mean) != 0)


def test_the_layers_stay_what_they_were(tmp_path: Path) -> None:
    model = network(momentum=0.7)
    images = labelled(64, 0)[0]
    ExactBatchNorm(model, images, seed=0).measure()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert batch_norm(loaded, "images").momentum == 0.7
    np.testing.assert_array_equal(model.predict_on_batch(images), loaded.predict_on_batch(images))


@pytest.mark.trains
def test_a_training_of_few_steps_ends_with_the_statistics_of_its_last_weights() -> None:
    """Eight steps move an average over a hundred by a twelfth of the way."""
    keras.utils.set_random_seed(1)
    layers = keras.layers
    slow = keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Conv2D(8, 3, strides=2, name="conv"),
            layers.BatchNormalization(momentum=0.99, name="images"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    trained = fit(slow, patience=9, train=labelled(128, 0))
    images = labelled(128, 0)[0]
    seen = keras.Model(slow.inputs, slow.get_layer("conv").output).predict(images / 255.0, verbose=0)
    assert trained.best_epoch > 0
    np.testing.assert_allclose(
        slow.get_layer("images").moving_mean, seen.mean((0, 1, 2)), rtol=1e-3, atol=1e-4
    )
