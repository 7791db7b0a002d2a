"""What the folders above an image say of it: its role and its class.

`train/angry/1.jpg` (also below any number of outer folders, also `val`, `validation`, `test`) gives the role
by its folder; `training/train` beside `training/test` is an outer folder around two roles. Where no folder
is called like that, top folders may have a role among the words of their names: `seg_train`, `test_set`.
`angry/1.jpg` is one folder of classes, all of it training images. What can be read in two ways is refused: a
test part that becomes a class would be trained on.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from search.datasets.catalog import TEST, TRAIN, VALIDATION
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
IMAGE_SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".pgm", ".ppm", ".jfif", ".jpe")

Parts: TypeAlias = tuple[str, ...]  # of a path: its folders and its file
Held: TypeAlias = Mapping[Parts, set[Parts]]  # folder -> the folders in it; those alone that hold some


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


def is_hidden(path: str) -> bool:
    """Say whether a file or a folder above it is hidden, or one of those that macOS adds."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.split("/"))


def is_image(path: str) -> bool:
    """Say whether a file is an image, by its name."""
    return path.lower().endswith(IMAGE_SUFFIXES) and not is_hidden(path)


def suffix_of(path: str) -> str:
    """Return how a file's name ends, in small letters: ".gif", or "" where there is no dot."""
    name = path.rsplit("/", 1)[-1]
    return name[name.rindex(".") :].lower() if "." in name[1:] else ""


def printable(name: str) -> str:
    """Return a name as it can be written down: what is no UTF-8 in it as the numbers of its bytes.

    And in one Unicode form, since macOS writes another one than the rest.
    """
    written = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", written)


def role_of(folder: str) -> str | None:
    """Return the one role that the words of a folder's name say: test for "test", "test_set", "my.test"."""
    words = re.split(r"[-_. ]+", folder.lower())
    roles = {ROLE_FOLDERS[word] for word in words if word in ROLE_FOLDERS}
    return roles.pop() if len(roles) == 1 else None


def by_role_folder(images: Iterable[str]) -> list[Placed]:
    """Place the images that lie in role/class/...; the leftmost folder that says a role counts."""
    split = _in_folders(images)
    roles = _role_folders(split)
    placed = []
    for parts in split:
        for depth in range(1, len(parts) - 1):
            if parts[:depth] in roles:
                placed.append(_placed(parts, roles[parts[:depth]], depth))
                break
    return placed


def by_class_folder(images: Iterable[str], where: str) -> list[Placed]:
    """Place the images of one folder of classes, below outer folders that all of them share.

    Raises UserError where its folders are splits, or where it is unclear whether they are classes.
    """
    split = _in_folders(images)
    depth = _fork(split)
    below = [parts[depth:] for parts in split]
    _refuse_splits(below, where)
    _refuse_repeated(below, where)
    _refuse_uneven(below, where)
    return [_placed(parts, TRAIN, depth) for parts in split]


def _in_folders(images: Iterable[str]) -> list[Parts]:
    return [tuple(path.split("/")) for path in images if "/" in path]


def _placed(parts: Parts, role: str, depth: int) -> Placed:
    """Build the row of an image whose class is its folder at `depth`."""
    root, label, rest = (
        printable("/".join(some)) for some in (parts[:depth], parts[depth : depth + 1], parts[depth + 1 :])
    )
    return Placed("/".join(parts), role, label, rest, root)


def _fork(split: Sequence[Parts]) -> int:
    """Return how many outer folders all images share, without the folder that an image lies in."""
    depth = 0
    while (
        split
        and all(len(parts) > depth + 2 for parts in split)
        and len({parts[depth] for parts in split}) == 1
    ):
        depth += 1
    return depth


def _role_folders(split: Sequence[Parts]) -> dict[Parts, str]:
    """Return the folders around classes and their roles, by their names; else those of `_roles_by_word`."""
    held = _held(split)
    called = {folder: ROLE_FOLDERS[folder[-1].lower()] for folder in held if _called_role(folder)}
    outer = _outer(called, held)
    roles = {folder: role for folder, role in called.items() if folder not in outer}
    return _around_classes(roles, held) or _around_classes(_roles_by_word(split), held)


def _held(split: Iterable[Parts]) -> Held:
    """Return the folders that hold folders, and those."""
    held: dict[Parts, set[Parts]] = defaultdict(set)
    for parts in split:
        for depth in range(1, len(parts) - 1):
            held[parts[:depth]].add(parts[: depth + 1])
    return dict(held)


