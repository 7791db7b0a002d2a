"""What zip and tar have in common: members checked first, then read in the order they lie in."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from search.datasets.catalogue import Catalogue, Raw
from search.datasets.layout import class_names, place
from spaces.errors import UserError

MAX_MEMBER: Final = 256 * 2**20  # bytes of one member, unpacked, as its header declares them


@dataclass(frozen=True)
class Member:
    """One file of an archive: its own name, the same with forward slashes, its unpacked size and where it
    lies.
    """

    name: str
    path: str
    size: int
    offset: int


def checked(archive: Path, name: str, size: int, offset: int) -> Member:
    """Return the member. Raises UserError where its path leaves the archive or its size is absurd."""
    path = name.replace("\\", "/")
    if path.startswith("/") or re.match(r"^[A-Za-z]:", path) or ".." in path.split("/"):
        raise UserError(
            f"{archive} has a member whose path leaves its folder, {name!r}: refused, nothing was read."
        )
    if size > MAX_MEMBER:
        raise UserError(
            f"{archive} has a member of {size / 2**20:,.0f} MiB unpacked, {name!r}: taken for a "
            f"decompression bomb, refused; nothing was read."
        )
    return Member(name, path.removeprefix("./"), size, offset)


def catalogue_of(
    archive: Path, members: Sequence[Member], links: int, fetch: Callable[[Sequence[str]], Iterator[Raw]]
) -> Catalogue:
    """Build the catalogue of an archive; `fetch` yields the members named, in that order."""
    if not members:
        raise UserError(f"{archive} is empty: expected a folder for each class, with images.")
    by_path = {member.path: member for member in members}
    placed, notes = place({member.path: member.size for member in members}, str(archive))
    if links:
        notes.append(f"{links:,} links in the archive were not followed.")
    of_row = [by_path[image.path] for image in placed]

    def fetch_rows(rows: Sequence[int]) -> Iterator[tuple[int, Raw]]:
        in_order = sorted(rows, key=lambda row: of_row[row].offset)
        yield from zip(in_order, fetch([of_row[row].name for row in in_order]), strict=True)

    return Catalogue(
        name=archive.name.split(".")[0],
        ids=tuple(image.id for image in placed),
        roles=tuple(image.role for image in placed),
        labels=tuple(image.label for image in placed),
        class_names=class_names(placed, str(archive)),
        fetch=fetch_rows,
        notes=tuple(notes),
    )
