"""Parameters and multiply-adds of a network, from its graph, also before any weight is allocated.

Multiply-adds are those of convolutions and dense layers, for one image: each output position of a kernel
costs as many as the kernel has numbers. Additions of biases, normalisation, pooling and activations are left
out, as in the tables of the literature (ResNet-18 at 224x224 counts 1.8 billion).
"""

import math
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import get_ident
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
        scope = keras.StatelessScope(initialize_variables=False)
        with _optimizers_outside(scope), scope:
            return count(build())

    try:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(counts).result()
    finally:
        random.setstate(randomness)


@contextmanager
def _optimizers_outside(scope: "keras.StatelessScope") -> Iterator[None]:
    """Lets a hypermodel compile: an optimizer begins with numbers of its own, which the scope refuses."""
    import keras

    make = keras.optimizers.Optimizer.__init__
    thread = get_ident()

    def make_outside(self: Any, *args: Any, **options: Any) -> None:
        if get_ident() != thread:
            return make(self, *args, **options)  # type: ignore[no-any-return]
        scope.__exit__()
        try:
            make(self, *args, **options)
        finally:
            scope.__enter__()

    keras.optimizers.Optimizer.__init__ = make_outside
    try:
        yield
    finally:
        keras.optimizers.Optimizer.__init__ = make


def _nodes(graph: Any) -> Iterator[Any]:
    """Every call of a layer in the graph, also within models and composed layers that are used as layers."""
    for level in getattr(graph, "_functional", graph)._nodes_by_depth.values():
        for node in level:
            inner = _graph_within(node)
            yield from [node] if inner is None else _nodes(inner)


def _graph_within(node: Any) -> Any:
    """What a layer made of layers does; None for any other, and where it leaves Keras's operations."""
    import keras

    layer = node.operation
    if hasattr(layer, "_nodes_by_depth") or hasattr(layer, "_functional"):
        return layer
    if not getattr(layer, "_layers", None):
        return None
    given = {id(t): keras.Input(batch_shape=t.shape, dtype=t.dtype) for t in node.input_tensors}
    try:
        args, options = node.arguments.fill_in(given)
        return keras.Function(list(given.values()), layer.call(*args, **options))
    except Exception:
        return None


def _macs_of(node: Any) -> int:
    layer = node.operation
    kernels = [getattr(layer, name, None) for name in ("kernel", "depthwise_kernel", "pointwise_kernel")]
    sizes = [math.prod(kernel.shape) for kernel in kernels if kernel is not None]
    return sum(sizes) * _positions(node) if sizes else 0


def _positions(node: Any) -> int:
    """How many places a kernel is applied to: in the output, or in the input of a transposed convolution.

    A size that Keras does not know beforehand counts as 1: attention is counted too low.
    """
    equation = getattr(node.operation, "equation", None)
    if equation is not None:  # of an EinsumDense: "abc,cde->abde" applies its kernel at every b
        letters, kernel = equation.partition("->")[0].split(",")
        sizes = zip(reversed(letters), reversed(node.input_tensors[0].shape), strict=False)
        return math.prod(size or 1 for letter, size in sizes if letter not in kernel)
    transposed = "Transpose" in type(node.operation).__name__
    image = (node.input_tensors if transposed else node.output_tensors)[0]
    first = getattr(node.operation, "data_format", None) == "channels_first"
    return math.prod(size or 1 for size in (image.shape[2:] if first else image.shape[1:-1]))
