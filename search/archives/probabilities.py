"""Predictions of many evaluations without loss in little room.

Ids, labels and groups are the same in every evaluation of a study and are stored once. Of the probabilities
the largest of each image follows from the others, since they sum to one: only by how many float32 steps is
stored. The other numbers are split into exponents, which compress, and mantissas, which do not. Every
number comes back bit by bit, and so does every statistic.
"""

import io
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

#: The arrays that evaluations share, with their kinds (numpy.dtype.kind) and numbers of axes.
_SHARED: Final = {"ids": "U", "labels": "i", "groups": "i", "has_twin": "b"}
_PROBABILITIES: Final = "probabilities"
_CONSTANT: Final = (1980, 1, 1, 0, 0, 0)


class NotPackable(Exception):
    """A predictions file holds something else than Candor writes; it is packed as it is."""


def split(path: Path) -> tuple[bytes, bytes]:
    """Split a predictions file into what its study shares and what is its own.

    Args:
        path: A `predictions.npz` (see `search.tracking.names.PREDICTIONS_NPZ`).

    Returns:
        The shared arrays, and the probabilities, each as the bytes of an npz file for `join`.

    Raises:
        NotPackable: The arrays are not those that an evaluation stores.
    """
    try:
        with np.load(path, allow_pickle=False) as held:
            arrays = {name: held[name] for name in held.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise NotPackable(str(error)) from error
    if set(arrays) != {*_SHARED, _PROBABILITIES}:
        raise NotPackable(f"arrays {sorted(arrays)}")
    probabilities = arrays.pop(_PROBABILITIES)
    count = len(arrays["ids"])
    fits = all(
        arrays[name].dtype.kind == kind and arrays[name].shape == (count,) for name, kind in _SHARED.items()
    )
    if (
        not fits
        or probabilities.dtype != np.float32
        or probabilities.ndim != 2
        or len(probabilities) != count
    ):
        raise NotPackable("shapes or types")
    if not probabilities.shape[1] or probabilities.shape[1] > 255 or not count:
        raise NotPackable("no classes, or too many")
    return _npz(arrays), _npz(encode(probabilities))


def join(shared: bytes, own: bytes, path: Path) -> None:
    """Write the predictions file that `split` took apart.

    Raises:
        ValueError: The bytes are not those that `split` returns.
    """
    try:
        arrays = _arrays(shared)
        if set(arrays) != set(_SHARED):
            raise ValueError("they are not what evaluations share")
        arrays[_PROBABILITIES] = decode(_arrays(own))
    except (OSError, ValueError, KeyError, EOFError, IndexError, MemoryError, zipfile.BadZipFile) as error:
        raise ValueError(f"packed predictions cannot be read ({error})") from error
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, allow_pickle=False, **arrays)


def encode(probabilities: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """Take probabilities apart.

    Args:
        probabilities: float32, (images, classes), any values, NaN too.

    Returns:
        `largest`: uint8 (images,), the class whose probability is left out; `off`: uint32 (images,), what its
        bits differ by from what the others say; `exponents`: uint8 (classes - 1, images), sign and exponent
        without its last bit; `mantissas`: uint8 (3, classes - 1, images), the other 24 bits, highest first.
    """
    bits = np.ascontiguousarray(probabilities, dtype=np.float32).view(np.uint32)
    images, classes = bits.shape
    with np.errstate(all="ignore"):
        largest = np.nan_to_num(probabilities, nan=-1.0).argmax(axis=1)
    rest = np.arange(classes) != largest[:, None]
    others = bits[rest].reshape(images, classes - 1)
    off = bits[np.arange(images), largest] - _expected(others)  # unsigned: wraps, and unwraps
    return {
        "largest": largest.astype(np.uint8),
        "off": off,
        "exponents": np.ascontiguousarray((others >> 24).astype(np.uint8).T),
        "mantissas": np.stack([((others >> shift) & 0xFF).astype(np.uint8).T for shift in (16, 8, 0)]),
    }


def decode(parts: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Put together what `encode` took apart: float32 (images, classes), equal bit by bit.

    Raises:
        ValueError: The parts do not fit together.
    """
    largest, off = parts["largest"], parts["off"]
    exponents, mantissas = parts["exponents"], parts["mantissas"]
    classes, images = len(exponents) + 1, len(largest)
    kinds = [largest.dtype, exponents.dtype, mantissas.dtype] == [np.dtype(np.uint8)] * 3
    shapes = exponents.shape == (classes - 1, images) and mantissas.shape == (3, classes - 1, images)
    if (
        not kinds
        or off.dtype != np.uint32
        or off.shape != (images,)
        or not shapes
        or (largest >= classes).any()
    ):
        raise ValueError("packed probabilities do not fit together")
    others = np.zeros((images, classes - 1), np.uint32)
    for shift, plane in zip((24, 16, 8, 0), (exponents, *mantissas), strict=True):
        others |= np.left_shift(plane.T, shift, dtype=np.uint32)
    bits = np.empty((images, classes), np.uint32)
    bits[np.arange(classes) != largest[:, None]] = others.reshape(-1)
    bits[np.arange(images), largest] = off + _expected(others)
    return bits.view(np.float32)


def _expected(others: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The bits of one minus the others' sum, added in the order of the classes: the same on every machine."""
    left = np.ones(len(others))
    with np.errstate(all="ignore"):  # any bits may come, signalling NaNs too
        values = np.ascontiguousarray(others).view(np.float32).astype(np.float64)
        for column in values.T:
            left = left - column
        left = np.where(np.isfinite(left) & (np.abs(left) <= 1.0), left, 0.0)
        return left.astype(np.float32).view(np.uint32)


def _arrays(npz: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of an npz file as `_npz` writes it: one that unpacks to more than it holds is refused."""
    with zipfile.ZipFile(io.BytesIO(npz)) as archive:
        if any(entry.compress_type or entry.file_size > len(npz) for entry in archive.infolist()):
            raise ValueError("packed predictions are compressed twice")
    with np.load(io.BytesIO(npz), allow_pickle=False) as held:
        return {name: held[name] for name in held.files}


def _npz(arrays: dict[str, NDArray[Any]]) -> bytes:
    """An npz file, stored plainly and the same whenever it is written: the archive compresses it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in sorted(arrays.items()):
            with archive.open(zipfile.ZipInfo(f"{name}.npy", _CONSTANT), "w") as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()
