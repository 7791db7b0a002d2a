"""The zip file of a packed study: written reproducibly, read as a file that anybody may have made."""

import contextlib
import hashlib
import json
import lzma
import os
import re
import stat
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from spaces.errors import UserError

SUFFIX: Final = ".study.zip"
MANIFEST: Final = "manifest.json"
FORMAT: Final = "candor study"
#: Raised with every change that an older Candor could not read.
VERSION: Final = 1
#: Limits of a file that is read: members, bytes of one, of all, of the manifest.
MAX_MEMBERS: Final = 200_000
MAX_MEMBER: Final = 8 * 2**30
MAX_TOTAL: Final = 64 * 2**30
MAX_MANIFEST: Final = 64 * 2**20
#: Bytes that one packed byte may become, in members that are larger than _SMALL.
MAX_RATIO: Final = 1000
_SMALL: Final = 2**20
_MAX_DICTIONARY: Final = 2**26  # bytes of memory that reading an LZMA member may take
_CHUNK: Final = 2**20
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the zip's own time stamps say nothing
_STEP: Final = re.compile(r"[A-Za-z0-9_=@+-][A-Za-z0-9_.=@+ -]{0,199}")
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA)
_ENCRYPTED: Final = 0x1
#: Files that are compressed already.
_DENSE: Final = (".png", ".keras", ".npz")


@dataclass(frozen=True)
class Manifest:
    """What a packed study says of itself.

    Attributes:
        study: The study's id.
        experiment: The experiment's name.
        about: What `candor unpack` shows: counts, digests of the data, versions. Strings and numbers only.
        members: Path of each member to its SHA-256 and its size in bytes, the manifest left out.
    """

    study: str
    experiment: str
    about: Mapping[str, Any]
    members: Mapping[str, tuple[str, int]]


def write(path: Path, folder: Path, *, study: str, experiment: str, about: Mapping[str, Any]) -> None:
    """Write every file of a folder into a zip with a manifest; the same files give the same bytes.

    The zip is written beside its place and then renamed, so a reader finds all of it or none.

    Args:
        path: The file to write. What is there is replaced.
        folder: What to pack.
        study: The study's id.
        experiment: The experiment's name.
        about: See `Manifest.about`.

    Raises:
        OSError: There is no room, or no permission.
    """
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    members = {file.relative_to(folder).as_posix(): (digest_of(file), file.stat().st_size) for file in files}
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "study": study,
        "experiment": experiment,
        "about": dict(about),
        "members": {name: {"sha256": digest, "bytes": size} for name, (digest, size) in members.items()},
    }
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(partial, "w") as archive:
            text = json.dumps(manifest, indent=1, sort_keys=True)
            archive.writestr(_entry(MANIFEST), text, zipfile.ZIP_LZMA)
            for file in files:
                entry = _entry(file.relative_to(folder).as_posix())
                entry.compress_type = (
                    zipfile.ZIP_STORED
                    if file.suffix in _DENSE and not _worthwhile(file)
                    else zipfile.ZIP_LZMA
                )
                with file.open("rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                    while block := source.read(_CHUNK):
                        target.write(block)
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def is_packed(text: str) -> bool:
    """Whether a person means a file and not the name of an experiment or a study."""
    return text.endswith(".zip")


def read_manifest(path: Path) -> Manifest:
    """What a packed study says of itself, every member's name, size and ratio checked; nothing is unpacked.

    Raises:
        UserError: The file is missing, broken, no packed study, of a newer version, or dangerous.
    """
    with _opened(path) as archive:
        return _manifest(path, archive)


def extract(path: Path, folder: Path) -> Manifest:
    """Unpack a study into an empty folder. Sizes and digests are checked while the bytes are written.

    Args:
        path: The packed study.
        folder: An existing empty folder. After an error it may hold some of the files.

    Returns:
        The manifest.

    Raises:
        UserError: As `read_manifest`, or where a member is not what the manifest says, or there is no room.
    """
    with _opened(path) as archive:
        manifest = _manifest(path, archive)
        for name, (digest, size) in manifest.members.items():
            target = folder / name
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                found = _copy(archive, name, target, size)
            except OSError as error:
                raise UserError(
                    f"{path} cannot be unpacked to {folder}: {error.strerror or error}"
                ) from error
            if found != digest:
                raise UserError(f"{path} is damaged: {name} is not what its manifest says (SHA-256)")
    return manifest


def digest_of(file: Path) -> str:
    """SHA-256 of a file's content, in hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    return entry


def _worthwhile(file: Path) -> bool:
    """Whether a file that should be dense is not: an npz may be stored plainly."""
    data = file.read_bytes()[:_SMALL]
    return len(lzma.compress(data, preset=0)) < 0.9 * len(data)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The zip; whatever the library says of a broken one becomes a sentence."""
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        lzma.LZMAError,
        EOFError,
        NotImplementedError,
        OverflowError,
        RuntimeError,
        ValueError,
    ) as error:
        raise UserError(f"{path} is no packed study, or it is damaged ({_first_line(error)})") from error
    except PermissionError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _manifest(path: Path, archive: zipfile.ZipFile) -> Manifest:
    entries = archive.infolist()
    if len(entries) > MAX_MEMBERS:
        raise UserError(f"{path} has {len(entries):,} members, more than a packed study has: refused")
    for entry in entries:
        _check(path, entry)
    held = [entry.filename for entry in entries]
    if len({name.casefold() for name in held}) < len(held):
        raise UserError(f"{path} has two members of one name: refused")
    if MANIFEST not in held:
        raise UserError(f"{path} is no packed study: it has no {MANIFEST}")
    if archive.getinfo(MANIFEST).file_size > MAX_MANIFEST:
        raise UserError(f"{path} has a manifest of {archive.getinfo(MANIFEST).file_size:,} bytes: refused")
    _check_dictionary(path, archive, MANIFEST)
    with archive.open(MANIFEST) as stream:
        manifest = _parsed(path, stream.read(MAX_MANIFEST))
    sizes = {entry.filename: entry.file_size for entry in entries if entry.filename != MANIFEST}
    if sizes != {name: size for name, (_, size) in manifest.members.items()}:
        raise UserError(f"{path} is damaged: its members are not those that its manifest lists")
    if sum(sizes.values()) > MAX_TOTAL:
        raise UserError(f"{path} would take {sum(sizes.values()) / 2**30:,.0f} GiB unpacked: refused")
    for name in sizes:
        _check_dictionary(path, archive, name)
    return manifest


