"""What each part holds of each class, once splits are decided: refused or said before anything is trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from search.datasets.cache.prepared import PURGED
from search.datasets.catalog import ROLES, TEST, TRAIN, VALIDATION
from search.datasets.images.pixel_range import DARKEST
from search.datasets.listing.left_out import WARNING
from spaces.errors import UserError

_FLAT_LOUD: Final = 0.05  # share of nearly constant images, of a set, that is a warning
_MOST_LINES: Final = 60  # classes listed in lines of their own
_FLAT_CLASS: Final = 0.5  # the same of one class
_WHITE: Final = 128  # a set of images in full range has a pixel as bright as this, of 255
_GRAY: Final = 64  # the same for a class, whose things may be dark
_ENOUGH: Final = 5  # images, for the brightest of their pixels to say something

#: The ways out of look-alikes that leave a part without a class.
_WAYS: Final = (
    'If they are different pictures of similar things (one product before one camera), set leaks = "report" '
    "under [protocol], or --leaks report for candor audit: look-alikes are then split like other images. Or "
    "say which images belong together with [data] group. If all show one scene or one person, no split can "
    "judge this class: add pictures of others, or leave it out with [data] classes."
)


@dataclass(frozen=True)
class Members:
    """The n images of a source, their classes and parts.

    Attributes:
        class_names: in order.
        labels: int64 (n,).
        roles: text (n,), the splits as the source has them.
        parts: text (n,), as they were decided, purged images under that name.
        groups: int64 (n,), duplicates share a number.
        unread: how many images of each (role, class) could not be read.
        given: the groups are the user's.
    """

    class_names: Sequence[str]
    labels: NDArray[np.int64]
    roles: NDArray[np.str_]
    parts: NDArray[np.str_]
    groups: NDArray[np.int64]
    unread: Mapping[tuple[str, str], int]
    given: bool = False

    def count(self, part: str, label: int) -> int:
        """Return the images of a class in a part."""
        return int(((self.parts == part) & (self.labels == label)).sum())

    def table(self) -> dict[str, dict[str, int]]:
        """Return part -> class -> images, for the parts that hold any."""
        return {
            part: {name: self.count(part, label) for label, name in enumerate(self.class_names)}
            for part in ROLES
            if (self.parts == part).any()
        }


def check_classes(members: Members, source: str) -> None:
    """Raise UserError where train, or a carved validation part, lacks a class, with the way out."""
    carved = not (members.roles == VALIDATION).any()
    for label, name in enumerate(members.class_names):
        own = members.labels == label
        unread = sum(count for (_, of), count in members.unread.items() if of == name)
        if not own.any() and unread:
            raise UserError(
                f"{source}: no image of the class {name!r} can be read ({unread:,} files): repair "
                f"or replace them."
            )
        if not members.count(TRAIN, label):
            why = _why(members, label)
            raise UserError(f"{source} has no training image left of the class {name!r}: {why}")
        if carved and not members.count(VALIDATION, label) and (members.parts == VALIDATION).any():
            raise UserError(
                f"{source}: validation, carved from train, would hold no image of the class {name!r}, so no "
                f"candidate could be judged on it. {_one_group(members, label)}"
            )
    if not (members.parts == VALIDATION).any():
        train = members.parts == TRAIN
        if train.sum() > 1 and len(set(members.groups[train])) == 1:
            why = (
                "belong to one group, by [data] group"
                if members.given
                else "count as duplicates of each other"
            )
            raise UserError(
                f"{source}: no validation part can be carved: all {train.sum():,} training images {why}. "
                f"{'Give others.' if members.given else _WAYS}"
            )
        raise UserError(f"{source} has too few images to carve a validation part from train: give more.")


def check_ranges(members: Members, images: NDArray[np.uint8], source: str) -> None:
    """Refuse a split whose pixels have another range than those of another one.

    Args:
        members: the images' classes and splits.
        images: uint8 (n, h, w, c).
        source: the data set, for the message.

    Raises:
        UserError: if all images of a split are almost black, and another one reaches white: a network that
            learnt the one is not judged by the other.
    """
    each = _brightest(images)
    brightest = {
        role: int(each[members.roles == role].max()) for role in ROLES if (members.roles == role).any()
    }
    light = max(brightest, key=lambda role: brightest[role])
    dark = min(brightest, key=lambda role: brightest[role])
    if brightest[dark] < DARKEST and brightest[light] >= _WHITE:
        raise UserError(
            f"{source}: the {dark} images are almost black beside those of {light}: on a scale from 0 to "
            f"255, their brightest pixels are {brightest[dark]} and {brightest[light]}. The numbers of the "
            f"two have different ranges: bring them to one range."
        )


def _brightest(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The largest number of each image, (n,): read once, in order, since they may not fit in memory."""
    found = np.empty(len(images), np.uint8)
    for start in range(0, len(images), 4096):
        found[start : start + 4096] = images[start : start + 4096].max(axis=(1, 2, 3))
    return found


def _why(members: Members, label: int) -> str:
    """Why no training image of a class is left."""
    name = members.class_names[label]
    purged = members.count(PURGED, label)
    if purged and members.given:
        return (
            f"all {purged:,} belong to groups that validation or test hold too, by [data] group, and are "
            f'purged. Give splits that do not share groups, or set leaks = "report" under [protocol].'
        )
    if purged:
        return (
            f"all {purged:,} look like images of validation or test and are purged as duplicates of those. "
            f"If the splits repeat each other's files, give splits that do not. {_WAYS}"
        )
    unread = members.unread.get((TRAIN, name), 0)
    return f"none of its {unread:,} files can be read: repair or replace them." if unread else "give some."


