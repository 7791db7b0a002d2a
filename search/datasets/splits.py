"""Draw parts of a set: stratified, duplicates on one side, a function of ids and seed, not of file order."""

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
    """Carve a stratified share out of images; images of one group land on one side.

    A group belongs to the class of its first image in the order of ids, and comes up in the order of a hash
    of (seed, that id). Every class that has two groups has images on both sides.

    Args:
        labels: The class of each image, (images,).
        groups: The group of duplicates of each image, (images,).
        fraction: The share of each class to carve out, in (0, 1).
        seed: Decides which groups are carved out.
        ids: The id of each image, (images,).

    Returns:
        Row numbers of the rest and of the carved images, both sorted.
    """
    strata = _strata(labels, groups, seed, ids).values()
    chosen = [group for stratum in strata for group in _fill(sorted(stratum), fraction)]
    carved = np.isin(groups, chosen)
    return np.flatnonzero(~carved), np.flatnonzero(carved)


def folds(
    labels: NDArray[np.int64], groups: NDArray[np.int64], count: int, seed: int, ids: NDArray[np.str_]
) -> Rows:
    """Divide images into stratified folds; images of one group land in one fold.

    Each group goes to the fold with the fewest images of its class so far, of those to the smallest.

    Args:
        labels: The class of each image, (images,).
        groups: The group of duplicates of each image, (images,).
        count: The number of folds.
        seed: Decides the order in which groups are placed.
        ids: The id of each image, (images,).

    Returns:
        The fold of each image, (images,), from 0 below `count`.

    Raises:
        UserError: If a class has fewer groups than there are folds.
    """
    fold = np.zeros(len(labels), dtype=np.int64)
    sizes = np.zeros(count, dtype=np.int64)
    for label, stratum in sorted(_strata(labels, groups, seed, ids).items()):
        if len(stratum) < count:
            raise UserError(
                f"Class {label} has {len(stratum)} images that are no duplicates of each other: too few for "
                f"{count} folds."
            )
        of_class = np.zeros(count, dtype=np.int64)
        for _, group, size in sorted(stratum):
            place = min(range(count), key=lambda number: (of_class[number], sizes[number], number))
            fold[groups == group] = place
            of_class[place] += size
            sizes[place] += size
    return fold


def subset(strata: Sequence[str], ids: Sequence[str], limit: int, seed: int) -> list[int]:
    """Draw rows with every stratum's share kept (largest remainders) and never empty.

    Args:
        strata: The stratum of each image, (images,).
        ids: The id of each image, (images,).
        limit: The number of rows to draw.
        seed: Decides which rows.

    Returns:
        Row numbers, sorted.

    Raises:
        UserError: If the limit is below the number of strata.
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


def _strata(
    labels: NDArray[np.int64], groups: NDArray[np.int64], seed: int, ids: NDArray[np.str_]
) -> dict[int, list[tuple[bytes, int, int]]]:
    """The groups of each class: what puts them in order, number, size."""
    by_id = np.argsort(ids, kind="stable")
    _, first, sizes = np.unique(groups[by_id], return_index=True, return_counts=True)
    leaders = by_id[first]
    strata: dict[int, list[tuple[bytes, int, int]]] = defaultdict(list)
    for leader, size in zip(leaders.tolist(), sizes.tolist(), strict=True):
        strata[int(labels[leader])].append((_key(seed, str(ids[leader])), int(groups[leader]), size))
    return strata


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
