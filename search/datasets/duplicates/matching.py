"""Which keypoints of a set have surroundings alike, in any pose, without comparing all with all.

The samples are projected to few numbers by linear discriminants: directions in which keypoints differ, and
copies of one keypoint (under noise, CLAHE, small turns and zooms) do not. They are learnt from the set.
Then an inverted file, as in image retrieval: keypoints are compared with those of the nearest cells alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from search.datasets.duplicates.keypoints import ANGLES, RADII, Keypoints, blurred_for, surroundings
from search.datasets.duplicates.pairs import Rows

Vectors = NDArray[np.float32]  # (m, numbers), each of length one

NUMBERS: Final = 24  # that describe a keypoint
#: Poses in which a set is compared with itself: turned by so many steps of 20 degrees, and mirrored or not.
#: Turns the other way are those of the other picture of a pair.
POSES: Final = ((0, False), (1, False), (-1, True), (0, True), (1, True))
ALL_POSES: Final = (*POSES, (-1, False))
_CELLS: Final = 1024
_PROBED: Final = 2  # cells in which a keypoint is looked for
_WANTED: Final = 3  # how many others a typical keypoint is paired with, in one pose
_MOST: Final = 8  # the same, at the most, on average in a cell
_ASKED: Final = 256  # keypoints from which the threshold is set
_BLOCK: Final = 4096
_FLOOR: Final = 0.05  # share of the mean variance that is added to each: few pictures say little


@dataclass(frozen=True)
class Projection:
    """A linear map of surroundings to a few numbers. `mean`: (samples,), `weights`: (samples, numbers)."""

    mean: NDArray[np.float32]
    weights: NDArray[np.float32]

    @classmethod
    def learnt(cls, originals: Keypoints, changes: list[NDArray[np.float32]]) -> "Projection":
        """Return the discriminants of keypoints.

        Args:
            originals: Keypoints of a sample of the set.
            changes: The samples around the same places of changed copies, each like `originals.samples`.
        """
        samples = originals.samples.reshape(len(originals), -1).astype(np.float64)
        mean = samples.mean(0)
        within, between = np.zeros((2, samples.shape[1], samples.shape[1]))
        for changed in changes:
            difference = changed.reshape(len(samples), -1) - samples
            within += difference.T @ difference / (2 * len(samples) * len(changes))
        between = (samples - mean).T @ (samples - mean) / len(samples)
        within += np.eye(len(within)) * (_FLOOR * np.trace(within) / len(within) + 1e-6)
        values, vectors = np.linalg.eigh(within)
        white = vectors / np.sqrt(values)
        values, vectors = np.linalg.eigh(white.T @ between @ white)
        weights = white @ vectors[:, ::-1][:, :NUMBERS]
        return cls(mean.astype(np.float32), weights.astype(np.float32))

    def of(self, found: Keypoints, turn: int = 0, mirrored: bool = False) -> Vectors:
        """Return the numbers of keypoints of pictures as if mirrored, then turned by steps of 20 degrees."""
        order = np.arange(ANGLES)
        if mirrored:
            order = (ANGLES // 2 - order) % ANGLES
        order = np.roll(order, turn)
        numbers = np.empty((len(found), self.weights.shape[1]), np.float32)
        for start in range(0, len(found), _BLOCK):
            samples = found.samples[start : start + _BLOCK, :, order].astype(np.float32)
            numbers[start : start + _BLOCK] = (samples.reshape(len(samples), -1) - self.mean) @ self.weights
        length = np.maximum(np.linalg.norm(numbers, axis=1, keepdims=True), np.float32(1e-6))
        return np.asarray(numbers / length, dtype=np.float32)


def changed_samples(
    pictures: NDArray[np.float32], originals: Keypoints, random: np.random.Generator
) -> NDArray[np.float32]:
    """Sample changed pictures around the places of their originals' keypoints, a little off.

    Args:
        pictures: (n, SIDE, SIDE), the changed copies, their local contrast made even.
        originals: Keypoints of the n originals.
        random: Draws how far off: in place, radius and angle.
    """
    count = len(originals)
    samples = np.zeros(originals.samples.shape, np.float32)
    radius = np.array(RADII, np.float32)[originals.size]
    off = random.normal(0, 0.04, (count, 2)).astype(np.float32) * radius[:, None]
    zoom = np.exp(random.normal(0, 0.1, count)).astype(np.float32)
    turned = np.radians(random.uniform(-12, 12, count)).astype(np.float32)
    for size in range(len(RADII)):
        some = np.flatnonzero(originals.size == size)
        place = (originals.place + off)[some]
        blurred = blurred_for(pictures, size)
        samples[some] = surroundings(
            blurred, originals.picture[some], place, (radius * zoom)[some], turned[some]
        )
    return samples


class Index:
    """Keypoints that others are compared with."""

    def __init__(self, vectors: Vectors, picture: Rows, seed: int = 0) -> None:
        """Sort keypoints into cells.

        Args:
            vectors: (m, numbers).
            picture: (m,), the picture of each.
            seed: Draws the cells' centres.
        """
        random = np.random.default_rng(seed)
        self._picture = picture
        self._vectors = vectors
        self._centres = _centres(vectors, random)
        cell = _nearest(vectors, self._centres, 1)[:, 0]
        self._order = np.argsort(cell, kind="stable")
        self._starts = np.searchsorted(cell[self._order], np.arange(len(self._centres) + 1))
        self._sorted = vectors[self._order]

    def threshold(self, vectors: Vectors, picture: Rows | None, seed: int = 0) -> float:
        """Return the similarity above which a typical keypoint has few others.

        Args:
            vectors: (m, numbers), what will be looked for.
            picture: (m,), the picture of each, whose own keypoints do not count; None: of another set.
            seed: Draws a sample of them.
        """
        asked = np.random.default_rng(seed).permutation(len(vectors))[:_ASKED]
        similarity = vectors[asked] @ self._vectors.T
        if picture is not None:
            similarity[picture[asked][:, None] == self._picture] = -1
        wanted = min(_WANTED, similarity.shape[1])
        return float(np.median(np.partition(similarity, -wanted, axis=1)[:, -wanted]))

    def matches(
        self, vectors: Vectors, picture: Rows | None, least: float
    ) -> Iterator[tuple[Rows, Rows, NDArray[np.float32]]]:
        """Yield (keypoints asked about, keypoints found, similarity), cell by cell.

        Args:
            vectors: (m, numbers), what is looked for.
            picture: (m,), the picture of each, whose own keypoints do not count; None: of another set.
            least: The similarity from which keypoints are a match.
        """
        cells = _nearest(vectors, self._centres, min(_PROBED, len(self._centres)))
        for probed in cells.T:
            order = np.argsort(probed, kind="stable")
            starts = np.searchsorted(probed[order], np.arange(len(self._centres) + 1))
            for cell in range(len(self._centres)):
                asked = order[starts[cell] : starts[cell + 1]]
                held = slice(self._starts[cell], self._starts[cell + 1])
                if not len(asked) or held.start == held.stop:
                    continue
                similarity = vectors[asked] @ self._sorted[held].T
                row, column = np.divmod(np.flatnonzero(similarity > least), similarity.shape[1])
                found, value = self._order[held][column], similarity[row, column]
                row = asked[row]
                if picture is not None:
                    other = picture[row] != self._picture[found]
                    row, found, value = row[other], found[other], value[other]
                if len(value) > _MOST * len(asked):  # where all are alike, the best alone
                    best = np.argpartition(-value, _MOST * len(asked))[: _MOST * len(asked)]
                    row, found, value = row[best], found[best], value[best]
                yield row, found, value


def _centres(vectors: Vectors, random: np.random.Generator) -> Vectors:
    """Return the centres of cells, by two rounds of k-means on a sample."""
    count = max(1, min(_CELLS, len(vectors) // 32))
    some = vectors[np.sort(random.permutation(len(vectors))[: 40 * count])]
    centres = some[random.permutation(len(some))[:count]]
    for _ in range(2):
        sums = np.zeros_like(centres)
        np.add.at(sums, _nearest(some, centres, 1)[:, 0], some)
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(length > 1e-6, sums / np.maximum(length, np.float32(1e-6)), centres)
    return centres


def _nearest(vectors: Vectors, centres: Vectors, most: int) -> Rows:
    """Return the nearest cells of each vector: int64 (m, most), the nearest first."""
    cells = np.zeros((len(vectors), most), np.int64)
    for start in range(0, len(vectors), _BLOCK):
        similarity = vectors[start : start + _BLOCK] @ centres.T
        rows = np.arange(len(similarity))
        for rank in range(most):
            best = similarity.argmax(1)
            cells[start : start + _BLOCK, rank] = best
            similarity[rows, best] = -2
    return cells
