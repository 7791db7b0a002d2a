"""Some images of a memory map, without a copy of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Selection:
    """Rows of images that stay where they are: read when they are asked for, by `[]` as in an array.

    A child that copied its training images would need as much memory again; so all children share the map.

    Args:
        images: uint8 (n, height, width, channels), or a selection of such.
        rows: which of them, in this order.
    """

    def __init__(self, images: "NDArray[np.uint8] | Selection", rows: NDArray[np.int64] | slice) -> None:
        self._images: NDArray[np.uint8]
        self._rows: NDArray[np.int64]
        if isinstance(images, Selection):
            self._images, self._rows = images._images, images._rows[rows]
        else:
            # The plain view of a map: numpy's own class for maps does more at each access.
            self._images, self._rows = np.asarray(images), np.arange(len(images))[rows]

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the array it stands for."""
        return (len(self), *self._images.shape[1:])

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        """Copies of images: of one, of a slice, or of an array of places."""
        found: NDArray[np.uint8] = self._images[self._rows[key]]
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """All of them, copied."""
        return self[:] if dtype is None else self[:].astype(dtype)
