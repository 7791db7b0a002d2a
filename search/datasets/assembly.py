"""From decoded images to an entry of the cache: ordered by id, compared, split, digested."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from search.datasets.audit.collection import Collection
from search.datasets.audit.files import write_audit
from search.datasets.audit.findings import crossing, findings, refuse
from search.datasets.cache.prepared import (
    AUDIT,
    DUPLICATES,
    FOLDERS,
    PURGED,
    Part,
    Prepared,
)
from search.datasets.catalog import (
    TEST,
    TRAIN,
    VALIDATION,
    Catalogue,
)
from search.datasets.duplicates.groups import MOST, Duplicates, find_duplicates, grouped, pairs_of
from search.datasets.duplicates.near import flat
from search.datasets.given_groups import given_groups
from search.datasets.images.decode import DecodedImages
from search.datasets.part_checks import Members, check_classes, check_ranges, warnings
from search.datasets.splits import carve

CARVED: Final = 0.2  # share of train that becomes validation where the source has none


@dataclass(frozen=True)
class Ordered:
    """All n images of a source in the order of their ids, whatever the order of the files."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    ids: NDArray[np.str_]
    roles: NDArray[np.str_]  # as the source says
    digests: tuple[bytes, ...]  # of the prepared pixels
    source_digests: tuple[bytes, ...]  # of the pixels before conversion

    @classmethod
    def of(cls, catalogue: Catalogue, decoded: DecodedImages) -> "Ordered":
        """Give what was decoded its labels, ids and roles."""
        rows = decoded.rows.tolist()
        number = {name: index for index, name in enumerate(catalogue.class_names)}
        return cls(
            images=decoded.pixels,
            labels=np.array([number[catalogue.labels[row]] for row in rows], dtype=np.int64),
            ids=np.array([catalogue.ids[row] for row in rows]),
            roles=np.array([catalogue.roles[row] for row in rows]),
            digests=tuple(
                hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in decoded.pixels
            ),
            source_digests=decoded.source_digests,
        )


def assemble(
    catalogue: Catalogue,
    decoded: DecodedImages,
    folder: Path,
    source: str,
    seed: int,
    leaks: str,
    group: str | None = None,
) -> Prepared:
    """Find duplicates, split the images and write a cache entry.

    Args:
        catalogue: What the source lists.
        decoded: The decoded images, uint8 (images, height, width, channels).
        folder: A new folder, for the entry.
        source: The data set as it was named.
        seed: Draws validation where the source has none.
        leaks: What to do with evaluation images that have a duplicate in train: "purge-train", "report" or
            "refuse".
        group: A column of the source, or a pattern of file names: images of one group never straddle splits;
            None for no groups.

    Returns:
        The prepared data set.

    Raises:
        UserError: If `leaks` refuses, or a part lacks a class.
    """
    ordered = Ordered.of(catalogue, decoded)
    duplicates = find_duplicates(ordered.images, ordered.digests)
    shows_nothing = flat(ordered.images)
    audit = {"policy": leaks} | findings(
        ordered.roles, ordered.labels, duplicates, shows_nothing, catalogue.class_names
    )
    if leaks == "refuse":
        refuse(audit, source)
    own: NDArray[np.int64] | None = None
    if group is not None:
        own, said = given_groups(catalogue, decoded.rows.tolist(), group)
        own = grouped(len(own), [*pairs_of(own), *pairs_of(duplicates.exact)])
        audit["group"] = group
    parts, groups, notes = _parts(ordered, duplicates, own, seed, leaks)
    notes = [*said, *notes] if own is not None else notes
    unread = Counter((role, label) for role, label, *_ in (name.split("/") for name, _ in decoded.broken))
    members = Members(
        catalogue.class_names, ordered.labels, ordered.roles, parts, groups, unread, own is not None
    )
    check_classes(members, source)
    check_ranges(members, ordered.images, source)
    _write_parts(ordered, duplicates, groups, parts, folder)
    prepared = Prepared(
        folder=folder,
        name=catalogue.name,
        source=source,
        synthetic=catalogue.synthetic,
        class_names=catalogue.class_names,
        image_shape=ordered.images.shape[1:],
        counts={part: int((parts == part).sum()) for part in (TRAIN, VALIDATION, TEST)},
        digest=_digest(ordered, catalogue.class_names),
        split_digest=_hash(f"{part}/{name}" for part, name in zip(parts, ordered.ids, strict=True)),
        test_digest=_test_digest(ordered, catalogue.class_names),
        notes=(
            *warnings(members, shows_nothing, ordered.images),
            *catalogue.notes,
            *decoded.notes,
            *notes,
            *_say_limits(duplicates),
        ),
        audit=audit | {"purged": int((parts == PURGED).sum()), "parts": members.table()},
        bits=decoded.bits,
    )
    prepared.write()
    write_audit([Collection.of(prepared)], [], folder / AUDIT)
    return prepared


