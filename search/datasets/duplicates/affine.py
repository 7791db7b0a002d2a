"""Lay one picture over another that was turned, zoomed, sheared, shifted or mirrored: many pairs at once.

As `alignment`, by Gauss and Newton's method (Baker and Matthews 2004), here for all six numbers of an affine
map.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]  # (pairs, side, side)
Numbers = NDArray[np.float32]  # (pairs,)

_STEP: Final = 0.15  # the most that one step changes; of half a side for the shift
_PENALTY: Final = 1e-3  # on each change, as a share of its own effect: keeps faint pictures in place


@dataclass(frozen=True)
class Maps:
    """Where each place of the still picture comes from in the moving one; both reach from -1 to 1.

    `matrix`: float32 (pairs, 2, 3), on (column, row, 1).
    """

    matrix: NDArray[np.float32]

    def of(self, rows: NDArray[np.int64]) -> "Maps":
        """Return the maps of some pairs."""
        return Maps(self.matrix[rows])

    def turned(self) -> Numbers:
        """Return by how many degrees each turns, in [0, 180], whether or not it mirrors."""
        (a, b), (c, d) = self.matrix[:, 0, :2].T, self.matrix[:, 1, :2].T
        sign = np.sign(a * d - b * c)
        return np.asarray(np.degrees(np.abs(np.arctan2(c - sign * b, d + sign * a))), dtype=np.float32)

    def mirrored(self) -> NDArray[np.bool_]:
        """Say which mirror."""
        return np.asarray(np.linalg.det(self.matrix[:, :, :2]) < 0)

    def zoomed(self) -> tuple[Numbers, Numbers]:
        """Return the least and the greatest factor by which each stretches lengths."""
        lengths = np.linalg.svd(self.matrix[:, :, :2], compute_uv=False)
        return lengths[:, 1], lengths[:, 0]


def laid(moving: Pixels, maps: Maps) -> tuple[Pixels, NDArray[np.float32]]:
    """Return `moving` as the maps lay it, bilinear, and 1 where it covers the frame, else 0."""
    pairs, side = moving.shape[:2]
    half = np.float32((side - 1) / 2)
    linear, shift = maps.matrix[:, :, :2], maps.matrix[:, :, 2]
    centre = half * (shift + 1) - half * linear.sum(2)
    pixels = np.concatenate([linear, centre[:, :, None]], axis=2).astype(np.float64)
    found = np.empty_like(moving)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for pair in range(pairs):
        cv2.warpAffine(
            moving[pair], pixels[pair], (side, side), found[pair], flags, borderMode=cv2.BORDER_REPLICATE
        )
    place = np.linspace(-1, 1, side, dtype=np.float32)
    edge = np.float32(1 + 1 / side)
    covered = np.ones(moving.shape, np.bool_)
    for axis in range(2):
        at = (linear[:, axis, 1, None] * place + shift[:, axis, None])[:, :, None]
        covered &= np.abs(at + (linear[:, axis, 0, None] * place)[:, None, :]) <= edge
    return found, covered.astype(np.float32)


def refine(moving: Pixels, still: Pixels, maps: Maps, steps: int) -> Maps:
    """Improve the maps that lay `moving` over `still`."""
    for _ in range(steps):
        maps = _step(moving, still, maps)
    return maps


def _step(moving: Pixels, still: Pixels, maps: Maps) -> Maps:
    """Solve for the small affine change, gain and offset that bring `moving` nearest to `still`."""
    over, covered = laid(moving, maps)
    pairs, side = over.shape[:2]
    place = np.linspace(-1, 1, side, dtype=np.float32)
    across, down = place[None, :], place[:, None]
    to_down, to_across = (slope * np.float32((side - 1) / 2) for slope in np.gradient(over, axis=(1, 2)))
    basis = np.empty((pairs, 8, side, side), np.float32)
    for first, slope in ((0, to_across), (3, to_down)):
        basis[:, first] = slope * across
        basis[:, first + 1] = slope * down
        basis[:, first + 2] = slope
    basis[:, 6], basis[:, 7] = over, 1
    basis *= covered[:, None]
    lines = basis.reshape(pairs, 8, side * side)
    normal = lines @ lines.transpose(0, 2, 1)
    diagonal = np.arange(8)
    normal[:, diagonal, diagonal] = normal[:, diagonal, diagonal] * np.float32(1 + _PENALTY) + np.float32(1)
    solved = np.linalg.solve(normal, lines @ still.reshape(pairs, side * side, 1))[..., 0]
    change = np.clip(solved[:, :6] / np.maximum(solved[:, 6:7], 0.3), -_STEP, _STEP).reshape(pairs, 2, 3)
    whole = np.zeros((pairs, 3, 3), np.float32)
    whole[:, :2] = change
    whole[:, np.arange(3), np.arange(3)] += 1
    return Maps(maps.matrix @ whole)
