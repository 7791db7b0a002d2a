"""Parameters and multiply-adds of a network, from its graph, also before any weight is allocated.

Multiply-adds are those of convolutions and dense layers, for one image: each output position of a kernel
costs as many as the kernel has numbers. Additions of biases, normalisation, pooling and activations are left
out, as in the tables of the literature (ResNet-18 at 224x224 counts 1.8 billion).
"""

import math
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Counts:
    """`parameters`: all weights, also those that are not trained; `macs`: multiply-adds for one image."""

    parameters: int
    macs: int


def count(model: "keras.Model") -> Counts:
    """Counts a built model; every call of a shared layer costs its multiply-adds again."""
    return Counts(model.count_params(), sum(_macs_of(node) for node in _nodes(model)))


def count_before_building(build: Callable[[], "keras.Model"]) -> Counts:
    """Counts what `build` would build, without allocating its weights.

    The model is built in a thread of its own, under a scope in which Keras initialises no variable: what
    Keras remembers of it (names, uninitialised variables) ends with the thread, and Python's random numbers
    are as if it had drawn none.
    """
    import keras

    policy, randomness = keras.config.dtype_policy(), random.getstate()

    def counts() -> Counts:
        keras.config.set_dtype_policy(policy)
        with keras.StatelessScope(initialize_variables=False):
            return count(build())

    try:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(counts).result()
    finally:
        random.setstate(randomness)


def _nodes(model: Any) -> Iterator[Any]:
    """Every call of a layer in the graph, also within models that are used as layers."""
    graph = getattr(model, "_functional", model)
    for level in graph._nodes_by_depth.values():
        for node in level:
            if hasattr(node.operation, "_nodes_by_depth") or hasattr(node.operation, "_functional"):
                yield from _nodes(node.operation)
            else:
                yield node


def _macs_of(node: Any) -> int:
    layer = node.operation
    kernels = [getattr(layer, name, None) for name in ("kernel", "depthwise_kernel", "pointwise_kernel")]
    sizes = [math.prod(kernel.shape) for kernel in kernels if kernel is not None]
    return sum(sizes) * _positions(node) if sizes else 0


def _positions(node: Any) -> int:
    """How many places a kernel is applied to: in the output, or in the input of a transposed convolution."""
    transposed = "Transpose" in type(node.operation).__name__
    image = (node.input_tensors if transposed else node.output_tensors)[0]
    first = getattr(node.operation, "data_format", None) == "channels_first"
    return int(math.prod(image.shape[2:] if first else image.shape[1:-1]))
