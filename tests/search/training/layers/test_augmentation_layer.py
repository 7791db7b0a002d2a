"""The augmentation layer moves pixels as the geometry says, only while training, in float32."""

from collections.abc import Iterator

import keras
import numpy as np
import pytest
from scipy import ndimage

from search.training.augmentation import AUGMENTATIONS, Augmentation
from search.training.layers.augmentation import AugmentationLayer

pytestmark = pytest.mark.trains  # trains nothing, but must hold for every backend

NOTHING = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]  # rotation, shear, zoom x and y, shift x and y, mirror if < 0


@pytest.fixture
def mixed_precision() -> Iterator[None]:
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy("float32")


def images(count: int = 1, height: int = 12, width: int = 12, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).random((count, height, width, channels), dtype=np.float32)


def warped(augmentation: Augmentation, image: np.ndarray, **draws: float) -> np.ndarray:
    """`image` under given draws in place of random ones."""
    order = ("rotation", "shear", "zoom_x", "zoom_y", "shift_x", "shift_y", "mirror")
    row = [draws.get(name, value) for name, value in zip(order, NOTHING, strict=True)]
    return np.asarray(AugmentationLayer(augmentation, 0)._warp(image, np.array([row], np.float32)))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_nothing_happens_in_inference(name: str) -> None:
    layer = AugmentationLayer(AUGMENTATIONS[name], seed=1)
    assert np.array_equal(np.asarray(layer(images(4), training=False)), images(4))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_values_stay_in_range_and_the_seed_decides(name: str) -> None:
    first, again, other = (
        np.asarray(AugmentationLayer(AUGMENTATIONS[name], seed)(images(8, channels=3), training=True))
        for seed in (1, 1, 2)
    )
    assert first.shape == (8, 12, 12, 3)
    assert first.min() >= 0.0
    assert first.max() <= 1.0
    assert np.array_equal(first, again)
    assert np.array_equal(first, other) == (name == "none")


def test_the_next_call_draws_anew() -> None:
    layer = AugmentationLayer(AUGMENTATIONS["light"], seed=1)
    assert not np.array_equal(*(np.asarray(layer(images(4), training=True)) for _ in range(2)))


def test_a_mirrored_image_is_exactly_that_and_half_of_them_are() -> None:
    batch = images(400)
    output = np.asarray(AugmentationLayer(AUGMENTATIONS["flip"], seed=3)(batch, training=True))
    same = (output == batch).all(axis=(1, 2, 3))
    mirrored = np.isclose(output, batch[:, :, ::-1], atol=1e-6).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 150 < mirrored.sum() < 250


def test_a_shift_repeats_the_edge() -> None:
    moved = warped(Augmentation(shift=0.25), images(), shift_x=1.0, shift_y=-1.0)
    expected = np.pad(images()[0, :, :, 0], 3, mode="edge")[:12, 6:]
    np.testing.assert_allclose(moved[0, :, :, 0], expected, atol=1e-6)


def test_a_quarter_turn_is_a_quarter_turn() -> None:
    turned = warped(Augmentation(rotation=90), images(), rotation=1.0)
    np.testing.assert_allclose(turned[0], np.rot90(images()[0]), atol=1e-5)


def test_all_at_once_equals_one_interpolation_through_the_composed_matrix() -> None:
    augmentation = Augmentation(rotation=30, shear=20, zoom=0.3, shift=0.1, flip=True)
    draws = {"rotation": 0.5, "shear": -0.7, "zoom_x": 0.6, "zoom_y": -0.4, "shift_x": 0.3, "shift_y": -0.8}
    smooth = ndimage.gaussian_filter(images(height=32, width=24), (0, 3, 3, 0))
    output = warped(augmentation, smooth, mirror=-1.0, **draws)[0, :, :, 0]

    cos, sin = np.cos(np.radians(15)), np.sin(np.radians(15))
    rotate, shear = np.array([[cos, -sin], [sin, cos]]), np.array([[1, np.tan(np.radians(-14))], [0, 1]])
    in_xy = rotate @ shear @ np.diag([-(1 + 0.3 * 0.6), 1 - 0.3 * 0.4])
    in_rows = in_xy[::-1, ::-1]  # scipy counts (row, column)
    centre, shift = np.array([15.5, 11.5]), np.array([-0.08 * 32, 0.03 * 24])
    expected = ndimage.affine_transform(
        smooth[0, :, :, 0], in_rows, centre + shift - in_rows @ centre, order=1, mode="nearest"
    )
    np.testing.assert_allclose(output, expected, atol=1e-4)


def test_contrast_moves_values_about_the_mean() -> None:
    calm = 0.4 + 0.2 * images(50)
    output = np.asarray(AugmentationLayer(Augmentation(contrast=0.5), 0)(calm, training=True))
    factors = output.std(axis=(1, 2, 3)) / calm.std(axis=(1, 2, 3))
    np.testing.assert_allclose(output.mean(axis=(1, 2, 3)), calm.mean(axis=(1, 2, 3)), atol=1e-6)
    assert 0.5 <= factors.min() < 0.7
    assert 1.3 < factors.max() <= 1.5


def test_at_half_strength_every_range_is_half_as_wide() -> None:
    whole = Augmentation(rotation=30, shear=20, zoom=0.3, shift=0.2, contrast=0.4, flip=True)
    half = Augmentation(rotation=15, shear=10, zoom=0.15, shift=0.1, contrast=0.2, flip=True)
    weakened, narrow = AugmentationLayer(whole, seed=4), AugmentationLayer(half, seed=4)
    weakened.strength.assign(0.5)
    batch = images(20)
    outputs = (np.asarray(layer(batch, training=True)) for layer in (weakened, narrow))
    np.testing.assert_allclose(*outputs, atol=1e-5)


def test_at_no_strength_images_are_mirrored_and_nothing_else() -> None:
    layer = AugmentationLayer(
        Augmentation(rotation=30, shift=0.2, contrast=0.4, erasing=0.9, flip=True), seed=4
    )
    layer.strength.assign(0.0)
    batch = images(40)
    output = np.asarray(layer(batch, training=True))
    same, mirrored = (
        np.isclose(output, expected, atol=1e-5).all(axis=(1, 2, 3)) for expected in (batch, batch[:, :, ::-1])
    )
    assert (same ^ mirrored).all()
    assert 8 < mirrored.sum() < 32


def test_erasing_fills_a_rectangle_of_some_images_with_their_mean() -> None:
    batch = images(300, 40, 40)
    output = np.asarray(AugmentationLayer(Augmentation(erasing=0.5), 0)(batch, training=True))
    erased = output != batch
    hit = erased.any(axis=(1, 2, 3))
    assert 120 < hit.sum() < 180
    assert erased[hit].mean(axis=(1, 2, 3)).max() < 0.22
    for before, after, hole in zip(batch[hit], output[hit], erased[hit], strict=True):
        rows, columns, _ = np.nonzero(hole)
        assert hole.sum() == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        np.testing.assert_allclose(after[hole], before.mean(), atol=1e-5)


@pytest.mark.usefixtures("mixed_precision")
def test_pixels_stay_float32_under_mixed_precision() -> None:
    layer = AugmentationLayer(AUGMENTATIONS["published"], seed=1)
    exact = AugmentationLayer(AUGMENTATIONS["published"], seed=1)(images(3), training=True)
    assert keras.backend.standardize_dtype(exact.dtype) == "float32"
    assert layer.compute_dtype == "float32"
