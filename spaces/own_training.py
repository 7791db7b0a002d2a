"""What a Keras Tuner hypermodel decides of its own training, found out without training.

Imports Keras Tuner, and with it Keras: only processes that build networks may import this module.
"""

import inspect
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import keras
import keras_tuner
import numpy as np

from spaces.errors import UserError
from spaces.family import Shape

#: What a `fit` of one's own may decide of training; anything else that it changes is refused.
HONOURED = ("batch_size", "epochs", "shuffle")
#: Methods by which a model class decides how it is trained.
_TRAINING = ("fit", "train_step", "compute_loss")


def refuse_own_training(model: keras.Model) -> None:
    """Raises UserError for a model class with a training of its own: the protocol's would take its place."""
    for name in _TRAINING:
        if getattr(type(model), name) is not getattr(keras.Model, name):
            raise UserError(
                f"{type(model).__name__} has a {name} of its own, which cannot be honoured: it would escape "
                "pruning and early stopping, and the loss is the protocol's. Leave it out; what it adds to "
                "the loss can go into a layer's add_loss."
            )


def training_of(
    hypermodel: keras_tuner.HyperModel,
    hp: keras_tuner.HyperParameters,
    model: keras.Model,
    input_shape: Shape,
) -> dict[str, Any]:
    """What the hypermodel decides of training, in the words of a recipe; nothing is trained here.

    From a `fit` of its own, which draws its hyperparameters now: batch_size, epochs, shuffle. From `compile`,
    whether `build` or `fit` calls it: optimizer, learning_rate, momentum, weight_decay. Loss and metrics are
    the protocol's.

    Raises:
        UserError: if its `fit` does more than draw, compile and call `model.fit`, or no recipe can say what
            `compile` asks for.
    """
    fit = _fit_of(hypermodel, hp, model, input_shape)
    return _optimizer_of(model) | fit


def _optimizer_of(model: keras.Model) -> dict[str, Any]:
    if not getattr(model, "compiled", False):
        return {}
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    _refuse_what_no_recipe_says(optimizer)
    options = optimizer.get_config()
    kept = {n: options[n] for n in ("momentum", "weight_decay") if options.get(n) is not None}
    rate = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
    # The variable is float32: 0.01 comes back as 0.00999999978.
    return {"optimizer": type(optimizer).__name__.lower(), "learning_rate": float(f"{rate:.6g}"), **kept}


def _refuse_what_no_recipe_says(optimizer: keras.optimizers.Optimizer) -> None:
    rate = optimizer._learning_rate  # the public one is the rate of this step, whatever it comes from
    if not isinstance(rate, keras.Variable):
        raise UserError(
            f"compile has a learning rate that changes by itself ({type(rate).__name__}), which cannot be "
            'honoured: give it a number; recipe.schedule is "plateau", "cosine" or "constant".'
        )
    if isinstance(optimizer, keras.optimizers.RMSprop) and optimizer.momentum:
        raise UserError(
            f"compile has RMSprop with momentum {optimizer.momentum:g}, which cannot be honoured: a recipe's "
            "momentum is SGD's. Leave it out, or take SGD."
        )


def _fit_of(
    hypermodel: keras_tuner.HyperModel,
    hp: keras_tuner.HyperParameters,
    model: keras.Model,
    input_shape: Shape,
) -> dict[str, Any]:
    """Runs the hypermodel's `fit` on two black images, with a `model.fit` that writes down its arguments."""
    if type(hypermodel).fit is keras_tuner.HyperModel.fit:
        return {}
    x, y = np.zeros((2, *input_shape), "float32"), np.eye(model.output_shape[-1], dtype="float32")[:2]
    given = {"x": x, "y": y, "validation_data": (x, y), "callbacks": []}
    calls: list[Mapping[str, Any]] = []
    model.fit = _recorder(calls)
    try:
        hypermodel.fit(
            hp, model, x, y, validation_data=given["validation_data"], callbacks=given["callbacks"]
        )
    except Exception as error:
        raise UserError(f"fit(hp, model, ...) must draw and call model.fit, which failed: {error}") from error
    finally:
        del model.fit
    if len(calls) != 1:
        raise UserError("fit(hp, model, ...) must call model.fit once: other loops cannot be pruned.")
    return _honoured(calls[0], given)


def _recorder(calls: list[Mapping[str, Any]]) -> Callable[..., keras.callbacks.History]:
    signature = inspect.signature(keras.Model.fit)

    def fit(*args: Any, **options: Any) -> keras.callbacks.History:
        calls.append(signature.bind(None, *args, **options).arguments)
        history = keras.callbacks.History()
        history.history = defaultdict(lambda: [0.0])  # for a `fit` that looks up its best epoch
        return history

    return fit


def _honoured(call: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    defaults = {name: p.default for name, p in inspect.signature(keras.Model.fit).parameters.items()}
    for name, value in call.items():
        as_given = value is given.get(name, defaults[name]) or name in (*HONOURED, "verbose", "self")
        if not as_given and not (name == "callbacks" and not value):
            raise UserError(
                f"fit(hp, model, ...) changes {name}, which cannot be honoured: prepare images in build(hp), "
                f"the rest belongs to [recipe] and [protocol]. What it may decide: {', '.join(HONOURED)}."
            )
    return {name: call[name] for name in HONOURED if call.get(name) is not None}
