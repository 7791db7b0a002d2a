"""Every image of a prepared data set in one order: train, purged, validation and test.

The audit shows test images and their labels beside their duplicates, and compares their pixels. It knows no
model and no prediction; what it finds removes training images only.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from search.datasets.cache.prepared import (
    DUPLICATES,
    FOLDERS,
    PURGED,
    Part,
    Prepared,
)
from search.datasets.duplicates.groups import Duplicates


@dataclass(frozen=True)
class Collection:
    """All n images of a data set, ordered by id. `parts`: text (n,), purged images under that name."""

    prepared: Prepared
    duplicates: Duplicates
    stored: dict[str, Part]
    parts: NDArray[np.str_]
    labels: NDArray[np.int64]
    ids: NDArray[np.str_]
    _place: NDArray[np.int64]  # row -> row in its stored part

    @classmethod
    def of(cls, prepared: Prepared) -> "Collection":
        """Open all parts of an entry of the cache."""
        folders = {part: prepared.folder / folder for part, folder in FOLDERS.items()}
        stored = {part: Part.open(folder) for part, folder in folders.items() if folder.is_dir()}
        ids = np.concatenate([part.ids for part in stored.values()])
        order = np.argsort(ids, kind="stable")
        return cls(
            prepared=prepared,
            duplicates=Duplicates.open(prepared.folder / DUPLICATES),
            stored=stored,
            parts=np.repeat(list(stored), [len(part) for part in stored.values()])[order],
            labels=np.concatenate([part.labels for part in stored.values()])[order],
            ids=ids[order],
            _place=np.concatenate([np.arange(len(part)) for part in stored.values()])[order],
        )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def splits(self) -> NDArray[np.str_]:
        """The parts, with purged images back in train."""
        return np.where(self.parts == PURGED, "train", self.parts)

    def pixels(self, row: int) -> NDArray[np.uint8]:
        """Return one image, (h, w, c)."""
        image: NDArray[np.uint8] = self.stored[str(self.parts[row])].images[self._place[row]]
        return image

    def label(self, row: int) -> str:
        """Return the class name of one image."""
        return self.prepared.class_names[int(self.labels[row])]

    def blocks(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        """Yield (rows, images) for each stored part."""
        for name, part in self.stored.items():
            rows = np.flatnonzero(self.parts == name)
            yield rows[np.argsort(self._place[rows])], part.images

    def digests(self) -> list[bytes]:
        """Return a digest of the pixels of each image."""
        found = [b""] * len(self)
        for rows, images in self.blocks():
            for row, image in zip(rows.tolist(), images, strict=True):
                found[row] = blake2b(image.tobytes(), digest_size=16).digest()
        return found
