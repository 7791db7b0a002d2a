"""Finds an installed font that has the letters of a text: class names come in every script.

Matplotlib brings DejaVu Sans, which has the Latin, Greek and Cyrillic letters, and knows what is installed.
"""

import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

FIRST: Final = "DejaVu Sans"
_PLACEHOLDERS: Final = "Last Resort"  # a font that has a box for every letter
_told: set[str] = set()


def letters_of(texts: Iterable[str]) -> frozenset[str]:
    """Return the letters of texts that need a glyph."""
    return frozenset(
        letter for text in texts for letter in text if letter.isprintable() and not letter.isspace()
    )


def families_for(letters: frozenset[str]) -> list[str]:
    """Return families of fonts that have the letters together, the first one first.

    What no installed font has is said on standard error, once for each letter.
    """
    chosen, missing = _families(letters)
    fresh = sorted(missing - _told)
    if fresh:
        _told.update(fresh)
        print(
            f"candor: no installed font has the letters {' '.join(fresh[:20])}: pictures show boxes in their "
            f"place. Install one that does, such as fonts-noto-cjk for Chinese, Japanese and Korean.",
            file=sys.stderr,
        )
    return list(chosen)


def file_for(text: str) -> Path:
    """Return the font file that has most letters of a text, DejaVu Sans where it has all of them."""
    letters = letters_of([text])
    families = families_for(letters)
    paths = [_path(family) for family in families]
    return max(paths, key=lambda path: (len(_has(path) & set(map(ord, letters))), -paths.index(path)))


@cache
def _families(letters: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """The families, and the letters that none of them has: each next one has most of what is missing yet."""
    wanted = {ord(letter) for letter in letters} - _has(_path(FIRST))
    chosen = [FIRST]
    if wanted:
        _add_new_fonts()
        installed = {
            font.name: Path(font.fname)
            for font in font_manager.fontManager.ttflist
            if font.style == "normal" and not font.name.startswith(_PLACEHOLDERS)
        }
        while wanted and installed:
            best = max(sorted(installed), key=lambda name: len(wanted & _has(installed[name])))
            if not wanted & _has(installed[best]):
                break
            wanted -= _has(installed.pop(best))
            chosen.append(best)
    return tuple(chosen), frozenset(map(chr, wanted))


@cache
def _add_new_fonts() -> None:
    """Tell Matplotlib of fonts that were installed after it wrote its list of them."""
    known = {font.fname for font in font_manager.fontManager.ttflist}
    for file in sorted({*font_manager.findSystemFonts()} - known):
        with suppress(OSError, RuntimeError):  # a file that is no font
            font_manager.fontManager.addfont(file)


def _path(family: str) -> Path:
    return Path(font_manager.findfont(font_manager.FontProperties(family=[family])))


@cache
def _has(path: Path) -> frozenset[int]:
    """The code points that a font file has; none, where it cannot be read."""
    try:
        return frozenset(FT2Font(str(path)).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()
