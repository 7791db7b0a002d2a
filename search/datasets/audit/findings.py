"""What the audit found, as counts (a JSON dict), from the roles, labels and duplicates of a source's images.

images            role -> images, as the source delivers them
exact, twins      groups of pixel-identical images, and of duplicates of any kind: `groups`, `images`,
                  `largest`, `crossing_groups` (in several splits), `conflicting_groups` and
                  `conflicting_images` (with several labels)
near_pairs        verified pairs of different pixels;   mirrored_pairs: those of them that are mirrored
look_alikes       images like so many others that their likeness was not counted
leaks             "validation_in_train", "test_in_train", "test_in_validation": `images` of the first that
                  have a duplicate in the second, those of them that have an `exact` one, the `share`
                  of the first
flat              role -> constant and nearly constant images
classes           role -> class -> images;   missing_classes: role -> names
policy, purged    the policy for leaks, and the training images it took out
parts             part -> class -> images, once splits are decided
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from search.datasets.catalog import (
    ROLES,
    TEST,
    TRAIN,
    VALIDATION,
)
from search.datasets.duplicates.groups import Duplicates
from spaces.errors import UserError

#: (evaluated part, part that its images must not be in)
LEAKS: Final = ((VALIDATION, TRAIN), (TEST, TRAIN), (TEST, VALIDATION))


def findings(
    roles: NDArray[np.str_],
    labels: NDArray[np.int64],
    duplicates: Duplicates,
    flat: NDArray[np.bool_],
    class_names: Sequence[str],
) -> dict[str, Any]:
    """Count what there is to know about the images as the source delivers them.

    Args:
        roles: The role of each image, (images,).
        labels: The class of each image, (images,).
        duplicates: Groups of exact and near copies.
        flat: Whether an image has one colour only, (images,).
        class_names: Names of the classes, in the order of the labels.

    Returns:
        Counts by role and by class, ready for JSON.
    """
    present = [role for role in ROLES if (roles == role).any()]
    classes = {role: _classes(labels[roles == role], class_names) for role in present}
    return {
        "images": {role: int((roles == role).sum()) for role in ROLES},
        "exact": _counts(roles, labels, duplicates.exact),
        "twins": _counts(roles, labels, duplicates.groups),
        "near_pairs": len(duplicates.near),
        "mirrored_pairs": int(duplicates.near.mirrored.sum()),
        "look_alikes": duplicates.look_alikes,
        "leaks": {f"{one}_in_{other}": _leak(roles, duplicates, one, other) for one, other in LEAKS},
        "flat": {role: int(flat[roles == role].sum()) for role in present},
        "classes": classes,
        "missing_classes": {
            role: [name for name, count in counts.items() if not count] for role, counts in classes.items()
        },
    }


def crossing(groups: NDArray[np.int64], parts: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Say for each image whether its group has members in more than one part."""
    return several(groups, np.unique(parts, return_inverse=True)[1].astype(np.int64))


