"""A training small enough for tests: 24x24 images of three brightnesses under noise."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import keras
import numpy as np

from search.training.augmentation import Augmentation
from search.training.fit import Decision, TrainingResult, train
from search.training.recipe import Recipe

CLASSES = 3
SHAPE = (24, 24, 1)
#: Everything random or stateful at once: augmentation, class weights, a rate that drops.
RESTLESS = Recipe(
    batch_size=64,
    learning_rate=0.03,
    plateau_patience=1,
    class_weights=True,
    label_smoothing=0.1,
    l2=1e-4,
    augmentation=Augmentation(rotation=10, zoom=0.1, shift=0.1, flip=True, contrast=0.1, erasing=0.5),
    augmentation_ramp=3,
)
#: And what is averaged, warmed up, mixed and mirrored beside it.
MIXED = replace(
    RESTLESS,
    weight_average=1.5,
    warmup_epochs=2,
    mixup=0.4,
    cutmix=1.0,
    flip="alternating",
    test_time="flip_shift",
)


def labelled(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 images and their labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, count)
    noise = rng.integers(0, 120, (count, *SHAPE))
    return (noise + 50 * labels[:, None, None, None]).astype(np.uint8), labels


def linear(seed: int = 1, **dense: Any) -> keras.Model:
    """The smallest network, quick to trace."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    softmax = layers.Dense(CLASSES, activation="softmax", dtype="float32", **dense)
    return keras.Sequential([keras.Input(SHAPE), layers.AveragePooling2D(8), layers.Flatten(), softmax])


def convolutional(seed: int = 1) -> keras.Model:
    """A network with all that is stateful: batch norm and dropout."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Conv2D(8, 3, strides=2),
            layers.BatchNormalization(momentum=0.8),
            layers.ReLU(),
            layers.Dropout(0.2),
            layers.GlobalAveragePooling2D(),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )


def fit(network: keras.Model, recipe: Recipe = RESTLESS, **changes: Any) -> TrainingResult:
    """`train` on 256 images with 96 for monitor."""
    options: dict[str, Any] = {
        "train": labelled(256, 0),
        "monitor": labelled(96, 1),
        "num_classes": CLASSES,
        "epochs": 4,
        "patience": 9,
        "objective": "val_accuracy",
        "seed": 5,
        "checkpoint": None,
        "report": lambda epoch, metrics: Decision.CONTINUE,
    }
    return train(network, recipe, **(options | changes))


def facts_of(
    seed: int, checkpoint: Path | None, stop_after: int | None, saved: Path | None, recipe: Recipe = RESTLESS
) -> dict[str, Any]:
    """What a convolutional training came to, as plain values; run in a process of its own."""

    def report(epoch: int, metrics: dict[str, float]) -> Decision:
        return Decision.STOP if epoch == stop_after else Decision.CONTINUE

    unrelated = labelled(96, 1)[0], labelled(96, 2)[1]  # nothing to learn there: so the rate drops
    trained = fit(
        convolutional(seed), recipe, seed=seed, checkpoint=checkpoint, report=report, monitor=unrelated
    )
    if saved:
        trained.inference_model.save(saved)
    return {
        "outcome": trained.outcome,
        "best_epoch": trained.best_epoch,
        "history": without_times(trained.history),
        "probabilities": trained.predict(labelled(96, 1)[0]).tolist(),
    }


def without_times(history: tuple[dict[str, float], ...]) -> list[dict[str, float]]:
    """All that must repeat to the bit."""
    return [{name: value for name, value in epoch.items() if name != "epoch_seconds"} for epoch in history]


def fresh_processes() -> ProcessPoolExecutor:
    """Each task in a process of its own, forked from a server that has imported Keras and run nothing."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["keras"])
    return ProcessPoolExecutor(2, mp_context=context, max_tasks_per_child=1)


def regressed(model: keras.Model) -> tuple[list[float], list[np.ndarray]]:
    """The losses of a few steps and the weights they lead to. Whole numbers as pixels: some are equal."""
    generator = np.random.default_rng(0)
    images = generator.integers(-4, 9, (64, *model.input_shape[1:])).astype("float32")
    targets = generator.normal(0, 1, (64, model.output_shape[-1])).astype("float32")
    model.compile(keras.optimizers.SGD(0.01), "mse")
    losses = [float(model.train_on_batch(images[i : i + 16], targets[i : i + 16])) for i in range(0, 64, 16)]
    return losses, model.get_weights()


def reloaded(model: keras.Model, folder: Path) -> keras.Model:
    """The model as Keras loads it, after a few steps: it answers the same to the bit."""
    regressed(model)
    model.save(folder / "model.keras")
    loaded = keras.saving.load_model(folder / "model.keras", safe_mode=True)
    images = np.random.default_rng(1).normal(0, 1, (8, *model.input_shape[1:])).astype("float32")
    np.testing.assert_array_equal(model.predict_on_batch(images), loaded.predict_on_batch(images))
    return loaded
