"""Twins: images that show the same picture. Exact ones have the same pixels."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray


def exact_pairs(digests: Sequence[bytes]) -> list[tuple[int, int]]:
    """Return pairs of rows with one digest, each image paired with the first of its kind."""
    first: dict[bytes, int] = {}
    return [
        (first[digest], row) for row, digest in enumerate(digests) if first.setdefault(digest, row) != row
    ]


def grouped(count: int, pairs: Iterable[tuple[int, int]]) -> NDArray[np.int64]:
    """Return a group number for each of `count` images: those that pairs connect share one (union-find).

    Groups are numbered from 0 in the order of their first images.
    """
    parent = list(range(count))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for one, other in pairs:
        one, other = sorted((root(one), root(other)))
        parent[other] = one
    roots = np.array([root(row) for row in range(count)], dtype=np.int64)
    return np.unique(roots, return_inverse=True)[1].astype(np.int64)
