"""Bounds on what files from elsewhere may unpack to or ask for, checked before it is read."""

import math
import tarfile
import zipfile
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from spaces.errors import UserError

#: Bytes of one picture as a file. The largest camera files have some 100 MiB.
MAX_PICTURE: Final = 256 * 2**20
#: Above this, what unpacks to more than so many times its size is taken for a bomb.
_HARMLESS, _RATIO = 2**30, 200
#: Bytes of a tar header that says more of the next member: a long name, extended attributes.
_MAX_HEADER: Final = 2**20
_HEADERS: Final = (
    tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE,
)  # fmt: skip
_ENCRYPTED: Final = 0x1


def read_file(path: Path, limit: int = MAX_PICTURE) -> bytes:
    """Read a whole file.

    Args:
        path: a regular file, or a link to one.
        limit: bytes that it may have at most. The size of a sparse file is what it seems to have.

    Raises:
        OSError: where it cannot be read, is larger, or is a device or a pipe.
    """
    if path.exists() and not path.is_file():
        raise OSError(None, "is no regular file", str(path))
    with path.open("rb") as file:
        raw = file.read(limit + 1) if path.stat().st_size <= limit else b""
    if len(raw) > limit or path.stat().st_size > limit:
        raise OSError(None, f"has more than {limit / 2**20:,.0f} MiB", str(path))
    return raw


def check_file(path: Path, limit: int, what: str) -> None:
    """Raise UserError where a file is larger than such a thing can be, or says so, as sparse files do."""
    size = path.stat().st_size
    if size > limit:
        raise UserError(
            f"{path} has {size / 2**20:,.0f} MiB, more than {what} may have ({limit / 2**20:,.0f})"
        )


def check_unpacked(path: Path, total: int) -> None:
    """Refuse an archive that unpacks to many times its own size.

    Args:
        path: the archive.
        total: bytes that its members have unpacked, as their headers say.

    Raises:
        UserError: where it is taken for a decompression bomb.
    """
    packed = max(path.stat().st_size, 1)
    if total > _HARMLESS and total > _RATIO * packed:
        raise UserError(
            f"{path} has {packed / 2**20:,.1f} MiB and unpacks to {total / 2**20:,.0f} MiB: taken for a "
            "decompression bomb, refused; nothing was read."
        )


class BoundedTarInfo(tarfile.TarInfo):
    """A member of a tar whose headers are bounded: tarfile reads them into memory, whatever they claim."""

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        if self.size < 0 or (self.type in _HEADERS and self.size > _MAX_HEADER):
            raise UserError(
                f"{archive.name!r} has a header of {self.size / 2**20:,.0f} MiB: taken for a decompression "
                "bomb, refused; nothing was read."
            )
        if self.type == tarfile.GNUTYPE_SPARSE:
            self._proc_gnusparse_00()
        return super()._proc_member(archive)  # type: ignore[misc]

    def _proc_gnusparse_00(self, *_: Any) -> None:
        raise UserError(
            "the tar archive has sparse members, which are not read: pack it again without --sparse"
        )

    _proc_gnusparse_01 = _proc_gnusparse_00
    _proc_gnusparse_10 = _proc_gnusparse_00


def open_tar(path: Path) -> tarfile.TarFile:
    """Open a tar with bounded headers. Raises what `tarfile.open` raises, and UserError."""
    return tarfile.open(path, tarinfo=BoundedTarInfo)


def load_npz(path: Path) -> dict[str, NDArray[Any]]:
    """Read an npz file of plain arrays, and nothing that its headers only claim.

    Args:
        path: the file.

    Returns:
        The arrays by name.

    Raises:
        UserError: where it is damaged, encrypted, no archive of arrays, or unpacks to many times its size.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            check_unpacked(path, sum(member.file_size for member in members))
            if len({member.filename for member in members}) < len(members):
                raise ValueError("it holds two arrays of one name")
            return {_name(member): _array(archive, member) for member in members}
    except (
        OSError, ValueError, EOFError, RuntimeError, NotImplementedError, MemoryError, SyntaxError, TypeError,
        zipfile.BadZipFile, OverflowError,
    ) as error:  # fmt: skip
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{path} cannot be read as an npz file of plain arrays: {reason}.") from error


def _name(member: zipfile.ZipInfo) -> str:
    if not member.filename.endswith(".npy"):
        raise ValueError(f"it holds {member.filename[:60]!a}, which is no array")
    return member.filename.removesuffix(".npy")


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    if member.flag_bits & _ENCRYPTED:
        raise ValueError("it is encrypted")
    with archive.open(member) as file:
        claimed = _claimed(file)
    if claimed > member.file_size:
        raise ValueError(f"{member.filename[:60]!a} claims {claimed:,} bytes and has {member.file_size:,}")
    with archive.open(member) as file:
        return np.asarray(np.lib.format.read_array(file, allow_pickle=False))


def _claimed(file: IO[bytes]) -> int:
    """Bytes of the data that the header of an array claims."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, kind = read(file)
    if kind.hasobject:
        raise ValueError("it holds Python objects")
    return math.prod(shape) * kind.itemsize
