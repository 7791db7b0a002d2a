"""Out-of-fold predictions: every image of train and validation judged by networks that have not seen it.

The networks are fixed, so that the same images always get the same predictions from one machine. Each is an
evaluation over folds, in a child like those of a study. The sealed test part takes no part.
"""

import hashlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from search.datasets.cache.prepared import Prepared
from search.execution.fork_client import ForkServer
from search.execution.messages import Task
from search.tracking import names
from search.workers.reproduce import train_again
from spaces.errors import UserError

FOLDS: Final = 4
EPOCHS: Final = 12
SEEDS: Final = (0, 1)  # trained at once, one thread each; their probabilities are averaged
_FAMILY: Final = "plain_cnn"
_CANDIDATE: Final[dict[str, Any]] = {
    "family": _FAMILY,
    "architecture": {"kernels": [16, 32, 64], "neurons": [128], "dropout": 0.0, "batch_norm": True},
    "recipe": {"learning_rate": 0.002, "batch_size": 32, "schedule": "cosine", "standardize": True},
}
_FORMAT: Final = 1  # of the cached file
_EVERY: Final = 15.0  # seconds between two lines of progress


@dataclass(frozen=True)
class OutOfFold:
    """What networks say of n images that they were not trained on, in the order of ids.

    `ids`: text (n,). `labels`, `groups`: int64 (n,). `probabilities`: float32 (n, classes).
    """

    ids: NDArray[np.str_]
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    probabilities: NDArray[np.float32]

    @property
    def accuracy(self) -> float:
        """The share of images whose given label has the highest probability."""
        return float((self.probabilities.argmax(1) == self.labels).mean())


def out_of_fold(data: Prepared, cache: Path, log: Path, say: Callable[[str], None] = print) -> OutOfFold:
    """Predict every training and validation image by networks that were trained on other folds.

    Args:
        data: The images.
        cache: The folder of prepared data sets; the predictions are kept below it.
        log: Where the training processes write what libraries print.
        say: Shows a sentence to the user.

    Returns:
        The predictions, from the cache where the same images were predicted before.

    Raises:
        UserError: If there are too few images of a class for the folds.
    """
    known = cache / "labels" / f"{_stamp(data)}.npz"
    try:
        with np.load(known, allow_pickle=False) as file:
            return OutOfFold(*(file[name] for name in ("ids", "labels", "groups", "probabilities")))
    except (OSError, ValueError, KeyError, EOFError):
        found = _trained(data, log, say)
    known.parent.mkdir(parents=True, exist_ok=True)
    fresh = known.with_name(f".{known.stem}-{threading.get_ident()}.npz")
    np.savez_compressed(fresh, allow_pickle=False, **vars(found))
    fresh.replace(known)
    return found


def _stamp(data: Prepared) -> str:
    """A name for all that decides the predictions."""
    decides = [_FORMAT, data.digest, data.split_digest, _CANDIDATE, FOLDS, EPOCHS, SEEDS, data.counts]
    return hashlib.sha256(json.dumps(decides, sort_keys=True, default=dict).encode()).hexdigest()[:32]


def _trained(data: Prepared, log: Path, say: Callable[[str], None]) -> OutOfFold:
    _require_enough(data)
    count = data.counts["train"] + data.counts["validation"]
    say(
        f"labels: {len(SEEDS)} networks for each of {FOLDS} folds of {count:,} training and validation "
        f"images of {data.name}, {EPOCHS} epochs each"
    )
    progress = _Progress(len(SEEDS) * FOLDS * EPOCHS, say)
    server = ForkServer(log)
    server.start()
    try:
        with TemporaryDirectory(prefix="candor-labels-") as folder:
            works = [_Work(server, _task(data, seed, Path(folder)), progress) for seed in SEEDS]
            for work in works:
                work.start()
            found = [work.result() for work in works]
    finally:
        server.close()
    say(f"labels: predicted ({progress.seconds:.0f} s)")
    first = found[0]
    mean = np.mean([one["probabilities"] for one in found], axis=0).astype(np.float32)
    return OutOfFold(first["ids"], first["labels"], first["groups"], mean)


def _require_enough(data: Prepared) -> None:
    """Refuse a class that the folds cannot all have, before anything is trained."""
    labels = np.concatenate([data.train().labels, data.validation().labels])
    groups = np.concatenate([data.train().groups, data.validation().groups])
    for number, name in enumerate(data.class_names):
        count = len(np.unique(groups[labels == number]))
        if count < 2 * FOLDS:
            raise UserError(
                f"{data.name}: labels cannot be judged: {name} has {count} training and validation images "
                f"that are no duplicates of each other, and {2 * FOLDS} are the fewest."
            )


def _task(data: Prepared, seed: int, folder: Path) -> Task:
    return Task(
        key=f"labels/{seed}",
        seed=seed,
        space=_FAMILY,
        dataset=str(data.folder),
        folder=str(folder / str(seed)),
        recipe=_CANDIDATE["recipe"],
        epochs=EPOCHS,
        patience=EPOCHS,
        objective="val_accuracy",
        precision="float32",
        threads=1,
        monitor_fraction=0.1,
        monitor_seed=seed,
        candidate=_CANDIDATE,
        validate=True,
        folds=FOLDS,
    )


class _Work(threading.Thread):
    """One network over all folds, in a child."""

    def __init__(self, server: ForkServer, task: Task, progress: "_Progress") -> None:
        super().__init__(name=task.key, daemon=True)
        self._server, self._task, self._progress = server, task, progress
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            result = train_again(self._server, self._task, lambda epoch: self._progress.step())
            if result.state != names.COMPLETE:
                raise UserError(f"labels cannot be judged: {result.state}, {result.reason}")
        except Exception as error:
            self._error = error

    def result(self) -> dict[str, NDArray[Any]]:
        """The predictions, once they are made. Raises what ended the work."""
        self.join()
        if self._error is not None:
            raise self._error
        path = Path(self._task.folder) / "artifacts" / names.PREDICTIONS_NPZ
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in ("ids", "labels", "groups", "probabilities")}


class _Progress:
    """Says how far the epochs of all children are, now and then."""

    def __init__(self, total: int, say: Callable[[str], None]) -> None:
        self._total, self._say, self._done = total, say, 0
        self._began = self._said = time.monotonic()
        self._lock = threading.Lock()

    @property
    def seconds(self) -> float:
        """Since the work began."""
        return time.monotonic() - self._began

    def step(self) -> None:
        """One more epoch is over."""
        with self._lock:
            self._done += 1
            if time.monotonic() - self._said < _EVERY or self._done >= self._total:
                return
            self._said = time.monotonic()
            left = self.seconds / self._done * (self._total - self._done)
            self._say(f"labels: {self._done} of {self._total} epochs, about {left:.0f} s left")
