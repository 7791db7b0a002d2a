"""What of a source takes no part, and why, in sentences: nothing is lost without a word.

Sentences that begin with WARNING say what may have been meant to take part.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from search.datasets.catalog import ROLES, TEST, TRAIN, VALIDATION
from search.datasets.listing.path_names import (
    IMAGE_SUFFIXES,
    ROLE_FOLDERS,
    Placed,
    is_hidden,
    is_image,
    printable,
    role_of,
    suffix_of,
)
from spaces.errors import UserError

WARNING: Final = "WARNING: "
#: How image files end that Candor does not read.
OTHER_IMAGES: Final = frozenset(
    {
        *(".gif", ".tif", ".tiff", ".heic", ".heif", ".avif", ".jp2", ".j2k", ".jxl", ".svg", ".ico", ".tga"),
        *(".psd", ".exr", ".hdr", ".dcm", ".nii", ".raw", ".dng", ".cr2", ".nef", ".arw", ".npy", ".pbm"),
        *(".pfm", ".pcx"),
    }
)
ARCHIVES: Final = frozenset({".zip", ".tar", ".tgz", ".gz", ".xz", ".txz", ".bz2", ".tbz2", ".7z", ".rar"})
#: What people call splits besides `ROLE_FOLDERS`.
_CUSTOMS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("dev", "devel", "development", "validate", "vld"), (VALIDATION,)),
    **dict.fromkeys(("validset", "valset", "validationset"), (VALIDATION,)),
    **dict.fromkeys(("eval", "evaluate", "evaluation", "holdout", "heldout"), (VALIDATION, TEST)),
    **dict.fromkeys(("tst", "testset"), (TEST,)),
    **dict.fromkeys(("trn", "trainset", "trainingset"), (TRAIN,)),
}
_SHOWN: Final = 5
_MAYBE_IMAGES: Final = OTHER_IMAGES | ARCHIVES | {"no ending"}


@dataclass(frozen=True)
class Listing:
    """The files of a source: path -> bytes, and the links that were not followed, path -> target."""

    sizes: Mapping[str, int]
    links: Mapping[str, str]


def require_images(listing: Listing, where: str) -> None:
    """Raise UserError, which names what there is instead, where a source holds no image."""
    shown = [path for path in listing.sizes if not is_hidden(path)]
    if any(map(is_image, shown)):
        return
    if not shown and listing.links:
        raise UserError(
            f"{where} holds nothing but links to elsewhere ({_links(listing.links)}), which are not "
            f"followed: copy the files there, with cp -rL for example."
        )
    found = f"{_named(sorted(shown))}" if shown else "no file at all"
    archives = [path for path in shown if suffix_of(path) in ARCHIVES]
    tables = [path for path in shown if suffix_of(path) in (".csv", ".npz")]
    remedy = f"expected a folder for each class, with files of type {_readable()}"
    if archives:
        remedy = f"unpack {printable(archives[0])} and give that"
    elif len(tables) > 1:
        remedy = f"give one of them, such as {printable(tables[0])}, by itself"
    elif any(suffix_of(path) in OTHER_IMAGES for path in shown):
        remedy = f"convert them to one of {_readable()}"
    raise UserError(
        f"{where} holds no images that can be read, but {len(shown):,} other files ({found}): {remedy}."
    )


def ask_about_splits(images: Iterable[str], placed: Sequence[Placed], where: str) -> None:
    """Raise UserError where a folder of classes beside the splits may be a missing one: `dev`, `Vaild`."""
    roots = {tuple(image.root.split("/")) for image in placed if image.root}
    around = {root[: depth + 1] for root in roots for depth in range(len(root))}
    missing = set(ROLES) - {image.role for image in placed}
    beside: dict[str, tuple[str, set[str]]] = {}
    for path in images:
        parts = tuple(printable(path).split("/"))
        for root in roots:
            depth = len(root) - 1
            inside = [folder for folder in parts[depth + 1 : -1] if folder != parts[depth]]  # no wrappers
            if parts[:depth] == root[:depth] and inside and parts[: depth + 1] not in around:
                meant = _meant_by(parts[depth]) & missing
                if meant:
                    beside.setdefault(parts[depth], (root[-1], meant))
    if beside:
        name, (known, meant) = min(beside.items(), key=lambda item: item[0])
        raise UserError(
            f"{where} has a folder {name!r} beside {known!r}, and no {' and no '.join(sorted(meant))} part: "
            f"is it that? Call it {' or '.join(sorted(meant))} then, or else move it away."
        )


def say_left_out(listing: Listing, placed: Sequence[Placed], where: str) -> list[str]:
    """Say what takes no part: class folders, images, other files, links.

    Args:
        listing: all there is.
        placed: the images that take part, before copies are left out.
        where: the source, for the sentences.
    """
    taken = {image.path for image in placed}
    said = [*_lost_classes(listing, placed), *_lost_splits(listing, placed)]
    images = [path for path in listing.sizes if is_image(path) and path not in taken]
    if images:
        folders = Counter(printable(path.rpartition("/")[0]) or "the top" for path in images)
        labels = {image.label for image in placed}
        alike = {folder.rpartition("/")[2] for folder in folders} & labels  # another split, perhaps
        said.append(
            f"{WARNING if alike else ''}{len(images):,} images lie outside the class folders and were "
            f"ignored: {_counted(folders, '{0} ({1:,})')}."
        )
    others = Counter(
        suffix_of(path) or "no ending" for path in listing.sizes if not is_image(path) and not is_hidden(path)
    )
    if others:
        unread = sum(count for suffix, count in others.items() if suffix in OTHER_IMAGES)
        loud = WARNING if unread or not ARCHIVES.isdisjoint(others) else ""
        what = f", {unread:,} of them in image formats that are not read here" if unread else ""
        said.append(
            f"{loud}{others.total():,} files that are no images were ignored{what}: "
            f"{_counted(others, '{0} ({1:,})')}."
        )
    hidden = sum(is_hidden(path) and path.lower().endswith(IMAGE_SUFFIXES) for path in listing.sizes)
    if hidden:
        said.append(f"{hidden:,} hidden image files, or copies that macOS adds, were ignored.")
    if listing.links:
        said.append(
            f"{WARNING}{len(listing.links):,} links to folders, or to elsewhere, were not followed: "
            f"{_links(listing.links)}."
        )
    return sorted(said, key=lambda sentence: not sentence.startswith(WARNING))


def _lost_classes(listing: Listing, placed: Sequence[Placed]) -> list[str]:
    """Name the folders beside class folders that hold files or links, but no image that takes part."""
    classes: dict[str, set[str]] = defaultdict(set)
    for image in placed:
        classes[image.root].add(image.label)
    found: dict[str, list[str]] = defaultdict(list)
    for path in (*listing.sizes, *listing.links):
        if is_hidden(path):
            continue
        written = printable(path)
        for root, labels in classes.items():
            rest = written.removeprefix(f"{root}/") if root else written
            if rest == written and root:
                continue
            name, slash, _ = rest.partition("/")
            if (slash or path in listing.links) and name not in labels and role_of(name) is None:
                found[f"{root}/{name}" if root else name].append(path)
    said = []
    for folder, paths in sorted(found.items()):
        links = [path for path in paths if path in listing.links]
        kinds = Counter(suffix_of(path) or "no ending" for path in paths if path not in listing.links)
        if any(map(is_image, paths)) and not links:
            continue  # they are counted among the images outside the class folders
        loud = WARNING if links or not _MAYBE_IMAGES.isdisjoint(kinds) else ""
        holds = [_counted(kinds, "{1:,} {0}")] if kinds else []
        holds += [f"{len(links):,} links that are not followed"] if links else []
        said.append(
            f"{loud}The folder {folder} is no class: it holds no image that can be read here "
            f"({', '.join(holds)}). Readable are {_readable()}."
        )
    return said


def _lost_splits(listing: Listing, placed: Sequence[Placed]) -> list[str]:
    """Name the folders called like a split that is missing, which hold files, but no image to take part."""
    roots = {image.root for image in placed}
    missing = set(ROLES) - {image.role for image in placed}
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for path in listing.sizes:
        folders = printable(path).split("/")[:-1]
        if is_hidden(path) or is_image(path):
            continue
        for depth, name in enumerate(folders):
            folder = "/".join(folders[: depth + 1])
            beside = any(root.rpartition("/")[0] == "/".join(folders[:depth]) for root in roots if root)
            if beside and folder not in roots and ROLE_FOLDERS.get(name.lower()) in missing:
                found[folder][suffix_of(path) or "no ending"] += 1
    return [
        f"{WARNING}The folder {folder} gives no {ROLE_FOLDERS[folder.rpartition('/')[2].lower()]} part: it "
        f"holds no image that can be read here ({_counted(kinds, '{1:,} {0}')})."
        for folder, kinds in sorted(found.items())
    ]


def _meant_by(name: str) -> set[str]:
    """Return the splits that a folder's name may mean, but for a word, a slip or a custom."""
    known = role_of(name)
    if known is not None:
        return {known}
    words = [word for word in re.split(r"[-_. ]+", name.lower()) if word]
    slips = {role for word in words for folder, role in ROLE_FOLDERS.items() if _is_slip(word, folder)}
    if slips:
        return slips
    customs = [role for word in ("".join(words), *words) for role in _CUSTOMS.get(word, ())]
    return set(customs)


