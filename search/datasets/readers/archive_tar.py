"""A tar of class folders, plain or compressed, read from front to back."""

import lzma
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from search.datasets.catalog import Catalogue, Raw, Source
from search.datasets.find_reader import path_of, stamp_of_file
from search.datasets.listing.archives import Member, catalogue_of, checked
from search.safety.sizes import open_tar
from spaces.errors import UserError

SUFFIXES = (".tar", ".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz")
_DAMAGE = (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError)


def accepts(source: Source) -> bool:
    """Accept paths that end as tar archives do."""
    return isinstance(source, str | Path) and str(source).lower().endswith(SUFFIXES)


stamp = stamp_of_file


def read(source: Source) -> Catalogue:
    """List the images of a tar. Raises UserError for a damaged one and for paths that leave it."""
    path = path_of(source)
    members, infos, links = _members(path)

    def fetch(names: Sequence[str]) -> Iterator[Raw]:
        with open_tar(path) as archive:
            for info, linked in groupby(infos[name] for name in names):
                raw = _member(archive, info)  # once: to go back, a tar.gz is unpacked from its beginning
                yield from (raw for _ in linked)

    return catalogue_of(path, members, links, fetch)


def _members(path: Path) -> tuple[list[Member], dict[str, tarfile.TarInfo], dict[str, str]]:
    """Return the files, what tarfile knows of each by its name (it would search for that), and the links.

    A hard link to a file that came before is that file under one more name, as it is in a folder.
    """
    members: list[Member] = []
    infos: dict[str, tarfile.TarInfo] = {}
    links: dict[str, str] = {}
    try:
        with open_tar(path) as archive:
            for info in archive:
                if info.isfile():
                    members.append(checked(path, info.name, info.size, info.offset))
                    infos[info.name] = info
                elif info.islnk() and info.linkname in infos:
                    file = infos[info.linkname]
                    members.append(checked(path, info.name, file.size, file.offset))
                    infos[info.name] = file
                elif not info.isdir():
                    links[info.name.removeprefix("./")] = info.linkname
    except _DAMAGE as error:
        raise UserError(
            f"{path} cannot be read as a tar archive: {str(error).splitlines()[0].rstrip(':')}."
        ) from error
    return members, infos, links


def _member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Raw:
    try:
        file = archive.extractfile(info)
        return file.read() if file else FileNotFoundError(info.name)
    except _DAMAGE as error:
        return error
