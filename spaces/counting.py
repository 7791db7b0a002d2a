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


def count(model: "keras.Model", image_shape: tuple[int, ...] | None = None) -> Counts:
    """Counts a built model; every call of a shared layer costs its multiply-adds again.

    Args:
        model: the network.
        image_shape: (height, width, channels), for a model that takes images of any size.
    """
    import keras

    graph: Any = model
    if image_shape is not None and None in model.input_shape[1:]:
        images = keras.Input(image_shape)
        graph = keras.Function(images, model(images))
    return Counts(model.count_params(), sum(_macs_of(node) for node in _nodes(graph)))


def count_before_building(
    build: Callable[[], "keras.Model"], image_shape: tuple[int, ...] | None = None
) -> Counts:
    """Count the parameters and multiply-adds of a model without allocating its weights.

    The model is built in a thread of its own, under a scope in which Keras initialises no variable. What
    Keras remembers of it (names, uninitialised variables) ends with the thread, and Python's random numbers
    are as if it had drawn none.

    Args:
        build: Builds the model.
        image_shape: Height, width and channels, for a model that takes images of any size.
    """
    import keras

    policy, randomness = keras.config.dtype_policy(), random.getstate()

    def counts() -> Counts:
        keras.config.set_dtype_policy(policy)
        scope = keras.StatelessScope(initialize_variables=False)
        with _optimizers_outside(scope), scope:
            return count(build(), image_shape)

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
            yield node
            inner = _graph_within(node)
            if inner is not None:
                yield from _nodes(inner)


def _graph_within(node: Any) -> Any:
    """What a layer made of layers does, at the sizes it has here.

    None for any other, and where it leaves Keras's operations: what it multiplies there is not counted.
    """
    import keras

    layer = node.operation
    graph = getattr(layer, "_functional", layer)
    known = graph if hasattr(graph, "_nodes_by_depth") else None
    if known is not None and not any(None in images.shape[1:] for images in known.inputs):
        return known
    if not getattr(layer, "_layers", None):
        return known
    given = {id(t): keras.Input(batch_shape=t.shape, dtype=t.dtype) for t in node.input_tensors}
    try:
        args, options = node.arguments.fill_in(given)
        return keras.Function(list(given.values()), layer.call(*args, **options))
    except Exception:
        return known


def _macs_of(node: Any) -> int:
    sizes = [math.prod(kernel.shape) for kernel in _own_kernels(node.operation)]
    return sum(sizes) * _positions(node) if sizes else 0


def _own_kernels(layer: Any) -> list[Any]:
    """What a layer multiplies with; not what it shows of a layer within it, as SpectralNormalization does."""
    within = {id(weight) for inner in getattr(layer, "_layers", ()) for weight in inner.weights}
    found = [getattr(layer, name, None) for name in ("kernel", "depthwise_kernel", "pointwise_kernel")]
    return [kernel for kernel in found if hasattr(kernel, "shape") and id(kernel) not in within]


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
