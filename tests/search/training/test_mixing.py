"""Batches are mirrored and mixed as the recipe says, by numbers that seed, epoch and batch decide."""

from typing import Any

import numpy as np
import pytest

from search.training.batches import ShuffledBatches
from search.training.mixing import Mixing, cut_and_mixed, mirrored, mixed
from search.training.recipe import Recipe

pytestmark = pytest.mark.slow  # imports Keras

SHAPE = (8, 8, 1)


def batches(recipe: Recipe, count: int = 40, weights: Any = None, shuffle: bool = True) -> ShuffledBatches:
    """Images of one level each, which is their number; targets that name the image."""
    images = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, *SHAPE))
    targets = np.eye(count, dtype=np.float32)
    mixing = Mixing.of(recipe, 3, count)
    return ShuffledBatches(images, targets, weights, 16, 3, shuffle, mixing)


def served(found: ShuffledBatches, epoch: int) -> list[np.ndarray]:
    """Every column of an epoch, in one piece."""
    found.epoch = epoch
    parts = [found[index] for index in range(len(found))]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def test_alternating_flip_mirrors_each_image_in_every_other_epoch() -> None:
    count = 50
    left = np.zeros((count, *SHAPE), dtype=np.uint8)
    left[:, :, 0] = 9
    mixing = Mixing.of(Recipe(flip="alternating"), 1, count)
    found = ShuffledBatches(left, np.eye(count, dtype=np.float32), None, 16, 1, mixing=mixing)

    def turned(epoch: int) -> np.ndarray:
        images, targets = served(found, epoch)
        assert ((images[:, :, 0] == 9) ^ (images[:, :, -1] == 9)).all()
        return (images[:, 0, -1, 0] == 9)[np.argsort(targets.argmax(axis=1))]  # by image, not by place

    epochs = [turned(epoch) for epoch in range(4)]
    assert 10 < epochs[0].sum() < 40
    assert (epochs[0] == ~epochs[1]).all()
    assert (epochs[0] == epochs[2]).all()
    assert (epochs[1] == epochs[3]).all()


def test_mirroring_turns_left_into_right() -> None:
    images = np.arange(2 * 64, dtype=np.uint8).reshape(2, *SHAPE)
    turned = mirrored(images, np.array([True, False]))
    np.testing.assert_array_equal(turned[0], images[0, :, ::-1])
    np.testing.assert_array_equal(turned[1], images[1])


def test_mixup_mixes_the_images_that_its_targets_name_in_the_same_share() -> None:
    images, targets = served(batches(Recipe(mixup=1.0)), 0)
    assert targets.sum(axis=1) == pytest.approx(1.0, abs=1e-6)
    assert ((targets > 0).sum(axis=1) == 2).mean() > 0.8  # of two images, unless one is its own partner
    np.testing.assert_allclose(images[:, 0, 0, 0], targets @ np.arange(40), atol=0.51)
    assert (images == images[:, :1, :1]).all()


def test_cutmix_replaces_a_rectangle_in_the_share_that_its_targets_say() -> None:
    images, targets = served(batches(Recipe(cutmix=1.0)), 0)
    assert targets.sum(axis=1) == pytest.approx(1.0, abs=1e-6)
    for image, target in zip(images, targets, strict=True):
        shares = np.bincount(image.ravel(), minlength=40) / image.size
        np.testing.assert_allclose(target, shares, atol=1e-6)
    assert ((targets > 0).sum(axis=1) == 2).mean() > 0.5


def test_what_cutmix_replaces_is_one_rectangle() -> None:
    own, other = np.zeros((30, 9, 7, 1), np.uint8), np.ones((30, 9, 7, 1), np.uint8)
    cut, kept = cut_and_mixed(own, other, np.full(30, 0.5), np.random.default_rng(0))
    assert kept == pytest.approx(1 - cut.mean(axis=(1, 2, 3)))
    for image in cut[..., 0]:
        rows, columns = image.any(axis=1), image.any(axis=0)
        np.testing.assert_array_equal(image, np.outer(rows, columns))
        assert (np.abs(np.diff(rows.astype(int))).sum(), np.abs(np.diff(columns.astype(int))).sum()) <= (2, 2)


def test_shares_of_all_and_nothing_are_exact() -> None:
    ours, theirs = np.full((2, *SHAPE), 255, np.uint8), np.full((2, *SHAPE), 254, np.uint8)
    blended = mixed(ours, theirs, np.array([256, 0], np.uint16))
    assert (blended[0] == 255).all()
    assert (blended[1] == 254).all()


def test_weights_of_images_are_mixed_in_the_same_share() -> None:
    weights = np.arange(40, dtype=np.float32)
    _, targets, mixed_weights = served(batches(Recipe(mixup=0.4), weights=weights), 0)
    np.testing.assert_allclose(mixed_weights, targets @ weights, rtol=1e-5)
    assert mixed_weights.dtype == np.float32


def test_with_both_some_batches_are_blended_and_some_are_cut() -> None:
    found = batches(Recipe(mixup=1.0, cutmix=1.0), count=160, shuffle=False)
    plain = [np.array_equal(found[i][0], found[i][0][:, :1, :1] * np.ones(SHAPE)) for i in range(len(found))]
    assert 0 < sum(plain) < len(plain)


def test_an_epoch_is_the_same_whenever_it_is_served() -> None:
    """So a resumed training sees what an uninterrupted one sees."""
    recipe = Recipe(mixup=0.2, cutmix=1.0, flip="alternating")
    first, again = served(batches(recipe), 2), served(batches(recipe), 2)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(first[0], served(batches(recipe), 3)[0])


def test_without_any_of_them_nothing_is_in_between() -> None:
    assert Mixing.of(Recipe(flip="random"), 1, 10) is None
