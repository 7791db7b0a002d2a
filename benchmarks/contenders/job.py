"""What every contender is given, and the diary that it leaves behind."""

import itertools
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

#: Images, epochs without a better monitor loss before a training stops, images a step: the same for all.
BATCH_SIZE, PATIENCE = 64, 5


@dataclass(frozen=True)
class Job:
    """One search.

    Attributes:
        images: npz with x_train (n, 48, 48, 1) uint8, y_train, x_monitor, y_monitor.
        source: the same images as Candor reads them: train, and the validation images, which no peer sees.
        folder: where to work; the diary is `diary.jsonl` in it, the best model's file `best.keras`.
        seed: of the search.
        epochs: at most so many for one network.
        options: what Candor's command line gets beyond that.
        without: a part that is taken out of Candor: see `without.py`.
    """

    images: str
    source: str
    folder: str
    seed: int
    epochs: int
    options: tuple[str, ...] = ()
    without: str = ""

    def write(self) -> Path:
        """The job's file in its folder."""
        path = Path(self.folder) / "job.json"
        path.write_text(json.dumps(asdict(self)))
        return path

    @classmethod
    def read(cls, path: str) -> "Job":
        """The job that a file holds."""
        table = json.loads(Path(path).read_text())
        return cls(**{**table, "options": tuple(table["options"])})

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """x_train, y_train, x_monitor, y_monitor."""
        with np.load(self.images, allow_pickle=False) as held:
            return held["x_train"], held["y_train"], held["x_monitor"], held["y_monitor"]

    @property
    def diary(self) -> Path:
        """One line of JSON an epoch: at (s since 1970), trial, epoch, images (trained on in it), score."""
        return Path(self.folder) / "diary.jsonl"

    @property
    def best(self) -> Path:
        """The model with the best score so far."""
        return Path(self.folder) / "best.keras"


_networks = itertools.count()


def diary_callback(job: Job, images: int) -> Any:
    """A Keras callback that writes the diary and keeps the best model, whatever process it runs in."""
    import keras

    class Diary(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_begin(self, logs: Any = None) -> None:
            self.trial = f"{os.getpid()}-{next(_networks)}"

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            score = float(logs["val_accuracy"])
            if score > max((line["score"] for line in lines(job.diary)), default=0.0):
                ours = job.best.with_name(f"{self.trial}.keras")  # two processes may find one at once
                self.model.save(ours)
                ours.replace(job.best)
            line = {"at": time.time(), "trial": self.trial, "epoch": epoch + 1, "images": images}
            with job.diary.open("a") as diary:
                diary.write(json.dumps({**line, "score": score}) + "\n")

    return Diary()


def fit(model: Any, job: Job, report: Callable[[int, dict[str, float]], None]) -> Any:
    """`model.fit` as a Keras objective has it, with early stopping; `report` is told each epoch's logs."""
    import keras

    x, y, x_monitor, y_monitor = job.arrays()
    stopping = keras.callbacks.EarlyStopping(patience=PATIENCE)
    telling = keras.callbacks.LambdaCallback(on_epoch_end=report)
    return model.fit(
        x,
        y,
        epochs=job.epochs,
        batch_size=BATCH_SIZE,
        validation_data=(x_monitor, y_monitor),
        callbacks=[stopping, diary_callback(job, len(x)), telling],
        verbose=0,
    )


def lines(diary: Path) -> list[dict[str, Any]]:
    """Every whole line of a diary."""
    if not diary.exists():
        return []
    return [json.loads(line) for line in diary.read_text().splitlines(keepends=True) if line.endswith("\n")]
