"""What reads rows of a memory map gives what a copy of the rows would give."""

import numpy as np
import pytest

from search.datasets.cache.row_view import Selection


@pytest.fixture
def images(tmp_path):
    drawn = np.random.default_rng(0).integers(0, 256, (40, 6, 5, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", drawn)
    return np.load(tmp_path / "images.npy", mmap_mode="r")


KEYS = (3, -1, slice(2, 7), slice(None), slice(None, None, -2), np.array([5, 0, 5]), np.arange(9) % 2 == 0)


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_it_reads_as_a_copy_does(images, key):
    rows = np.array([7, 3, 39, 0, 12, 12, 5, 21, 8])
    selected = Selection(images, rows)
    assert np.array_equal(selected[key], np.asarray(images)[rows][key])
    assert (len(selected), selected.shape) == (9, (9, 6, 5, 3))


@pytest.mark.parametrize("key", [slice(1, 4), np.array([4, 2])], ids=str)
def test_a_selection_of_a_selection_reads_the_map(images, key):
    rows = np.array([7, 3, 39, 0, 12])
    assert np.array_equal(Selection(Selection(images, rows), key), np.asarray(images)[rows][key])


def test_it_copies_nothing_until_it_is_asked(images):
    selected = Selection(images, slice(5, 30))
    assert np.shares_memory(selected._images, images)
    assert not np.shares_memory(selected[2:9], images)  # what is handed out may be changed
