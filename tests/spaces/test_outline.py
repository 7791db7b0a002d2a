"""The outline of a network names every call of a layer, and its parameters are all there."""

import json

import pytest

from spaces.family import load_family
from spaces.outline import outline

pytestmark = pytest.mark.slow  # imports Keras


@pytest.mark.parametrize("name", ["plain_cnn", "inception", "se_resnet", "mini_xception"])
def test_an_outline_adds_up_and_is_json(name: str) -> None:
    family = load_family(name)
    model = family.build(next(iter(family.variants.values())), (48, 48, 1), 7)
    found = json.loads(json.dumps(outline(model)))
    assert sum(layer["parameters"] for layer in found) == model.count_params()
    assert found[0]["kind"] == "InputLayer"
    assert found[0]["shape"] == [48, 48, 1]
    assert found[-1]["shape"] == [7]
    assert all(source < at for at, layer in enumerate(found) for source in layer["inputs"])


def test_a_layer_that_is_called_twice_counts_once() -> None:
    import keras

    image = keras.Input((4,))
    shared = keras.layers.Dense(4)
    model = keras.Model(image, keras.layers.Add()([shared(image), shared(shared(image))]))
    assert sum(layer["parameters"] for layer in outline(model)) == 20
