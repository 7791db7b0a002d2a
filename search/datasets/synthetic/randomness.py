"""Randomness by name and number: what image i looks like never depends on how many images are drawn."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

COLUMNS = 192  # numbers in store for each image; running out is an IndexError, not a repetition


class Chance:
    """Random numbers for n images at once, row i drawn from a generator of image i's own."""

    def __init__(self, keys: Iterable[tuple[int, ...]]) -> None:
        """Seed one generator per image with its key: non-negative integers, such as (seed, part, index)."""
        self.generators = [np.random.Generator(np.random.PCG64(np.random.SeedSequence(key))) for key in keys]
        self._flat = np.stack([generator.random(COLUMNS) for generator in self.generators])
        self._bell = np.stack([generator.standard_normal(COLUMNS) for generator in self.generators])
        self._used_flat = self._used_bell = 0

    def uniform(self, low: float, high: float) -> Array:
        """Next uniform numbers, shape (n,)."""
        self._used_flat += 1
        return low + (high - low) * self._flat[:, self._used_flat - 1]

    def normal(self, mean: float, deviation: float) -> Array:
        """Next normal numbers, shape (n,), within three standard deviations."""
        self._used_bell += 1
        return mean + deviation * np.clip(self._bell[:, self._used_bell - 1], -3, 3)

    def integer(self, below: int) -> NDArray[np.int64]:
        """Next integers from 0 to `below` - 1, shape (n,)."""
        return self.uniform(0, below).astype(np.int64)

    def event(self, probability: float) -> NDArray[np.bool_]:
        """Whether something of this probability happens, shape (n,)."""
        return self.uniform(0.0, 1.0) < probability