def several(groups: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say for each image whether its group holds more than one of the values (n,)."""
    size = int(groups.max(initial=-1)) + 1
    low, high = np.full(size, np.iinfo(np.int64).max), np.full(size, np.iinfo(np.int64).min)
    np.minimum.at(low, groups, values)
    np.maximum.at(high, groups, values)
    return np.asarray((low != high)[groups])


def refuse(audit: Mapping[str, Any], where: str) -> None:
    """Raise UserError, with the counts, where an evaluation image has a duplicate in another part."""
    leaks = [f"{leak['images']:,} {_said(name)}" for name, leak in audit["leaks"].items() if leak["images"]]
    if leaks:
        raise UserError(
            f"{where} leaks between its splits ({', '.join(leaks)}) and the policy is leaks = 'refuse': "
            f"clean the data, or choose 'purge-train' or 'report' (`candor audit` takes --leaks, too). If "
            f"they are no copies but look alike, as frames of a video do, say with [data] group which images "
            f"belong together."
        )


def sentences(audit: Mapping[str, Any], name: str) -> list[str]:
    """Say in few sentences what matters; the gravest first."""
    found = []
    for leak, counts in audit["leaks"].items():
        one, _, other = leak.partition("_in_")
        total = audit["images"][one]
        if counts["images"]:
            found.append(
                f"{percent(counts['images'], total)} of {name}'s {one} images "
                f"({counts['images']:,} of {total:,}) show a picture that is also in {other}; "
                f"{counts['exact']:,} of them pixel by pixel."
            )
    found += _variants(audit, name)
    if audit["purged"]:
        found.append(f"{audit['purged']:,} training images were purged for that.")
    if audit["look_alikes"]:
        found.append(
            f"{audit['look_alikes']:,} images of {name} look alike in large groups (plain shapes, or frames "
            f"of one video): unless their pixels are equal they are split as if independent, and leaks "
            f"among them are not counted. If they are frames, give the split in folders, with each video in "
            f"one of train, validation and test."
        )
    elif not found:
        found.append(f"No image of {name} has a duplicate in another split.")
    duplicates = audit["twins"]
    if duplicates["conflicting_groups"]:
        found.append(
            f"{duplicates['conflicting_images']:,} images in {duplicates['conflicting_groups']:,} groups of "
            f"duplicates carry different labels for one picture."
        )
    if flat := sum(audit["flat"].values()):
        found.append(f"{flat:,} images are constant or nearly so.")
    for role, missing in audit["missing_classes"].items():
        if missing:
            found.append(f"The {role} part has no image of: {', '.join(missing)}.")
    return found


def _variants(audit: Mapping[str, Any], name: str) -> list[str]:
    """Say so where most images come several times, over the splits: augmented before they were split."""
    groups, images = audit["twins"]["groups"], audit["twins"]["images"]
    most = images >= 0.5 * sum(audit["images"].values()) and images >= 2.5 * groups
    if not groups or not most or audit["twins"]["crossing_groups"] < 0.5 * groups:
        return []
    splits = " and ".join(role for role, count in audit["images"].items() if count)
    return [
        f"{name} was augmented before it was split, it seems: about {images / groups:.0f} variants of each "
        f"image, spread over {splits}."
    ]


def percent(part: int, whole: int) -> str:
    """Return a share in percent, which reads 100% and 0% only where it is that exactly."""
    if part in (0, whole):
        return f"{100 * part // max(1, whole)}%"
    share = min(max(100 * part / whole, 0.01), 99.99)
    return f"{share:.1f}%" if 0.05 <= share < 99.95 else f"{share:.2f}%"


def _said(leak: str) -> str:
    one, _, other = leak.partition("_in_")
    return f"{one} images have a duplicate in {other}"


def _counts(roles: NDArray[np.str_], labels: NDArray[np.int64], groups: NDArray[np.int64]) -> dict[str, int]:
    sizes = np.bincount(groups)
    conflict, cross = several(groups, labels), crossing(groups, roles)
    return {
        "groups": int((sizes > 1).sum()),
        "images": int(sizes[sizes > 1].sum()),
        "largest": int(sizes.max(initial=0)),
        "crossing_groups": len(np.unique(groups[cross])),
        "conflicting_groups": len(np.unique(groups[conflict])),
        "conflicting_images": int(conflict.sum()),
    }


def _leak(roles: NDArray[np.str_], duplicates: Duplicates, one: str, other: str) -> dict[str, Any]:
    here, there = roles == one, roles == other
    images = int(np.isin(duplicates.groups[here], duplicates.groups[there]).sum())
    return {
        "images": images,
        "exact": int(np.isin(duplicates.exact[here], duplicates.exact[there]).sum()),
        "share": round(images / max(1, int(here.sum())), 6),
    }


def _classes(labels: NDArray[np.int64], class_names: Sequence[str]) -> dict[str, int]:
    return {name: int((labels == k).sum()) for k, name in enumerate(class_names)}
