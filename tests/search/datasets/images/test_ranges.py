"""Black and white are decided by the range of a whole set: what is unclear is refused with that range."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from search.datasets.images.image_file import decoded
from search.datasets.prepare import prepare
from search.datasets.readers import arrays
from spaces.errors import UserError
from tests.support.images.small_pictures import encoded, in_folder, pictures, prepared, tree

LABELS = np.arange(60) % 3
BYTES = pictures(60)


def read(x: NDArray[np.generic]) -> tuple[NDArray[np.uint8], str]:
    """Return the images as they are decoded, and what was said."""
    catalogue = arrays.read((x, LABELS))
    images = [np.asarray(raw) for _, raw in catalogue.fetch(range(60))]
    return np.stack(images), " ".join(catalogue.notes)


def overshot(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """One pixel a little too bright, one a little too dark, as resampling leaves them."""
    x = x.copy()
    x[0, 0, 0], x[1, 0, 0] = 1.02, -0.03
    return x


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda x: x / 255.0, "0 for black and 1 for white"),
        (lambda x: (x / 255.0).astype(np.float16), "0 for black and 1 for white"),
        (lambda x: overshot(x / 255.0), "from -0.03 to 1.02 (float64), taken as 0 for black and 1"),
        (lambda x: x.astype(np.int64), "0 for black and 255 for white"),
        (lambda x: x.astype(np.float32), "0 for black and 255 for white"),
        (lambda x: x.astype(np.uint16) << 2, "10 bits: 0 for black and 1,023"),
        (lambda x: x.astype(np.uint16) << 4, "12 bits: 0 for black and 4,095"),
        (lambda x: x.astype(np.int32) << 8, "16 bits: 0 for black and 65,535"),
    ],
)
def test_a_range_that_is_clear_is_taken_and_said(
    given: Callable[[NDArray[np.uint8]], NDArray[np.generic]], said: str
) -> None:
    pixels, notes = read(given(BYTES))
    assert np.abs(pixels.astype(int) - BYTES)[2:].max() <= 1
    assert said in notes


@pytest.mark.parametrize("kind", [np.uint8, np.int64, bool, np.float32])
def test_zeros_and_ones_are_black_and_white(kind: type) -> None:
    pixels, said = read((BYTES > 127).astype(kind))
    assert (pixels == np.where(BYTES > 127, 255, 0)).all()
    assert "0 for black and 1 for white" in said


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda x: x / 127.5 - 1, r"from -1 to 1 \(float64\).* give \(x \+ 1\) / 2"),
        (lambda x: (x - 127.0) / 60, "before they were standardised"),
        (lambda x: x // 16, r"numbers from 0 to 15 \(uint8\).*such as x / 15"),
        (lambda x: x / 16.0, "numbers from 0 to 15.9"),
        (lambda x: x / 255.0 / 255.0, "numbers from 0 to 0.0039"),
        (lambda x: x.astype(np.float64) * 257, "numbers from 0 to 65535"),
        (lambda x: np.where(x == x.max(), np.nan, x), "not finite"),
        (lambda x: x.astype(np.complex64), "must hold numbers"),
    ],
)
def test_a_range_that_is_unclear_is_refused_with_what_was_found(
    given: Callable[[NDArray[np.uint8]], NDArray[np.generic]], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read(given(BYTES))


def test_the_range_is_that_of_all_parts_together(tmp_path: Path) -> None:
    """Dark test images stay dark beside bright training images."""
    x = (BYTES / 255.0).astype(np.float32)
    split = {"x_train": x[:40], "y_train": LABELS[:40], "x_test": x[40:] * 0.05, "y_test": LABELS[40:]}
    rows = dict(arrays.read(split).fetch(range(60)))
    assert np.stack([np.asarray(rows[row]) for row in range(40, 60)]).max() <= 13
    mixed = {**split, "x_train": BYTES[:40].astype(np.float32)}
    with pytest.raises(UserError, match="20 of 60 images hold fractions from 0 to 1"):
        arrays.read(mixed)


def png(image: NDArray[np.uint16]) -> bytes:
    """A PNG of 16 bits a channel; colours in the order RGB."""
    shown = image if image.ndim == 2 else image[..., ::-1]
    return bytes(cv2.imencode(".png", shown)[1])


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_sixteen_bits_are_read_by_the_bits_that_the_set_uses(
    bits: int, channels: int, tmp_path: Path
) -> None:
    colours = np.random.default_rng(1).permutation(BYTES)[:24]
    images = np.stack([BYTES[:24], colours, BYTES[24:48]], axis=-1) if channels == 3 else BYTES[:24]
    images[0].flat[:3] = 255  # the whole range is used
    files = {
        f"{'ab'[n % 2]}/{n:02}.png": png(image.astype(np.uint16) << (bits - 8))
        for n, image in enumerate(images)
    }
    data = prepared(in_folder(files, tmp_path / "deep"), tmp_path)
    shallow = {f"{'ab'[n % 2]}/{n:02}.png": encoded(image) for n, image in enumerate(images)}
    expected = prepared(in_folder(shallow, tmp_path / "shallow"), tmp_path)
    assert (data.bits, data.image_shape) == (bits, (32, 32, channels))
    assert data.digest == expected.digest
    assert any(f"taken as {bits} bits" in note for note in data.notes)


def test_a_photograph_with_deep_colours_is_turned_like_any_other() -> None:
    image = np.stack([pictures(1, side=24)[0]] * 3, axis=-1)[:, :16]
    held = Image.Exif()
    held[0x0112] = 6
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", exif=held.tobytes())
    written = file.getvalue()
    at = written.index(b"eXIf") - 4  # a chunk: length, name, content, checksum
    exif = written[at : at + 12 + int.from_bytes(written[at : at + 4])]
    deep = png(image.astype(np.uint16) << 4)
    deep = deep[:33] + exif + deep[33:]
    found = decoded(deep, "deep", (16, 24), 3, bits=12).pixels
    assert (found == np.rot90(image, -1)).all()


def test_sixteen_bits_that_use_almost_nothing_are_refused(tmp_path: Path) -> None:
    files = {f"{'ab'[n % 2]}/{n}.png": png(image.astype(np.uint16) >> 4) for n, image in enumerate(BYTES[:8])}
    with pytest.raises(UserError, match="no number above 15"):
        prepared(in_folder(files, tmp_path / "data"), tmp_path)


def test_without_a_size_that_most_have_images_get_the_median_shape(tmp_path: Path) -> None:
    """Two banners of one size are no majority among sixty photographs."""
    files = {}
    for number, image in enumerate(pictures(60)):
        height, width = (4, 468) if number < 2 else (100 + number, 200 + number)
        files[f"{'ab'[number % 2]}/{number}.png"] = encoded(
            np.asarray(Image.fromarray(image).resize((width, height)))
        )
    data = prepared(in_folder(files, tmp_path / "data"), tmp_path)
    assert data.image_shape == (129, 231, 1)
    assert any("No size is that of most images" in note and "231x129" in note for note in data.notes)


def test_a_size_that_most_have_is_taken(tmp_path: Path) -> None:
    files = tree(("train",), each=6)
    files |= {
        f"train/cat/large-{n}.png": encoded(image) for n, image in enumerate(pictures(5, side=90, seed=9))
    }
    data = prepared(in_folder(files, tmp_path / "data"), tmp_path)
    assert data.image_shape == (32, 32, 1)
    assert not any("No size" in note for note in data.notes)


def test_nearly_constant_images_are_a_loud_warning(tmp_path: Path) -> None:
    files = tree(("train",), each=8)
    files |= {f"train/grey/{n}.png": encoded(np.full((32, 32), 100 + n, np.uint8)) for n in range(8)}
    notes = prepared(in_folder(files, tmp_path / "data"), tmp_path).notes
    assert notes[0].startswith(
        "WARNING: 8 of 32 images (25%) are constant or nearly so, most of those of grey"
    )
    dark = {
        name: encoded(np.asarray(Image.open(io.BytesIO(raw))) // 12) for name, raw in tree(("train",)).items()
    }
    notes = prepared(in_folder(dark, tmp_path / "dark"), tmp_path).notes
    assert any(
        note.startswith("WARNING: All images are almost black: the brightest pixel is 21") for note in notes
    )


def test_words_are_labels_and_names_come_once_and_as_text(tmp_path: Path) -> None:
    words = np.array(["owl", "cat", "dog"])[LABELS]
    by_word = prepared((BYTES, words), tmp_path)
    assert by_word.class_names == ("cat", "dog", "owl")
    part = by_word.train()
    assert all(
        by_word.class_names[k] == name.split("/")[1] for k, name in zip(part.labels, part.ids, strict=True)
    )
    assert prepared((BYTES, words.astype(object)), tmp_path).digest == by_word.digest
    named = {"x_train": BYTES, "y_train": LABELS, "class_names": np.array([b"cat", "dö".encode(), b"owl"])}
    assert prepared(named, tmp_path).class_names == ("cat", "dö", "owl")
    ordered = {"x_train": BYTES, "y_train": words, "class_names": np.array(["owl", "dog", "cat"])}
    assert prepared(ordered, tmp_path).class_names == ("owl", "dog", "cat")
    for wrong, message in (
        ({"class_names": np.array(["a", "b", "a"])}, "names the class 'a' twice"),
        ({"class_names": np.array([b"\xff", b"b", b"c"])}, "no UTF-8"),
        (
            {"y_train": words, "class_names": np.array(["owl", "dog", "emu"])},
            "not among its class_names: 'cat'",
        ),
        ({"y_train": LABELS + 0.5}, r"astype\(int\)"),
    ):
        with pytest.raises(UserError, match=message):
            prepared(named | wrong, tmp_path)


def splits_of_ranges(test: NDArray[np.generic], train: NDArray[np.generic] = BYTES) -> dict[str, Any]:
    """Train in one range, test in another."""
    return {
        "x_train": train[:40],
        "y_train": LABELS[:40],
        "x_test": test[40:],
        "y_test": LABELS[40:],
    }


@pytest.mark.parametrize(
    "split",
    [
        splits_of_ranges((BYTES > 127).astype(np.uint8)),
        splits_of_ranges((BYTES > 127).astype(np.float32), BYTES.astype(np.float32)),
        splits_of_ranges(BYTES.astype(np.uint16), BYTES.astype(np.uint16) << 8),
        splits_of_ranges(BYTES / 255.0 / 255.0, BYTES / 255.0),
    ],
)
def test_a_split_in_another_range_than_the_others_is_refused(split: dict[str, Any], tmp_path: Path) -> None:
    """It would be black to a network that learnt the others, and its score chance."""
    with pytest.raises(UserError, match="test images are almost black beside those of train"):
        prepare(split, tmp_path / "cache", say=lambda _: None)


def test_a_small_split_of_fractions_is_refused_beside_many_images_of_bytes() -> None:
    """It is judged by itself: 12 of 2,412 images would be too few to decide."""
    many = {"x_train": np.repeat(BYTES, 40, axis=0), "y_train": np.repeat(LABELS, 40)}
    few = {"x_test": (BYTES[:12] / 255).astype(np.float32), "y_test": LABELS[:12]}
    with pytest.raises(UserError, match="12 of 2,412 images hold fractions from 0 to 1"):
        arrays.read({**many, **few})


def test_a_split_that_is_darker_by_half_is_said_loudly(tmp_path: Path) -> None:
    data = prepare(splits_of_ranges(BYTES // 3), tmp_path / "cache", say=lambda _: None)
    assert any(
        note.startswith("WARNING: All images of the test part are dark: their brightest pixel is 8")
        for note in data.notes
    )


def test_percentages_are_not_taken_for_bytes() -> None:
    with pytest.raises(UserError, match=r"numbers from 0 to 100 .* unclear"):
        arrays.read({"x_train": (BYTES / BYTES.max() * 100).astype(np.float32), "y_train": LABELS})


def test_images_of_eight_bits_say_nothing_of_how_16_bits_are_used(tmp_path: Path) -> None:
    """Or a picture of 12 bits would be black to the model: its own range decides."""
    shallow = prepare({"x_train": BYTES, "y_train": LABELS}, tmp_path / "cache", say=lambda _: None)
    assert shallow.bits is None
    deep = {f"{n % 2}/{n}.png": png(image.astype(np.uint16) << 4) for n, image in enumerate(BYTES)}
    assert prepare(in_folder(deep, tmp_path / "deep"), tmp_path / "cache", say=lambda _: None).bits == 12
