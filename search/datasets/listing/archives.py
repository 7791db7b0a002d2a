"""What zip and tar have in common: members checked first, then read in the order they lie in."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from search.datasets.catalog import Catalogue, Raw
from search.datasets.find_reader import TABLES, only_file, reader_for
from search.datasets.listing.layout import class_names, digest_of, place
from search.datasets.listing.left_out import WARNING, Listing
from search.datasets.listing.path_names import printable
from search.safety.sizes import check_unpacked
from spaces.errors import UserError

#: Bytes of one member, unpacked, as its header declares them.
MAX_MEMBER: Final = 256 * 2**20
MAX_TABLE: Final = 2**30  # of one that holds a whole set: fer2013.csv has 287 MiB


@dataclass(frozen=True)
class Member:
    """One file of an archive.

    Attributes:
        name: Its own name.
        path: The same with forward slashes.
        size: Its unpacked size, in bytes.
        offset: Where its data begin, in bytes.
        checksum: The CRC-32 of its content, where the archive has one.
    """

    name: str
    path: str
    size: int
    offset: int
    checksum: int | None = None


def checked(archive: Path, name: str, size: int, offset: int, checksum: int | None = None) -> Member:
    """Check a member of an archive before anything of it is read.

    Args:
        archive: The archive's path, for messages.
        name: The member's path in the archive.
        size: Its unpacked size, in bytes.
        offset: Where its data begin, in bytes.
        checksum: Its CRC-32, where the archive has one.

    Returns:
        The member.

    Raises:
        UserError: If its path leaves the archive or its size is absurd.
    """
    path = name.replace("\\", "/")
    if path.startswith("/") or re.match(r"^[A-Za-z]:", path) or ".." in path.split("/"):
        raise UserError(
            f"{archive} has a member whose path leaves its folder, {name!r}: refused, nothing was read."
        )
    if size < 0 or size > (MAX_TABLE if path.lower().endswith(TABLES) else MAX_MEMBER):
        raise UserError(
            f"{archive} has a member of {size / 2**20:,.0f} MiB unpacked, {name!r}: taken for a "
            f"decompression bomb, refused; nothing was read."
        )
    return Member(name, path.removeprefix("./"), size, offset, checksum)


def catalogue_of(
    archive: Path,
    members: Sequence[Member],
    links: Mapping[str, str],
    fetch: Callable[[Sequence[str]], Iterator[Raw]],
) -> Catalogue:
    """Build the catalogue of an archive.

    Args:
        archive: where it lies.
        members: its files.
        links: its links, which are not followed, path -> target.
        fetch: yields the members named, in that order.
    """
    if not members and not links:
        raise UserError(f"{archive} is empty: expected a folder for each class, with images.")
    check_unpacked(archive, sum({member.offset: member.size for member in members}.values()))
    by_path = {member.path: member for member in members}
    table = only_file(by_path, TABLES)
    if table is not None:
        (raw,) = fetch([by_path[table].name])
        return _of_table(archive, table, raw)

    def contents(paths: Sequence[str]) -> dict[str, object]:
        found = sorted((by_path[path] for path in paths), key=lambda member: member.offset)
        if all(member.checksum is not None for member in found):
            return {member.path: member.checksum for member in found}
        raws = fetch([member.name for member in found])
        return {member.path: digest_of(raw) for member, raw in zip(found, raws, strict=True)}

    listing = Listing({member.path: member.size for member in members}, links)
    placed, notes = place(listing, str(archive), contents)
    if len(by_path) < len(members):
        notes.append(
            f"{WARNING}{len(members) - len(by_path):,} members come again under the same path; the last one "
            f"of a path counts."
        )
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


def _of_table(archive: Path, path: str, raw: Raw) -> Catalogue:
    """Read the one table of an archive from a file of its own, which its reader takes in at once."""
    where = f"{archive}/{printable(path)}"
    if not isinstance(raw, bytes):
        raise UserError(f"{where} cannot be read: {raw}.")
    with TemporaryDirectory() as folder:
        table = Path(folder) / path.rsplit("/", 1)[-1]
        table.write_bytes(raw)
        try:
            return reader_for(table).read(table)
        except UserError as error:
            raise UserError(str(error).replace(str(table), where)) from error
