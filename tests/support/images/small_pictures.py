"""Small labelled pictures for the tests of the data: all different, and written as people have them."""

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from search.datasets.prepare import Prepared, prepare

CLASSES = ("cat", "dog", "owl")


def pictures(count: int, side: int = 32, seed: int = 0) -> NDArray[np.uint8]:
    """Return `count` different gray textures, uint8 (count, side, side)."""
    noise = np.random.default_rng(seed).integers(0, 256, (count, 8, 8), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(image).resize((side, side), 3)) for image in noise])


def encoded(image: NDArray[np.uint8], kind: str = "png", **options: int) -> bytes:
    """Return an image file's bytes; `kind` as file names end."""
    file = io.BytesIO()
    formats = {"jpg": "JPEG", "pgm": "PPM", "ppm": "PPM"}
    Image.fromarray(image).save(file, formats.get(kind, kind.upper()), **options)
    return file.getvalue()


def tree(
    splits: tuple[str, ...] = ("train", "validation", "test"),
    each: int = 4,
    side: int = 32,
    kind: str = "png",
) -> dict[str, bytes]:
    """Return path -> bytes of a set with CLASSES below each split ("" for one folder of classes)."""
    images = iter(pictures(len(splits) * len(CLASSES) * each, side))
    return {
        "/".join(filter(None, (split, name, f"{number}.{kind}"))): encoded(next(images), kind)
        for split in splits
        for name in CLASSES
        for number in range(each)
    }


def in_folder(files: Mapping[str, bytes], folder: Path) -> Path:
    """Write the files below a folder and return it."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def in_zip(files: Mapping[str, bytes], path: Path) -> Path:
    """Write the files into a zip and return its path."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def in_tar(files: Mapping[str, bytes], path: Path) -> Path:
    """Write the files into a tar, compressed as its name says, and return its path."""
    kinds = {".gz": "gz", ".tgz": "gz", ".xz": "xz", ".txz": "xz", ".bz2": "bz2", ".tbz2": "bz2"}
    mode = f"w:{kinds.get(path.suffix, '')}"
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def packed(files: Mapping[str, bytes], path: Path) -> Path:
    """Write the files as the name of `path` says, into a zip, a tar or a folder, and return it."""
    if path.suffix == ".zip":
        return in_zip(files, path)
    return in_tar(files, path) if path.suffix else in_folder(files, path)


def silent(_: str) -> None:
    """Say nothing."""


def prepared(source: object, tmp_path: Path, **options: object) -> Prepared:
    """Prepare a source with a cache of its own, without a word."""
    return prepare(source, tmp_path / "cache", say=silent, **options)  # type: ignore[arg-type]
