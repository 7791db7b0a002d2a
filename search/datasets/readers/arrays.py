"""Arrays: an .npz file with x_train, y_train, ..., or the same from Python, or one pair (images, labels)."""

import hashlib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from search.datasets.catalog import (
    TEST,
    TRAIN,
    VALIDATION,
    Catalogue,
    Raw,
    Source,
)
from search.datasets.find_reader import stamp_of_file
from search.datasets.layout import known_classes
from spaces.errors import UserError

SUFFIXES: Final = {
    "train": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "test": TEST,
}
NAMES: Final = "class_names"

Arrays = Mapping[str, NDArray[Any]]


def accepts(source: Source) -> bool:
    """Accept .npz paths, pairs of arrays and named arrays."""
    if isinstance(source, str | Path):
        return str(source).lower().endswith(".npz")
    return isinstance(source, tuple) or "x_train" in source


def stamp(source: Source) -> str:
    """Return a digest of the file's identity, or of the arrays themselves."""
    if isinstance(source, str | Path):
        return stamp_of_file(source)
    digest = hashlib.sha256()
    for key, array in sorted(_named(source).items()):
        digest.update(f"{key}\0{array.dtype}\0{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def read(source: Source) -> Catalogue:
    """List the images. Raises UserError where shapes, types or names are not as expected."""
    where = str(source) if isinstance(source, str | Path) else "the arrays"
    arrays = _loaded(Path(source)) if isinstance(source, str | Path) else _named(source)
    parts = [
        (role, *_part(arrays, suffix, where)) for suffix, role in SUFFIXES.items() if f"x_{suffix}" in arrays
    ]
    if not any(role == TRAIN for role, *_ in parts):
        raise UserError(f"{where} has no x_train. Received: {', '.join(sorted(arrays)) or 'nothing'}.")
    names = _class_names(arrays, parts, where)
    ids, roles, labels, images = [], [], [], []
    for role, x, y in parts:
        ids += [f"{role}/{names[label]}/{row:07d}" for row, label in enumerate(y)]
        roles += [role] * len(y)
        labels += [names[label] for label in y]
        images += list(x)

    def fetch(rows: Sequence[int]) -> Iterator[tuple[int, Raw]]:
        for row in rows:
            yield row, images[row]

    by_role = {role: {names[label] for label in y} for role, _, y in parts}
    name = Path(source).stem if isinstance(source, str | Path) else "arrays"
    ordered = known_classes(by_role, where)
    # The order of the arrays' own labels stays, so that class 3 is class 3.
    kept = tuple(names[label] for label in sorted(names) if names[label] in ordered)
    return Catalogue(name, tuple(ids), tuple(roles), tuple(labels), kept, fetch)


def _named(source: object) -> Arrays:
    if isinstance(source, tuple) and len(source) == 2:
        return {"x_train": np.asarray(source[0]), "y_train": np.asarray(source[1])}
    if isinstance(source, Mapping):
        return {str(key): np.asarray(value) for key, value in source.items()}
    raise UserError("Data given as a tuple must be a pair (images, labels).")


def _loaded(path: Path) -> Arrays:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} cannot be read as an npz file of plain arrays: {error}.") from error


def _part(arrays: Arrays, suffix: str, where: str) -> tuple[NDArray[np.uint8], list[int]]:
    if f"y_{suffix}" not in arrays:
        raise UserError(f"{where} has x_{suffix} without y_{suffix}.")
    x, y = arrays[f"x_{suffix}"], arrays[f"y_{suffix}"]
    if x.ndim not in (3, 4) or (x.ndim == 4 and x.shape[3] not in (1, 3)):
        raise UserError(
            f"{where}: x_{suffix} must have shape (n, h, w), (n, h, w, 1) or (n, h, w, 3). Received: "
            f"{x.shape}."
        )
    if y.shape not in ((len(x),), (len(x), 1)) or not np.issubdtype(y.dtype, np.integer):
        raise UserError(
            f"{where}: y_{suffix} must hold {len(x)} whole numbers, shape ({len(x)},). Received: "
            f"{y.dtype} of shape {y.shape}; one-hot labels become whole numbers with argmax(axis=1)."
        )
    return _as_bytes(x, f"{where}: x_{suffix}"), [int(label) for label in y.ravel()]


def _as_bytes(x: NDArray[Any], where: str) -> NDArray[np.uint8]:
    """Return uint8 pixels; floats up to 1 are taken for fractions of white."""
    if x.dtype == np.uint8:
        return x
    if (
        not np.issubdtype(x.dtype, np.number)
        or not np.isfinite(x).all()
        or x.min(initial=0) < 0
        or x.max(initial=0) > 255
    ):
        raise UserError(
            f"{where} must hold numbers from 0 to 255, or floats from 0 to 1. Received: {x.dtype}."
        )
    scale = 255.0 if np.issubdtype(x.dtype, np.floating) and x.max(initial=0) <= 1 else 1.0
    return np.asarray(np.rint(x * scale), dtype=np.uint8)


def _class_names(arrays: Arrays, parts: Sequence[tuple[str, Any, list[int]]], where: str) -> dict[int, str]:
    """Return label -> name: from `class_names` where there is one, else the number with leading zeros."""
    found = sorted({label for _, _, y in parts for label in y})
    if NAMES not in arrays:
        width = len(str(max(found, default=0)))
        return {label: f"{label:0{width}d}" for label in found}
    given = [str(name) for name in arrays[NAMES].ravel()]
    if found and (found[0] < 0 or found[-1] >= len(given)):
        raise UserError(f"{where} has labels outside its {len(given)} {NAMES}: {found[0]} to {found[-1]}.")
    return dict(enumerate(given))
