"""Train one network: the loop of every evaluation. Keras alone, so any of its backends will do.

The caller, in this order: `keras.config.set_dtype_policy`, `keras.utils.set_random_seed(seed)`, build the
network, `train`. The weights and dropout's generators take their seeds from the second step; `train` seeds
augmentation and the order of images. Then the same seed, machine and number of threads give the same
metrics to the bit, in one go or resumed from a checkpoint.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from search.execution.messages import Decision
from search.training.batches import ShuffledBatches, backend_dataset, balanced_weights
from search.training.checkpoint import Checkpoint
from search.training.composition import compose, predict
from search.training.layers.exact_batch_norm import ExactBatchNorm
from search.training.layers.fused_batch_norm import fuse_batch_norms
from search.training.layers.late_relu import pool_before_relu
from search.training.layers.pooled_dropout import pool_masks
from search.training.measures.metrics import stratified_subset
from search.training.mixing import Mixing
from search.training.recipe import Recipe
from search.training.schedule import FixedSchedule, Schedule
from search.training.training_callback import Diverged, Report, TrainingCallback
from search.training.weight_average import WeightAverage

__all__ = ["Decision", "Diverged", "TrainingResult", "train"]

#: Clean images that an epoch's train metrics are measured on where the network trains on mixed ones.
_CLEAN_SHARE, _FEWEST_CLEAN, _MOST_CLEAN = 32, 128, 512

Images = NDArray[np.uint8]
Labels = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class TrainingResult:
    """A training that ended; the network holds the kept weights.

    Attributes:
        history: one mapping an epoch: "epoch" (from 1) and what was reported of it.
        best_epoch: whose weights were kept, from 1: the best by the objective on monitor.
        epochs: how many were trained.
        outcome: "complete" (early stopping included), "pruned" or "stopped".
        predict: uint8 images (n, height, width, channels) to float32 probabilities (n, classes).
        inference_model: uint8 images in, probabilities out; Keras' own layers and operations alone.
        images_per_second: of the training steps, without the first epoch of this process, which also
            traces (with it, if there is no other); 0 if this process trained none.
        averaged: whether the kept weights are averages over steps: see `Recipe.weight_average`.
    """

    history: tuple[dict[str, float], ...]
    best_epoch: int
    epochs: int
    outcome: str
    predict: Callable[[Images], NDArray[np.float32]]
    inference_model: keras.Model
    images_per_second: float
    averaged: bool = False


def train(
    network: keras.Model,
    recipe: Recipe,
    train: tuple[Images, Labels],
    monitor: tuple[Images, Labels],
    *,
    num_classes: int,
    epochs: int,
    patience: int,
    objective: str,
    seed: int,
    checkpoint: Path | None,
    report: Report,
    rates: tuple[float, ...] = (),
    shuffle: bool = True,
    targets: NDArray[np.float32] | None = None,
) -> TrainingResult:
    """Train `network` by `recipe` until `epochs`, `patience` or `report` ends it.

    Args:
        network: float images in [0, 1] to probabilities (n, num_classes).
        recipe: how.
        train: uint8 images (n, height, width, channels) and labels (n,); gradients come from these alone.
        monitor: the same; decides about the learning rate, the end, and which epoch's weights are kept.
        num_classes: labels are below it.
        epochs: at most so many.
        patience: end after so many epochs with neither a better score on monitor nor a lower loss.
        objective: one of `early_stopping.OBJECTIVES`.
        seed: of augmentation and order.
        checkpoint: a folder to save the state in and to resume from; None: neither.
        report: called after each epoch with its number, from 1, and `names.EPOCH_METRICS` plus
            "monitor_macro_f1". After a resumption it hears the restored epochs again, so that whoever
            listens has them all; only the answer to the last of these counts.
        rates: the learning rate of each epoch, in place of what the recipe, `epochs` and `patience` say; then
            monitor decides nothing, and the last epoch's weights are kept.
        shuffle: False keeps the images in their order, as a hypermodel may want it.
        targets: soft targets (n, num_classes) in place of one-hot labels; each row sums to 1.

    Raises:
        Diverged: when a loss is not finite.
        ValueError: when the checkpoint belongs to another training.
    """
    images, labels = train
    fuse_batch_norms(network)
    pool_before_relu(network)
    pool_masks(network, recipe.batch_size, seed)
    models = compose(network, recipe, images.shape[1:], seed)
    if targets is None:
        targets = np.eye(num_classes, dtype=np.float32)[labels]
    weights = balanced_weights(labels, num_classes) if recipe.class_weights else None
    mixing = Mixing.of(recipe, seed, len(images))
    batches = ShuffledBatches(images, targets, weights, recipe.batch_size, seed, shuffle, mixing)
    schedule = Schedule(recipe, epochs, patience, objective)
    if rates:
        schedule = FixedSchedule(recipe, len(rates), patience, objective, rates)
    saved = Checkpoint(checkpoint) if checkpoint else None
    exact = ExactBatchNorm(models.one_view, images, seed)
    averaging = recipe.weight_average > 0
    callback = TrainingCallback(
        models,
        batches,
        monitor,
        schedule,
        report,
        saved,
        exact.measure,
        average=WeightAverage(models.training, recipe.weight_average * len(batches)) if averaging else None,
        clean=_clean_sample(images, labels) if recipe.mixes else None,
    )
    callback.resume()
    if not callback.ended:
        models.training.fit(
            backend_dataset(batches),
            epochs=schedule.epochs,
            initial_epoch=callback.epochs,
            callbacks=[callback],
            shuffle=False,
            verbose=0,
        )
    callback.keep_best()
    best = schedule.best_epoch(callback.history)
    return TrainingResult(
        history=tuple({"epoch": n, **metrics} for n, metrics in enumerate(callback.history, start=1)),
        best_epoch=best,
        epochs=callback.epochs,
        outcome=callback.outcome,
        predict=partial(predict, models.inference),
        inference_model=models.inference,
        images_per_second=callback.images_per_second(),
        averaged=callback.history[best - 1].get("averaged", 0.0) > 0,
    )


def _clean_sample(images: Images, labels: Labels) -> tuple[Images, Labels]:
    """Some training images as they are, every class in its proportion, and their labels."""
    size = max(_FEWEST_CLEAN, min(len(labels) // _CLEAN_SHARE, _MOST_CLEAN))
    rows = stratified_subset(labels, size, seed=0)
    return np.asarray(images[rows]), labels[rows]