def _called_role(folder: Parts) -> bool:
    return folder[-1].lower() in ROLE_FOLDERS


def _outer(called: Collection[Parts], held: Held) -> set[Parts]:
    """The role folders that hold nothing but role folders, of several roles, such as training/train.

    They say no role: the parts inside them would become classes.
    """
    outer: set[Parts] = set()
    for folder in sorted(called, key=len, reverse=True):  # training/training/train is one in another
        inside = held[folder]
        several = len({ROLE_FOLDERS.get(child[-1].lower()) for child in inside}) > 1
        around_roles = bool(inside & outer) or (several and not inside.isdisjoint(called))
        if around_roles and all(map(_called_role, inside)):
            outer.add(folder)
    return outer


def _roles_by_word(split: Sequence[Parts]) -> dict[Parts, str]:
    """Return the top folders with a role among the words of their names, if these can be nothing but roles.

    A single one beside others may be a class (bullet_train); two different roles are no chance.
    """
    depth = _fork(split)
    roles = {parts[: depth + 1]: role_of(parts[depth]) for parts in split}
    said = {folder: role for folder, role in roles.items() if role}
    return said if len(said) == len(roles) or len(set(said.values())) > 1 else {}


def _around_classes(roles: Mapping[Parts, str], held: Held) -> dict[Parts, str]:
    """Return the role folders without what is wrapped around them, and without those of images alone.

    Archives that unpack into a folder of their name are often packed anew: train/train/CLASS. Where such a
    folder holds no folders, as in test/test/FILE, its images have no labels.
    """
    inner = {_unwrapped(folder, held): role for folder, role in roles.items()}
    return {folder: role for folder, role in inner.items() if not _is_wrapper(folder, held)}


def _is_wrapper(folder: Parts, held: Held) -> bool:
    """Say whether the only folder in a folder has its name."""
    return held.get(folder) == {(*folder, folder[-1])}


def _unwrapped(folder: Parts, held: Held) -> Parts:
    """Return the innermost folder of that name that holds folders."""
    while _is_wrapper(folder, held) and (*folder, folder[-1]) in held:
        folder = (*folder, folder[-1])
    return folder


def _refuse_splits(below: Sequence[Parts], where: str) -> None:
    """Raise UserError where folders that should be classes, or those inside them, are called like splits."""
    tops = {parts[0] for parts in below}
    roles = {name for name in tops if role_of(name)}
    if roles == tops:
        raise UserError(
            f"{where} has images, but not in a folder for each class: expected train/CLASS/FILE or "
            f"CLASS/FILE."
        )
    if any(part.lower() in ROLE_FOLDERS for parts in below for part in parts[1:-1]):
        raise UserError(
            f"{where} has split folders inside class folders: expected train/CLASS/FILE, not "
            f"CLASS/train/FILE."
        )
    if roles:
        raise UserError(
            f"{where} has a folder {printable(min(roles))!r} beside {printable(min(tops - roles))!r}, so it "
            f"is unclear whether it is a split or a class: put all class folders into a folder train/, this "
            f"one among them only if it is a class."
        )


def _refuse_repeated(below: Sequence[Parts], where: str) -> None:
    """Raise UserError where the same folders come in several: either these or those may be the classes."""
    level = 1 + _fork([parts[1:] for parts in below])  # one folder that all have, CLASS/images, is none
    inside = {(parts[0], parts[level]) for parts in below if len(parts) > level + 1}
    counts = Counter(name for _, name in inside)
    repeated = [name for name, count in counts.items() if count > 1]
    if repeated and len(counts) > 1:
        name = min(repeated)
        one, other = sorted(printable(top) for top, held in inside if held == name)[:2]
        raise _unclear(where, f"a folder {printable(name)!r} in {one!r} and in {other!r}")


def _refuse_uneven(below: Sequence[Parts], where: str) -> None:
    """Raise UserError where one folder holds images and another one nothing but folders of images."""
    with_images = {parts[0] for parts in below if len(parts) == 2}
    folders = Counter(top for top, _ in {parts[:2] for parts in below if len(parts) > 2})
    without = [top for top, count in folders.items() if count > 1 and top not in with_images]
    if with_images and without:
        one, other = printable(min(with_images)), printable(min(without))
        raise _unclear(where, f"images in {one!r} itself, but only in the folders inside {other!r}")


def _unclear(where: str, found: str) -> UserError:
    return UserError(
        f"{where} has {found}, so it is unclear which folders are the classes: put those, and nothing "
        f"else, into a folder train/."
    )
