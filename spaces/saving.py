"""Whether Keras can write a network to a file, found out before it is trained.

Imports Keras: only processes that build networks may import this module.
"""

import json
from typing import Any

import keras

from spaces.errors import UserError


def require_saveable(network: keras.Model) -> None:
    """Raises UserError with the class at fault for a network that `network.save` would refuse."""
    if not _is_saveable(network):
        raise UserError(
            f"Keras cannot save {type(_at_fault(network)).__name__}: give that class a get_config and "
            '@keras.saving.register_keras_serializable(), or go without with protocol.keep_models = "none".'
        )


def _at_fault(operation: Any) -> Any:
    """What has no config: a graph is written with all its operations, anything else as it says itself."""
    graph = getattr(operation, "_functional", operation)
    within = graph.operations if isinstance(graph, keras.Function) else ()
    return next((_at_fault(one) for one in within if not _is_saveable(one)), operation)


def _is_saveable(operation: Any) -> bool:
    try:
        json.dumps(keras.saving.serialize_keras_object(operation))
    except Exception:
        return False
    return True