def _check(path: Path, entry: zipfile.ZipInfo) -> None:
    """Raises UserError for a member whose name, kind or size is not that of a packed study's."""
    name = entry.filename
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if not all(map(_STEP.fullmatch, name.split("/"))):
        raise UserError(f"{path} has a member with a name that is not allowed, {name!r}: refused")
    if kind not in (0, stat.S_IFREG) or entry.is_dir():
        raise UserError(f"{path} has a member that is no plain file, {name!r}: refused")
    if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _METHODS:
        raise UserError(
            f"{path} has a member that is encrypted or packed in an unknown way, {name!r}: refused"
        )
    large = entry.file_size > _SMALL and entry.file_size > MAX_RATIO * max(entry.compress_size, 1)
    if entry.file_size > MAX_MEMBER or large:
        raise UserError(
            f"{path} has a member of {entry.file_size / 2**20:,.0f} MiB unpacked, {name!r}: taken for a "
            "decompression bomb, refused"
        )


def _check_dictionary(path: Path, archive: zipfile.ZipFile, name: str) -> None:
    """Raises UserError for an LZMA member that asks for more memory than one of ours ever does."""
    entry = archive.getinfo(name)
    if entry.compress_type != zipfile.ZIP_LZMA:
        return
    file = archive.fp
    if file is None:
        raise UserError(f"{path} was closed while it was read")
    file.seek(entry.header_offset)
    header = file.read(30)
    if len(header) < 30:
        raise UserError(f"{path} is damaged: it ends within {name}")
    skipped = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    file.seek(entry.header_offset + 30 + skipped)
    head = file.read(9)  # version (2), length of the properties (2), properties (1 + 4)
    if len(head) < 9 or int.from_bytes(head[5:9], "little") > _MAX_DICTIONARY:
        raise UserError(f"{path} has a member that takes too much memory to unpack, {name!r}: refused")


def _parsed(path: Path, text: bytes) -> Manifest:
    try:
        held = json.loads(text)
        if not isinstance(held, dict) or held.get("format") != FORMAT:
            raise UserError(f"{path} is no packed study: its {MANIFEST} says another format")
        version = held["version"]
        if not isinstance(version, int) or version < 1:
            raise ValueError("version")
        if version > VERSION:
            raise UserError(
                f"{path} was packed by a newer Candor (format {version}; this one reads up to {VERSION}): "
                "update Candor"
            )
        members = {
            str(name): (str(entry["sha256"]), int(entry["bytes"])) for name, entry in held["members"].items()
        }
        manifest = Manifest(str(held["study"]), str(held["experiment"]), dict(held["about"]), members)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} is damaged: its {MANIFEST} cannot be read") from error
    if not re.fullmatch(r"[0-9a-f]{4,64}", manifest.study) or not re.fullmatch(
        r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", manifest.experiment
    ):
        raise UserError(f"{path} is damaged: its {MANIFEST} names no study")
    return manifest


def _copy(archive: zipfile.ZipFile, name: str, target: Path, size: int) -> str:
    """Write one member; its SHA-256. Raises ValueError once it is longer than it said."""
    digest, written = hashlib.sha256(), 0
    with archive.open(name) as source, target.open("wb") as file:
        while block := source.read(_CHUNK):
            written += len(block)
            if written > size:
                raise ValueError(f"{name} is longer than it says")
            digest.update(block)
            file.write(block)
    return digest.hexdigest()
