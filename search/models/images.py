"""Pictures as a person has them: files, folders, globs, standard input, arrays; of any size and mode."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from search.datasets.image_file import (
    FORMATS,
    BrokenImageError,
    decoded,
    plain,
    size_of,
    upright,
)
from search.datasets.path_names import printable
from spaces.errors import UserError

#: Endings that are labelled for in a folder; a file that is named may have any.
SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".pgm")
STANDARD_INPUT: Final = "-"


@dataclass(frozen=True)
class Picture:
    """One picture, not yet decoded. name: what a person calls it; raw: the bytes of a file, or pixels.

    Pixels are uint8, (height, width) or (height, width, 1 or 3).
    """

    name: str
    raw: bytes | NDArray[np.uint8]

    @classmethod
    def of(cls, image: Any) -> "Picture":
        """Read an image of any kind.

        Args:
            image: A path, the bytes of a file, a Pillow image or an array of uint8.

        Raises:
            UserError: If it is none of these.
        """
        if isinstance(image, Picture):
            return image
        if isinstance(image, str | Path):
            return cls(printable(str(image)), _read(Path(image)))
        if isinstance(image, bytes):
            return cls("image", image)
        if isinstance(image, Image.Image):
            return cls("image", np.asarray(_plain(image)))
        return cls("image", _checked(np.asarray(image)))

    def pixels(self, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
        """The image upright and resized, in the colours asked for, as training images are prepared.

        Args:
            shape: Height, width and channels.

        Returns:
            Pixels, uint8 (height, width, channels).

        Raises:
            UserError: If it is no image.
        """
        height, width, channels = shape
        try:
            return decoded(self.raw, self.name, (height, width), channels).pixels
        except BrokenImageError as error:
            reason = str(error).partition(" <")[0]  # Pillow's "cannot identify image file <_io.BytesIO ...>"
            raise UserError(
                f"{self.name} is no image that can be read ({reason}): give a file in one of the formats "
                f"{', '.join(FORMATS)}"
            ) from error

    def upright(self) -> NDArray[np.uint8]:
        """The image as it is looked at, in full size.

        Returns:
            Pixels, uint8 (height, width, 3).

        Raises:
            UserError: If it is no image.
        """
        try:
            height, width = size_of(self.raw, self.name)
        except BrokenImageError:
            height = width = 1  # `pixels` says what is wrong with it
        return self.pixels((height, width, 3))


def gather(arguments: Sequence[str]) -> Iterator[Picture]:
    """The pictures that the arguments of a command name, each once, in their order.

    Args:
        arguments: Files, folders (with the folders below), globs, or "-" for one on standard input.

    Raises:
        UserError: If one of them names nothing.
    """
    seen: set[str] = set()
    for argument in arguments:
        if argument == STANDARD_INPUT:
            yield Picture("standard input", _standard_input())
            continue
        for path in _files(argument):
            if str(path) not in seen:
                seen.add(str(path))
                yield Picture(printable(str(path)), _read(path))


def stacked(pictures: Iterable[Picture], shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """All pictures in one array.

    Args:
        pictures: The pictures.
        shape: Height, width and channels.

    Returns:
        Pixels, uint8 (pictures, height, width, channels).
    """
    images = [picture.pixels(shape) for picture in pictures]
    return np.stack(images) if images else np.zeros((0, *shape), np.uint8)


def _files(argument: str) -> list[Path]:
    path = Path(argument)
    if path.is_dir():
        found = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        if not found:
            raise UserError(f"the folder {argument} holds no images ({', '.join(SUFFIXES)})")
        return found
    if path.exists():
        return [path]
    found = sorted(p for p in _matching(argument) if p.is_file())
    if not found:
        pattern = any(sign in argument for sign in "*?[")
        raise UserError(f"{argument} {'matches no file' if pattern else 'does not exist'}: check the path")
    return found


def _matching(pattern: str) -> Iterator[Path]:
    """Files that a pattern names, which the shell has not replaced by them."""
    anchor = Path(pattern).anchor
    return Path(anchor or ".").glob(pattern.removeprefix(anchor))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): check the path") from error


def _standard_input() -> bytes:
    raw = sys.stdin.buffer.read()
    if not raw:
        raise UserError("standard input is empty: pipe the bytes of one image file into it")
    return raw


def _plain(image: Image.Image) -> Image.Image:
    """A Pillow image as one of the modes that an array of uint8 can say: gray or RGB, upright."""
    shown = plain(upright(image))
    return shown if shown.mode in ("L", "RGB") else shown.convert("RGB")


def _checked(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    fits = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (1, 3))
    if pixels.dtype != np.uint8 or not fits or not pixels.size:
        raise UserError(
            "an image as an array is uint8, (height, width) or (height, width, 1 or 3), from 0 to 255. "
            f"Received: {pixels.dtype} {pixels.shape}"
        )
    return pixels
