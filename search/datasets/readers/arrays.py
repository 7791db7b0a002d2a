"""Arrays: an .npz file with x_train, y_train, ..., or the same from Python, or one pair (images, labels)."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

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
from search.datasets.images.pixel_range import as_bytes
from search.datasets.listing.layout import known_classes
from search.datasets.listing.left_out import WARNING
from search.safety.sizes import load_npz
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
Label: TypeAlias = int | str
Labels: TypeAlias = Sequence[Label]


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
    arrays = load_npz(Path(source)) if isinstance(source, str | Path) else _named(source)
    parts = [
        (role, *_part(arrays, suffix, where)) for suffix, role in SUFFIXES.items() if f"x_{suffix}" in arrays
    ]
    if not any(role == TRAIN for role, *_ in parts):
        raise UserError(
            f"{where} has no x_train: expected x_train and y_train, and x_val or x_test with theirs. "
            f"Received: {', '.join(sorted(arrays)) or 'nothing'}."
        )
    _refuse_unknown_parts(arrays, [role for role, *_ in parts], where)
    names = _class_names(arrays, parts, where)
    pixels, notes = as_bytes([x for _, x, _ in parts], where)
    ids, roles, labels, images = [], [], [], []
    for (role, _, y), x in zip(parts, pixels, strict=True):
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
    kept = tuple(name for name in names.values() if name in ordered)
    unused = [name for name in names.values() if name not in ordered]
    if unused:
        notes.append(f"{WARNING}No image is labelled {', '.join(unused)}: no class, though {NAMES} names it.")
    return Catalogue(
        name=name,
        ids=tuple(ids),
        roles=tuple(roles),
        labels=tuple(labels),
        class_names=kept,
        fetch=fetch,
        notes=tuple(notes),
        columns=_columns(arrays, where),
    )


def _refuse_unknown_parts(arrays: Arrays, roles: Sequence[str], where: str) -> None:
    """Raise UserError where an array may be a split under another name, or two arrays are one split."""
    twice = [role for role, count in Counter(roles).items() if count > 1]
    if twice:
        names = ", ".join(f"x_{suffix}" for suffix, role in SUFFIXES.items() if role in twice)
        raise UserError(f"{where} has several arrays for {twice[0]} ({names}): join them, or keep one.")
    known = {f"{letter}_{suffix}" for letter in "xy" for suffix in SUFFIXES}
    others = sorted(name for name in arrays if name.lower().startswith(("x_", "y_")) and name not in known)
    if others:
        raise UserError(
            f"{where} has an array {others[0]!r} beside x_train, and it is unclear which split that is: call "
            f"it {others[0][0].lower()}_val or {others[0][0].lower()}_test, or leave it out."
        )
    alone = sorted(
        f"y_{suffix}" for suffix in SUFFIXES if f"y_{suffix}" in arrays and f"x_{suffix}" not in arrays
    )
    if alone:
        raise UserError(f"{where} has {alone[0]} without x_{alone[0][2:]}: add the images, or leave it out.")


def _columns(arrays: Arrays, where: str) -> dict[str, tuple[str, ...]]:
    """What else is said of each image: arrays such as person_train and person_val, for all parts."""
    suffixes = [suffix for suffix in SUFFIXES if f"x_{suffix}" in arrays]
    names = {key.rpartition("_")[0] for key in arrays if key.endswith("_train")} - {"x", "y"}
    columns = {}
    for name in sorted(names):
        parts = [(arrays.get(f"{name}_{suffix}"), len(arrays[f"x_{suffix}"])) for suffix in suffixes]
        if all(part is not None and part.size == count for part, count in parts):
            values = [value for part, _ in parts if part is not None for value in part.ravel().tolist()]
            columns[name] = tuple(_text(value, where) for value in values)
    return columns


def _named(source: object) -> Arrays:
    if isinstance(source, tuple) and len(source) == 2:
        return {"x_train": _array(source[0]), "y_train": _array(source[1])}
    if isinstance(source, Mapping):
        return {str(key): _array(value) for key, value in source.items()}
    raise UserError("Data given as a tuple must be a pair (images, labels).")


def _array(values: object) -> NDArray[Any]:
    """An array that holds its values: one of objects, such as a column of words, holds addresses."""
    array = np.asarray(values)
    return np.asarray(array.tolist()) if array.dtype == object else array


def _part(arrays: Arrays, suffix: str, where: str) -> tuple[NDArray[Any], Labels]:
    if f"y_{suffix}" not in arrays:
        raise UserError(f"{where} has x_{suffix} without y_{suffix}.")
    x, y = arrays[f"x_{suffix}"], arrays[f"y_{suffix}"]
    if not x.size and x.ndim in (3, 4):
        raise UserError(f"{where}: x_{suffix} holds no images. Received: an array of shape {x.shape}.")
    if x.ndim not in (3, 4) or (x.ndim == 4 and x.shape[3] not in (1, 3)):
        raise UserError(
            f"{where}: x_{suffix} must have shape (n, h, w), (n, h, w, 1) or (n, h, w, 3). Received: "
            f"{x.shape}."
        )
    if y.shape in ((len(x),), (len(x), 1)):
        if np.issubdtype(y.dtype, np.integer):
            return x, [int(label) for label in y.ravel()]
        words = y.ravel().tolist()
        if words and all(isinstance(word, str | bytes) for word in words):
            return x, [_text(word, where) for word in words]
    raise UserError(
        f"{where}: y_{suffix} must hold {len(x)} whole numbers, or class names, shape ({len(x)},). Received: "
        f"{y.dtype} of shape {y.shape}{_hint(y)}."
    )


def _hint(y: NDArray[Any]) -> str:
    """How labels of another kind become whole numbers."""
    if y.ndim == 2 and y.shape[1] > 1:
        return "; one-hot labels become whole numbers with argmax(axis=1)"
    what = {"f": "floats such as 3.0", "b": "False and True"}.get(y.dtype.kind)
    return f"; {what} become whole numbers with astype(int)" if what else ""


def _text(name: object, where: str) -> str:
    """A class name as text: numpy keeps those of h5 and pickle files as bytes."""
    try:
        return name.decode("utf-8") if isinstance(name, bytes) else str(name)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{where} has a class name that is no UTF-8, {name!r}: give {NAMES} as text."
        ) from error


def _class_names(arrays: Arrays, parts: Sequence[tuple[str, Any, Labels]], where: str) -> dict[Label, str]:
    """Return label -> name, in the order of the classes.

    That is the order of `class_names` where there is one, else of the numbers, or of the alphabet.
    """
    labels = {label for _, _, y in parts for label in y}
    words = {label for label in labels if isinstance(label, str)}
    if words and words != labels:
        raise UserError(
            f"{where} has class names for labels in one part and numbers in another: give one kind."
        )
    given = _given_names(arrays, where)
    if words:
        if given is not None and not words <= set(given):
            raise UserError(
                f"{where} has a label that is not among its {NAMES}: {min(words - set(given))!r}; "
                f"they are {', '.join(given[:10])}."
            )
        return {name: name for name in given or sorted(words)}
    found = sorted(label for label in labels if isinstance(label, int))
    if given is None:
        width = len(str(max(found, default=0)))
        return {label: f"{label:0{width}d}" for label in found}
    if found and (found[0] < 0 or found[-1] >= len(given)):
        raise UserError(f"{where} has labels outside its {len(given)} {NAMES}: {found[0]} to {found[-1]}.")
    return dict(enumerate(given))


def _given_names(arrays: Arrays, where: str) -> list[str] | None:
    """The names in `class_names`, or None. Raises UserError where one comes twice."""
    if NAMES not in arrays:
        return None
    given = [_text(name, where) for name in arrays[NAMES].ravel().tolist()]
    if not all(name.strip() for name in given):
        raise UserError(f"{where} has a class without a name in {NAMES}: each class needs its own name.")
    twice = sorted(name for name, count in Counter(given).items() if count > 1)
    if twice:
        raise UserError(
            f"{where} names the class {twice[0]!r} twice in {NAMES}: each class needs its own name."
        )
    return given
