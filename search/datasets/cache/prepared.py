"""A data set as the cache holds it: parts that are memory maps, and what is known about them."""

import errno
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from spaces.errors import UserError

MANIFEST: Final = "prepared.json"
SEALED: Final = (
    "sealed"  # the folder of the test part; `search.sealed` opens it for models, the audit for duplicates
)
PURGED: Final = "purged"  # training images taken out because an evaluation image is their duplicate
#: part -> its folder in an entry; together they hold every image of the source
FOLDERS: Final = {"train": "train", PURGED: PURGED, "validation": "validation", "test": SEALED}
DUPLICATES: Final = "twins.npz"  # what was found among all images in the order of their ids
_BLOCK: Final = 1024
AUDIT: Final = "audit"  # the folder of the audit's page and lists
#: What file systems say that cannot set room aside.
_UNABLE: Final = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


@dataclass(frozen=True)
class Part:
    """One split of n images, sorted by id.

    `images`: uint8 (n, h, w, c), a memory map shared by all processes. `labels`: int64 (n,). `ids`: text
    (n,). `groups`: int64 (n,), duplicates share a number, over all parts. `has_twin`: bool (n,), a duplicate
    lies in another part of the source (in train, if this is an evaluation part, even where it was purged
    from there). `targets`: float32 (n, classes), what to train on in place of one-hot labels; None: these.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    ids: NDArray[np.str_]
    groups: NDArray[np.int64]
    has_twin: NDArray[np.bool_]
    targets: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def write(self, rows: NDArray[np.int64], folder: Path) -> None:
        """Write some rows into a new folder, one array file for each field; images few at a time."""
        folder.mkdir(parents=True)
        for field in fields(self):
            array = getattr(self, field.name)
            if array is None:
                continue
            shape = (len(rows), *array.shape[1:])
            file = new_array(folder / f"{field.name}.npy", array.dtype, shape)
            for start in range(0, len(rows), _BLOCK):
                file[start : start + _BLOCK] = array[rows[start : start + _BLOCK]]
            file.flush()

    @classmethod
    def open(cls, folder: Path) -> "Part":
        """Map the arrays that `write` wrote. Raises UserError where a file is missing, or cut short."""
        try:
            arrays: dict[str, Any] = {
                field.name: np.load(folder / f"{field.name}.npy", mmap_mode="r", allow_pickle=False)
                for field in fields(cls)
                if field.name != "targets" or (folder / "targets.npy").is_file()
            }
        except (OSError, ValueError, EOFError) as error:
            raise UserError(
                f"the prepared images in {folder} are damaged ({error}): `candor doctor --fix` removes them, "
                "and the next search makes them again"
            ) from error
        return cls(**arrays)


def new_array(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> np.memmap[Any, np.dtype[Any]]:
    """Return a memory map of a new array file that has all its room on the disk.

    Raises OSError where there is none: to write into a hole of the file would end the process (SIGBUS).
    """
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
            except OSError as error:
                if error.errno not in _UNABLE:
                    raise
    return array


@dataclass(frozen=True)
class Prepared:
    """A data set with its splits decided. `counts`: images in train (after purging), validation and test.

    `digest`: of classes, shape, ids, labels and pixels of every image. `split_digest`: of which image is in
    which part. `test_digest`: of the test images' pixels as the source has them and their labels, whatever
    the size asked for; None where there is no test part. `audit`: see `search.datasets.audit.findings`.
    `bits`: that images of 16 bits a channel use (`search.datasets.images.pixel_range`); None for no such.
    """

    folder: Path
    name: str
    source: str
    synthetic: bool
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    counts: Mapping[str, int]
    digest: str
    split_digest: str
    test_digest: str | None
    notes: tuple[str, ...]
    audit: Mapping[str, Any]
    bits: int | None = None

    def train(self) -> Part:
        """Return the training part, after purging."""
        return Part.open(self.folder / "train")

    def validation(self) -> Part:
        """Return the validation part."""
        return Part.open(self.folder / "validation")

    def write(self) -> None:
        """Write the manifest, last of all files of an entry."""
        known = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "folder"}
        (self.folder / MANIFEST).write_text(json.dumps(known, indent=1, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def open(cls, folder: Path) -> "Prepared":
        """Open an entry of the cache. Raises UserError where the folder is none."""
        try:
            known: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{folder} holds no prepared data: prepare the source again.") from error
        tuples = {key: tuple(known[key]) for key in ("class_names", "image_shape", "notes")}
        return cls(**{**known, **tuples, "folder": folder})
