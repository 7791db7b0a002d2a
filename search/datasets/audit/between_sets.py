"""What share of one data set's images are in another, at any sizes: so copies give themselves away."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.datasets.audit.collection import Collection
from search.datasets.audit.findings import percent
from search.datasets.catalog import ROLES
from search.datasets.duplicates.near import near_pairs


@dataclass(frozen=True)
class Overlap:
    """The duplicates between two data sets: rows of `one` and `other`, m pairs.

    Pairs with equal pixels come first.
    """

    one: Collection
    other: Collection
    rows: NDArray[np.int64]  # (m, 2)
    exact: NDArray[np.bool_]  # (m,)

    def share(self, side: int, split: str | None = None, there: str | None = None) -> tuple[int, int]:
        """Return (images with a duplicate in the other set, images) of side 0 or 1, or of a split of it."""
        mine, others = (self.one, self.other) if side == 0 else (self.other, self.one)
        here = np.full(len(mine), True) if split is None else mine.splits == split
        rows = self.rows if there is None else self.rows[others.splits[self.rows[:, 1 - side]] == there]
        found = np.zeros(len(mine), np.bool_)
        found[rows[:, side]] = True
        return int((found & here).sum()), int(here.sum())

    def relabelled(self) -> int:
        """Return the number of pairs that carry different class names (in any case)."""
        return sum(
            self.one.label(i).casefold() != self.other.label(j).casefold() for i, j in self.rows.tolist()
        )

    def sentences(self) -> list[str]:
        """Say what share of each set is in the other."""
        one, other = self.one.prepared.name, self.other.prepared.name
        said = []
        for side, mine, theirs in ((1, other, one), (0, one, other)):
            found, total = self.share(side)
            said.append(
                f"{percent(found, total)} of {mine}'s images ({found:,} of {total:,}) are in {theirs}."
            )
        return said

    def to_dict(self) -> dict[str, Any]:
        """Return the counts, by split, for JSON."""
        names = (self.one.prepared.name, self.other.prepared.name)
        return {
            "one": names[0],
            "other": names[1],
            "pairs": len(self.rows),
            "exact_pairs": int(self.exact.sum()),
            "relabelled_pairs": self.relabelled(),
            "one_in_other": self._directed(0),
            "other_in_one": self._directed(1),
        }

    def _directed(self, side: int) -> dict[str, Any]:
        found, total = self.share(side)
        by_split = {}
        for split in ROLES:
            for there in ROLES:
                count, of = self.share(side, split, there)
                if count:
                    by_split[f"{split}_in_{there}"] = {"images": count, "share": round(count / of, 6)}
        return {"images": found, "of": total, "share": round(found / max(1, total), 6), "by_split": by_split}


def compare(one: Collection, other: Collection) -> Overlap:
    """Find all duplicates between two data sets: equal pixels, and near ones verified at the smaller size."""
    same = _same_pixels(one, other)
    near = [
        np.stack([mine[pairs.one], theirs[pairs.other]], axis=1)
        for mine, images in one.blocks()
        for theirs, others in other.blocks()
        for pairs in [near_pairs(images, others)]
    ]
    both = np.concatenate([same, *near])
    rows, first = np.unique(both, axis=0, return_index=True)
    order = np.argsort(first, kind="stable")
    return Overlap(one, other, rows[order], first[order] < len(same))


def _same_pixels(one: Collection, other: Collection) -> NDArray[np.int64]:
    if one.prepared.image_shape != other.prepared.image_shape:
        return np.empty((0, 2), np.int64)
    mine, theirs = one.digests(), other.digests()
    first, its_first = (
        dict(zip(reversed(all_), range(len(all_))[::-1], strict=True)) for all_ in (mine, theirs)
    )
    pairs = [(first[digest], row) for row, digest in enumerate(theirs) if digest in first]
    pairs += [(row, its_first[digest]) for row, digest in enumerate(mine) if digest in its_first]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)
