"""Where pictures have marked spots, and what surrounds each: what a turn, a zoom or a shift leaves as it is.

Spots are extrema of a difference of Gaussians, as in SIFT (Lowe 2004), at three sizes. Around each, the
picture is sampled on rings. Turning or mirroring the picture then only changes the order of the samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]

SIDE: Final = 48  # of the pictures in which keypoints are looked for
ANGLES: Final = 18  # samples on a ring: they are 20 degrees apart
RINGS: Final = (0.2, 0.4, 0.57, 0.77, 1.0)  # of the radius
RADII: Final = (7.0, 9.0, 12.0)  # of the surroundings, in pixels, for each size of spot
_BLURS: Final = (1.0, 1.4, 2.0, 2.8)  # standard deviations in pixels; a size lies between two of them
_EACH: Final = 4  # keypoints of one size in one picture: the strongest
_BORDER: Final = 3  # pixels at the edge that hold no keypoint
_FAINT: Final = 1.0  # gray levels: weaker extrema are noise


@dataclass(frozen=True)
class Keypoints:
    """Marked spots of some pictures, m of them, in the order of the pictures.

    `picture`, `size`: int64 (m,), the picture's number, and which of `RADII` its surroundings have.

    `place`: float32 (m, 2), row and column of the spot in a picture of `SIDE` pixels.
    `samples`: float16 (m, rings, angles), the surroundings, with mean 0 and standard deviation 1.
    """

    picture: NDArray[np.int64]
    size: NDArray[np.int64]
    place: NDArray[np.float32]
    samples: NDArray[np.float16]

    @classmethod
    def joined(cls, some: Sequence["Keypoints"]) -> "Keypoints":
        """Return the keypoints of several blocks of pictures, whose numbers are counted on."""
        return cls(*(np.concatenate([getattr(one, name) for one in some]) for name in cls.__annotations__))

    def __len__(self) -> int:
        return len(self.picture)


def keypoints(pictures: Pixels, first: int = 0) -> Keypoints:
    """Find the keypoints of pictures whose local contrast is even.

    Args:
        pictures: (n, SIDE, SIDE).
        first: Number of the first of them.
    """
    blurred = [_blurred(pictures, sigma) for sigma in _BLURS]
    found = []
    for size in range(len(RADII)):
        picture, place = _extrema(blurred[size] - blurred[size + 1])
        radius = np.full(len(picture), RADII[size], np.float32)
        samples = surroundings(blurred[size], picture, place, radius)
        found.append(
            Keypoints(picture + first, np.full(len(picture), size), place, samples.astype(np.float16))
        )
    return Keypoints.joined(found)


def blurred_for(pictures: Pixels, size: int) -> Pixels:
    """Return pictures blurred as for the surroundings of keypoints of one size."""
    return _blurred(pictures, _BLURS[size])


def surroundings(
    pictures: Pixels,
    picture: NDArray[np.int64],
    place: NDArray[np.float32],
    radius: NDArray[np.float32],
    turned: NDArray[np.float32] | None = None,
) -> Pixels:
    """Sample pictures around some places, on rings.

    Args:
        pictures: (n, SIDE, SIDE), blurred.
        picture: (m,), which picture.
        place: (m, 2), row and column in it.
        radius: (m,), of the outer ring, in pixels.
        turned: By which angle the first sample of a ring lies off, in radians: (m,); None: not.

    Returns:
        (m, rings, angles), each of the m with mean 0 and standard deviation 1.
    """
    angle = np.arange(ANGLES, dtype=np.float32) * np.float32(2 * np.pi / ANGLES)
    if turned is not None:
        angle = turned[:, None, None] + angle
    reach = radius[:, None, None] * np.array(RINGS, np.float32)[:, None]
    down = np.clip(place[:, :1, None] + reach * np.sin(angle), 0, SIDE - 1)
    across = np.clip(place[:, 1:, None] + reach * np.cos(angle), 0, SIDE - 1)
    row, column = (np.minimum(at.astype(np.int64), SIDE - 2) for at in (down, across))
    below, right = (down - row).astype(np.float32), (across - column).astype(np.float32)
    at = (picture[:, None, None] * SIDE + row) * SIDE + column
    flat = pictures.ravel()
    upper = flat[at] * (1 - right) + flat[at + 1] * right
    lower = flat[at + SIDE] * (1 - right) + flat[at + SIDE + 1] * right
    found = upper * (1 - below) + lower * below
    found -= found.mean((1, 2), keepdims=True)
    return np.asarray(found / (found.std((1, 2), keepdims=True) + np.float32(1e-3)), dtype=np.float32)


def _extrema(difference: Pixels) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return picture and place of the strongest local extrema, to a fraction of a pixel."""
    strength = np.abs(difference)
    strength[:, :_BORDER] = strength[:, -_BORDER:] = 0
    strength[:, :, :_BORDER] = strength[:, :, -_BORDER:] = 0
    strength = strength.reshape(len(difference), -1)
    picture, pixel = np.nonzero(_peaks(difference).reshape(strength.shape) & (strength > _FAINT))
    order = np.lexsort((-strength[picture, pixel], picture))
    picture, pixel = picture[order], pixel[order]
    strongest = np.arange(len(picture)) - np.searchsorted(picture, picture) < _EACH
    picture, pixel = picture[strongest], pixel[strongest]
    row, column = np.divmod(pixel, SIDE)
    there = difference[picture, row, column]
    offsets = []
    for step in ((1, 0), (0, 1)):
        after = difference[picture, row + step[0], column + step[1]]
        before = difference[picture, row - step[0], column - step[1]]
        bend = after + before - 2 * there
        offsets.append(np.clip((before - after) / np.where(bend == 0, 1, 2 * bend), -0.5, 0.5))
    return picture, np.stack([row + offsets[0], column + offsets[1]], axis=1).astype(np.float32)


def _peaks(values: Pixels) -> NDArray[np.bool_]:
    """Say which pixels are the highest or the lowest of the nine around them; not at the pictures' edges."""
    tall = values.reshape(-1, SIDE)  # the pictures over each other
    around = np.ones((3, 3), np.uint8)
    highest, lowest = cv2.dilate(tall, around), cv2.erode(tall, around)
    return np.asarray((tall == highest) | (tall == lowest)).reshape(values.shape)


def _blurred(pictures: Pixels, sigma: float) -> Pixels:
    weights = _gauss(sigma)
    return np.asarray(weights @ pictures @ weights.T, dtype=np.float32)


@cache
def _gauss(sigma: float) -> NDArray[np.float32]:
    """Return weights (SIDE, SIDE) that blur a line of pixels, edges repeated."""
    reach = np.arange(-int(4 * sigma) - 1, int(4 * sigma) + 2)
    weight = np.exp(-np.square(reach / sigma) / 2)
    weights = np.zeros((SIDE, SIDE))
    for offset, share in zip(reach, weight / weight.sum(), strict=True):
        np.add.at(weights, (np.arange(SIDE), np.clip(np.arange(SIDE) + offset, 0, SIDE - 1)), share)
    return weights.astype(np.float32)
