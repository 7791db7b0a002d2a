"""A backbone takes its weights from a file, keeps them if frozen, and says so where it cannot have them."""

import socket
from pathlib import Path

import keras
import numpy as np
import pytest

from spaces.errors import InfeasibleArchitecture, UserError
from spaces.family import load_family

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
FAMILY = load_family("pretrained")
SHAPE = (32, 32, 1)


def build(**fields: object) -> keras.Model:
    return FAMILY.build(FAMILY.from_dict({"backbone": "mobilenet_v3_small", **fields}), SHAPE, 3)


def trunk_of(model: keras.Model) -> keras.Model:
    return next(layer for layer in model.layers if isinstance(layer, keras.Model))


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "trunk.weights.h5"
    trunk_of(build(weights="none")).save_weights(path)
    return path


@pytest.mark.slow
def test_weights_come_from_a_local_file(weights_file: Path) -> None:
    one, other = (trunk_of(build(weights=str(weights_file))) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


@pytest.mark.trains
def test_a_frozen_backbone_stays_as_it_is(weights_file: Path) -> None:
    model = build(weights=str(weights_file), frozen=True)
    assert len(model.trainable_weights) == 2
    before = trunk_of(model).get_weights()
    model.compile(
        "sgd", "sparse_categorical_crossentropy", run_eagerly=keras.backend.backend() == "tensorflow"
    )
    model.train_on_batch(np.ones((3, *SHAPE), "float32"), np.arange(3))
    assert all(np.array_equal(a, b) for a, b in zip(before, trunk_of(model).get_weights(), strict=True))


@pytest.mark.slow
def test_a_tuned_backbone_is_trainable(weights_file: Path) -> None:
    assert len(build(weights=str(weights_file), frozen=False).trainable_weights) > 100


def test_weights_that_cannot_be_fetched_are_a_clear_sentence(monkeypatch, tmp_path: Path) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", offline)
    monkeypatch.setattr(socket.socket, "connect", offline)
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
    with pytest.raises(UserError, match=r"cannot be fetched .*weights = 'none'"):
        build(weights="imagenet")


def test_weights_of_another_network_are_a_users_mistake(weights_file: Path) -> None:
    with pytest.raises(UserError, match="does not fit vgg16"):
        build(backbone="vgg16", weights=str(weights_file))
    with pytest.raises(UserError, match="are not a file"):
        build(weights="nowhere.h5")


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["resnet50", "vgg16"])
def test_colours_are_in_the_order_and_range_of_the_old_backbones(backbone: str) -> None:
    """Blue, green, red; means of ImageNet subtracted, as keras.applications documents."""
    model = FAMILY.build(FAMILY.from_dict({"backbone": backbone, "weights": "none"}), (32, 32, 3), 3)
    into_trunk = keras.Model(model.input, trunk_of(model)._inbound_nodes[-1].input_tensors[0])
    image = np.random.default_rng(0).random((1, 32, 32, 3), dtype="float32")
    expected = keras.applications.resnet.preprocess_input(image * 255)
    assert np.allclose(keras.ops.convert_to_numpy(into_trunk(image)), expected, atol=1e-3)


def test_images_under_32_pixels_are_infeasible() -> None:
    with pytest.raises(InfeasibleArchitecture, match="at least 32 pixels a side, these have 28"):
        FAMILY.build(FAMILY.from_dict({"weights": "none"}), (28, 28, 1), 3)