def _is_slip(word: str, known: str) -> bool:
    """Say whether one letter of a split's name is missing, too many, wrong or swapped."""
    return len(word) > 3 and len(known) > 3 and _one_slip_apart(word, known)


def _one_slip_apart(one: str, other: str) -> bool:
    if one == other:
        return False
    start = next(
        (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
    a, b = one[start:], other[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])


def _readable() -> str:
    return ", ".join(suffix[1:] for suffix in IMAGE_SUFFIXES)


def _counted(found: Counter[str], form: str) -> str:
    shown = ", ".join(form.format(name, count) for name, count in found.most_common(_SHOWN))
    more = len(found) - _SHOWN
    return f"{shown} and {more:,} more" if more > 0 else shown


def _named(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _SHOWN:,} more" if len(paths) > _SHOWN else ""
    return ", ".join(map(printable, paths[:_SHOWN])) + more


def _short(target: str) -> str:
    """Where a link leads, without the folders of this machine: notes go into reports, which are passed on."""
    name = printable(target)
    return f".../{name.rstrip('/').rsplit('/', 1)[-1]}" if name.startswith("/") else name


def _links(links: Mapping[str, str]) -> str:
    shown = [
        f"{printable(path)} -> {_short(target)}" if target else printable(path)
        for path, target in sorted(links.items())[:_SHOWN]
    ]
    more = len(links) - _SHOWN
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")
