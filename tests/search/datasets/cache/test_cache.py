"""The cache holds whole entries or none: a second start is instant, and two processes at once do no harm."""

import errno
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from search.datasets.cache.prepared import new_array
from search.datasets.prepare import Prepared, prepare
from search.sealed import sealed_test
from spaces.errors import UserError
from tests.support.images.small_pictures import in_folder, in_zip, pictures, silent, tree


def test_a_second_start_reads_neither_source_nor_pixels(tmp_path: Path) -> None:
    source = in_zip(tree(), tmp_path / "data.zip")
    first = prepare(source, tmp_path / "cache", say=silent)
    assert prepare(source, tmp_path / "cache", say=pytest.fail) == first
    assert Prepared.open(first.folder) == first


def test_parts_are_memory_maps_sorted_by_id(tmp_path: Path) -> None:
    data = prepare(in_zip(tree(), tmp_path / "data.zip"), tmp_path / "cache", say=silent)
    for part in (data.train(), data.validation(), sealed_test(data)):
        assert isinstance(part.images, np.memmap)
        assert not part.images.flags.writeable
        assert part.ids.tolist() == sorted(part.ids)
        assert len(part) == len(part.images) == len(part.groups) == len(part.has_twin) == 12


def test_a_changed_source_is_read_again(tmp_path: Path) -> None:
    source = in_folder(tree(), tmp_path / "data")
    first = prepare(source, tmp_path / "cache", say=silent)
    (source / "train/cat/0.png").unlink()
    second = prepare(source, tmp_path / "cache", say=silent)
    assert (first.counts["train"], second.counts["train"]) == (12, 11)
    assert first.digest != second.digest


def test_other_options_are_another_entry(tmp_path: Path) -> None:
    source = in_zip(tree(), tmp_path / "data.zip")
    shapes = [
        prepare(source, tmp_path / "cache", image_size=size, say=silent).image_shape
        for size in (None, (16, 16), None)
    ]
    assert shapes == [(32, 32, 1), (16, 16, 1), (32, 32, 1)]


def test_the_test_digest_is_of_the_source_and_not_of_the_size_asked_for(tmp_path: Path) -> None:
    source = in_zip(tree(), tmp_path / "data.zip")
    whole, small = (
        prepare(source, tmp_path / "cache", image_size=size, say=silent) for size in (None, (16, 16))
    )
    assert whole.test_digest == small.test_digest
    assert whole.digest != small.digest


def test_the_same_images_from_elsewhere_share_an_entry_and_keep_their_own_source(tmp_path: Path) -> None:
    one = prepare(in_zip(tree(), tmp_path / "data.zip"), tmp_path / "cache", say=silent)
    two = prepare(in_folder(tree(), tmp_path / "data"), tmp_path / "cache", say=silent)
    assert one.folder == two.folder
    assert two.source.endswith("data")


def test_an_entry_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    import shutil

    source = in_zip(tree(), tmp_path / "data.zip")
    first = prepare(source, tmp_path / "cache", say=silent)
    shutil.rmtree(first.folder)
    assert prepare(source, tmp_path / "cache", say=silent) == first


def test_many_starts_at_once_make_one_entry_and_leave_no_rubbish(tmp_path: Path) -> None:
    source = in_zip(tree(), tmp_path / "data.zip")
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: prepare(source, tmp_path / "cache", say=silent), range(4)))
    assert len({data.folder for data in found}) == 1
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == sorted(
        [found[0].folder.name, "stamps"]
    )


def test_what_killed_processes_left_is_swept_after_a_day(tmp_path: Path) -> None:
    fresh, old = (tmp_path / "cache" / f".making-{name}" for name in ("fresh", "old"))
    fresh.mkdir(parents=True)
    old.mkdir()
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    prepare(in_zip(tree(), tmp_path / "data.zip"), tmp_path / "cache", say=silent)
    assert (fresh.exists(), old.exists()) == (True, False)


@pytest.mark.parametrize("arrays", [0, 1, 7])
def test_a_full_disk_costs_one_sentence_and_leaves_nothing(
    arrays: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is room for the first arrays: of all images, then of each part."""
    room = iter(range(arrays))

    def take(*_: int) -> None:
        if next(room, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", take, raising=False)
    source = in_zip(tree(), tmp_path / "data.zip")
    with pytest.raises(UserError, match=r"could not be prepared in .*cache: No space left on device\.$"):
        prepare(source, tmp_path / "cache", say=silent)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_new_array_has_all_its_room_on_the_disk(tmp_path: Path) -> None:
    new_array(tmp_path / "array.npy", np.uint8, (1000, 1000))
    assert (tmp_path / "array.npy").stat().st_blocks * 512 >= 1_000_000


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP])
def test_a_disk_that_cannot_set_room_aside_is_good_enough(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
    images = pictures(4)
    array = new_array(tmp_path / "array.npy", images.dtype, images.shape)
    array[:] = images
    np.testing.assert_array_equal(np.load(tmp_path / "array.npy"), images)


def test_a_folder_that_is_no_entry_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no prepared data"):
        Prepared.open(tmp_path)


def test_unsealing_a_set_without_a_test_part_says_so(tmp_path: Path) -> None:
    data = prepare(in_zip(tree(("train",)), tmp_path / "data.zip"), tmp_path / "cache", say=silent)
    assert data.test_digest is None
    with pytest.raises(UserError, match="nothing to unseal"):
        sealed_test(data)


def test_preparing_data_loads_neither_keras_nor_tensorflow() -> None:
    program = (
        "import sys, search.datasets.prepare, search.datasets.assembly, search.datasets.audit.audit;"
        "import search.sealed;"
        "print([name for name in ('keras', 'tensorflow', 'scipy', 'pandas') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
