"""Images per second of an evaluation against a bare `model.fit` of the same network on the same work.

Both rescale, augment ("published"), train with Adam at batch 128 and measure a tenth as many monitor images
after each epoch; ours also reports, keeps the best weights and saves a checkpoint. The contenders of a row
run in one process and take turns epoch by epoch, so that whatever else the machine does meets all of them;
the ratios are medians over neighbouring epochs, the first (which traces) left out. CPU ratios compare the
processor time of the whole process, which other programs disturb less.

    python -m benchmarks.training_speed [--epochs 6] [--scale 1.0]

Aims: float32 at least 0.95 of the bare fit; on a processor that multiplies bfloat16, the automatic
precision at least 1.08, 1.12 and 1.5 times the bare float32 fit (batch norm, dropout, dropout).
Takes about five minutes on two cores.
"""

import argparse
import logging
import os
import platform
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from search.training.augmentation import AUGMENTATIONS
from search.training.composition import compose
from search.training.fit import Decision, train
from search.training.precision import automatic
from search.training.recipe import Recipe

CLASSES, SHAPE = 7, (48, 48, 1)
RECIPE = Recipe(augmentation=AUGMENTATIONS["published"])


class Case(NamedTuple):
    """A network to time, on so many images, with the aim in bfloat16."""

    kernels: tuple[int, ...]
    batch_norm: bool
    dropout: float
    images: int
    aim: float

    def __str__(self) -> str:
        extras = ["batch norm"] * self.batch_norm + ["dropout"] * (self.dropout > 0)
        return " ".join(["-".join(map(str, self.kernels)), *extras])


CASES = (
    Case((32, 32, 64, 64), batch_norm=True, dropout=0.0, images=2000, aim=1.08),
    Case((64, 64, 128, 128), batch_norm=False, dropout=0.2, images=1500, aim=1.12),
    Case((64, 64, 128, 128), batch_norm=True, dropout=0.2, images=1000, aim=1.12),
    Case((128, 128, 256, 256), batch_norm=False, dropout=0.2, images=640, aim=1.5),
)


def build(case: Case) -> keras.Model:
    """Stages of convolution, ReLU, pooling and what the case adds; two dense layers of 256."""
    layers = keras.layers
    stack: list[Any] = [keras.Input(SHAPE)]
    for kernels in case.kernels:
        stack += [layers.Conv2D(kernels, 3, padding="same", use_bias=not case.batch_norm)]
        stack += [layers.BatchNormalization()] if case.batch_norm else []
        stack += [layers.ReLU(), layers.MaxPooling2D()]
        stack += [layers.Dropout(case.dropout)] if case.dropout else []
    dense = [layers.Dense(256, activation="relu") for _ in range(2)]
    return keras.Sequential(
        [*stack, layers.Flatten(), *dense, layers.Dense(CLASSES, activation="softmax", dtype="float32")]
    )


class Spent(NamedTuple):
    """Seconds of one epoch."""

    wall: float
    processor: float


class Runner(threading.Thread):
    """Trains epoch by epoch; `turn()` lets it do the next one and waits for it."""

    def __init__(self, body: Callable[["Runner"], None]) -> None:
        super().__init__(daemon=True)
        self._body = body
        self._may, self._did = threading.Semaphore(0), threading.Semaphore(0)
        self._failure: BaseException | None = None
        self._since = Spent(0.0, 0.0)
        self._last = Spent(0.0, 0.0)
        self.start()

    def run(self) -> None:
        """Wait for the first turn, then train."""
        try:
            self.begin()
            self._body(self)
        except BaseException as failure:  # handed to whoever waits
            self._failure = failure
            self._did.release()

    def begin(self) -> None:
        """Wait for the turn (called by the training, before an epoch)."""
        self._may.acquire()
        self._since = Spent(time.perf_counter(), time.process_time())

    def end(self) -> None:
        """Note the time (called by the training, after an epoch)."""
        now = Spent(time.perf_counter(), time.process_time())
        self._last = Spent(now.wall - self._since.wall, now.processor - self._since.processor)
        self._did.release()

    def turn(self) -> Spent:
        """One epoch."""
        self._may.release()
        self._did.acquire()
        if self._failure:
            raise self._failure
        return self._last


