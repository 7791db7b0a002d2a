"""Any picture becomes what the network takes, and whatever is none is refused with a sentence."""

import base64
import io
import os
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from search.models.images import Picture, gather
from search.models.registry import serving
from spaces.errors import UserError
from tests.search.models.conftest import drawing
from tests.support.images.odd_pictures import ILL_TYPED, INK, NO_EXIF, NOTES, TRANSPARENT

SHAPES = [(24, 20, 1), (24, 20, 3)]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_size_and_mode_is_brought_to_the_networks_shape(
    pictures: dict[str, Path], shape: tuple[int, int, int]
) -> None:
    """Two values of 16 bits and all of 8 keep their range; what is transparent or indexed is no error."""
    for mode, path in pictures.items():
        pixels = Picture.of(path).pixels(shape)
        assert (pixels.shape, pixels.dtype) == (shape, np.uint8), mode
        assert pixels.max() > 150, mode
        assert np.ptp(pixels) > 100, mode


@pytest.mark.parametrize("shape", SHAPES)
def test_a_served_model_sees_what_candor_sees(pictures: dict[str, Path], shape: tuple[int, int, int]) -> None:
    """`serving.py` runs without Candor, so it has these steps once more: the same pixels come out."""
    height, width, channels = shape
    for mode, path in pictures.items():
        image = serving._from_file(base64.b64encode(path.read_bytes()).decode())
        served = serving._shaped(image, (width, height), channels)
        assert np.array_equal(served, Picture.of(path).pixels(shape)), mode


@pytest.mark.parametrize("note", NOTES)
def test_a_photograph_on_its_side_is_turned_and_not_squeezed(pictures: dict[str, Path], note: str) -> None:
    """The camera's note says how it was held, wherever it stands in the file."""
    path = pictures[f"turned by {note}"]
    with Image.open(path) as image:
        upright = np.rot90(np.asarray(image), -1)
        assert upright.shape == (60, 30, 3)
        for picture in (Picture.of(path), Picture.of(image)):
            assert np.array_equal(picture.upright(), upright)


@pytest.mark.parametrize(("exif", "turns"), [(ILL_TYPED, -1), (NO_EXIF, 0)], ids=["a tag", "all of it"])
def test_malformed_exif_breaks_no_photograph(exif: bytes, turns: int) -> None:
    """In a file, in Python's hands, and where a model is served."""
    file = io.BytesIO()
    drawing("RGB", (60, 30)).save(file, "JPEG", exif=exif, dpi=(72, 72))
    raw = file.getvalue()
    with Image.open(io.BytesIO(raw)) as image:
        expected = np.rot90(np.asarray(image), turns)
        assert np.array_equal(Picture.of(image).upright(), expected)
    assert np.array_equal(Picture.of(raw).upright(), expected)
    assert np.array_equal(np.asarray(serving._from_file(base64.b64encode(raw).decode())), expected)


@pytest.mark.parametrize("mode", TRANSPARENT)
def test_black_strokes_on_nothing_are_looked_at_on_white(pictures: dict[str, Path], mode: str) -> None:
    """A file and a Pillow image alike."""
    path = pictures[f"transparent {mode}"]
    with Image.open(path) as image:
        for picture in (Picture.of(path), Picture.of(image)):
            assert picture.upright()[..., 0] == pytest.approx(255.0 - INK, abs=1)


def test_a_path_bytes_a_pillow_image_and_an_array_are_the_same_picture(pictures: dict[str, Path]) -> None:
    """Whatever Python has in its hands can be asked about."""
    path, shape = pictures["RGB"], (24, 20, 1)
    expected = Picture.of(path).pixels(shape)
    with Image.open(path) as image:
        for same in (str(path), path.read_bytes(), image, np.asarray(image)):
            assert np.array_equal(Picture.of(same).pixels(shape), expected)


def test_files_folders_and_globs_are_gathered_once_each(pictures: dict[str, Path], tmp_path: Path) -> None:
    """A picture that two arguments name is one picture; a text in a folder is none."""
    (tmp_path / "notes.txt").write_text("no picture")
    named = [str(pictures["L"]), str(tmp_path), str(tmp_path / "*.png")]
    assert len(list(gather(named))) == len(pictures)


def test_a_name_that_is_no_utf8_can_be_printed(pictures: dict[str, Path], tmp_path: Path) -> None:
    """What is no UTF-8 in it is written as the numbers of its bytes."""
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    path.write_bytes(pictures["L"].read_bytes())
    for picture in (Picture.of(path), *gather([str(path)])):
        assert picture.name == f"{tmp_path}/caf\\xe9.png"


def test_standard_input_is_one_picture(pictures: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` reads the bytes of one file."""
    raw = pictures["L"].read_bytes()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(raw)))
    assert [picture.raw for picture in gather(["-"])] == [raw]
    with pytest.raises(UserError, match="standard input is empty"):
        list(gather(["-"]))


@pytest.mark.parametrize(
    ("argument", "expected"),
    [("nowhere.png", "does not exist"), ("*.nothing", "matches no file"), (".", "holds no images")],
)
def test_what_names_nothing_is_said(
    argument: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence, with the argument in it."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=expected):
        list(gather([argument]))


def test_what_is_no_image_is_refused(tmp_path: Path, pictures: dict[str, Path]) -> None:
    """A text, a file cut off, numbers out of range: none of them is guessed at."""
    text, cut = tmp_path / "text.jpg", tmp_path / "cut.png"
    text.write_text("I am no picture")
    cut.write_bytes(pictures["L"].read_bytes()[:80])
    for path in (text, cut):
        with pytest.raises(UserError, match=f"{path.name} is no image"):
            Picture.of(path).pixels((8, 8, 1))
    with pytest.raises(UserError, match=r"float64 \(4, 4\)"):
        Picture.of(np.zeros((4, 4)))


@pytest.mark.parametrize(("bits", "brightest"), [(None, 240), (12, 240), (16, 15)])
def test_a_served_model_reads_16_bits_a_pixel_as_predict_does(bits: int | None, brightest: int) -> None:
    """By the range of the training data, or by the picture's own where those had 8 bits."""
    deep = np.linspace(0, 240, 256, dtype=np.uint16).reshape(16, 16) << 4
    raw = bytes(cv2.imencode(".png", deep)[1])
    image = serving._from_file(base64.b64encode(raw).decode(), bits)
    served = serving._shaped(image, (16, 16), 1, bits)
    assert np.array_equal(served, Picture("deep", raw).pixels((16, 16, 1), bits))
    assert served.max() == brightest


@pytest.mark.parametrize("bits", [None, 12])
def test_a_served_model_refuses_deep_colours_that_pillow_would_make_dark(bits: int | None) -> None:
    deep = np.full((16, 16, 3), 900, np.uint16)
    raw = bytes(cv2.imencode(".png", deep)[1])
    with pytest.raises(ValueError, match="save it with 8 bits"):
        serving._from_file(base64.b64encode(raw).decode(), bits)