def _parts(
    ordered: Ordered, duplicates: Duplicates, own: NDArray[np.int64] | None, seed: int, leaks: str
) -> tuple[NDArray[np.str_], NDArray[np.int64], list[str]]:
    """Return the part of each image, the groups that stay together, and what was done to get there."""
    parts, notes = ordered.roles.astype("U16"), []
    groups = duplicates.groups if own is None else own
    what = "a duplicate" if own is None else "one of their group"
    purge = (parts == TRAIN) & np.isin(groups, groups[parts != TRAIN])
    if leaks == "purge-train" and purge.any():
        parts[purge] = PURGED
        notes.append(f"{int(purge.sum()):,} training images with {what} in an evaluation part were purged.")
    if not (parts == VALIDATION).any():
        train = np.flatnonzero(parts == TRAIN)
        _, carved = carve(ordered.labels[train], groups[train], CARVED, seed, ordered.ids[train])
        if own is None and leaks == "report" and _lopsided(ordered.labels[train], carved):
            groups = duplicates.exact
            _, carved = carve(ordered.labels[train], groups[train], CARVED, seed, ordered.ids[train])
            notes.append(
                "Look-alikes were split like other images, as leaks = 'report' asks: a class would have "
                "too few validation images otherwise. Only images with equal pixels stay together."
            )
        parts[train[carved]] = VALIDATION
        notes.append(f"{len(carved):,} validation images were carved from train ({CARVED:.0%}, seed {seed}).")
    return parts, groups, notes


def _lopsided(labels: NDArray[np.int64], carved: NDArray[np.int64]) -> bool:
    """Say whether some class, of more than one image, has less than half of its share among the carved."""
    of_all, of_carved = np.bincount(labels), np.bincount(labels[carved], minlength=labels.max(initial=0) + 1)
    return bool(((of_all > 1) & (of_carved < 0.5 * CARVED * of_all)).any())


def _write_parts(
    ordered: Ordered,
    duplicates: Duplicates,
    groups: NDArray[np.int64],
    parts: NDArray[np.str_],
    folder: Path,
) -> None:
    has_twin = crossing(duplicates.groups, np.where(parts == PURGED, TRAIN, parts))
    for part in np.unique(parts).tolist():
        rows = np.flatnonzero(parts == part)
        whole = Part(ordered.images, ordered.labels, ordered.ids, groups, has_twin)
        whole.write(rows, folder / FOLDERS[part])
    duplicates.write(folder / DUPLICATES)


def _say_limits(duplicates: Duplicates) -> list[str]:
    notes = []
    if len(duplicates.groups) > MOST:
        notes.append(f"Only exact duplicates were looked for: there are more than {MOST:,} images.")
    if duplicates.look_alikes:
        notes.append(
            f"{duplicates.look_alikes:,} images are alike in large numbers: only exact duplicates "
            f"count there."
        )
    return notes


def _digest(ordered: Ordered, class_names: tuple[str, ...]) -> str:
    names = zip(ordered.ids, ordered.labels.tolist(), ordered.digests, strict=True)
    images = (f"{name}/{label}/{digest.hex()}" for name, label, digest in names)
    return _hash([repr(class_names), repr(ordered.images.shape[1:]), *images])


def _test_digest(ordered: Ordered, class_names: tuple[str, ...]) -> str | None:
    rows = np.flatnonzero(ordered.roles == TEST).tolist()
    images = (f"{class_names[ordered.labels[row]]}/{ordered.source_digests[row].hex()}" for row in rows)
    return _hash(sorted(images)) if rows else None


def _hash(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(f"{line}\n".encode())
    return digest.hexdigest()
