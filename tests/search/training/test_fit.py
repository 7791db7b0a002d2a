"""A training learns, reports every epoch, keeps the best weights, and ends as it is told."""

from pathlib import Path

import keras
import numpy as np
import pytest

from search.tracking import names
from search.training.augmentation import Augmentation
from search.training.fit import Decision, Diverged
from search.training.measures import metrics
from search.training.recipe import Recipe
from tests.support.training.small_training import CLASSES, convolutional, fit, labelled, linear, without_times

pytestmark = pytest.mark.trains

QUICK = Recipe(batch_size=64, learning_rate=0.05)


def test_it_learns_and_reports_every_epoch_under_the_names_of_mlflow() -> None:
    heard: list[tuple[int, dict[str, float]]] = []

    def report(epoch: int, metrics: dict[str, float]) -> Decision:
        heard.append((epoch, metrics))
        return Decision.CONTINUE

    trained = fit(linear(), Recipe(batch_size=16, learning_rate=0.1), epochs=6, report=report)
    assert trained.outcome == "complete"
    assert trained.epochs == 6
    assert [epoch for epoch, _ in heard] == [1, 2, 3, 4, 5, 6]
    assert all(set(metrics) == {*names.EPOCH_METRICS, "monitor_macro_f1"} for _, metrics in heard)
    assert trained.history == tuple({"epoch": epoch, **metrics} for epoch, metrics in heard)
    assert heard[-1][1]["monitor_accuracy"] > 0.9
    assert trained.images_per_second > 0


def test_the_seed_alone_changes_the_course() -> None:
    first, other = (fit(linear(), QUICK, epochs=2, seed=seed) for seed in (1, 2))
    assert without_times(first.history) != without_times(other.history)


@pytest.mark.parametrize("objective", ["val_accuracy", "macro_f1", "loss"])
def test_the_best_epochs_weights_are_kept_by_the_objective(objective: str) -> None:
    wild = Recipe(batch_size=64, learning_rate=0.5, schedule="constant", optimizer="sgd")
    trained = fit(linear(), wild, objective=objective)
    images, labels = labelled(96, 1)
    kept = trained.history[trained.best_epoch - 1]
    assert metrics.scores(labels, trained.predict(images)) == {
        name: kept[f"monitor_{name}"] for name in ("accuracy", "loss", "macro_f1")
    }
    quantity = {"val_accuracy": "accuracy"}.get(objective, objective)
    best = min if objective == "loss" else max
    assert kept[f"monitor_{quantity}"] == best(epoch[f"monitor_{quantity}"] for epoch in trained.history)


def test_it_ends_when_patience_runs_out() -> None:
    images, labels = labelled(96, 1)
    trained = fit(
        linear(), QUICK, monitor=(images, (labels + 1) % CLASSES), epochs=30, patience=2, objective="loss"
    )
    assert trained.outcome == "complete"
    assert trained.epochs == trained.best_epoch + 2 < 30


@pytest.mark.parametrize(("answer", "outcome"), [(Decision.PRUNE, "pruned"), (Decision.STOP, "stopped")])
def test_it_ends_when_told_with_the_kept_weights(answer: Decision, outcome: str, tmp_path: Path) -> None:
    def report(epoch: int, metrics: dict[str, float]) -> Decision:
        return answer if epoch == 2 else Decision.CONTINUE

    trained = fit(linear(), QUICK, report=report, checkpoint=tmp_path)
    assert (trained.outcome, trained.epochs) == (outcome, 2)
    images, labels = labelled(96, 1)
    kept = trained.history[trained.best_epoch - 1]
    assert metrics.accuracy(labels, trained.predict(images)) == kept["monitor_accuracy"]
    assert [path.name for path in tmp_path.iterdir()] == ["state.npz"]


def test_a_finished_training_is_not_repeated_but_told_again(tmp_path: Path) -> None:
    first = fit(linear(), QUICK, epochs=2, checkpoint=tmp_path)
    heard: list[int] = []

    def report(epoch: int, metrics: dict[str, float]) -> Decision:
        heard.append(epoch)
        return Decision.CONTINUE

    second = fit(linear(), QUICK, epochs=2, checkpoint=tmp_path, report=report)
    assert heard == [1, 2]
    assert second.history == first.history
    assert second.images_per_second == 0
    assert np.array_equal(second.predict(labelled(96, 1)[0]), first.predict(labelled(96, 1)[0]))


def test_given_rates_are_followed_also_from_a_checkpoint(tmp_path: Path) -> None:
    """What confirm found is trained to the end, at its rates, stopped half-way or not."""
    rates = (0.02, 0.02, 0.01)

    def stop(epoch: int, metrics: dict[str, float]) -> Decision:
        return Decision.STOP if epoch == 1 else Decision.CONTINUE

    fit(linear(), rates=rates, checkpoint=tmp_path, patience=1, report=stop)
    trained = fit(linear(), rates=rates, checkpoint=tmp_path, patience=1)
    assert [row["learning_rate"] for row in trained.history] == list(rates)
    assert (trained.outcome, trained.best_epoch, trained.epochs) == ("complete", 3, 3)


def test_augmentation_that_grows_begins_with_nothing() -> None:
    shifted = {"batch_size": 64, "augmentation": Augmentation(shift=0.3)}
    losses = {
        name: [row["train_loss"] for row in fit(linear(), recipe, epochs=3).history]
        for name, recipe in {
            "grows": Recipe(**shifted, augmentation_ramp=1),  # type: ignore[arg-type]
            "whole": Recipe(**shifted),  # type: ignore[arg-type]
            "none": Recipe(batch_size=64),
        }.items()
    }
    assert losses["grows"][0] == pytest.approx(losses["none"][0], abs=1e-5)
    assert abs(losses["grows"][0] - losses["whole"][0]) > 2e-4
    assert abs(losses["grows"][1] - losses["none"][1]) > 2e-4


def test_anothers_checkpoint_is_refused(tmp_path: Path) -> None:
    fit(linear(), QUICK, epochs=1, checkpoint=tmp_path)
    for network, changes in ((convolutional(), {}), (linear(), {"seed": 6}), (linear(), {"patience": 8})):
        with pytest.raises(ValueError, match="is another training's"):
            fit(network, QUICK, **{"epochs": 1, "checkpoint": tmp_path, **changes})  # type: ignore[arg-type]


def test_a_loss_that_is_no_number_ends_it_at_once() -> None:
    with pytest.raises(Diverged) as divergence:
        fit(linear(kernel_initializer=keras.initializers.Constant(float("nan"))), QUICK)
    assert divergence.value.epoch == 1


def test_mixed_precision_gives_float32_probabilities_even_from_a_network_that_does_not(
    tmp_path: Path,
) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = keras.Sequential([*convolutional().layers])
        trained = fit(network, epochs=2, checkpoint=tmp_path)
    finally:
        keras.config.set_dtype_policy("float32")
    assert keras.backend.standardize_dtype(network.outputs[0].dtype) == "bfloat16"
    probabilities = trained.predict(labelled(96, 1)[0])
    assert probabilities.dtype == np.float32
    assert probabilities.sum(axis=1) == pytest.approx(1.0, abs=0.02)


def test_predictions_do_not_depend_on_how_many_are_asked_for() -> None:
    trained = fit(linear(), QUICK, epochs=1)
    images, _ = labelled(300, 2)
    expected = trained.predict(images)
    for count in (1, 96, 256, 300):
        np.testing.assert_allclose(trained.predict(images[:count]), expected[:count], atol=1e-6)
