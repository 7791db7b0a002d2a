"""Images that an evaluation kept come back pixel by pixel; a damaged file is said to be damaged."""

from pathlib import Path

import numpy as np
import pytest

from reports.records.store import MissingArtifactError
from reports.records.thumbnails import read_gallery
from search.training.measures.worst_images import (
    EACH,
    LARGEST,
    worst_rows,
    write_gallery,
)


@pytest.mark.parametrize("channels", [1, 3])
def test_small_images_come_back_as_they_were(tmp_path: Path, channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (11, 20, 30, channels), dtype=np.uint8)
    ids = np.array([f"validation/ä {number}.png" for number in range(11)])
    write_gallery(tmp_path / "gallery.png", images, ids)
    found = read_gallery(tmp_path / "gallery.png")
    assert list(found) == ids.tolist()
    for name, image in zip(ids, images, strict=True):
        assert np.array_equal(found[name], image[..., 0] if channels == 1 else image)


def test_large_images_are_made_small(tmp_path: Path) -> None:
    images = np.zeros((2 * EACH, 224, 112, 3), dtype=np.uint8)
    write_gallery(tmp_path / "gallery.png", images, np.arange(2 * EACH).astype(str))
    assert {image.shape for image in read_gallery(tmp_path / "gallery.png").values()} == {(LARGEST, 32, 3)}


def test_the_surest_mistakes_come_first_then_the_least_decided() -> None:
    labels = np.array([0, 0, 1, 1])
    shares = np.array([[0.1, 0.9], [0.4, 0.6], [0.01, 0.99], [0.48, 0.52]], dtype=np.float32)
    assert worst_rows(labels, shares).tolist() == [0, 1, 3, 2]


def test_no_image_is_no_file(tmp_path: Path) -> None:
    write_gallery(tmp_path / "gallery.png", np.zeros((0, 8, 8, 1), np.uint8), np.array([], str))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + b"0" * 50])
def test_a_damaged_file_is_said_to_be_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "gallery.png").write_bytes(content)
    with pytest.raises(MissingArtifactError, match=r"gallery\.png cannot be read"):
        read_gallery(tmp_path / "gallery.png")
