"""An image file becomes what a person sees: upright, in its own size, on white where it is transparent."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from search.datasets.images.image_file import (
    BrokenImageError,
    coloured,
    decoded,
    size_of,
    upright,
)
from search.datasets.prepare import prepare
from tests.support.images.odd_pictures import ILL_TYPED, INK, NO_EXIF, NOTES, TRANSPARENT, sideways, strokes
from tests.support.images.small_pictures import CLASSES, in_folder, pictures, silent, tree


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", TRANSPARENT)
def test_black_strokes_on_nothing_become_black_on_white(mode: str, channels: int) -> None:
    found = decoded(strokes(mode), mode, INK.shape, channels).pixels
    for channel in range(channels):
        np.testing.assert_allclose(found[..., channel].astype(int), 255 - INK.astype(int), atol=1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_opaque_images_are_converted_by_pillow_alone(mode: str, channels: int) -> None:
    colours = np.stack([*pictures(3, side=40)], axis=-1)
    image = Image.fromarray(colours).convert(mode)
    expected = image.convert("L" if channels == 1 else "RGB").tobytes()
    assert decoded(png(image), mode, (40, 40), channels).pixels.tobytes() == expected


@pytest.mark.parametrize(("alpha", "expected"), [(0, False), (255, True)])
def test_colours_that_nobody_sees_are_none(alpha: int, expected: bool) -> None:
    red = Image.new("RGBA", (8, 8), (255, 0, 0, alpha))
    assert coloured(png(red), "red") == expected


@pytest.mark.parametrize("note", NOTES)
def test_a_photograph_on_its_side_has_the_size_and_the_pixels_it_is_looked_at_with(note: str) -> None:
    raw = sideways(Image.fromarray(pictures(1, side=64)[0][:48]), note)
    upright = np.rot90(np.asarray(Image.open(io.BytesIO(raw))), -1)
    assert size_of(raw, note) == upright.shape == (64, 48)
    np.testing.assert_array_equal(decoded(raw, note, (64, 48), 1).pixels[..., 0], upright)


def test_upright_photographs_are_not_squeezed_into_the_size_they_are_stored_in(tmp_path: Path) -> None:
    files = {
        f"{CLASSES[number % 3]}/{number}.jpg": sideways(Image.fromarray(image[:48]), "EXIF")
        for number, image in enumerate(pictures(12, side=64))
    }
    data = prepare(in_folder(files, tmp_path / "phone"), tmp_path / "cache", say=silent)
    assert data.image_shape == (64, 48, 1)
    assert not any("resized" in note for note in data.notes)


def photograph(exif: bytes) -> bytes:
    """Return a JPEG, 64 wide and 48 high, with that EXIF."""
    file = io.BytesIO()
    Image.fromarray(pictures(1, side=64)[0][:48]).save(file, "JPEG", exif=exif, dpi=(72, 72))
    return file.getvalue()


@pytest.mark.parametrize("orientation", range(1, 10))
def test_photographs_are_turned_to_the_bit_as_pillow_turns_them(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    raw = photograph(exif.tobytes())
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(raw))))
    assert size_of(raw, "photograph") == expected.shape
    np.testing.assert_array_equal(decoded(raw, "photograph", expected.shape, 1).pixels[..., 0], expected)


def test_an_image_that_was_turned_is_not_turned_again() -> None:
    once = upright(Image.open(io.BytesIO(photograph(ILL_TYPED))))
    assert upright(once).size == once.size == (48, 64)


@pytest.mark.parametrize(
    ("exif", "turns"), [(ILL_TYPED, -1), (NO_EXIF, 0)], ids=["another tag is malformed", "all of it is"]
)
def test_malformed_exif_breaks_no_photograph(exif: bytes, turns: int) -> None:
    raw = photograph(exif)
    expected = np.rot90(np.asarray(Image.open(io.BytesIO(raw))), turns)
    assert size_of(raw, "photograph") == expected.shape
    np.testing.assert_array_equal(decoded(raw, "photograph", expected.shape, 1).pixels[..., 0], expected)


@pytest.mark.parametrize("exif", [ILL_TYPED, NO_EXIF], ids=["another tag is malformed", "all of it is"])
def test_photographs_with_malformed_exif_are_read_and_not_counted_as_broken(
    exif: bytes, tmp_path: Path
) -> None:
    files = tree(("train",)) | {"train/cat/photograph.jpg": photograph(exif)}
    data = prepare(in_folder(files, tmp_path / "data"), tmp_path / "cache", say=silent)
    assert data.counts["train"] + data.counts["validation"] == 13


def test_a_png_cut_short_has_no_size() -> None:
    raw = png(Image.fromarray(pictures(1, side=64)[0]))
    with pytest.raises(BrokenImageError):
        size_of(raw[: len(raw) // 2], "cut")
