"""Layers become the rows of a diagram: chains, branches and shortcuts, whatever the family."""

from typing import Any

from reports.network import LayerRow, rows


def layer(kind: str, *inputs: int, shape: tuple[int, ...] = (4, 4, 8), **more: Any) -> dict[str, Any]:
    return {"name": kind.lower(), "kind": kind, "inputs": list(inputs), "shape": list(shape),
            "parameters": more.pop("parameters", 0), **more}  # fmt: skip


def conv(*inputs: int, filters: int = 8, parameters: int = 10, **more: Any) -> dict[str, Any]:
    settings = {"filters": filters, "kernel_size": [3, 3], "strides": [1, 1], "activation": "linear"}
    return layer("Conv2D", *inputs, parameters=parameters, **{**settings, **more})


def test_what_merely_follows_a_layer_stands_in_its_row() -> None:
    found = rows(
        [
            layer("InputLayer"),
            conv(0, strides=[2, 2]),
            layer("BatchNormalization", 1, parameters=4),
            layer("ReLU", 2),
            layer("Dropout", 3, rate=0.25),
        ]
    )
    assert found[1] == LayerRow(
        (("conv 3×3, 8, stride 2",),), "", "batch norm, relu, dropout 0.25", (4, 4, 8), 14
    )


def test_branches_stand_side_by_side_until_they_are_joined() -> None:
    found = rows([layer("InputLayer"), conv(0), conv(0, filters=2), conv(2), layer("Concatenate", 1, 3)])
    assert len(found) == 2
    assert found[1].branches == (("conv 3×3, 8",), ("conv 3×3, 2", "conv 3×3, 8"))
    assert (found[1].merge, found[1].parameters) == ("concatenate", 30)


def test_a_shortcut_is_a_branch_that_does_nothing() -> None:
    found = rows([layer("InputLayer"), conv(0), layer("Add", 0, 1)])
    assert found[1].branches == (("conv 3×3, 8",), ("as it is",))
    assert found[1].merge == "add"


def test_equal_steps_in_a_row_are_drawn_once() -> None:
    layers = [layer("InputLayer")]
    for _ in range(3):
        layers += [conv(len(layers) - 1), layer("Add", len(layers) - 1, len(layers))]
    last = rows(layers)[-1]
    assert (last.times, last.parameters) == (3, 30)


def test_a_network_inside_the_network_is_one_block() -> None:
    found = rows([layer("InputLayer"), {**layer("Functional", 0, parameters=99), "name": "efficientnet"}])
    assert found[1].branches == (("efficientnet",),)
