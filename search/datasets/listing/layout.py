"""From the paths in a folder or an archive to roles, classes and ids: the layouts that people have.

What folders say, `search.datasets.listing.path_names` reads. File names that begin with `Training_`,
`PublicTest_` or `PrivateTest_` (FER-2013) say the role themselves and overrule the folder.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from search.datasets.catalog import (
    ROLES,
    TEST,
    TRAIN,
    VALIDATION,
    Raw,
)
from search.datasets.listing.left_out import Listing, ask_about_splits, require_images, say_left_out
from search.datasets.listing.path_names import (
    Placed,
    by_class_folder,
    by_role_folder,
    is_image,
    printable,
)
from spaces.errors import UserError

ROLE_PREFIXES: Final = {"Training_": TRAIN, "PublicTest_": VALIDATION, "PrivateTest_": TEST}
#: From paths to what equal files alone have in common: a checksum, or `digest_of`.
Contents: TypeAlias = Callable[[Sequence[str]], Mapping[str, object]]


def digest_of(raw: Raw) -> object:
    """Return what equal files alone have in common; a file that cannot be read equals no other."""
    return hashlib.blake2b(raw).digest() if isinstance(raw, bytes) else raw


def place(listing: Listing, where: str, contents: Contents) -> tuple[list[Placed], list[str]]:
    """Give each image of a source its role, class and id.

    Args:
        listing: its files and links.
        where: what it is called, for messages.
        contents: is asked about files that claim the same id.

    Returns:
        The images, sorted by id, and sentences on the layout and on what was left out.

    Raises:
        UserError: there are no images, no classes can be made out, it is unclear which folders are classes or
            splits, two class folders differ in case alone, or two different files claim the same id.
    """
    require_images(listing, where)
    images = [path for path in listing.sizes if is_image(path)]
    placed = by_role_folder(images)
    if placed:
        ask_about_splits(images, placed, where)
    else:
        placed = by_class_folder(images, where)
    notes = [_say_layout(placed), *say_left_out(listing, placed, where)]
    placed, overruled = _overrule_by_prefix(placed)
    notes += [
        f"{count:,} files named {prefix}* are {role} images by their names."
        for (prefix, role), count in overruled
    ]
    placed = _same_spelling(placed, where)
    placed, copies = _without_copies(placed, listing.sizes, contents, where)
    if copies:
        notes.append(f"{copies:,} files lie twice in the tree, byte by byte; the deeper ones were ignored.")
    return sorted(placed, key=lambda image: image.id), notes


def class_names(placed: Iterable[Placed], where: str) -> tuple[str, ...]:
    """The classes of the training images, sorted.

    Args:
        placed: The images.
        where: The source, for messages.

    Raises:
        UserError: For one class, or one that is unknown to train.
    """
    by_role: dict[str, set[str]] = defaultdict(set)
    for image in placed:
        by_role[image.role].add(image.label)
    return known_classes(by_role, where)


def known_classes(by_role: Mapping[str, set[str]], where: str) -> tuple[str, ...]:
    """Return train's classes, sorted, from the classes by role. Raises UserError as `class_names` does."""
    train = by_role.get(TRAIN, set())
    if not train:
        raise UserError(
            f"{where} holds no training images: expected a folder train/, or one folder of classes."
        )
    for role in ROLES[1:]:
        unknown = sorted(by_role.get(role, set()) - train)
        if unknown:
            raise UserError(
                f"{where} has {role} images of the class {unknown[0]!r}, which no training image has: "
                f"labels must be among {', '.join(sorted(train))}."
            )
    stripped: dict[str, str] = {}
    for name in sorted(train):
        beside = stripped.setdefault(" ".join(name.split()), name)
        if beside != name:
            raise UserError(
                f"{where} has two classes that differ in spaces alone, {beside!r} and {name!r}: make them "
                f"one, or rename one."
            )
    if len(train) < 2:
        raise UserError(f"{where} has one class, {min(train)!r}: there is nothing to tell apart.")
    return tuple(sorted(train))


def _overrule_by_prefix(placed: list[Placed]) -> tuple[list[Placed], list[tuple[tuple[str, str], int]]]:
    """Let file names that say their role say it; count those that lay in another role's folder."""
    counts: Counter[tuple[str, str]] = Counter()
    overruled = []
    for image in placed:
        name = image.rest.rsplit("/", 1)[-1]
        prefix = next((prefix for prefix in ROLE_PREFIXES if name.startswith(prefix)), None)
        role = ROLE_PREFIXES[prefix] if prefix else image.role
        if prefix and role != image.role:
            counts[prefix, role] += 1
        overruled.append(image if role == image.role else replace(image, role=role))
    return overruled, sorted(counts.items())


def _same_spelling(placed: list[Placed], where: str) -> list[Placed]:
    """Give a class one spelling in all roles, that of train. Two spellings side by side are a mistake."""
    spellings: dict[str, dict[str, str]] = defaultdict(dict)
    for image in placed:
        beside = spellings[image.label.casefold()].setdefault(image.root, image.label)
        if beside != image.label:
            raise UserError(
                f"{where} has two class folders that differ in case alone, {beside!r} and {image.label!r}: "
                f"make them one, or rename one."
            )
    in_train = {image.label.casefold(): image.label for image in placed if image.role == TRAIN}
    return [
        replace(image, label=in_train.get(image.label.casefold(), image.label))
        if in_train.get(image.label.casefold(), image.label) != image.label
        else image
        for image in placed
    ]


def _without_copies(
    placed: list[Placed], sizes: Mapping[str, int], contents: Contents, where: str
) -> tuple[list[Placed], int]:
    """Keep the shallowest of equal files with one id: archives often hold their tree twice."""
    kept: dict[str, Placed] = {}
    copies: list[tuple[Placed, Placed]] = []
    for image in sorted(placed, key=lambda image: (image.path.count("/"), image.path)):
        first = kept.setdefault(image.id, image)
        if first is not image:
            copies.append((first, image))
    _refuse_different(copies, sizes, where)  # first, since they cost nothing
    _refuse_different(copies, contents(sorted({image.path for pair in copies for image in pair})), where)
    return list(kept.values()), len(copies)


def _refuse_different(
    copies: Iterable[tuple[Placed, Placed]], content: Mapping[str, object], where: str
) -> None:
    for one, other in copies:
        if content[one.path] != content[other.path]:
            raise UserError(
                f"{where} has two different images for {one.id}: {printable(one.path)} and "
                f"{printable(other.path)}; keep one of them, or rename one."
            )


def _say_layout(placed: list[Placed]) -> str:
    roots = sorted({image.root for image in placed})
    shown = ", ".join(f"{root}/" if root else "the top" for root in roots[:6])
    return f"Layout: one folder for each class under {shown}{', ...' if len(roots) > 6 else ''}."
