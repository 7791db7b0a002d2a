"""Predictions and galleries come back as they were, bit by bit, and take little room."""

import io
import json
import lzma
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from search.archives import galleries, probabilities
from search.tracking import names
from search.training.measures.worst_images import write_gallery


def _softmax(images: int, classes: int, seed: int) -> NDArray[np.float32]:
    logits = (2.0 * np.random.default_rng(seed).normal(size=(images, classes))).astype(np.float32)
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True, dtype=np.float32), np.float32)


def _arrays(images: int = 50, classes: int = 7, seed: int = 0) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    return {
        "ids": np.array([f"validation/{n:05d}.png" for n in range(images)]),
        "labels": generator.integers(0, classes, images),
        "groups": np.arange(images),
        "has_twin": generator.random(images) < 0.1,
        "probabilities": _softmax(images, classes, seed),
    }


@given(
    st.integers(1, 6).flatmap(
        lambda classes: st.lists(
            st.lists(st.integers(0, 2**32 - 1), min_size=classes, max_size=classes), min_size=1, max_size=9
        )
    )
)
@settings(max_examples=150, deadline=None)
def test_any_bits_come_back(bits: list[list[int]]) -> None:
    given_bits = np.array(bits, np.uint32)
    back = probabilities.decode(probabilities.encode(given_bits.view(np.float32)))
    assert np.array_equal(back.view(np.uint32), given_bits)


def test_probabilities_take_three_quarters_of_their_bytes() -> None:
    values = _softmax(3589, 7, 1)
    back = probabilities.decode(probabilities.encode(values))
    assert np.array_equal(back.view(np.uint32), values.view(np.uint32))
    packed = b"".join(part.tobytes() for part in probabilities.encode(values).values())
    assert len(lzma.compress(packed)) < 0.77 * values.nbytes


def test_a_predictions_file_comes_back(tmp_path: Path) -> None:
    arrays = _arrays()
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    shared, own = probabilities.split(tmp_path / "a.npz")
    np.savez_compressed(tmp_path / "b.npz", **_arrays() | {"probabilities": _softmax(50, 7, 9)})
    assert probabilities.split(tmp_path / "b.npz")[0] == shared
    probabilities.join(shared, own, tmp_path / "c.npz")
    with np.load(tmp_path / "c.npz", allow_pickle=False) as back:
        assert sorted(back.files) == sorted(arrays)
        for name, array in arrays.items():
            assert back[name].dtype == array.dtype
            assert np.array_equal(back[name], array)


@pytest.mark.parametrize(
    "change",
    [
        {"probabilities": np.ones((50, 7))},
        {"probabilities": np.ones((49, 7), np.float32)},
        {"probabilities": np.ones(50, np.float32)},
        {"labels": np.ones(50)},
        {"more": np.ones(3)},
    ],
)
def test_what_candor_did_not_write_is_left_as_it_is(change: dict[str, Any], tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **_arrays() | change)
    with pytest.raises(probabilities.NotPackable):
        probabilities.split(tmp_path / "a.npz")


def test_packed_predictions_that_lie_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **_arrays())
    shared, own = probabilities.split(tmp_path / "a.npz")
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ids.npy", b"\x00" * 10_000_000)
    huge = io.BytesIO()
    with zipfile.ZipFile(huge, "w") as archive:
        header = str({"descr": "<U9", "fortran_order": False, "shape": (2**60,)}).encode().ljust(117) + b"\n"
        archive.writestr("ids.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    for first, second in (
        (bomb.getvalue(), own),
        (huge.getvalue(), own),
        (b"", own),
        (shared, shared),
        (own, own),
    ):
        with pytest.raises(ValueError, match="packed predictions cannot be read"):
            probabilities.join(first, second, tmp_path / "out.npz")
    assert not (tmp_path / "out.npz").exists()


@pytest.mark.parametrize("channels", [1, 3])
def test_galleries_share_pictures_and_come_back(channels: int, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    pictures = generator.integers(0, 256, (40, 48, 48, channels), dtype=np.uint8)
    files = {}
    for run in range(6):
        chosen = np.sort(generator.choice(40, 32 if run else 5, replace=False))
        files[f"run{run}"] = tmp_path / f"{run}.png"
        write_gallery(files[f"run{run}"], pictures[chosen], np.array([f"é {n}" for n in chosen]))
    (tmp_path / "other.png").write_bytes(b"no picture")
    assert galleries.split(files | {"other": tmp_path / "other.png"}, tmp_path / "packed") == sorted(files)
    packed = sum(file.stat().st_size for file in (tmp_path / "packed").iterdir())
    assert packed < 0.4 * sum(file.stat().st_size for file in files.values())
    back = galleries.join(tmp_path / "packed")
    assert sorted(back) == sorted(files)
    for run, (picture, text) in back.items():
        picture.save(tmp_path / "back.png", pnginfo=text)
        with Image.open(files[run]) as before, Image.open(tmp_path / "back.png") as after:
            assert np.array_equal(np.asarray(before), np.asarray(after))
            assert before.info[names.GALLERY_TEXT] == after.info[names.GALLERY_TEXT]


def test_packed_galleries_that_lie_are_refused(tmp_path: Path) -> None:
    Image.new("L", (96, 48)).save(tmp_path / galleries.TILES)
    one = {"across": 1, "places": [0], "text": "{}"}
    good = {"tile": [48, 48], "count": 2, "galleries": {"a": one}}
    for change in (
        {"tile": [0, 48]},
        {"tile": "x"},
        {"galleries": {"a": one | {"places": [7]}}},
        {"galleries": {"a": one | {"across": 0}}},
        {"galleries": {"a": {}}},
    ):
        (tmp_path / galleries.INDEX).write_text(json.dumps(good | change))
        with pytest.raises(ValueError, match="packed galleries"):
            galleries.join(tmp_path)
