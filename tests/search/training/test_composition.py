"""A recipe reaches the optimizer, the penalties and the batches as it says."""

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from search.models.keras_file import check
from search.training.augmentation import AUGMENTATIONS
from search.training.batches import ShuffledBatches, balanced_weights
from search.training.composition import compose, make_optimizer, predict
from search.training.recipe import OPTIMIZERS, Recipe
from spaces.counting import count
from tests.support.training.small_training import SHAPE, convolutional, labelled, linear

pytestmark = pytest.mark.trains


def penalties(model: keras.Model) -> float:
    return float(sum(float(np.asarray(loss)) for loss in model.losses))


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras, when saving
def test_l2_weighs_kernels_alone_and_stays_out_of_the_saved_model(tmp_path: Path) -> None:
    network = convolutional()
    models = compose(network, Recipe(l2=0.01), SHAPE, seed=0)
    kernels = [v for v in network.trainable_variables if v.name == "kernel"]
    assert len(kernels) == 2 < len(network.trainable_variables)
    assert penalties(models.training) == pytest.approx(
        0.01 * sum(float((np.asarray(kernel) ** 2).sum()) for kernel in kernels), rel=1e-5
    )
    models.inference.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras", safe_mode=True).losses == []


def test_standardized_images_look_the_same_in_any_light() -> None:
    inference = compose(linear(), Recipe(standardize=True), SHAPE, seed=0).inference
    images = labelled(8, 0)[0] // 2
    np.testing.assert_allclose(predict(inference, images + 100), predict(inference, images), atol=1e-4)
    np.testing.assert_allclose(predict(inference, images * 2), predict(inference, images), atol=1e-2)


def test_without_l2_nothing_is_penalised() -> None:
    assert compose(linear(), Recipe(), SHAPE, seed=0).training.losses == []


def test_each_optimizer_is_what_it_is_called() -> None:
    sgd = make_optimizer(Recipe(optimizer="sgd", momentum=0.8, learning_rate=0.1))
    assert (type(sgd).__name__, sgd.momentum, sgd.nesterov) == ("SGD", 0.8, True)
    for name in set(OPTIMIZERS) - {"adamw"}:
        assert type(make_optimizer(Recipe(optimizer=name))).__name__.lower() == name
    assert make_optimizer(Recipe(optimizer="adamw", weight_decay=0.02)).weight_decay == 0.02


def test_weight_decay_shrinks_kernels_and_leaves_biases_alone() -> None:
    network = linear(bias_initializer="ones")
    optimizer = make_optimizer(Recipe(optimizer="sgd", learning_rate=0.5, weight_decay=0.1))
    kernel, bias = network.trainable_variables
    before = np.asarray(kernel)
    optimizer.build([kernel, bias])
    optimizer.apply([keras.ops.zeros(kernel.shape), keras.ops.zeros(bias.shape)])
    np.testing.assert_allclose(np.asarray(kernel), before * (1 - 0.5 * 0.1), rtol=1e-6)
    assert (np.asarray(bias) == 1).all()


def test_an_epoch_serves_every_image_once_in_an_order_of_seed_and_epoch(tmp_path: Path) -> None:
    images, labels = labelled(70, 0)
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    targets = np.stack([np.arange(70.0), labels], axis=1).astype(np.float32)

    def orders(seed: int) -> Iterator[list[float]]:
        batches = ShuffledBatches(mapped, targets, None, 32, seed)
        assert len(batches) == 3
        for epoch in (0, 1, 0):
            batches.epoch = epoch
            served = [batches[i] for i in range(3)]
            order = np.concatenate([batch[1][:, 0] for batch in served])
            assert np.array_equal(np.concatenate([batch[0] for batch in served]), images[order.astype(int)])
            yield order.tolist()

    first, second, again = orders(1)
    assert sorted(first) == list(range(70))
    assert first == again != second
    assert next(orders(2)) != first


def test_balanced_weights_make_classes_count_alike() -> None:
    labels = np.array([0, 0, 0, 1, 2, 2])
    weights = balanced_weights(labels, 3)
    assert weights.mean() == pytest.approx(1.0)
    assert np.bincount(labels, weights) == pytest.approx([2.0, 2.0, 2.0])


@pytest.mark.parametrize("test_time", ["flip", "flip_shift"])
def test_the_saved_model_averages_what_it_says_of_each_view(test_time: str, tmp_path: Path) -> None:
    network, images = convolutional(), labelled(8, 0)[0]
    models = compose(network, Recipe(test_time=test_time, standardize=True), SHAPE, seed=0)
    up_left = np.pad(images, [(0, 0), (0, 1), (0, 1), (0, 0)], mode="edge")[:, 1:, 1:]
    down_right = np.pad(images, [(0, 0), (1, 0), (1, 0), (0, 0)], mode="edge")[:, :-1, :-1]
    shown = [images] if test_time == "flip" else [images, up_left, down_right]
    shown += [view[:, :, ::-1] for view in shown]
    expected = np.mean([predict(models.one_view, view) for view in shown], axis=0)
    found = predict(models.inference, images)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    models.inference.save(tmp_path / "model.keras")
    check(tmp_path / "model.keras", "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(predict(loaded, images), found)
    views = Recipe(test_time=test_time).views
    assert (len(shown), count(loaded).macs) == (views, count(network).macs * views)


def test_one_view_is_the_model_that_predicts_where_nothing_is_averaged() -> None:
    models = compose(linear(), Recipe(), SHAPE, seed=0)
    assert models.one_view is models.inference


@pytest.mark.parametrize(("flip", "varied"), [("none", False), ("alternating", False), ("random", True)])
def test_flip_replaces_the_mirroring_of_the_augmentation(flip: str, varied: bool) -> None:
    recipe = Recipe(flip=flip, augmentation=AUGMENTATIONS["light" if flip != "random" else "none"])
    assert recipe.layer_augmentation.flip is varied
    assert recipe.layer_augmentation.rotation == recipe.augmentation.rotation
