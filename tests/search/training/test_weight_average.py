"""The average of the weights is what its half-life says, and the better of weights and average is kept."""

from typing import Any

import keras
import numpy as np
import pytest

from search.training.layers.exact_batch_norm import ExactBatchNorm
from search.training.measures import metrics
from search.training.recipe import Recipe
from search.training.weight_average import WeightAverage
from tests.support.training.small_training import CLASSES, convolutional, fit, labelled, linear, without_times

pytestmark = pytest.mark.trains

#: How far two numbers of one training may differ: JAX compiles each network as a whole, and rounds otherwise.
SAME = 1e-6 if keras.backend.backend() == "tensorflow" else 1e-4


def compiled(**options: Any) -> keras.Model:
    model = linear()
    model.compile(keras.optimizers.SGD(0.5), "categorical_crossentropy", **options)
    return model


def test_it_is_the_mean_of_all_weights_so_far_by_half_life() -> None:
    model, half_life, steps = compiled(), 2.0, 7
    average = WeightAverage(model, half_life)
    images, labels = labelled(16 * steps, 0)
    targets = np.eye(CLASSES, dtype=np.float32)[labels]
    seen = []
    for step in range(steps):
        rows = slice(step * 16, step * 16 + 16)
        model.train_on_batch(images[rows].astype("float32") / 255, targets[rows])
        seen.append(model.get_weights())
    shares = 0.5 ** (np.arange(steps)[::-1] / half_life)
    expected = [np.average(weights, axis=0, weights=shares) for weights in zip(*seen, strict=True)]
    with average.in_place():
        for found, wanted in zip(model.get_weights(), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7)
    for found, wanted in zip(model.get_weights(), seen[-1], strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_the_better_of_weights_and_average_is_kept_and_reported() -> None:
    """Steps that are far too long: weights jump about, their average does so less."""
    wild: dict[str, Any] = {"batch_size": 16, "learning_rate": 4.0, "optimizer": "sgd", "momentum": 0.0}
    wild["schedule"] = "constant"
    plain = fit(linear(), Recipe(**wild), objective="loss")
    averaged = fit(linear(), Recipe(**wild, weight_average=0.5), objective="loss")
    for raw, better in zip(plain.history, averaged.history, strict=True):
        assert better["train_loss"] == pytest.approx(raw["train_loss"], rel=SAME)  # one and the same course
        if better["averaged"]:
            assert better["monitor_loss"] < raw["monitor_loss"]
        else:
            assert better["monitor_loss"] == pytest.approx(raw["monitor_loss"], rel=SAME)
    assert {row["averaged"] for row in averaged.history} == {0.0, 1.0}
    kept = averaged.history[averaged.best_epoch - 1]
    assert (averaged.averaged, plain.averaged) == (kept["averaged"] == 1.0, False)
    images, labels = labelled(96, 1)
    assert metrics.scores(labels, averaged.predict(images))["loss"] == kept["monitor_loss"]


def test_batch_norm_is_measured_for_the_averaged_weights() -> None:
    """With given rates monitor decides nothing: then the average is kept."""
    network = convolutional()
    recipe = Recipe(batch_size=32, learning_rate=0.05, optimizer="sgd", weight_average=3.0)
    trained = fit(network, recipe, rates=(0.05, 0.05))
    assert trained.averaged
    kept = network.get_weights()
    ExactBatchNorm(trained.inference_model, labelled(256, 0)[0], seed=5).measure()
    for before, after in zip(kept, network.get_weights(), strict=True):
        np.testing.assert_allclose(before, after, atol=1e-5)


def test_what_is_not_averaged_says_nothing_of_it() -> None:
    history = without_times(fit(linear(), Recipe(batch_size=64), epochs=1).history)
    assert "averaged" not in history[0]
