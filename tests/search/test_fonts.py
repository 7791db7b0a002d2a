"""Pictures show the letters of every class name that an installed font has, and say once which none has."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager

from search import fonts
from search.models.drawing import Region, annotated, font_for
from search.models.predict import Prediction

CHINESE = "猫"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A font that has one Chinese letter, a full square, and that Matplotlib's list does not name yet."""
    pen = TTGlyphPen(None)
    for number, place in enumerate([(0, 0), (0, 800), (900, 800), (900, 0)]):
        (pen.lineTo if number else pen.moveTo)(place)
    pen.closePath()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "cat"])
    builder.setupCharacterMap({ord(CHINESE): "cat"})
    builder.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "cat": pen.glyph()})
    builder.setupHorizontalMetrics({".notdef": (1000, 0), "cat": (1000, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Small Chinese", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=800)
    builder.setupPost()
    path = tmp_path / "small.ttf"
    builder.save(path)
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [*font_manager.fontManager.ttflist])
    monkeypatch.setattr(font_manager, "X11FontDirectories", [str(tmp_path)])
    caches = (fonts._families, fonts._add_new_fonts, font_for)
    for one in caches:
        one.cache_clear()
    yield path
    for one in caches:
        one.cache_clear()


def ink(label: str) -> np.ndarray:
    """The title of the panel beside a picture."""
    shown = Prediction("picture", {label: 0.9, "b": 0.1})
    sheet = np.asarray(annotated(np.zeros((480, 480, 3), np.uint8), [Region(shown)]).convert("L"))
    return sheet[:28, 480:]


def test_latin_letters_with_marks_are_letters_and_no_boxes() -> None:
    """In Aileron, which Pillow brings, all of these are one box."""
    drawn = [ink(letter) for letter in "üéñßøžł"]
    assert len({image.tobytes() for image in drawn}) == len(drawn)
    assert np.array_equal(ink("u\u0308"), ink("ü"))  # as macOS writes it


def test_a_font_that_was_installed_later_is_used(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fonts.families_for(frozenset(CHINESE)) == [fonts.FIRST, "Small Chinese"]
    assert fonts.file_for(CHINESE) == installed
    assert (ink(CHINESE) < 128).sum() > 100  # a full square
    assert capsys.readouterr().err == ""


def test_letters_that_no_font_has_are_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fonts, "_told", set())
    fonts._families.cache_clear()
    for _ in range(2):
        assert fonts.families_for(frozenset("a\U000e0fff")) == [fonts.FIRST]
        assert fonts.families_for(frozenset("a\U0010ff00")) == [fonts.FIRST]
    said = capsys.readouterr().err
    assert said.count("no installed font has the letters \U000e0fff") == 1
    assert said.count("no installed font has the letters \U0010ff00") == 1
