"""An exponential moving average of the weights, which is often better than the weights themselves.

Keras' optimizers follow such an average in every step (`use_ema`). Theirs begins at the first weights and
forgets them only after several half-lives. Here the average is corrected for its beginning, as Adam corrects
its moments (Kingma and Ba 2015, section 3): it is the mean of all weights so far, weighted by
0.5 ** (age / half-life). Averages of weights: Polyak and Juditsky (1992); Izmailov et al., Averaging Weights
Leads to Wider Optima (2018). Batch norm's statistics must be measured anew for averaged weights.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import numpy as np


class WeightAverage:
    """The moving average of a model's trainable weights; the optimizer keeps it among its variables.

    Args:
        training: The compiled model, before its first step.
        half_life: Steps after which a step's weights count half, above 0.
    """

    def __init__(self, training: keras.Model, half_life: float) -> None:
        self._model = training
        optimizer = training.optimizer
        optimizer.use_ema, optimizer.ema_momentum = True, 0.5 ** (1 / half_life)
        optimizer._update_model_variables_moving_average = partial(_follow, optimizer, half_life)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Give the model the averaged weights for the time of a `with` block, then all weights as before."""
        variables = self._model.weights
        before = [np.array(variable) for variable in variables]
        trained = self._model.trainable_variables
        averages = self._model.optimizer._model_variables_moving_average
        for variable, average in zip(trained, averages, strict=True):
            variable.assign(np.array(average))  # a copy: a step on JAX frees the memory of what it updates
        try:
            yield
        finally:
            for variable, value in zip(variables, before, strict=True):
                variable.assign(value)


def _follow(optimizer: Any, half_life: float, variables: Sequence[Any]) -> None:
    """Move every average towards the weights that a step led to."""
    decay = math.log(0.5) / half_life
    step = keras.ops.cast(optimizer.iterations, "float32") + 1.0
    share = math.expm1(decay) / keras.ops.expm1(decay * step)
    for variable, average in zip(variables, optimizer._model_variables_moving_average, strict=True):
        if average is not None:
            moved = (variable - average) * keras.ops.cast(share, average.dtype)
            average.assign(average + moved)
