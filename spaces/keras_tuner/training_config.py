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
from spaces.keras_tuner._isolation import isolated
from spaces.shapes import Shape

#: What a `fit` of one's own may decide of training; anything else that it changes is refused.
FIT_ARGUMENTS = ("batch_size", "epochs", "shuffle")
#: Methods by which a model class decides how it is trained.
_TRAINING = ("fit", "train_step", "compute_loss")
#: What a recipe calls its optimizers.
_OPTIMIZERS = {
    keras.optimizers.Adam: "adam",
    keras.optimizers.AdamW: "adamw",
    keras.optimizers.Nadam: "nadam",
    keras.optimizers.RMSprop: "rmsprop",
    keras.optimizers.SGD: "sgd",
}


def refuse_own_training(model: keras.Model) -> None:
    """Refuse a model class with a training of its own: the protocol's would take its place.

    Args:
        model: The model.

    Raises:
        UserError: If the class defines how it is trained.
    """
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
    """What a hypermodel decides of training, in the words of a recipe; nothing is trained here.

    Its own `fit`, which draws its hyperparameters now, decides batch_size, epochs and shuffle. `compile`,
    called by `build` or `fit`, decides optimizer, learning_rate, momentum and weight_decay. Loss and
    metrics are the protocol's.

    Args:
        hypermodel: The hypermodel.
        hp: The hyperparameters to draw from.
        model: What it built.
        input_shape: Height, width and channels of the images.

    Returns:
        Fields of a recipe, and `epochs` and `shuffle`.

    Raises:
        UserError: If its `fit` does more than draw, compile and call `model.fit`, or no recipe can say what
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
    return {"optimizer": _OPTIMIZERS[type(optimizer)], "learning_rate": float(f"{rate:.6g}"), **kept}


def _refuse_what_no_recipe_says(optimizer: keras.optimizers.Optimizer) -> None:
    kind = type(optimizer)
    if kind not in _OPTIMIZERS:
        raise UserError(
            f"compile has the optimizer {kind.__name__}, which no recipe has: compile with one of "
            f"{', '.join(_OPTIMIZERS.values())}, or narrow its choices to these with [search]."
        )
    rate = optimizer._learning_rate  # the public one is the rate of this step, whatever it comes from
    if not isinstance(rate, keras.Variable):
        raise UserError(
            f"compile has a learning rate that changes by itself ({type(rate).__name__}), which cannot be "
            'honoured: give it a number; recipe.schedule is "plateau", "cosine", "one_cycle" or "constant".'
        )
    said = {"name", "learning_rate", "weight_decay"}
    if kind is keras.optimizers.SGD:
        said |= {"momentum", "nesterov"}
    default = kind().get_config()
    unsaid = [f"{n} {v}" for n, v in optimizer.get_config().items() if n not in said and v != default[n]]
    if unsaid:
        raise UserError(
            f"compile has {kind.__name__} with {', '.join(unsaid)}, which cannot be honoured: a recipe has a "
            "learning rate, a weight decay and SGD's momentum. Leave the rest out."
        )


def _fit_of(
    hypermodel: keras_tuner.HyperModel,
    hp: keras_tuner.HyperParameters,
    model: keras.Model,
    input_shape: Shape,
) -> dict[str, Any]:
    """Runs the hypermodel's `fit` on two images of noise; its `model.fit` writes down its arguments."""
    if type(hypermodel).fit is keras_tuner.HyperModel.fit:
        return {}
    # Noise, since black images divided by 255 are black.
    x = np.random.default_rng(0).random((2, *input_shape), dtype="float32")
    y = np.eye(model.output_shape[-1], dtype="float32")[:2]
    given: dict[str, Any] = {"x": x, "y": y, "validation_data": (x, y), "callbacks": []}
    data, weights = {"x": x.copy(), "y": y.copy()}, model.get_weights()
    calls: list[Mapping[str, Any]] = []
    model.fit = _recorder(calls)
    try:
        with isolated(hypermodel.name or type(hypermodel).__name__):
            hypermodel.fit(
                hp, model, x, y, validation_data=given["validation_data"], callbacks=given["callbacks"]
            )
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"fit(hp, model, ...) must draw and call model.fit, which failed: {error}") from error
    finally:
        del model.fit
    if len(calls) != 1:
        raise UserError("fit(hp, model, ...) must call model.fit once: other loops cannot be pruned.")
    for name, before in data.items():
        if not np.array_equal(given[name], before):
            raise _changes(name)
    now = model.get_weights()
    if len(now) != len(weights) or not all(map(np.array_equal, now, weights)):
        raise UserError(
            "fit(hp, model, ...) changes the network's weights (adapt, set_weights, ...), which cannot be "
            "honoured: the images that it sees here are noise. Do that in build(hp)."
        )
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
        # The list of callbacks may be the one that was given, and longer.
        as_given = not value if name == "callbacks" else value is given.get(name, defaults[name])
        if not as_given and name not in (*FIT_ARGUMENTS, "verbose", "self"):
            raise _changes(name)
    return {name: call[name] for name in FIT_ARGUMENTS if call.get(name) is not None}


def _changes(name: str) -> UserError:
    return UserError(
        f"fit(hp, model, ...) changes {name}, which cannot be honoured: prepare images in build(hp), "
        f"the rest belongs to [recipe] and [protocol]. What it may decide: {', '.join(FIT_ARGUMENTS)}."
    )
