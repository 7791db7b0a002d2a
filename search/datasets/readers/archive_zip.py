"""A zip of class folders, read as it is."""

import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from search.datasets.catalog import Catalogue, Raw, Source
from search.datasets.find_reader import path_of, stamp_of_file
from search.datasets.listing.archives import Member, catalogue_of, checked
from spaces.errors import UserError

_ENCRYPTED = 0x1


def accepts(source: Source) -> bool:
    """Accept paths that end in .zip."""
    return isinstance(source, str | Path) and str(source).lower().endswith(".zip")


stamp = stamp_of_file


def read(source: Source) -> Catalogue:
    """List the images of a zip. Raises UserError for damage, encryption and paths that leave it."""
    path = path_of(source)
    members, links = _members(path)

    def fetch(names: Sequence[str]) -> Iterator[Raw]:
        with zipfile.ZipFile(path) as archive:
            for name in names:
                yield _member(archive, name)

    return catalogue_of(path, members, links, fetch)


def _members(path: Path) -> tuple[list[Member], dict[str, str]]:
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a zip archive: {error}.") from error
    locked = [info.filename for info in infos if info.flag_bits & _ENCRYPTED]
    if locked:
        raise UserError(f"{path} has {len(locked):,} encrypted members ({locked[0]}, ...): decrypt it first.")
    links = {info.filename: "" for info in infos if stat.S_ISLNK(info.external_attr >> 16)}
    files = [info for info in infos if info.filename not in links]
    members = [checked(path, info.filename, info.file_size, info.header_offset, info.CRC) for info in files]
    return members, links


def _member(archive: zipfile.ZipFile, name: str) -> Raw:
    try:
        return archive.read(name)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        return error
