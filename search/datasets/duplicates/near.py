"""Near duplicates: one picture stored twice: resized, recompressed, cropped, mirrored, with other light.

Every image is equalised first, and its local contrast made even, so that no tone curve (gamma, contrast,
histogram equalisation, CLAHE) hides a copy. Then coarse to fine. All pairs are compared as 12x12 thumbnails
without their coarse shapes (all faces share those), in blocked float32 matrix products. What is alike there
is aligned and compared at 24, 48, ... pixels a side, up to the full size, and dropped where the likeness
does not hold. What was turned, zoomed or shifted further is found by `turned`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from search.datasets.duplicates.alignment import (
    Overlay,
    detail,
    even,
    likeness,
    refine,
    resampled,
    smooth,
)
from search.datasets.duplicates.pairs import Pairs, Rows
from search.datasets.duplicates.turned import Sheet, turned_pairs

#: Above, copies that were turned are not looked for: their keypoints take too much memory.
MOST_TURNED: Final = 100_000
THUMBNAIL: Final = 12
LARGEST: Final = 96  # pixels a side; larger images are verified at this size
SMALLEST: Final = 24  # smaller images have too little detail to verify anything
CANDIDATE: Final = 0.72  # correlation of even thumbnails
COARSE: Final = 0.72  # correlation of the even thumbnails, aligned
PASSING: Final = 0.76  # correlation of the even pictures, aligned, at the sizes between
EVEN: Final = 0.9  # the same at full size; the most alike of 4,400 drawn faces reach 0.89
#: Below, at full size, a copy with noise in dark places may still be one as it is, without being made even:
PICTURE: Final = 0.96  # correlation of the pictures as they are
DETAIL: Final = 0.92  # correlation of their detail
FLAT: Final = 3.0  # standard deviation, of 255; an image below is (nearly) constant and shows nothing
#: Candidates of one image that are looked at more closely: the best ones. Within a set, few are enough, since
#: duplicates of duplicates are duplicates; between sets, each image is asked about by itself.
WITHIN: Final = 4
BETWEEN: Final = 16
_BLOCK: Final = 2048  # thumbnails in a product
_PAIRS: Final = 512  # pairs aligned at once, of images up to 96x96; of larger ones, fewer
_READ: Final = 128  # images in memory at once, while thumbnails are made; again, fewer of larger ones
_SMALL: Final = 24  # side of the equalised copies in which most candidates are dropped
_LENGTH: Final = 400.0  # of a thumbnail, where it is aligned: gray levels like those of larger sizes
_STEPS: Final = (3, 2)  # at the thumbnail's size, and at each larger one


def flat(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Say of images (n, h, w, c) which are constant or nearly so."""
    step = _at_once(_READ, images)
    blocks = (images[start : start + step] for start in range(0, len(images), step))
    return np.concatenate([block.reshape(len(block), -1).std(1) < FLAT for block in blocks])


def near_pairs(
    images: NDArray[np.uint8], others: NDArray[np.uint8] | None = None, rows: Rows | None = None
) -> Pairs:
    """Return the near duplicates among `images` (n, h, w, c), or between them and `others` (of any size).

    Only `rows` of `images` are looked at, if given. Constant images take part in none. Images smaller than 24
    pixels have none. Images may be memory maps: few are in memory at a time.
    """
    rows = np.arange(len(images)) if rows is None else rows
    side = min(*images.shape[1:3], *(others.shape[1:3] if others is not None else ()), LARGEST)
    if side < SMALLEST or not len(rows):
        return Pairs.joined([])
    pool, theirs = (images, rows) if others is None else (others, np.arange(len(others)))
    mine = _Pictures.of(images, rows)
    against = mine if others is None else _Pictures.of(pool, theirs)
    candidates = _candidates(mine.thumbnails, None if others is None else against.thumbnails)
    found = Pairs.joined([_verified(mine, against, *some, side) for some in candidates])
    # A picture that is nearly its own mirror image is found twice, and many are found by both searches.
    return Pairs.joined([found, _turned(mine, None if others is None else against)]).each_once()


def _turned(mine: "_Pictures", others: "_Pictures | None") -> Pairs:
    """Return the pairs, by rows, that show one picture in different poses."""
    sides = [mine] if others is None else [mine, others]
    if max(len(side.rows) for side in sides) > MOST_TURNED:
        return Pairs.joined([])
    shown = [np.flatnonzero(side.thumbnails.any(1)) for side in sides]
    if not all(len(some) for some in shown):
        return Pairs.joined([])
    sheets = [
        Sheet.of(len(some), partial(side.grays, some), _at_once(_READ, side.images))
        for side, some in zip(sides, shown, strict=True)
    ]
    found = turned_pairs(*sheets)
    one, other = (side.rows[some] for side, some in ((mine, shown[0]), (sides[-1], shown[-1])))
    return Pairs(one[found.one], other[found.other], found.likeness, found.mirrored)


