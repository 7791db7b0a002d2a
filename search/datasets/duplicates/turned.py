"""Near duplicates that were turned, zoomed or shifted a lot, as augmentation does before a split.

Keypoints whose surroundings are alike, in some pose, vote for pairs of pictures. The pairs with most votes
are laid over each other, from the pose of their best keypoint on, and compared where they cover each other.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from search.datasets.duplicates.affine import Maps, laid, refine
from search.datasets.duplicates.alignment import even, resampled, smooth
from search.datasets.duplicates.keypoints import ANGLES, RADII, SIDE, Keypoints, keypoints
from search.datasets.duplicates.matching import (
    ALL_POSES,
    POSES,
    Index,
    Projection,
    changed_samples,
)
from search.datasets.duplicates.pairs import Pairs, Rows
from search.execution.devices import cores

Pixels = NDArray[np.float32]

#: Pairs of a picture that are looked at more closely: those with most votes.
BEST: Final = 3
LIKENESS: Final = 0.81  # correlation of the even pictures, at full size, where one covers the other
#: Noise and JPEG hide a copy's detail. So less is enough if the same pictures are alike once smoothed, which
#: helps noisy copies much more than look-alikes.
NOISY: Final = 0.66
SMOOTHED: Final = 0.9
COVERED: Final = 0.4  # the least share of the frame that is covered
TURNED: Final = 60.0  # the most degrees
ZOOMED: Final = (0.6, 1.7)
_SAMPLE: Final = 600  # pictures from which the projection is learnt
_NOISE: Final = 8.0  # gray levels, and
_CLIPS: Final = (2.0, 40.0)  # limits of CLAHE, under which it learns to know keypoints again
_READ: Final = 256
_PAIRS: Final = 512
_THREADS: Final = 4
_COARSE: Final = 12
_VOTE: Final = 0.02  # of a match that is only just one
#: Pixels a side, steps of alignment, and the least likeness after them.
_STAGES: Final = (
    (_COARSE, 0, 0.2),
    (_COARSE, 1, 0.4),
    (_COARSE, 1, 0.48),
    (_COARSE, 2, 0.52),
    (24, 3, 0.55),
    (SIDE, 3, NOISY),
)


@dataclass(frozen=True)
class Candidates:
    """Pairs of pictures, m of them: numbers, votes, and the pose of their best keypoint."""

    moving: Rows
    still: Rows
    votes: NDArray[np.float32]
    maps: Maps

    def of(self, some: Rows) -> "Candidates":
        """Return some of them."""
        return Candidates(self.moving[some], self.still[some], self.votes[some], self.maps.of(some))


@dataclass(frozen=True)
class Sheet:
    """The pictures of a set, n of them, as this search sees them.

    `gray`: uint8 (n, SIDE, SIDE), equalised. `coarse`: float32 (n, 12, 12), their local contrast even.
    """

    gray: NDArray[np.uint8]
    coarse: Pixels
    keypoints: Keypoints

    @classmethod
    def of(cls, count: int, grays: Callable[[Rows], NDArray[np.uint8]], step: int = _READ) -> "Sheet":
        """Look at `count` pictures once, `step` at a time; `grays` returns some of them, equalised."""
        gray = np.empty((count, SIDE, SIDE), np.uint8)
        coarse = np.empty((count, _COARSE, _COARSE), np.float32)
        found = []
        for start in range(0, count, step):
            rows = np.arange(start, min(start + step, count))
            gray[rows] = np.rint(resampled(grays(rows), SIDE))
            coarse[rows] = even(resampled(gray[rows], _COARSE), _COARSE)
            found.append(keypoints(even(gray[rows].astype(np.float32), SIDE), start))
        return cls(gray, coarse, Keypoints.joined(found))

    def at(self, rows: Rows, side: int) -> Pixels:
        """Return some pictures at a size, their local contrast even."""
        return self.coarse[rows] if side == _COARSE else even(resampled(self.gray[rows], side), side)


def turned_pairs(mine: Sheet, others: Sheet | None = None) -> Pairs:
    """Return the pairs, within one set or between two, that show one picture in different poses."""
    if not len(mine.keypoints) or (others is not None and not len(others.keypoints)):
        return Pairs.joined([])
    against = mine if others is None else others
    theirs = None if others is None else others.keypoints
    # The products are small: shared by several threads, each would wait for the others most of the time.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(min(cores(), _THREADS)) as pool:
        asked = candidates(mine.keypoints, theirs, learnt(against), len(against.gray))
        blocks = [asked.of(rows) for rows in _blocks(len(asked.votes))]
        found = Pairs.joined(list(pool.map(lambda block: _aligned(block, mine, against), blocks)))
    if others is not None:
        return found
    first, second = np.minimum(found.one, found.other), np.maximum(found.one, found.other)
    return Pairs(first, second, found.likeness, found.mirrored)


def learnt(sheet: Sheet, seed: int = 0) -> Projection:
    """Learn from a sample of a set which differences between keypoints tell pictures apart."""
    random = np.random.default_rng(seed)
    gray = sheet.gray[np.sort(random.permutation(len(sheet.gray))[:_SAMPLE])]
    originals = keypoints(even(gray.astype(np.float32), SIDE))
    changes = []
    for clip in (0.0, *_CLIPS):
        noised = np.clip(gray + random.normal(0, _NOISE, gray.shape), 0, 255).astype(np.uint8)
        if clip:
            noised = np.stack([cv2.createCLAHE(clip, (8, 8)).apply(picture) for picture in noised])
        changes.append(changed_samples(even(noised.astype(np.float32), SIDE), originals, random))
    return Projection.learnt(originals, changes)


def candidates(mine: Keypoints, others: Keypoints | None, projection: Projection, count: int) -> Candidates:
    """Return the pairs of pictures for which most keypoints vote.

    Args:
        mine: Keypoints of one set.
        others: Those of another; None to find pairs within the first.
        projection: Of keypoints to numbers.
        count: Pictures in the second set, or in the one.
    """
    against = mine if others is None else others
    match = _matches(mine, others, projection)
    first, second = mine.picture[match.one], against.picture[match.other]
    if others is None:
        first, second = np.minimum(first, second), np.maximum(first, second)
    pair = (first * count + second) * 2 + match.mirrored
    order = np.argsort(pair)
    starts = np.flatnonzero(np.diff(pair[order], prepend=-1))
    votes = np.add.reduceat(match.votes[order], starts) if len(starts) else match.votes
    some = order[starts]
    kept = _most_voted(first[some], second[some], votes)
    match = match.of(_best_of(order, np.append(starts, len(order)), kept, match.votes))
    maps = _poses(mine, against, match)
    return Candidates(mine.picture[match.one], against.picture[match.other], votes[kept], maps)


@dataclass(frozen=True)
class _Matches:
    """Keypoints that are alike in some pose, m of them: numbers, votes, and the pose of `one`."""

    one: Rows
    other: Rows
    votes: NDArray[np.float32]
    turn: NDArray[np.int8]
    mirrored: NDArray[np.bool_]

    def of(self, some: Rows) -> "_Matches":
        return _Matches(*(getattr(self, name)[some] for name in _Matches.__annotations__))


def _matches(mine: Keypoints, others: Keypoints | None, projection: Projection) -> _Matches:
    """Return the keypoints that are alike in some pose."""
    against = mine if others is None else others
    own = mine.picture if others is None else None
    index = Index(projection.of(against), against.picture)
    poses = POSES if others is None else ALL_POSES
    least = index.threshold(projection.of(mine, *poses[1]), own)
    none = np.empty(0, np.int64)
    every = [_Matches(none, none, none.astype(np.float32), none.astype(np.int8), none.astype(np.bool_))]
    for turn, mirrored in poses:
        for one, other, similarity in index.matches(projection.of(mine, turn, mirrored), own, least):
            votes = similarity - np.float32(least - _VOTE)
            same = np.full(len(one), turn, np.int8), np.full(len(one), mirrored)
            every.append(_Matches(one, other, votes, *same))
    return _Matches(
        *(np.concatenate([getattr(some, name) for some in every]) for name in _Matches.__annotations__)
    )


def _best_of(order: Rows, bounds: Rows, kept: Rows, votes: NDArray[np.float32]) -> Rows:
    """Return the match with most votes of each kept pair, whose matches lie in `order` between two bounds."""
    counts = (bounds[1:] - bounds[:-1])[kept]
    number = np.repeat(np.arange(len(kept)), counts)
    within = np.arange(len(number)) - np.repeat(counts.cumsum() - counts, counts)
    matches = order[bounds[kept][number] + within]
    ranked = np.lexsort((-votes[matches], number))
    return np.asarray(matches[ranked[np.flatnonzero(np.diff(number[ranked], prepend=-1))]])


def _most_voted(first: Rows, second: Rows, votes: NDArray[np.float32]) -> Rows:
    """Return which pairs are among the best of either of their pictures."""
    kept = np.zeros(len(votes), np.bool_)
    for picture in (first, second):
        order = np.argsort(picture - votes / (votes.max(initial=0) + 1.0))  # by picture, most votes first
        ordered = picture[order]
        kept[order[np.arange(len(order)) - np.searchsorted(ordered, ordered) < BEST]] = True
    return np.flatnonzero(kept)


def _poses(mine: Keypoints, others: Keypoints, match: _Matches) -> Maps:
    """Return the maps that lay each keypoint `one` on the keypoint `other`, in its pose."""
    radii = np.array(RADII)
    zoom = radii[mine.size[match.one]] / radii[others.size[match.other]]
    angle = -match.turn * 2 * np.pi / ANGLES
    flip = np.where(match.mirrored, -1, 1)
    linear = np.array(
        [[flip * np.cos(angle), -flip * np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    ).transpose(2, 0, 1)
    linear *= zoom[:, None, None]
    moving, still = (
        2 * where[:, ::-1] / (SIDE - 1) - 1 for where in (mine.place[match.one], others.place[match.other])
    )
    shift = moving - np.einsum("nij,nj->ni", linear, still)
    return Maps(np.concatenate([linear, shift[:, :, None]], axis=2).astype(np.float32))


def _blocks(count: int) -> list[Rows]:
    return [np.arange(start, min(start + _PAIRS, count)) for start in range(0, max(count, 1), _PAIRS)]


def _aligned(asked: Candidates, mine: Sheet, others: Sheet) -> Pairs:
    """Return the candidates whose likeness holds up to the full size."""
    for side, steps, least in _STAGES:
        moving, still = mine.at(asked.moving, side), others.at(asked.still, side)
        maps = refine(moving, still, asked.maps, steps)
        over, covered = laid(moving, maps)
        likeness = correlation(over, still, covered)
        holds = np.flatnonzero(likeness >= least)
        asked = Candidates(asked.moving, asked.still, asked.votes, maps).of(holds)
        likeness, share = likeness[holds], covered.mean((1, 2))[holds]
    smoothed = correlation(smooth(over[holds]), smooth(still[holds]), covered[holds])
    smallest, largest = asked.maps.zoomed()
    within = (smallest >= ZOOMED[0]) & (largest <= ZOOMED[1]) & (asked.maps.turned() <= TURNED)
    alike = (likeness >= LIKENESS) | (smoothed >= SMOOTHED)
    sure = np.flatnonzero(within & alike & (share >= COVERED))
    return Pairs(asked.moving[sure], asked.still[sure], likeness[sure], asked.maps.mirrored()[sure])


def correlation(one: Pixels, other: Pixels, weights: Pixels) -> NDArray[np.float32]:
    """Return the weighted correlation of each pair of pictures."""
    count = np.maximum(weights.sum((1, 2), keepdims=True), 1)
    one = one - (one * weights).sum((1, 2), keepdims=True) / count
    other = other - (other * weights).sum((1, 2), keepdims=True) / count
    norms = np.sqrt((np.square(one) * weights).sum((1, 2)) * (np.square(other) * weights).sum((1, 2)))
    return np.asarray((one * other * weights).sum((1, 2)) / np.maximum(norms, 1e-6), dtype=np.float32)
