"""Max pooling before ReLU, where a network has it after: the same numbers from a quarter of the work.

The largest of what ReLU lets through is what ReLU lets through of the largest, and the gradient goes to the
same pixel, or nowhere. Behind a convolution with its bias TensorFlow computes ReLU on the way, and behind
batch norm it does not: there ReLU goes over the images once more, and its gradient too. JAX compiles all of
it into one loop anyway.
"""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import keras

from search.training.layers._replacing import calls_of, graphs_of


def pool_before_relu(network: keras.Model) -> None:
    """Let the ReLUs between a batch norm and a max pooling of `network` come last."""
    if keras.backend.backend() != "tensorflow":
        return
    for graph in graphs_of(network):
        for relu, pooling in _pairs(graph):
            relu.call = _nothing
            pooling.call = partial(_call, type(pooling), pooling)


def _pairs(graph: Any) -> Iterator[tuple[keras.layers.Layer, keras.layers.MaxPooling2D]]:
    """Every ReLU that reads a batch norm, with the max pooling that alone reads it; each is called once."""
    calls = calls_of(graph)
    times = Counter(id(call.operation) for call in calls)
    made = {id(tensor): call for call in calls for tensor in call.output_tensors}
    readers = Counter(id(tensor) for call in calls for tensor in call.input_tensors)
    readers.update(id(tensor) for tensor in graph.outputs)
    for call in calls:
        if type(call.operation) is not keras.layers.MaxPooling2D:
            continue
        pixels = call.input_tensors[0]
        before = made[id(pixels)]
        once = times[id(call.operation)] == times[id(before.operation)] == readers[id(pixels)] == 1
        if once and _is_relu(before.operation) and _is_batch_norm(made[id(before.input_tensors[0])]):
            yield before.operation, call.operation


def _is_batch_norm(call: Any) -> bool:
    return type(call.operation) is keras.layers.BatchNormalization


def _is_relu(layer: Any) -> bool:
    if type(layer) is keras.layers.Activation:
        return bool(layer.activation is keras.activations.relu)
    plain = type(layer) is keras.layers.ReLU
    return plain and (layer.negative_slope, layer.max_value, layer.threshold) == (0.0, None, 0.0)


def _nothing(inputs: Any) -> Any:
    return inputs


def _call(kind: type[keras.layers.Layer], pooling: keras.layers.MaxPooling2D, inputs: Any) -> Any:
    return keras.ops.relu(kind.call(pooling, inputs))
