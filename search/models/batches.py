"""Many pictures, in batches and in little memory: what is in each, or in each of its faces."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from search.models.classifier import Classifier
from search.models.drawing import Region
from search.models.face_detection import Face, find_faces
from search.models.images import Picture
from search.models.predict import prediction, probabilities
from spaces.errors import UserError

_AT_ONCE: Final = 256  # pictures in memory


@dataclass(frozen=True)
class LabelledPicture:
    """One picture and its labelled regions: the whole picture, or its faces.

    mistake: why it could not be read.
    """

    picture: Picture
    regions: tuple[Region, ...] = ()
    inputs: tuple[NDArray[np.uint8], ...] = ()  # what the network was given for each region
    mistake: str = ""


def label_pictures(
    classifier: Classifier, pictures: Iterable[Picture], faces: bool = False
) -> Iterator[LabelledPicture]:
    """Label pictures, or the faces in them, in batches. A broken picture does not stop the others.

    Args:
        classifier: The model.
        pictures: The pictures.
        faces: Whether to find faces, and to label each.
    """
    waiting = iter(pictures)
    while chunk := list(islice(waiting, _AT_ONCE)):
        yield from _label(classifier, [_prepared(classifier, picture, faces) for picture in chunk])


@dataclass(frozen=True)
class _Prepared:
    picture: Picture
    faces: tuple[Face | None, ...] = ()
    images: tuple[NDArray[np.uint8], ...] = ()
    mistake: str = ""


def _prepared(classifier: Classifier, picture: Picture, faces: bool) -> _Prepared:
    try:
        if not faces:
            return _Prepared(
                picture, (None,), (picture.pixels(classifier.image_shape, classifier.labels.bits),)
            )
        upright = picture.upright()
        found = tuple(find_faces(upright))
        crops = (Picture(picture.name, face.crop(upright)) for face in found)
        return _Prepared(
            picture,
            found,
            tuple(crop.pixels(classifier.image_shape, classifier.labels.bits) for crop in crops),
        )
    except UserError as error:
        return _Prepared(picture, mistake=str(error))


def _label(classifier: Classifier, chunk: list[_Prepared]) -> Iterator[LabelledPicture]:
    images = [image for one in chunk for image in one.images]
    stack = np.stack(images) if images else np.zeros((0, *classifier.image_shape), np.uint8)
    rows = iter(probabilities(classifier, stack))
    for one in chunk:
        regions = tuple(
            Region(prediction(classifier, one.picture.name, next(rows)), face) for face in one.faces
        )
        yield LabelledPicture(one.picture, regions, one.images, one.mistake)
