"""Pairs of near duplicates."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """Verified duplicates, m of them: rows, the correlation of their detail, and whether one is mirrored."""

    one: Rows
    other: Rows
    likeness: NDArray[np.float32]
    mirrored: NDArray[np.bool_]

    @classmethod
    def joined(cls, some: Sequence["Pairs"]) -> "Pairs":
        """Return the pairs of all; none, if there are none."""
        none = np.empty(0, np.int64)
        every = [cls(none, none, np.empty(0, np.float32), np.empty(0, np.bool_)), *some]
        return cls(*(np.concatenate([getattr(one, name) for one in every]) for name in cls.__annotations__))

    def __len__(self) -> int:
        return len(self.one)

    def of(self, rows: Rows) -> "Pairs":
        """Return some of the pairs."""
        return Pairs(self.one[rows], self.other[rows], self.likeness[rows], self.mirrored[rows])

    def each_once(self) -> "Pairs":
        """Return each pair of rows once, as it was found first."""
        first = np.unique(np.stack([self.one, self.other]), axis=1, return_index=True)[1]
        return self.of(np.sort(first))
