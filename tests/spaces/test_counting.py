"""Parameters and multiply-adds equal those counted by hand."""

from itertools import pairwise

import keras
import pytest
from keras import layers

from spaces.counting import Counts, count, count_before_building
from spaces.family import load_family


def counted(name: str, variant: str, shape: tuple[int, int, int] = (48, 48, 1), classes: int = 7) -> Counts:
    family = load_family(name)
    return count_before_building(lambda: family.build(family.variants[variant], shape, classes))


def conv(size: int, channels: int, kernels: int) -> int:
    return (size * size * channels + 1) * kernels


def dense(*widths: int) -> int:
    return sum((a + 1) * b for a, b in pairwise(widths))


def test_the_published_plain_network() -> None:
    parameters = conv(3, 1, 256) + 3 * conv(3, 256, 256) + dense(3 * 3 * 256, 512, 512, 7)
    macs = 9 * 256 * 48**2 + 9 * 256 * 256 * (24**2 + 12**2 + 6**2) + 2304 * 512 + 512 * 512 + 512 * 7
    assert counted("plain_cnn", "published_5") == Counts(parameters, macs)
    assert parameters == 3_219_207


def test_the_published_inception_network_as_described() -> None:
    parameters = conv(5, 1, 32) + 4 * 32 + conv(3, 32, 64) + 4 * 64 + dense(12 * 12 * 736, 128, 128, 7)
    for channels in (64, 288, 512):
        parameters += conv(1, channels, 64) + conv(3, channels, 128) + conv(5, channels, 32)
    assert counted("inception", "described").parameters == parameters


def test_the_published_inception_network_as_its_code_wires_it_sees_1695744_features() -> None:
    parameters = conv(3, 1, 64) + 4 * 64 + dense(1_695_744, 7)
    for channels in (64, 288, 512):
        parameters += conv(1, channels, 64) + conv(3, channels, 128) + conv(5, channels, 32)
    assert counted("inception", "as_published").parameters == parameters


@pytest.mark.parametrize(
    ("layer", "macs"),
    [
        (lambda: layers.Conv2D(8, 3, padding="same"), 9 * 4 * 8 * 100),
        (lambda: layers.Conv2D(8, 3, groups=2), 9 * 2 * 8 * 64),
        (lambda: layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2), 9 * 4 * 2 * 100),
        (lambda: layers.SeparableConv2D(8, 3, padding="same"), (9 * 4 + 4 * 8) * 100),
        (lambda: layers.Conv2DTranspose(8, 3, strides=2), 9 * 4 * 8 * 100),
        (lambda: layers.Dense(8), 4 * 8 * 100),
        (lambda: layers.MaxPooling2D(), 0),
    ],
)
def test_multiply_adds_of_a_layer(layer, macs: int) -> None:
    inputs = keras.Input((10, 10, 4))
    assert count(keras.Model(inputs, layer()(inputs))).macs == macs


def test_a_shared_layer_costs_at_every_call_and_a_nested_model_at_every_layer() -> None:
    inputs = keras.Input((8, 8, 2))
    shared = layers.Conv2D(2, 1)
    inner = keras.Sequential([keras.Input((8, 8, 2)), layers.Conv2D(3, 1)])
    model = keras.Model(inputs, inner(shared(shared(inputs))))
    assert count(model) == Counts(6 + 9, 64 * (4 + 4 + 6))


def test_counting_beforehand_leaves_names_and_seeds_as_they_were() -> None:
    def build() -> keras.Model:
        inputs = keras.Input((4,))
        return keras.Model(inputs, layers.Dense(2)(inputs))

    keras.utils.set_random_seed(3)
    alone = build()
    keras.utils.set_random_seed(3)
    count_before_building(build)
    after = build()
    assert (after.get_weights()[0] == alone.get_weights()[0]).all()
