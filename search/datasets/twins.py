"""Twins: images that show one picture. Exact ones have equal pixels; near ones are verified by likeness."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from search.datasets.near_twins import Pairs, near_pairs

#: Above, all pairs take too long: only exact twins are looked for (the time grows with the square).
MOST: Final = 200_000


@dataclass(frozen=True)
class Twins:
    """Groups of n images. `groups`: int64 (n,), twins of any kind share a number; `exact`: the same for equal
    pixels.

    `near`: the pairs between different pictures, one image standing for all that have its pixels.
    """

    groups: NDArray[np.int64]
    exact: NDArray[np.int64]
    near: Pairs

    def write(self, path: Path) -> None:
        """Write everything into an npz file."""
        near = {f"near_{name}": array for name, array in vars(self.near).items()}
        np.savez(path, allow_pickle=False, groups=self.groups, exact=self.exact, **near)

    @classmethod
    def open(cls, path: Path) -> "Twins":
        """Read what `write` wrote."""
        with np.load(path, allow_pickle=False) as file:
            near = Pairs(*(file[f"near_{name}"] for name in ("one", "other", "likeness", "mirrored")))
            return cls(file["groups"], file["exact"], near)


def find_twins(images: NDArray[np.uint8], digests: Sequence[bytes]) -> Twins:
    """Group images (n, h, w, c), given a digest of the pixels of each."""
    same = exact_pairs(digests)
    exact = grouped(len(digests), same)
    first = np.unique(exact, return_index=True)[1]
    found = near_pairs(images[first]) if len(first) <= MOST else near_pairs(images[:0])
    near = Pairs(first[found.one], first[found.other], found.likeness, found.mirrored)
    both = [*same, *zip(near.one.tolist(), near.other.tolist(), strict=True)]
    return Twins(grouped(len(digests), both), exact, near)


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

    for pair in pairs:
        one, other = sorted(root(row) for row in pair)
        parent[other] = one
    roots = np.array([root(row) for row in range(count)], dtype=np.int64)
    return np.unique(roots, return_inverse=True)[1].astype(np.int64)
