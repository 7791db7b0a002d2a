"""Duplicates: images of one picture. Exact ones have equal pixels; near ones are verified by likeness."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from search.datasets.duplicates.near import near_pairs
from search.datasets.duplicates.pairs import Pairs

#: Above, all pairs take too long: only exact duplicates are looked for (the time grows with the square).
MOST: Final = 200_000
#: Near duplicates in a group of more images than both of these say nothing: digits and icons are alike
#: without being copies. The largest group of copies in FER-2013 has 26 images. The frames of a
#: long video count as such look-alikes too, which the audit says.
COMMON: Final = 100
COMMON_SHARE: Final = 0.02


@dataclass(frozen=True)
class Duplicates:
    """Groups of n images. `groups`: int64 (n,), duplicates of any kind share a number.

    `exact`: int64 (n,), images of equal pixels share a number.

    `near`: the pairs between different pixels, one image standing for all that have its pixels.
    `look_alikes`: how many images are like so many others that their likeness was not counted.
    """

    groups: NDArray[np.int64]
    exact: NDArray[np.int64]
    near: Pairs
    look_alikes: int

    def write(self, path: Path) -> None:
        """Write everything into an npz file."""
        near = {f"near_{name}": array for name, array in vars(self.near).items()}
        look_alikes = np.array(self.look_alikes)
        np.savez(
            path, allow_pickle=False, groups=self.groups, exact=self.exact, look_alikes=look_alikes, **near
        )

    @classmethod
    def open(cls, path: Path) -> "Duplicates":
        """Read what `write` wrote."""
        with np.load(path, allow_pickle=False) as file:
            near = Pairs(*(file[f"near_{name}"] for name in ("one", "other", "likeness", "mirrored")))
            return cls(file["groups"], file["exact"], near, int(file["look_alikes"]))


def find_duplicates(images: NDArray[np.uint8], digests: Sequence[bytes]) -> Duplicates:
    """Group images (n, h, w, c), given a digest of the pixels of each."""
    same = exact_pairs(digests)
    exact = grouped(len(digests), same)
    first = np.unique(exact, return_index=True)[1]
    found = near_pairs(images, rows=first if len(first) <= MOST else first[:0])
    common = _common(len(digests), found)
    near = found.of(np.flatnonzero(~common[found.one]))
    both = [*same, *zip(near.one.tolist(), near.other.tolist(), strict=True)]
    return Duplicates(grouped(len(digests), both), exact, near, int(common.sum()))


def _common(count: int, pairs: Pairs) -> NDArray[np.bool_]:
    """Say which images are linked, over others, to so many that their likeness proves no copy."""
    groups = grouped(count, zip(pairs.one.tolist(), pairs.other.tolist(), strict=True))
    sizes = np.bincount(groups, minlength=1)[groups]
    return np.asarray(sizes > max(COMMON, COMMON_SHARE * count))


def exact_pairs(digests: Sequence[bytes]) -> list[tuple[int, int]]:
    """Return pairs of rows with one digest, each image paired with the first of its kind."""
    first: dict[bytes, int] = {}
    return [
        (first[digest], row) for row, digest in enumerate(digests) if first.setdefault(digest, row) != row
    ]


def pairs_of(groups: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return pairs of rows that share a group, each image paired with the first of its group."""
    first = dict(zip(groups.tolist()[::-1], range(len(groups))[::-1], strict=True))
    return [(first[group], row) for row, group in enumerate(groups.tolist()) if first[group] != row]


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
