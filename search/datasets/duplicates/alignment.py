"""How alike two pictures are once one is laid over the other: many pairs at once, in numpy.

The best overlay is found as in registration by Gauss and Newton's method (Lucas and Kanade 1981; Baker and
Matthews 2004): shift and scale along both axes, with gain and offset of the brightness solved for in the same
step. A crop, a resize or a change of brightness is such an overlay; another picture is not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]  # (pairs, side, side)
Numbers = NDArray[np.float32]  # (pairs,)

SCALES: Final = (0.8, 1.25)
SHIFT: Final = 0.2  # of half a side
_STEP: Final = 0.1
_FAINT: Final = 0.25  # share of the mean detail that a faint place is given, so that noise stays faint
_STRENGTH: Final = np.float32(40)  # gray levels
_BACKGROUND: Final = 4  # smoothings that leave the coarse shapes which all faces, or all shoes, share


@dataclass(frozen=True)
class Overlay:
    """Where the pixels of one picture come to lie in the other's frame, which reaches from -1 to 1.

    `scale`, `shift`: shape (pairs, 2), vertical first: position = scale * own position + shift.
    """

    scale: NDArray[np.float32]
    shift: NDArray[np.float32]

    @classmethod
    def identity(cls, pairs: int) -> "Overlay":
        """Return the overlay that moves nothing."""
        return cls(np.ones((pairs, 2), np.float32), np.zeros((pairs, 2), np.float32))

    def of(self, rows: NDArray[np.int64]) -> "Overlay":
        """Return the overlays of some pairs."""
        return Overlay(self.scale[rows], self.shift[rows])


def smooth(images: Pixels) -> Pixels:
    """Return images under a 3x3 binomial filter, edges repeated."""
    return _blurred(images, 1)


def detail(images: Pixels) -> Pixels:
    """Return images without their coarse shapes and their light."""
    return images - _blurred(images, _BACKGROUND)


def even(images: Pixels, side: int = 0) -> Pixels:
    """Return images without their coarse shapes, with one strength of detail everywhere.

    What lights a part of a picture, or stretches its contrast, is gone. Above 24 pixels the neighbourhood
    of a pixel is larger.

    Args:
        images: (pairs, side, side).
        side: Of the images, in pixels; 0 for thumbnails.

    Returns:
        Gray levels around 0, most within 100 of it.
    """
    times = _BACKGROUND if side <= 24 else 2 * _BACKGROUND
    fine = images - _blurred(images, times)
    strength = np.sqrt(_blurred(np.square(fine), times))
    level = np.float32(_FAINT) * strength.mean((1, 2), keepdims=True) + np.float32(1e-3)
    return np.asarray(_STRENGTH * fine / (strength + level), dtype=np.float32)


def resampled(images: NDArray[np.uint8], side: int) -> Pixels:
    """Return uint8 images (n, h, w) as floats of (n, side, side): a triangle filter, antialiased."""
    if images.shape[1:] == (side, side):
        return images.astype(np.float32)
    down, across = (_triangle(length, side) for length in images.shape[1:])
    return np.asarray(down @ images.astype(np.float32) @ across.T, dtype=np.float32)


def refine(moving: Pixels, still: Pixels, overlay: Overlay, steps: int) -> Overlay:
    """Improve the overlays that lay `moving` over `still`, both smoothed."""
    for _ in range(steps):
        overlay = _step(moving, still, overlay)
    return overlay


def likeness(
    moving: Pixels, still: Pixels, overlay: Overlay, of: Callable[[Pixels], Pixels] | None = None
) -> Numbers:
    """Return the correlation of each pair where they cover each other.

    Args:
        moving: (pairs, side, side).
        still: (pairs, side, side).
        overlay: Lays the first over the second.
        of: What of both is compared; None for the pictures themselves.

    Returns:
        A number in [-1, 1] for each pair.
    """
    laid, covered = _laid(moving, overlay)
    return _correlation(laid if of is None else of(laid), still if of is None else of(still), covered)


def _step(moving: Pixels, still: Pixels, overlay: Overlay) -> Overlay:
    """Solve for the small change of overlay, gain and offset that brings `moving` nearest to `still`."""
    laid, covered = _laid(moving, overlay)
    pairs, side = laid.shape[:2]
    place = np.linspace(-1, 1, side, dtype=np.float32)
    down, across = (slope * np.float32((side - 1) / 2) for slope in np.gradient(laid, axis=(1, 2)))
    terms = (np.ones_like(laid), laid, down * place[:, None], down, across * place, across)
    basis = np.stack(terms, axis=1).reshape(pairs, 6, -1) * covered.reshape(pairs, 1, -1)
    normal = basis @ basis.transpose(0, 2, 1)
    diagonal = np.arange(6)
    normal[:, diagonal, diagonal] = normal[:, diagonal, diagonal] * np.float32(1.0005) + np.float32(1e-3)
    solved = np.linalg.solve(normal, basis @ still.reshape(pairs, -1, 1))[..., 0]
    change = np.clip(solved[:, 2:] / np.maximum(solved[:, 1:2], 0.3), -_STEP, _STEP)
    return Overlay(
        np.clip(overlay.scale * (1 + change[:, 0::2]), *SCALES),
        np.clip(overlay.shift + overlay.scale * change[:, 1::2], -SHIFT, SHIFT),
    )


def _laid(moving: Pixels, overlay: Overlay) -> tuple[Pixels, Pixels]:
    """Return `moving` as the overlay lays it, bilinear, and 1 where it covers the frame, else 0."""
    side = moving.shape[1]
    down, within_down = _bilinear(overlay.scale[:, :1], overlay.shift[:, :1], side)
    across, within_across = _bilinear(overlay.scale[:, 1:], overlay.shift[:, 1:], side)
    laid = np.asarray(down @ moving @ across.transpose(0, 2, 1), dtype=np.float32)
    return laid, within_down[:, :, None] * within_across[:, None, :]


def _bilinear(scale: Numbers, shift: Numbers, side: int) -> tuple[Pixels, Numbers]:
    """Return weights (pairs, side, side), output by input, and 1 where an output has an input, else 0."""
    half = np.float32((side - 1) / 2)
    position = (np.linspace(-1, 1, side, dtype=np.float32) * scale + shift) * half + half
    within = (position >= -0.5) & (position <= side - 0.5)
    reach = np.abs(np.clip(position, 0, side - 1)[:, :, None] - np.arange(side, dtype=np.float32))
    return np.maximum(np.float32(0), np.float32(1) - reach), within.astype(np.float32)


def _correlation(one: Pixels, other: Pixels, covered: Pixels) -> Numbers:
    count = covered.sum((1, 2), keepdims=True)
    one = (one - (one * covered).sum((1, 2), keepdims=True) / count) * covered
    other = (other - (other * covered).sum((1, 2), keepdims=True) / count) * covered
    norms = np.sqrt(np.square(one).sum((1, 2)) * np.square(other).sum((1, 2)))
    correlation: Numbers = (one * other).sum((1, 2)) / np.maximum(norms, np.float32(1e-6))
    return correlation


def _blurred(images: Pixels, times: int) -> Pixels:
    """Return images under a binomial filter, applied several times: a product with a matrix on both sides."""
    weights = _binomial(images.shape[1], times)
    return np.asarray(weights @ images @ weights.T, dtype=np.float32)


@cache
def _binomial(side: int, times: int) -> NDArray[np.float32]:
    """Return weights (side, side) that smooth a line of pixels by (1, 2, 1) / 4, so many times."""
    rows = np.arange(side)
    weights = np.zeros((side, side))
    for offset, weight in ((-1, 0.25), (0, 0.5), (1, 0.25)):
        np.add.at(weights, (rows, np.clip(rows + offset, 0, side - 1)), weight)
    return np.linalg.matrix_power(weights, times).astype(np.float32)


@cache
def _triangle(length: int, side: int) -> NDArray[np.float32]:
    """Return weights (side, length) that resample a line of pixels."""
    width = max(1.0, length / side)
    centres = (np.arange(side) + 0.5) * length / side - 0.5
    weights = np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(length)) / width)
    return np.asarray(weights / weights.sum(1, keepdims=True), dtype=np.float32)
