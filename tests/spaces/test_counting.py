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


def test_basic_cnn_and_lenet() -> None:
    convolutions = conv(3, 1, 32) + conv(3, 32, 64) + conv(3, 64, 64)
    macs = (
        9 * (32 * 46**2 + 32 * 64 * 21**2 + 64 * 64 * 8**2) + 4096 * 2960 + 2960 * 1080 + 1080 * 64 + 64 * 7
    )
    assert counted("basic_cnn", "published") == Counts(
        convolutions + dense(8 * 8 * 64, 2960, 1080, 64, 7), macs
    )
    parameters = conv(5, 1, 6) + conv(5, 6, 16) + dense(9 * 9 * 16, 120, 84, 7)
    macs = 25 * (6 * 28**2 + 6 * 16 * 10**2) + 1296 * 120 + 120 * 84 + 84 * 7
    assert counted("lenet", "published") == Counts(parameters, macs)


def test_networks_on_resized_images() -> None:
    parameters = conv(3, 3, 6) + conv(3, 6, 16) + dense(62 * 62 * 16, 100, 10, 3) + 4 * (6 + 16 + 100 + 10)
    macs = 9 * (3 * 6 * 254**2 + 6 * 16 * 125**2) + 61504 * 100 + 100 * 10 + 10 * 3
    assert counted("lenet5_modern", "published", (90, 120, 3), 3) == Counts(parameters, macs)
    widths = (1, 32, 64, 128, 256)
    parameters = sum(9 * a * b + 4 * b for a, b in pairwise(widths)) + dense(8 * 8 * 256, 256, 7)
    assert counted("custom_cnn", "published").parameters == parameters


@pytest.mark.parametrize(
    ("name", "shape", "classes", "parameters"),
    [
        # ResNet-18 has 11,689,512 trainable weights, and 2 moving statistics for each of 4,800 maps.
        ("resnet.resnet18", (224, 224, 3), 1000, 11_689_512 + 9_600),
        ("googlenet.published", (224, 224, 3), 1000, 6_998_552),
        ("mini_xception.published", (48, 48, 1), 7, 58_423),
        # 29.9 million with 4096-4096 behind 2x2 maps, 4.7 million averaged.
        ("vgg.khaireddin", (40, 40, 1), 7, 29_892_679),
        ("vgg.average", (48, 48, 1), 7, 4_693_575),
    ],
)  # fmt: skip
def test_published_networks_have_their_published_size(
    name: str, shape, classes: int, parameters: int
) -> None:
    assert counted(*name.split("."), shape, classes).parameters == parameters


def test_multiply_adds_of_published_networks() -> None:
    """1.81 billion for ResNet-18, 1.58 for GoogLeNet."""
    assert counted("resnet", "resnet18", (224, 224, 3), 1000).macs == 1_814_073_344
    assert counted("googlenet", "published", (224, 224, 3), 1000).macs == 1_582_671_872


def test_squeeze_and_excitation_adds_two_dense_layers_to_each_block() -> None:
    added = sum(2 * dense(kernels, kernels // 16, kernels) for kernels in (64, 128, 256, 512))
    plain, weighed = counted("resnet", "resnet18"), counted("se_resnet", "se_resnet18")
    assert weighed.parameters - plain.parameters == added


@pytest.mark.parametrize(
    ("backbone", "trunk", "width"),
    [
        ("mobilenet_v3_small", 939_120, 576),
        ("mobilenet_v3_large", 2_996_352, 960),
        ("efficientnet_b0", 4_049_571, 1280),
        ("resnet50", 23_587_712, 2048),
        ("vgg16", 14_714_688, 512),
    ],
)
@pytest.mark.slow
def test_a_backbone_has_its_documented_size_and_a_head(backbone: str, trunk: int, width: int) -> None:
    family = load_family("pretrained")
    architecture = family.from_dict({"backbone": backbone, "weights": "none"})
    counts = count_before_building(lambda: family.build(architecture, (48, 48, 1), 7))
    assert counts.parameters == trunk + dense(width, 7)


@pytest.mark.parametrize(
    ("layer", "macs"),
    [
        (lambda: layers.Conv2D(8, 3, padding="same"), 9 * 4 * 8 * 100),
        (lambda: layers.Conv2D(8, 3, groups=2), 9 * 2 * 8 * 64),
        (lambda: layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2), 9 * 4 * 2 * 100),
        (lambda: layers.SeparableConv2D(8, 3, padding="same"), (9 * 4 + 4 * 8) * 100),
        (lambda: layers.Conv2DTranspose(8, 3, strides=2), 9 * 4 * 8 * 100),
        (lambda: layers.Dense(8), 4 * 8 * 100),
        (lambda: layers.EinsumDense("abcd,dxy->abcxy", (10, 10, 2, 5)), 4 * 2 * 5 * 100),
        (lambda: layers.Conv2D(8, 3, padding="same", activation=layers.LeakyReLU()), 9 * 4 * 8 * 100),
        (lambda: layers.Dense(8, activation=layers.PReLU()), 4 * 8 * 100),
        (lambda: layers.SpectralNormalization(layers.Conv2D(8, 3, padding="same")), 9 * 4 * 8 * 100),
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


def test_a_model_for_images_of_any_size_is_counted_for_those_it_gets_also_within_another() -> None:
    inner = keras.Sequential([keras.Input((None, None, 4)), layers.Conv2D(8, 3, padding="same")])
    free = keras.Input((None, None, 4))
    assert count(keras.Model(free, inner(free)), (10, 10, 4)).macs == 9 * 4 * 8 * 100
    images = keras.Input((10, 10, 4))
    assert count(keras.Model(images, inner(images))).macs == 9 * 4 * 8 * 100


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
