"""What a network is made of: every call of a layer with its shape and parameters, ready for JSON."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

#: What a layer is told that a reader of a diagram wants to know.
SETTINGS = ("filters", "kernel_size", "strides", "pool_size", "units", "rate", "activation")


def outline(model: "keras.Model") -> list[dict[str, Any]]:
    """List the calls of layers in the order of the data, from the image to the probabilities.

    Args:
        model: The model; one without a graph gives an empty list.

    Returns:
        A dict for each call: name, kind (the layer's class), inputs (places in this list of the calls it
        reads), shape of its output without the batch (None where it is free), parameters (counted where a
        layer is called first) and those of SETTINGS that it has. A model inside the model is one call.
    """
    levels = getattr(getattr(model, "_functional", model), "_nodes_by_depth", {})
    calls = [call for depth in sorted(levels, reverse=True) for call in levels[depth]]
    place = {id(tensor): index for index, call in enumerate(calls) for tensor in call.output_tensors}
    met: set[int] = set()
    return [_described(call, place, met) for call in calls]


def _described(call: Any, place: dict[int, int], met: set[int]) -> dict[str, Any]:
    layer = call.operation
    first = id(layer) not in met
    met.add(id(layer))
    return {
        "name": layer.name,
        "kind": type(layer).__name__,
        "inputs": sorted({place[id(tensor)] for tensor in call.input_tensors}),
        "shape": list(call.output_tensors[0].shape[1:]),
        "parameters": layer.count_params() if first and hasattr(layer, "count_params") else 0,
        **{name: _plain(getattr(layer, name)) for name in SETTINGS if hasattr(layer, name)},
    }


def _plain(value: Any) -> Any:
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    return list(value) if isinstance(value, tuple) else value