def bare(case: Case, data: tuple[Any, Any, Any, Any], epochs: int) -> Callable[[Runner], None]:
    """`model.fit` as one would write it, in float32."""
    images, labels, monitor_images, monitor_labels = data

    def body(runner: Runner) -> None:
        keras.config.set_dtype_policy("float32")
        model = compose(build(case), RECIPE, SHAPE, seed=0).training
        one_hot = np.eye(CLASSES, dtype=np.float32)
        turns = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: runner.begin() if epoch else None,
            on_epoch_end=lambda epoch, logs: runner.end(),
        )
        model.fit(
            images,
            one_hot[labels],
            batch_size=RECIPE.batch_size,
            epochs=epochs,
            validation_data=(monitor_images, one_hot[monitor_labels]),
            callbacks=[turns],
            verbose=0,
        )

    return body


def ours(
    case: Case, data: tuple[Any, Any, Any, Any], epochs: int, precision: str, recipe: Recipe = RECIPE
) -> Callable[[Runner], None]:
    """The training of an evaluation."""
    images, labels, monitor_images, monitor_labels = data

    def body(runner: Runner) -> None:
        keras.config.set_dtype_policy(precision)

        def take_turns(epoch: int, metrics: dict[str, float]) -> Decision:
            runner.end()
            if epoch < epochs:
                runner.begin()
            return Decision.CONTINUE

        with tempfile.TemporaryDirectory() as folder:
            train(
                build(case),
                recipe,
                (images, labels),
                (monitor_images, monitor_labels),
                num_classes=CLASSES,
                epochs=epochs,
                patience=epochs,
                objective="val_accuracy",
                seed=0,
                checkpoint=Path(folder),
                report=take_turns,
            )

    return body


def noise(case: Case) -> tuple[Any, Any, Any, Any]:
    """Training and monitor images; what is on them does not matter for time."""
    rng = np.random.default_rng(0)
    count = case.images + case.images // 10
    images = rng.integers(0, 256, (count, *SHAPE), dtype=np.uint8)
    labels = rng.integers(0, CLASSES, count)
    return images[: case.images], labels[: case.images], images[case.images :], labels[case.images :]


def row(case: Case, epochs: int) -> str:
    """One line of the table."""
    data = noise(case)
    runners = [
        Runner(bare(case, data, epochs)),
        Runner(ours(case, data, epochs, "float32")),
        Runner(ours(case, data, epochs, automatic())),
    ]
    rounds = [[runner.turn() for runner in runners] for _ in range(epochs)][1:]
    for runner in runners:
        runner.join()
    rates = [statistics.median(case.images / spent[i].wall for spent in rounds) for i in range(3)]
    wall = [statistics.median(spent[0].wall / spent[i].wall for spent in rounds) for i in (1, 2)]
    cpu = [statistics.median(spent[0].processor / spent[i].processor for spent in rounds) for i in (1, 2)]
    return (
        f"| {case} | {rates[0]:.0f} | {rates[1]:.0f} | {wall[0]:.2f} | {cpu[0]:.2f} | 0.95 "
        f"| {rates[2]:.0f} | {wall[1]:.2f} | {cpu[1]:.2f} | {case.aim:.2f} |"
    )


def main() -> None:
    """Print the conditions and the table."""
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it wonders at nine models in one process
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--epochs", type=int, default=6, help="per contender; the first is not counted")
    arguments.add_argument("--scale", type=float, default=1.0, help="of the number of images")
    given = arguments.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
        f"Keras {keras.__version__} on {keras.backend.backend()}; automatic precision: {automatic()}"
    )
    print("Images per second; ratios to the bare fit by wall clock and by processor time.\n")
    print("| network | bare fit | ours, float32 | wall | cpu | aim | ours, automatic | wall | cpu | aim |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for case in CASES:
        print(row(case._replace(images=int(case.images * given.scale)), given.epochs), flush=True)


if __name__ == "__main__":
    main()
