"""Polygons for n faces at once, and the few curves that faces are made of.

A face's own coordinates have their origin between the eyes and the tip of the nose, x to the right, y
downwards; the unit is about half the height of the head.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from search.datasets.synthetic.randomness import Array

ALONG = np.linspace(-1, 1, 13)  # along a lid, a brow, a lip
OUTWARDS = (ALONG + 1) / 2  # the same from 0 to 1
ARCH = 1 - ALONG**2  # nought at both ends


class Layer(NamedTuple):
    """One polygon of every face: points (n, k, 2), gray (n,) from 0 to 255, and which faces have it (n,)."""

    points: Array
    gray: Array
    shown: NDArray[np.bool_] | None = None


def column(values: ArrayLike) -> Array:
    """(n,) as (n, 1), to be combined with the points of a curve."""
    return np.asarray(values, dtype=float)[:, None]


def curve(x: Array, y: Array) -> Array:
    """Points (n, k, 2) of x and y, each (n, k) or what broadcasts to it."""
    return np.stack(np.broadcast_arrays(x, y), axis=-1)


def band(x: Array, top: Array, bottom: Array) -> Array:
    """The area between two curves over the same x, each (n, k)."""
    return np.concatenate([curve(x, top), curve(x, bottom)[:, ::-1]], axis=1)


def upright(y: Array, left: Array, right: Array) -> Array:
    """The area between two curves that run down over the same y, each (n, k)."""
    return band(y, left, right)[..., ::-1]


def ellipse(x: ArrayLike, y: ArrayLike, wide: ArrayLike, high: ArrayLike, k: int = 18) -> Array:
    """Draw ellipses as closed curves.

    Args:
        x: Horizontal centres, (images,) or one number.
        y: Vertical centres, (images,) or one number.
        wide: Horizontal half axes, (images,) or one number.
        high: Vertical half axes, (images,) or one number.
        k: The number of points of a curve.

    Returns:
        The curves, in the form of `curve`.
    """
    angle = np.linspace(0, 2 * np.pi, k, endpoint=False)
    x, y, wide, high = np.broadcast_arrays(x, y, wide, high)
    return curve(column(x) + column(wide) * np.cos(angle), column(y) + column(high) * np.sin(angle))


def turned(points: Array, angle: Array) -> Array:
    """Rotate points (n, k, 2) around the origin by angles (n,) in radians."""
    cosine, sine = column(np.cos(angle)), column(np.sin(angle))
    x, y = points[..., 0], points[..., 1]
    return curve(x * cosine - y * sine, x * sine + y * cosine)
