"""Finds faces in a picture, with the frontal-face cascade that comes inside OpenCV.

Viola and Jones, Rapid Object Detection using a Boosted Cascade of Simple Features (2001): quick and small; it
finds upright faces that look at the camera, and takes some things for faces that are none.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import cv2

_CASCADE: Final = "haarcascade_frontalface_default.xml"
_LARGEST: Final = 1600  # pixels of the longer side; larger pictures are searched at this size
_SMALLEST: Final = 24  # pixels of a side, the cascade's own window
_NEIGHBOURS: Final = 6  # so many windows must agree
_MARGIN: Final = 0.05  # of a side, added all around


@dataclass(frozen=True)
class Face:
    """A square in a picture, in its pixels."""

    left: int
    top: int
    side: int

    def crop(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The face alone, cut off where the picture ends.

        Args:
            picture: Pixels, uint8 (height, width, 3).

        Returns:
            Pixels, uint8 (side, side, 3).
        """
        return picture[self.top : self.top + self.side, self.left : self.left + self.side]


def find_faces(picture: NDArray[np.uint8]) -> list[Face]:
    """Find the faces in a picture, from left to right.

    Args:
        picture: Pixels, uint8 (height, width, 3).
    """
    import cv2

    height, width = picture.shape[:2]
    shrink = max(1.0, max(height, width) / _LARGEST)
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    if shrink > 1:
        size = (round(width / shrink), round(height / shrink))
        gray = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
    found = _detector().detectMultiScale(
        cv2.equalizeHist(gray), scaleFactor=1.1, minNeighbors=_NEIGHBOURS, minSize=(_SMALLEST, _SMALLEST)
    )
    return sorted((_face(box, shrink, height, width) for box in found), key=lambda face: face.left)


def _face(box: Any, shrink: float, height: int, width: int) -> Face:
    left, top, side, _ = (float(number) * shrink for number in box)
    margin = side * _MARGIN
    wanted = min(round(side + 2 * margin), height, width)
    return Face(
        left=min(max(round(left - margin), 0), width - wanted),
        top=min(max(round(top - margin), 0), height - wanted),
        side=wanted,
    )


@cache
def _detector() -> "cv2.CascadeClassifier":
    import cv2

    return cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / _CASCADE))
