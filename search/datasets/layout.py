"""From the paths in a folder or an archive to roles, classes and ids: the layouts that people have.

`train/angry/1.jpg` (also below any number of outer folders, also `val`, `validation`, `test`) gives the role
by its folder; `angry/1.jpg` is one folder of classes, all of it training images. File names that begin with
`Training_`, `PublicTest_` or `PrivateTest_` (FER-2013) say the role themselves and overrule the folder.
"""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from search.datasets.catalogue import ROLES, TEST, TRAIN, VALIDATION
from spaces.errors import UserError

ROLE_FOLDERS: Final = {
    "train": TRAIN,
    "training": TRAIN,
    "validation": VALIDATION,
    "valid": VALIDATION,
    "val": VALIDATION,
    "test": TEST,
    "testing": TEST,
}
ROLE_PREFIXES: Final = {"Training_": TRAIN, "PublicTest_": VALIDATION, "PrivateTest_": TEST}
IMAGE_SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".pgm", ".ppm")


@dataclass(frozen=True)
class Placed:
    """One image file: where it lies, and what its place says about it."""

    path: str
    role: str
    label: str
    rest: str
    root: str

    @property
    def id(self) -> str:
        """Role, class and file: the same in a folder and in an archive."""
        return f"{self.role}/{self.label}/{self.rest}"


def place(sizes: Mapping[str, int], where: str) -> tuple[list[Placed], list[str]]:
    """Give each image among `sizes` (path -> bytes) its role, class and id, sorted by id; and say what was
    seen.

    Raises UserError where no classes can be made out, where there are fewer than two, where two class folders
    differ in case alone, and where two different files claim the same id.
    """
    images = [path for path in sizes if _is_image(path)]
    others = len(sizes) - len(images)
    if not images:
        raise UserError(
            f"{where} holds no images ({others:,} other files): expected a folder for each class, with "
            f"files of type {', '.join(suffix[1:] for suffix in IMAGE_SUFFIXES)}."
        )
    placed = _by_role_folder(images) or _by_class_folder(images, where)
    notes = [_say_layout(placed)]
    if others:
        notes.append(f"{others:,} files that are no images were ignored.")
    if len(placed) < len(images):
        outside = len(images) - len(placed)
        notes.append(f"{outside:,} images lie outside the class folders and were ignored.")
    placed, overruled = _overrule_by_prefix(placed)
    notes += [
        f"{count:,} files named {prefix}* are {role} images by their names."
        for (prefix, role), count in overruled
    ]
    placed = _same_spelling(placed, where)
    placed, copies = _without_copies(placed, sizes, where)
    if copies:
        notes.append(
            f"{copies:,} files lie twice in the tree, with the same size; the deeper copies were ignored."
        )
    return sorted(placed, key=lambda image: image.id), notes


def class_names(placed: Iterable[Placed], where: str) -> tuple[str, ...]:
    """Return the classes of the training images, sorted. Raises UserError for one class, or one unknown to
    train.
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
    if len(train) < 2:
        raise UserError(f"{where} has one class, {min(train)!r}: there is nothing to tell apart.")
    return tuple(sorted(train))


def _is_image(path: str) -> bool:
    parts = path.split("/")
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
    return not hidden and path.lower().endswith(IMAGE_SUFFIXES)


def _by_role_folder(images: Iterable[str]) -> list[Placed]:
    """Place the images that lie in role/class/...; the leftmost folder with a role's name counts."""
    placed = []
    for path in images:
        parts = path.split("/")
        for depth, part in enumerate(parts[:-2]):
            role = ROLE_FOLDERS.get(part.lower())
            if role:
                root = "/".join(parts[: depth + 1])
                placed.append(_placed(path, role, parts[depth + 1], parts[depth + 2 :], root))
                break
    return placed


def _by_class_folder(images: Iterable[str], where: str) -> list[Placed]:
    """Place the images of one folder of classes, below outer folders that all of them share."""
    split = [path.split("/") for path in images if "/" in path]
    depth = 0
    while (
        split
        and all(len(parts) > depth + 2 for parts in split)
        and len({parts[depth] for parts in split}) == 1
    ):
        depth += 1
    names = {parts[depth].lower() for parts in split}
    if names <= ROLE_FOLDERS.keys():
        raise UserError(
            f"{where} has images, but not in a folder for each class: expected train/CLASS/FILE or "
            f"CLASS/FILE."
        )
    if any(part.lower() in ROLE_FOLDERS for parts in split for part in parts[depth + 1 : -1]):
        raise UserError(
            f"{where} has split folders inside class folders: expected train/CLASS/FILE, not "
            f"CLASS/train/FILE."
        )
    return [
        _placed("/".join(parts), TRAIN, parts[depth], parts[depth + 1 :], "/".join(parts[:depth]))
        for parts in split
    ]


def _placed(path: str, role: str, label: str, rest: list[str], root: str) -> Placed:
    """Build a row; names are brought to one Unicode form, since macOS writes another one than the rest."""
    label, name = (unicodedata.normalize("NFC", text) for text in (label, "/".join(rest)))
    return Placed(path, role, label, name, root)


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


def _without_copies(placed: list[Placed], sizes: Mapping[str, int], where: str) -> tuple[list[Placed], int]:
    """Keep the shallowest of files with one id and size: archives often hold their tree twice."""
    kept: dict[str, Placed] = {}
    for image in sorted(placed, key=lambda image: (image.path.count("/"), image.path)):
        first = kept.setdefault(image.id, image)
        if sizes[first.path] != sizes[image.path]:
            raise UserError(
                f"{where} has two different images for {image.id}: {first.path} and {image.path}; keep "
                f"one of them."
            )
    return list(kept.values()), len(placed) - len(kept)


def _say_layout(placed: list[Placed]) -> str:
    roots = sorted({image.root for image in placed})
    shown = ", ".join(f"{root}/" if root else "the top" for root in roots[:6])
    return f"Layout: one folder for each class under {shown}{', ...' if len(roots) > 6 else ''}."
