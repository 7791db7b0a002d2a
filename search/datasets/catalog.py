"""What a source holds before anything is decoded: one row for each image, and a way to fetch them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

TRAIN: Final = "train"
VALIDATION: Final = "validation"
TEST: Final = "test"
ROLES: Final = (TRAIN, VALIDATION, TEST)

#: What `prepare` reads: the text a person types, or arrays: a pair (images, labels) or named arrays.
Source: TypeAlias = (
    str | Path | tuple[NDArray[np.generic], NDArray[np.generic]] | Mapping[str, NDArray[np.generic]]
)
#: One image as its source has it: the bytes of a file, uint8 pixels (h, w) or (h, w, c), or why it cannot be
#: had.
Raw: TypeAlias = bytes | NDArray[np.uint8] | Exception


@dataclass(frozen=True)
class Catalogue:
    """Images of one source, not yet decoded. `ids`, `roles` and `labels` have one entry for each image.

    An id reads role/class/file, so that it is the same wherever the data lies and however it is packed.
    `fetch(rows)` yields (row, raw image) for the rows asked for, in the order that is cheapest to read.
    `columns`: what else the source says of each image, by name, such as a person's number.
    """

    name: str
    ids: tuple[str, ...]
    roles: tuple[str, ...]
    labels: tuple[str, ...]
    class_names: tuple[str, ...]
    fetch: Callable[[Sequence[int]], Iterator[tuple[int, Raw]]]
    notes: tuple[str, ...] = ()
    synthetic: bool = False
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Reader(Protocol):
    """A module of `search.datasets.readers`. Adding a file there adds a layout; nothing else lists them."""

    def accepts(self, source: Source) -> bool:
        """Say whether this reader is meant for the source, by its form alone."""

    def stamp(self, source: Source) -> str:
        """Return a text that changes when the source does, much faster than reading it."""

    def read(self, source: Source) -> Catalogue:
        """List the images. Raises UserError where the source is not what it should be."""


def as_reader(module: object) -> Reader:
    """Return a reader module under its type."""
    return cast(Reader, module)
