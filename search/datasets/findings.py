"""What the audit found, as counts (a JSON dict), from roles, labels and groups of twins."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from search.datasets.catalogue import ROLES, TEST, TRAIN, VALIDATION
from spaces.errors import UserError

POLICIES: Final = ("purge-train", "report", "refuse")
#: (evaluated part, part that its images must not be in)
LEAKS: Final = ((VALIDATION, TRAIN), (TEST, TRAIN), (TEST, VALIDATION))


def findings(
    roles: NDArray[np.str_],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    exact: NDArray[np.int64],
    class_names: Sequence[str],
) -> dict[str, Any]:
    """Count twins, leaks, label conflicts and classes in the images as the source delivers them.

    Arrays have shape (n,); `groups` are those of all twins, `exact` those of the pixel-identical ones alone.
    """
    return {
        "images": {role: int((roles == role).sum()) for role in ROLES},
        "exact": _twins(roles, labels, exact),
        "twins": _twins(roles, labels, groups),
        "leaks": {f"{one}_in_{other}": _leak(roles, groups, exact, one, other) for one, other in LEAKS},
        "classes": {
            role: _classes(labels[roles == role], class_names) for role in ROLES if (roles == role).any()
        },
        "missing_classes": {
            role: [name for k, name in enumerate(class_names) if not (labels[roles == role] == k).any()]
            for role in ROLES
            if (roles == role).any()
        },
    }


def crossing(groups: NDArray[np.int64], parts: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Say for each image whether its group has members in more than one part."""
    return _several(groups, np.unique(parts, return_inverse=True)[1].astype(np.int64))


def refuse(audit: dict[str, Any], where: str) -> None:
    """Raise UserError, with the counts, where an evaluation image has a twin in another part."""
    leaks = {name: leak["images"] for name, leak in audit["leaks"].items() if leak["images"]}
    if leaks:
        counts = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in leaks.items())
        raise UserError(
            f"{where} leaks between its splits ({counts}) and the policy is leaks = 'refuse': clean "
            f"the data, or use 'purge-train' or 'report'."
        )


def _several(groups: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say for each image whether its group holds more than one of the values."""
    size = int(groups.max(initial=-1)) + 1
    low, high = np.full(size, np.iinfo(np.int64).max), np.full(size, -1)
    np.minimum.at(low, groups, values)
    np.maximum.at(high, groups, values)
    return np.asarray((low != high)[groups])


def _twins(roles: NDArray[np.str_], labels: NDArray[np.int64], groups: NDArray[np.int64]) -> dict[str, int]:
    sizes = np.bincount(groups)
    twin = sizes[groups] > 1
    conflict, cross = _several(groups, labels), crossing(groups, roles)
    return {
        "groups": int((sizes > 1).sum()),
        "images": int(twin.sum()),
        "crossing_groups": len(np.unique(groups[cross])),
        "conflicting_groups": len(np.unique(groups[conflict])),
        "conflicting_images": int(conflict.sum()),
    }


def _leak(
    roles: NDArray[np.str_], groups: NDArray[np.int64], exact: NDArray[np.int64], one: str, other: str
) -> dict[str, Any]:
    here, there = roles == one, roles == other
    images = int(np.isin(groups[here], groups[there]).sum())
    return {
        "images": images,
        "exact": int(np.isin(exact[here], exact[there]).sum()),
        "share": round(images / max(1, int(here.sum())), 6),
    }


def _classes(labels: NDArray[np.int64], class_names: Sequence[str]) -> dict[str, int]:
    return {name: int((labels == k).sum()) for k, name in enumerate(class_names)}
