"""The callback of one training: what happens between two epochs."""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray

from search.execution.messages import Decision
from search.training.batches import ShuffledBatches
from search.training.checkpoint import Checkpoint, State
from search.training.composition import Composition, predict
from search.training.measures.metrics import scores
from search.training.schedule import Schedule
from search.training.weight_average import WeightAverage

Labelled = tuple[NDArray[np.uint8], NDArray[np.integer[Any]]]
Report = Callable[[int, dict[str, float]], Decision]

#: The state of a training that ended with this answer to its last epoch.
OUTCOMES: Final = {Decision.CONTINUE: "complete", Decision.PRUNE: "pruned", Decision.STOP: "stopped"}


class Diverged(Exception):
    """The loss of an epoch is not a finite number.

    Attributes:
        epoch: the epoch, counted from 1.
    """

    def __init__(self, epoch: int) -> None:
        super().__init__(f"the loss is not finite after epoch {epoch}")
        self.epoch = epoch


class TrainingCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Measures, decides, reports and saves after every epoch; sets what changes before it.

    Attributes:
        history: Every epoch so far, as reported.

    Args:
        models: The model that trains and the one that predicts.
        batches: The training images.
        monitor: Images and labels of the monitor split.
        schedule: Decides learning rate, end and best epoch.
        report: Is told of every epoch; its answer may end the training.
        checkpoint: Where the state is saved; None to save none.
        settle: Makes the model ready to predict, before it is measured.
        average: The average of the weights that is followed; None for none.
        clean: Training images and labels to measure the epoch's train metrics on, in inference mode; None
            takes what training itself says of the images as it varied them.
    """

    def __init__(
        self,
        models: Composition,
        batches: ShuffledBatches,
        monitor: Labelled,
        schedule: Schedule,
        report: Report,
        checkpoint: Checkpoint | None,
        settle: Callable[[], None],
        average: WeightAverage | None = None,
        clean: Labelled | None = None,
    ) -> None:
        super().__init__()
        self.models = models
        self.batches = batches
        self.monitor = monitor
        self.schedule = schedule
        self.report = report
        self.checkpoint = checkpoint
        self.settle = settle
        self.average = average
        self.clean = clean
        self.history: list[dict[str, float]] = []
        self._answer = Decision.CONTINUE
        self._kept: list[NDArray[Any]] = []
        self._step_seconds: list[float] = []
        self._started = 0.0

    @property
    def epochs(self) -> int:
        """How many are done."""
        return len(self.history)

    @property
    def ended(self) -> bool:
        """Whether no epoch should follow."""
        return self._answer is not Decision.CONTINUE or self.schedule.over(self.history)

    @property
    def outcome(self) -> str:
        """How it ended: complete, pruned or stopped."""
        return OUTCOMES[self._answer]

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Set this epoch's order, learning rate and strength of augmentation.

        Args:
            epoch: Its number, counted from 0.
            logs: Keras' own; not used.
        """
        self._started = time.perf_counter()
        self.batches.epoch = epoch
        self.models.training.optimizer.learning_rate = self.schedule.learning_rate(self.history)
        self.models.strength.assign(self.schedule.strength(self.history))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Measure on monitor, keep the weights or their average if they are the best, report, save.

        Args:
            epoch: Its number, counted from 0.
            logs: Training loss and accuracy of the epoch.

        Raises:
            Diverged: If a loss is not finite.
        """
        self._step_seconds.append(time.perf_counter() - self._started)
        self.settle()
        metrics, weights = self._measure(logs), self.models.inference.weights
        if self.average:
            metrics, weights = self._better(logs, metrics)
        if not math.isfinite(float(logs["loss"]) + metrics["train_loss"] + metrics["monitor_loss"]):
            raise Diverged(epoch + 1)
        self.history.append(metrics)
        if self.schedule.best_epoch(self.history) == self.epochs:
            self._kept = _copies(weights)
        self._answer = self.report(self.epochs, dict(metrics))
        self.model.stop_training = self.ended
        self._save(metrics["epoch_seconds"])

    def _better(self, logs: Mapping[str, float], plain: dict[str, float]) -> tuple[dict[str, float], Any]:
        """Of the weights and their average, what is better on monitor: its metrics and weights.

        Where monitor decides nothing, the average.
        """
        assert self.average is not None  # noqa: S101
        weights = _copies(self.models.inference.weights)
        with self.average.in_place():
            self.settle()
            averaged = {**self._measure(logs), "averaged": 1.0}
            choices = (
                ({**plain, "averaged": 0.0}, weights),
                (averaged, _copies(self.models.inference.weights)),
            )
        metrics, weights = choices[self.schedule.best_epoch([one for one, _ in choices]) - 1]
        return {**metrics, "epoch_seconds": time.perf_counter() - self._started}, weights

    def _measure(self, logs: Mapping[str, float]) -> dict[str, float]:
        images, labels = self.monitor
        monitor = scores(labels, predict(self.models.inference, images))
        train = logs
        if self.clean:
            train = scores(self.clean[1], predict(self.models.one_view, self.clean[0]))
        return {
            "train_loss": float(train["loss"]),
            "train_accuracy": float(train["accuracy"]),
            "monitor_loss": monitor["loss"],
            "monitor_accuracy": monitor["accuracy"],
            "learning_rate": self.schedule.learning_rate(self.history),
            "epoch_seconds": time.perf_counter() - self._started,
            "monitor_macro_f1": monitor["macro_f1"],
        }

    def _save(self, seconds: float) -> None:
        if self.checkpoint is None:
            return
        self.checkpoint.worked(seconds, self._state)
        if self.ended:
            self.checkpoint.save(self._state)

    def _state(self) -> State:
        arrays = {name: _copies(variables) for name, variables in self._variables().items()}
        return State({**arrays, "kept": self._kept}, {"identity": self._identity(), "history": self.history})

    def _variables(self) -> dict[str, list[keras.Variable]]:
        """All that an epoch changes: weights, generators of random numbers, the optimizer's state."""
        training = self.models.training
        return {"model": training.variables, "optimizer": training.optimizer.variables}

    def _identity(self) -> dict[str, Any]:
        """What a checkpoint must share with the training that takes it up."""
        recipe = self.schedule.recipe.to_dict()
        shapes = [list(v.shape) for v in self.models.training.variables]
        known = {**asdict(self.schedule), "recipe": recipe, "seed": self.batches.seed, "shapes": shapes}
        identity: dict[str, Any] = json.loads(json.dumps(known))  # as a checkpoint gives it back
        return identity

    def resume(self) -> None:
        """Take up the checkpoint's state, if there is one, and report its epochs again.

        Raises:
            ValueError: when it belongs to another training.
        """
        if self.checkpoint is None or (state := self.checkpoint.load()) is None:
            return
        if state.record["identity"] != self._identity():
            folder = self.checkpoint.folder
            raise ValueError(f"the checkpoint in {folder} is another training's: delete it to start anew")
        self.models.training.optimizer.build(self.models.training.trainable_variables)
        for name, variables in self._variables().items():
            for variable, array in zip(variables, state.arrays[name], strict=True):
                variable.assign(array)
        self._kept = list(state.arrays["kept"])
        self.history = state.record["history"]
        for epoch, metrics in enumerate(self.history, start=1):
            self._answer = self.report(epoch, dict(metrics))

    def keep_best(self) -> None:
        """Give the network the weights of the best epoch."""
        self.models.inference.set_weights(self._kept)

    def images_per_second(self) -> float:
        """Of the training steps: see `TrainingResult`."""
        steady = self._step_seconds[1:] or self._step_seconds
        return len(steady) * self.batches.images / sum(steady) if steady else 0.0


def _copies(variables: list[keras.Variable]) -> list[NDArray[Any]]:
    """The values now. bfloat16, which npz cannot hold, as float32, which holds each of its values."""
    arrays = [np.asarray(variable).copy() for variable in variables]
    return [array.astype(np.float32) if array.dtype.name == "bfloat16" else array for array in arrays]
