"""Pictures as a person has them: files, folders, globs, standard input, arrays; of any size and mode."""

import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from search.datasets.images.image_file import (
    FORMATS,
    BrokenImageError,
    decoded,
    plain,
    size_of,
    upright,
)
from search.datasets.images.pixel_range import depth_of
from search.datasets.listing.folder_files import files_of
from search.datasets.listing.path_names import IMAGE_SUFFIXES, is_hidden, is_image, printable, suffix_of
from search.safety.sizes import MAX_PICTURE, read_file
from spaces.errors import UserError

_ADDRESS: Final = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
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

    def pixels(self, shape: tuple[int, int, int], bits: int | None = None) -> NDArray[np.uint8]:
        """Return it upright, resized and in the colours asked for, by the steps of the training images.

        Args:
            shape: (height, width, channels).
            bits: that images of 16 bits a channel use in the training data; None: by this one's own range.

        Returns:
            uint8, of that shape.

        Raises:
            UserError: it is no image that can be read.
        """
        height, width, channels = shape
        try:
            found = decoded(self.raw, self.name, (height, width), channels, bits or 16)
            if bits is None and found.brightest is not None:
                own = depth_of(found.brightest, self.name)
                found = decoded(self.raw, self.name, (height, width), channels, own)
            return found.pixels
        except BrokenImageError as error:
            raise UserError(
                f"{self.name} is no image that can be read ({error}): give a file in one of the formats "
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


def gather(arguments: Sequence[str], say: Callable[[str], None] = lambda _: None) -> Iterator[Picture]:
    """Find the pictures that the arguments of a command name, each once, in their order.

    Folders and patterns take the files that a training set would take: no hidden ones, no copies of macOS,
    and no links that leave a folder. A file that is named may be called anything.

    Args:
        arguments: a file, a folder (with the folders in it), a pattern, or "-" for one on standard input.
        say: takes a line for each folder or pattern of which something was left out.

    Raises:
        UserError: one of them names nothing.
    """
    seen: set[str] = set()
    for argument in arguments:
        if argument == STANDARD_INPUT:
            yield Picture("standard input", _standard_input())
            continue
        for path in _files(argument, say):
            if str(path) not in seen:
                seen.add(str(path))
                yield Picture(printable(str(path)), _read(path))


def stacked(
    pictures: Iterable[Picture], shape: tuple[int, int, int], bits: int | None = None
) -> NDArray[np.uint8]:
    """Return all pictures in one array, uint8 (pictures, height, width, channels); `bits` as in `pixels`."""
    images = [picture.pixels(shape, bits) for picture in pictures]
    return np.stack(images) if images else np.zeros((0, *shape), np.uint8)


def _files(argument: str, say: Callable[[str], None]) -> list[Path]:
    if not argument:
        raise UserError("the name of a picture is empty: name a file, or . for the current folder")
    path = Path(argument)
    if path.is_dir():
        return _of_folder(path, say)
    if path.exists():
        return [path]
    if _ADDRESS.match(argument):
        raise UserError(_about_address(argument))
    if not any(sign in argument for sign in "*?["):
        raise UserError(f"{argument} does not exist: check the path")
    return _matching(argument, say)


def _about_address(address: str) -> str:
    return (
        f"{address} is an address, and pictures are files: curl -s {shlex.quote(address)} | candor predict -"
    )


def _of_folder(folder: Path, say: Callable[[str], None]) -> list[Path]:
    """The images in a folder and below, listed as for a training set."""
    files, links = files_of(folder.resolve())
    found = sorted(Path(path) for path in files if is_image(path))
    others = [path for path in files if not is_image(path) and not is_hidden(path)]
    left = [f"{len(others):,} files that are no images by their names"] if others else []
    left += [f"{len(links):,} links to folders or elsewhere"] if links else []
    if not found:
        there = f", but {' and '.join(left)}" if left else ""
        raise UserError(f"the folder {folder} holds no images ({', '.join(IMAGE_SUFFIXES)}){there}")
    if left:
        say(f"{folder}: {' and '.join(left)} left out")
    return [folder / path for path in found]


def _matching(pattern: str, say: Callable[[str], None]) -> list[Path]:
    """Files that a pattern names, which the shell has not replaced by them.

    A pattern that ends in a suffix of its own, such as *.dat, takes files of that suffix.
    """
    parts = Path(pattern).parts
    depth = next(number for number, part in enumerate(parts) if any(sign in part for sign in "*?["))
    if parts[-1] == "**":  # pathlib would find folders alone
        parts = (*parts, "*")
    base = Path(*parts[:depth])
    matches = sorted(path for path in base.glob(str(Path(*parts[depth:]))) if path.is_file())
    shown = [path for path in matches if not is_hidden(path.relative_to(base).as_posix())]
    suffix = suffix_of(parts[-1])
    named = bool(suffix) and not any(sign in suffix for sign in "*?[")
    found = [path for path in shown if named or is_image(path.name)]
    left = len(matches) - len(found)
    if not found:
        other = f": of the {left:,} files that it does match, none is an image by its name" if left else ""
        raise UserError(f"{pattern} matches no file{other or ': check the path'}")
    if left:
        say(f"{pattern}: {left:,} files that are hidden, or no images by their names, left out")
    return found


def _read(path: Path) -> bytes:
    try:
        return read_file(path)
    except OSError as error:
        if _ADDRESS.match(str(path).replace(":/", "://", 1)):
            raise UserError(_about_address(str(path).replace(":/", "://", 1))) from error
        raise UserError(f"{path} cannot be read ({error.strerror}): check the path") from error


def _standard_input() -> bytes:
    raw = sys.stdin.buffer.read(MAX_PICTURE + 1)
    if not raw:
        raise UserError("standard input is empty: pipe the bytes of one image file into it")
    if len(raw) > MAX_PICTURE:
        raise UserError(f"standard input has more than {MAX_PICTURE / 2**20:,.0f} MiB: it is no image file")
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
