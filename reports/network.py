"""A network's layers, as an evaluation recorded them, folded into the rows of a block diagram."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

#: Layers that are said in the block of the layer before them.
AFTER = {
    "BatchNormalization": "batch norm",
    "LayerNormalization": "layer norm",
    "GroupNormalization": "group norm",
    "ReLU": "relu",
    "LeakyReLU": "leaky relu",
    "PReLU": "prelu",
    "Activation": "",
    "Softmax": "softmax",
    "Dropout": "dropout",
    "SpatialDropout2D": "dropout of maps",
}
TITLES = {
    "InputLayer": "image",
    "Conv2D": "conv",
    "DepthwiseConv2D": "depthwise conv",
    "SeparableConv2D": "separable conv",
    "MaxPooling2D": "max pooling",
    "AveragePooling2D": "average pooling",
    "GlobalAveragePooling2D": "global average pooling",
    "GlobalMaxPooling2D": "global max pooling",
}
#: What a branch without layers does.
SHORTCUT = "as it is"


@dataclass(frozen=True)
class LayerRow:
    """One step of the network: a block, or branches side by side that are merged at their end.

    branches: lines of text, one a block; merge: how branches become one, "" for a single block; after: what
    follows in the same step; shape of the result; how many equal steps stand here one after another, and the
    parameters of all of them.
    """

    branches: tuple[tuple[str, ...], ...]
    merge: str
    after: str
    shape: tuple[int | None, ...]
    parameters: int
    times: int = 1


@dataclass
class _Block:
    title: str
    inputs: list[int]
    shape: tuple[int | None, ...]
    parameters: int
    after: list[str] = field(default_factory=list)


def rows(layers: Sequence[Mapping[str, Any]]) -> tuple[LayerRow, ...]:
    """The rows of the diagram, from the image down. layers: what `spaces.outline` wrote.

    Between two blocks that every path runs through lie either nothing or branches: a block is one of those
    when no connection jumps over it in the order of the data.
    """
    blocks = _blocks(layers)
    ends = list(_on_every_path(blocks))
    found = [_row(blocks, entry, place) for entry, place in pairwise([-1, *ends])]
    return tuple(_folded(found))


def _blocks(layers: Sequence[Mapping[str, Any]]) -> list[_Block]:
    """Layers with what merely follows them folded in."""
    readers = [0] * len(layers)
    for layer in layers:
        for source in layer["inputs"]:
            readers[source] += 1
    blocks: list[_Block] = []
    place: list[int] = []  # of a layer: its block
    for layer in layers:
        sources = layer["inputs"]
        if layer["kind"] in AFTER and len(sources) == 1 and readers[sources[0]] == 1:
            block = blocks[place[sources[0]]]
            block.after.append(_after(layer))
            block.parameters += layer["parameters"]
            place.append(place[sources[0]])
            continue
        place.append(len(blocks))
        after = [layer["activation"]] if layer.get("activation", "linear") != "linear" else []
        inputs = sorted({place[source] for source in sources})
        blocks.append(_Block(_title(layer), inputs, tuple(layer["shape"]), layer["parameters"], after))
    return blocks


def _after(layer: Mapping[str, Any]) -> str:
    told = AFTER[layer["kind"]] or str(layer.get("activation", "activation"))
    return f"{told} {layer['rate']:g}" if "rate" in layer else told


def _title(layer: Mapping[str, Any]) -> str:
    kind = layer["kind"]
    if kind in ("Functional", "Sequential", "Model"):
        return str(layer.get("name", "network"))
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.removesuffix("2D")).lower()
    window = layer.get("kernel_size") or layer.get("pool_size")
    told = [TITLES.get(kind, words), _times(window) if window else ""]
    count = layer.get("filters") or layer.get("units")
    title = " ".join(filter(None, told)) + (f"{',' if window else ''} {count}" if count else "")
    strides = layer.get("strides")
    usual = layer.get("pool_size") or [1, 1]
    return title + (f", stride {strides[0]}" if strides and list(strides) != list(usual) else "")


def _times(window: Sequence[int]) -> str:
    return "×".join(map(str, window))


def _on_every_path(blocks: Sequence[_Block]) -> Iterator[int]:
    reach = 0  # the farthest block that is read into from before this one
    ends = [max((other for other, one in enumerate(blocks) if at in one.inputs), default=at)
            for at in range(len(blocks))]  # fmt: skip
    for at, end in enumerate(ends):
        if reach <= at:
            yield at
        reach = max(reach, end)


def _row(blocks: Sequence[_Block], entry: int, place: int) -> LayerRow:
    """The step that ends in the block at this place; entry: the end of the step before."""
    block, inside = blocks[place], range(entry + 1, place)
    branches = [tuple(blocks[at].title for at in branch) for branch in _branches(blocks, inside)]
    if not branches:
        return LayerRow(((block.title,),), "", ", ".join(block.after), block.shape, block.parameters)
    if entry in block.inputs:
        branches.append((SHORTCUT,))
    total = block.parameters + sum(blocks[at].parameters for at in inside)
    return LayerRow(tuple(branches), block.title, ", ".join(block.after), block.shape, total)


def _branches(blocks: Sequence[_Block], inside: range) -> list[list[int]]:
    """The blocks inside, parted into those that are connected without their common entry and end."""
    found: list[list[int]] = []
    for at in inside:
        joined = [branch for branch in found if set(branch) & set(blocks[at].inputs)]
        rest = [branch for branch in found if branch not in joined]
        found = [*rest, sorted([*(one for branch in joined for one in branch), at])]
    return sorted(found)


def _folded(found: Sequence[LayerRow]) -> Iterator[LayerRow]:
    """Equal rows that follow each other become one."""
    start = 0
    for at in range(1, len(found) + 1):
        if at == len(found) or found[at] != found[start]:
            times = at - start
            yield replace(found[start], times=times, parameters=found[start].parameters * times)
            start = at