def _one_group(members: Members, label: int) -> str:
    """Why a class has nothing for validation."""
    images = members.count(TRAIN, label)
    if images == 1:
        return (
            "It has one training image. A class needs at least three that differ: to train on, to watch the "
            "training, to judge. Give more, or leave the class out with [data] classes."
        )
    if members.given:
        return (
            f"All of its {images:,} training images belong to one group, by [data] group: add others, or "
            f"leave the class out with [data] classes."
        )
    return f"All of its {images:,} training images count as duplicates of each other. {_WAYS}"


def warnings(members: Members, flat: NDArray[np.bool_], images: NDArray[np.uint8]) -> list[str]:
    """Say loudly what makes results doubtful: classes that a part lacks, images that show nothing.

    Args:
        members: the images' classes and parts.
        flat: bool (n,), constant or nearly constant images.
        images: uint8 (n, h, w, c).
    """
    said = []
    for part, counts in members.table().items():
        missing = [name for name, count in counts.items() if not count]
        if missing:
            said.append(
                f"{WARNING}The {part} part has no image of {', '.join(missing)}: nothing measured there says "
                f"anything about {'it' if len(missing) == 1 else 'them'}."
            )
    scarce = [name for label, name in enumerate(members.class_names) if members.count(TRAIN, label) == 1]
    if scarce:
        said.append(
            f"{WARNING}One training image is left of {', '.join(scarce)}: a network hardly learns from one, "
            f"and none is left to watch the training. Give more, or leave the class out with [data] classes."
        )
    said += _say_lopsided(members)
    share = float(flat.mean()) if len(flat) else 0.0
    classes = [
        name
        for label, name in enumerate(members.class_names)
        if (members.labels == label).any() and flat[members.labels == label].mean() >= _FLAT_CLASS
    ]
    if share >= _FLAT_LOUD or classes:
        where = f", most of those of {', '.join(classes)}" if classes else ""
        said.append(
            f"{WARNING}{int(flat.sum()):,} of {len(flat):,} images ({share:.0%}) are constant or nearly "
            f"so{where}: they show nothing that could be learnt. Check which numbers are black "
            f"and white in the source."
        )
    return [*said, *_say_dark(members, images)]


def _say_dark(members: Members, images: NDArray[np.uint8]) -> list[str]:
    """Say which images stay far below white: all of them, those of a split, or those of a class."""
    each = _brightest(images)
    brightest = int(each.max(initial=0))
    if brightest == 0:
        return []
    if brightest < _WHITE:
        almost = "almost black" if brightest < DARKEST else "dark"
        return [
            f"{WARNING}All images are {almost}: the brightest pixel is {brightest} of 255. Check which "
            f"numbers are black and white in the source."
        ]
    said = []
    sets = [(f"of the {role} part", members.roles == role, _WHITE) for role in ROLES]
    sets += [(f"of {name}", members.labels == row, _GRAY) for row, name in enumerate(members.class_names)]
    for which, own, least in sets:
        highest = int(each[own].max(initial=0))
        if own.sum() >= _ENOUGH and highest < least:
            said.append(
                f"{WARNING}All images {which} are dark: their brightest pixel is {highest} of 255, that of "
                f"the others {brightest}. Check that their numbers have the same range."
            )
    return said


def _say_lopsided(members: Members) -> list[str]:
    """Name classes of which a carved validation part got much less than its share, for their look-alikes."""
    if (members.roles == VALIDATION).any():
        return []
    drawn = (members.parts == VALIDATION).sum() / max(1, np.isin(members.parts, (TRAIN, VALIDATION)).sum())
    said = []
    for label, name in enumerate(members.class_names):
        got, rest = members.count(VALIDATION, label), members.count(TRAIN, label)
        if rest > 10 and got < 0.5 * drawn * (got + rest):
            said.append(
                f"{WARNING}Validation got {got:,} of {got + rest:,} images of {name}, since most of these "
                f"{'belong to one group' if members.given else 'count as duplicates of each other'} and stay "
                f"together in train.{'' if members.given else f' {_WAYS}'}"
            )
    return said


def overview(
    name: str, class_names: Sequence[str], audit: Mapping[str, Any], notes: Sequence[str]
) -> list[str]:
    """Return lines that say what a data set holds: classes in order, counts by split, what was left out.

    Args:
        name: of the data set.
        class_names: in the order of the networks' outputs.
        audit: of the prepared set (`search.datasets.audit.findings`).
        notes: of the prepared set.
    """
    table = audit["parts"]
    parts = [part for part in (TRAIN, VALIDATION, TEST) if part in table]
    width = max(len("class"), *(len(one) for one in class_names))
    lines = [f"data: {name}, {len(class_names)} classes in this order:"]
    lines.append("  " + "class".ljust(width) + "".join(part.rjust(12) for part in parts))
    shown = class_names if len(class_names) <= _MOST_LINES else class_names[: _MOST_LINES // 2]
    for one in shown:
        lines.append("  " + one.ljust(width) + "".join(f"{table[part][one]:,}".rjust(12) for part in parts))
    if rest := class_names[len(shown) :]:
        ranges = (
            f"{part} {min(n)} to {max(n)}" for part in parts if (n := [table[part][one] for one in rest])
        )
        lines.append(f"  and {len(rest)} more ({', '.join(ranges)} images each): {', '.join(rest)}")
    loud = [note for note in notes if note.startswith(WARNING)]
    return [*lines, *(f"  {note}" for note in (*loud, *(note for note in notes if note not in loud)))]
