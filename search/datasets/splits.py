"""Draw parts of a set: stratified, twins on one side, a function of ids and seed, not of file order."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spaces.errors import UserError

Rows = NDArray[np.int64]


def carve(
    labels: NDArray[np.int64], groups: NDArray[np.int64], fraction: float, seed: int, ids: NDArray[np.str_]
) -> tuple[Rows, Rows]:
    """Divide images into (rest, carved), two sorted arrays of row numbers; `carved` is near `fraction` of
    each class.

    `labels`, `groups`, `ids`: shape (n,). Images of one group (twins) land on one side. A group belongs to
    the class of its first image in the order of ids, and comes up in the order of a hash of (seed, that id).
    Every class that has two groups has images on both sides.
    """
    by_id = np.argsort(ids, kind="stable")
    _, first, sizes = np.unique(groups[by_id], return_index=True, return_counts=True)
    leaders = by_id[first]
    strata: dict[int, list[tuple[bytes, int, int]]] = defaultdict(list)
    for leader, size in zip(leaders.tolist(), sizes.tolist(), strict=True):
        strata[int(labels[leader])].append((_key(seed, str(ids[leader])), int(groups[leader]), size))
    chosen = [group for stratum in strata.values() for group in _fill(sorted(stratum), fraction)]
    carved = np.isin(groups, chosen)
    return np.flatnonzero(~carved), np.flatnonzero(carved)


def subset(strata: Sequence[str], ids: Sequence[str], limit: int, seed: int) -> list[int]:
    """Return `limit` row numbers, sorted, with every stratum's share kept (largest remainders) and never
    empty.

    `strata` and `ids` have one entry for each image. Raises UserError where the limit is below the number of
    strata.
    """
    if limit >= len(ids):
        return list(range(len(ids)))
    members: dict[str, list[tuple[bytes, int]]] = defaultdict(list)
    for row, (stratum, name) in enumerate(zip(strata, ids, strict=True)):
        members[stratum].append((_key(seed, name), row))
    if limit < len(members):
        raise UserError(
            f"A limit of {limit} images is too small: there are {len(members)} classes over all splits."
        )
    quotas = _quotas({stratum: len(rows) for stratum, rows in members.items()}, limit)
    return sorted(row for stratum, rows in members.items() for _, row in sorted(rows)[: quotas[stratum]])


def _quotas(sizes: dict[str, int], limit: int) -> dict[str, int]:
    """Share out `limit` in proportion to the sizes: one each, then the largest remainders of what is left."""
    spare = limit - len(sizes)
    room = sum(sizes.values()) - len(sizes)
    exact = {stratum: spare * (size - 1) / room for stratum, size in sizes.items()}
    quotas = {stratum: 1 + int(share) for stratum, share in exact.items()}
    by_remainder = sorted(exact, key=lambda stratum: (int(exact[stratum]) - exact[stratum], stratum))
    for stratum in by_remainder[: limit - sum(quotas.values())]:
        quotas[stratum] += 1
    return quotas


def _fill(stratum: list[tuple[bytes, int, int]], fraction: float) -> list[int]:
    """Take groups in order while they fit into the fraction; at least one of several, and never all."""
    quota = max(1, round(fraction * sum(size for _, _, size in stratum)))
    taken: list[int] = []
    filled = 0
    for _, group, size in stratum[:-1]:
        if filled + size <= quota:
            taken.append(group)
            filled += size
    if not taken and len(stratum) > 1:
        taken.append(min(stratum, key=lambda item: item[2])[1])
    return taken


def _key(seed: int, name: str) -> bytes:
    return hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=16).digest()
