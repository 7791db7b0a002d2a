"""Whether Keras can write a network to a file and open it again, found out before it is trained.

Imports Keras: only processes that build or open networks may import this module.
"""

import json
import random
import re
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import keras

from spaces.errors import UserError
from spaces.keras_tuner.custom_objects import KERAS_PACKAGES, register_custom_objects

_WITHOUT: Final = 'or go without with protocol.keep_models = "none".'


def require_saveable(network: keras.Model) -> None:
    """Refuse a network that Keras cannot save, or not open again.

    What it was compiled with is dropped: the protocol's is in its place, and a loss of one's own would go
    into the file and keep it from being opened.

    Args:
        network: The network.

    Raises:
        UserError: Names the class at fault, and the remedy.
    """
    for layer in network._flatten_layers():
        if isinstance(layer, keras.Model):
            layer.compiled = False
    if _unsaveable(network):
        kind = type(_at_fault(network, _unsaveable))
        raise UserError(
            f"Keras cannot save {kind.__name__}: give that class a get_config and "
            f"@keras.saving.register_keras_serializable(), {_WITHOUT}"
        )
    if _unopenable(network):
        fault = _at_fault(network, _unopenable)
        raise UserError(
            f"Keras cannot open {type(fault).__name__} again once it is saved ({_unopenable(fault)}): "
            f"{_remedy(type(fault))}, {_WITHOUT}"
        )


def _at_fault(operation: Any, fails: Callable[[Any], str]) -> Any:
    """What fails by itself: a graph is written with all its operations, anything else as it says itself."""
    graph = getattr(operation, "_functional", operation)
    within = graph.operations if isinstance(graph, keras.Function) else ()
    return next((_at_fault(one, fails) for one in within if fails(one)), operation)


def _unsaveable(operation: Any) -> str:
    try:
        _written(operation)
    except Exception as error:
        return str(error) or type(error).__name__
    return ""


def _unopenable(operation: Any) -> str:
    """What Keras says against opening it safely, in another process; "" if nothing.

    It is really opened: some of what fails (a get_config that lacks an argument, an activation of another
    library) looks well in the config. No weight is allocated; only a class that computes with its weights
    while it is built fails for that, and is tried with them. Names end with the thread, and Python's random
    numbers are as if it had drawn none: what is kept trains as what is not.
    """
    text, randomness, reason = _written(operation), random.getstate(), ""
    register_custom_objects(json.loads(text))

    def opened() -> None:
        keras.saving.deserialize_keras_object(json.loads(text), safe_mode=True)

    def opened_without_weights() -> None:
        with keras.StatelessScope(initialize_variables=False):
            opened()

    try:
        for attempt in (opened_without_weights, opened):
            try:
                with ThreadPoolExecutor(1) as thread:
                    thread.submit(attempt).result()
                return ""
            except Exception as error:
                reason = _innermost(error)
        return reason
    finally:
        random.setstate(randomness)


def _written(operation: Any) -> str:
    """Its config as a file has it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a lambda, which is refused in words of our own
        return json.dumps(keras.saving.serialize_keras_object(operation))


def _innermost(error: Exception) -> str:
    """What Keras complained of first, without the configs that it repeats."""
    first = str(error).rpartition("Exception encountered: ")[2]
    return re.split(r"\. |: \{|\n", first)[0][:120] or type(error).__name__


def _remedy(kind: type) -> str:
    if kind.__module__.partition(".")[0] in KERAS_PACKAGES:
        return (
            "in place of a lambda, or of a function that is not registered with Keras, take an expression of "
            'keras.ops, or what Keras has a name for, such as activation="softmax"'
        )
    return "define that class outside of any function, with a get_config of all that its __init__ takes"
