"""Which hyperparameters the families of a space have."""

from collections.abc import Sequence
from dataclasses import fields
from typing import get_origin, get_type_hints

from spaces.family import Family, load_family


def families(space: Sequence[str]) -> tuple[Family, ...]:
    """The families that a space names; a hypermodel ("package.module:build") is none."""
    names = dict.fromkeys(arm.partition(".")[0] for arm in space if ":" not in arm)
    return tuple(load_family(name) for name in names)


def counts(space: Sequence[str]) -> dict[str, str]:
    """Which count a list decides, over all families of a space: {"kernels": "conv_stages", ...}."""
    return {name: count for family in families(space) for name, count in family.counts.items()}


def hyperparameters(family: Family) -> frozenset[str]:
    """What a family's hyperparameters are called: its fields, its counts, and NAME_1 for the items of a list.

    That is a convention, and a test holds every family to it.
    """
    types = get_type_hints(family.architecture)
    own = (field.name for field in fields(family.architecture))
    numbered = (f"{name}_1" if get_origin(types[name]) is tuple else name for name in own)
    return frozenset([*numbered, *family.counts.values()])
