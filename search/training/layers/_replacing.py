"""Finding layers in a model, so that a backend's better way may be put in place of Keras's own.

What is put in place is the layer's `call`: its class, its variables and what is saved of it stay Keras's.
"""

from collections.abc import Iterator
from typing import Any, TypeVar

import keras

Kind = TypeVar("Kind", bound=keras.layers.Layer)


def layers_of(model: keras.Model, kind: type[Kind]) -> Iterator[Kind]:
    """The layers of just this class in a model and in the models in it; none of its subclasses."""
    for layer in model.layers:
        if type(layer) is kind:
            yield layer
        elif isinstance(layer, keras.Model):
            yield from layers_of(layer, kind)


def graphs_of(model: keras.Model) -> Iterator[Any]:
    """The graphs of layers' calls of a model and of the models in it, as far as they have one."""
    graph = getattr(model, "_functional", model)
    if hasattr(graph, "_nodes_by_depth"):
        yield graph
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from graphs_of(layer)


def calls_of(graph: Any) -> list[Any]:
    """Every call of a layer in a graph: its `operation`, `input_tensors` and `output_tensors`."""
    return [call for level in graph._nodes_by_depth.values() for call in level]