def equalised(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return gray images with every brightness replaced by its rank among the image's pixels, as of 255.

    A tone curve changes brightnesses and not their order, so copies of one picture become equal.

    Args:
        images: uint8 (n, height, width).
    """
    count, pixels = len(images), int(np.prod(images.shape[1:]))
    places = images.reshape(count, pixels) + 256 * np.arange(count, dtype=np.int64)[:, None]
    histogram = np.bincount(places.ravel(), minlength=256 * count).reshape(count, 256)
    ranks = (histogram.cumsum(1) - histogram / 2) * (255 / pixels)
    return np.asarray(ranks.astype(np.uint8).ravel()[places].reshape(images.shape))


@dataclass(frozen=True)
class _Pictures:
    """The rows of some images that take part, n of them: equalised, at 24 pixels and as thumbnails."""

    images: NDArray[np.uint8]
    rows: Rows
    small: NDArray[np.uint8]  # (n, 24, 24)
    thumbnails: NDArray[np.float32]  # (n, 144), of length one; of length zero for flat images

    @classmethod
    def of(cls, images: NDArray[np.uint8], rows: Rows) -> "_Pictures":
        """Read the images once, few at a time."""
        small = np.zeros((len(rows), _SMALL, _SMALL), np.uint8)
        thumbnails = np.zeros((len(rows), THUMBNAIL * THUMBNAIL), np.float32)
        step = _at_once(_READ, images)
        for start in range(0, len(rows), step):
            block = images[rows[start : start + step]]
            gray = equalised(_gray(block))
            small[start : start + step] = np.rint(resampled(gray, _SMALL))
            thumbnail = even(resampled(gray, THUMBNAIL)).reshape(len(block), -1)
            thumbnail -= thumbnail.mean(1, keepdims=True)
            length = np.linalg.norm(thumbnail, axis=1, keepdims=True)
            thumbnail /= np.maximum(length, np.float32(1e-6))
            thumbnails[start : start + step] = np.where(flat(block)[:, None], np.float32(0), thumbnail)
        return cls(images, rows, small, thumbnails)

    def grays(self, shown: Rows, some: Rows) -> NDArray[np.uint8]:
        """Return some of the pictures that show something, equalised."""
        return equalised(_gray(self.images[self.rows[shown[some]]]))

    def at(self, places: Rows, size: int) -> NDArray[np.float32]:
        """Return some pictures, even, at a size: float32 (places, size, size)."""
        if size == THUMBNAIL:
            return self.thumbnails[places].reshape(-1, size, size) * np.float32(_LENGTH)
        if size == _SMALL:
            return even(smooth(resampled(self.small[places], size)), size)
        return even(smooth(resampled(equalised(_gray(self.images[self.rows[places]])), size)), size)


def _candidates(
    thumbnails: NDArray[np.float32], others: NDArray[np.float32] | None
) -> Iterator[tuple[bool, Rows, Rows]]:
    """Yield (mirrored, rows, rows) that are alike as thumbnails; within one set, each pair once."""
    against = thumbnails if others is None else others
    flipped = against.reshape(-1, THUMBNAIL, THUMBNAIL)[:, :, ::-1].reshape(len(against), -1)
    for mirrored, right in ((False, against), (True, np.ascontiguousarray(flipped))):
        found = []
        for start in range(0, len(thumbnails), _BLOCK):
            first = start if others is None else 0
            one, other = _alike(thumbnails[start : start + _BLOCK], right[first:], one_set=others is None)
            found.append((one + start, other + first))
        yield mirrored, *(np.concatenate(rows) for rows in zip(*found, strict=True))  # type: ignore[misc]


def _alike(left: NDArray[np.float32], right: NDArray[np.float32], one_set: bool) -> tuple[Rows, Rows]:
    """Return the pairs of thumbnails above the threshold, the best few for each on the left.

    If both are `one_set` from the same row on, each image is paired with later ones only.
    """
    rows: Rows = np.empty(0, np.int64)
    columns: Rows = np.empty(0, np.int64)
    values: NDArray[np.float32] = np.empty(0, np.float32)
    for start in range(0, len(right), 4 * _BLOCK):
        product: NDArray[np.float32] = left @ right[start : start + 4 * _BLOCK].T
        one, other = np.divmod(np.flatnonzero(product > CANDIDATE), product.shape[1])
        if one_set:
            later = other + start > one
            one, other = one[later], other[later]
        rows, columns = np.concatenate([rows, one]), np.concatenate([columns, other + start])
        values = np.concatenate([values, product[one, other]])
        # After each block: where many images are alike, nearly all pairs are above the threshold.
        best = _best(rows, values, WITHIN if one_set else BETWEEN)
        rows, columns, values = rows[best], columns[best], values[best]
    return rows, columns


def _best(rows: Rows, values: NDArray[np.float32], most: int) -> Rows:
    """Return where the highest values of each row are, `most` of a row, ordered by row and value."""
    order: Rows = np.lexsort((-values, rows))
    ordered = rows[order]
    return order[np.arange(len(order)) - np.searchsorted(ordered, ordered) < most]


def _verified(mine: _Pictures, others: _Pictures, mirrored: bool, one: Rows, other: Rows, side: int) -> Pairs:
    """Return the pairs whose likeness holds up to the full size."""
    found = []
    step = _at_once(_PAIRS, mine.images, others.images)
    for start in range(0, len(one), step):
        i, j = one[start : start + step], other[start : start + step]
        kept, score = _holding(mine, others, mirrored, i, j, side)
        i, j = mine.rows[i[kept]], others.rows[j[kept]]
        found.append(Pairs(i, j, score, np.full(len(kept), mirrored)))
    return Pairs.joined(found)


def _holding(
    mine: _Pictures, others: _Pictures, mirrored: bool, one: Rows, other: Rows, side: int
) -> tuple[Rows, NDArray[np.float32]]:
    """Return which of the pairs are duplicates, and the correlation of their even pictures."""
    kept, overlay = np.arange(len(one)), Overlay.identity(len(one))
    score = np.zeros(len(one), np.float32)
    for size in _sizes(side):
        moving = mine.at(one[kept], size)
        still = others.at(other[kept], size)[:, :, :: -1 if mirrored else 1]
        overlay = refine(moving, still, overlay, _STEPS[size > THUMBNAIL])
        score = likeness(moving, still, overlay)
        enough = COARSE if size == THUMBNAIL else PASSING
        holds = np.flatnonzero(score >= enough)
        if size == side:
            unsure = holds[score[holds] < EVEN]
            same = _same_as_it_is(
                mine, others, mirrored, one[kept[unsure]], other[kept[unsure]], overlay.of(unsure), side
            )
            holds = np.sort(np.concatenate([holds[score[holds] >= EVEN], unsure[same]]))
        kept, overlay, score = kept[holds], overlay.of(holds), score[holds]
        if not len(kept):
            break
    return kept, score


def _same_as_it_is(
    mine: _Pictures, others: _Pictures, mirrored: bool, one: Rows, other: Rows, overlay: Overlay, side: int
) -> NDArray[np.bool_]:
    """Say which pairs are alike at full size, in their pictures and in their detail, without equalising."""
    if not len(one):
        return np.zeros(0, np.bool_)
    moving = smooth(resampled(_gray(mine.images[mine.rows[one]]), side))
    still = resampled(_gray(others.images[others.rows[other]]), side)[:, :, :: -1 if mirrored else 1]
    still = smooth(np.ascontiguousarray(still))
    overlay = refine(moving, still, overlay, _STEPS[1])
    picture, fine = likeness(moving, still, overlay), likeness(moving, still, overlay, detail)
    return np.asarray((picture >= PICTURE) & (fine >= DETAIL))


def _at_once(most: int, *images: NDArray[np.uint8]) -> int:
    """How many images are in memory at once: `most` of up to 96x96, and of larger ones as many pixels."""
    pixels = max(int(some.shape[1]) * int(some.shape[2]) for some in images)
    return max(1, min(most, most * LARGEST**2 // pixels))


def _sizes(side: int) -> list[int]:
    """Return the sizes at which pairs are compared: 12, 24, 48, ... and the full one."""
    sizes = [THUMBNAIL]
    while 2 * sizes[-1] < side:
        sizes.append(2 * sizes[-1])
    return [*sizes, side]


def _gray(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return images (n, h, w, c) as luma (n, h, w), by the weights of ITU-R BT.601."""
    if images.shape[-1] == 1:
        return images[..., 0]
    return np.rint(images @ np.array([0.299, 0.587, 0.114], np.float32)).astype(np.uint8)
