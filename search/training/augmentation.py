"""How training images are varied. The values alone; the layer that does it is in `augmentation_layer`."""

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from spaces.errors import UserError

#: The largest value of each range that still leaves an image to recognise.
_LARGEST: Final = {
    "rotation": 180.0,
    "shear": 60.0,
    "zoom": 0.9,
    "shift": 1.0,
    "contrast": 1.0,
    "erasing": 1.0,
}


@dataclass(frozen=True)
class Augmentation:
    """Ranges from which every training image draws its own variation, uniformly; 0 switches one off.

    Attributes:
        rotation: degrees, to either side.
        shear: shear angle in degrees, to either side (the unit of Keras' `ImageDataGenerator`).
        zoom: each axis is scaled by a factor from [1 - zoom, 1 + zoom].
        shift: share of width and height, to either side.
        flip: mirror half of the images left to right.
        contrast: distances from the image's mean are multiplied by [1 - contrast, 1 + contrast].
        erasing: probability that one rectangle (2% to 20% of the area) is filled with the image's mean.
            After Zhong et al., Random Erasing Data Augmentation (2020).
    """

    rotation: float = 0.0
    shear: float = 0.0
    zoom: float = 0.0
    shift: float = 0.0
    flip: bool = False
    contrast: float = 0.0
    erasing: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.flip, bool):
            raise UserError(f"augmentation.flip is {self.flip!r}: write true or false")
        for name, largest in _LARGEST.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= largest:
                raise UserError(f"augmentation.{name} is {value!r}: write a number from 0 to {largest:g}")
            object.__setattr__(self, name, float(value))

    @property
    def warps(self) -> bool:
        """Whether pixels move at all."""
        return self.flip or any((self.rotation, self.shear, self.zoom, self.shift))

    def to_dict(self) -> dict[str, Any]:
        """Every field, for JSON."""
        return asdict(self)

    @classmethod
    def parse(cls, written: "str | Mapping[str, Any] | Augmentation") -> "Augmentation":
        """Read the name of a preset or a table of fields.

        Args:
            written: A name in AUGMENTATIONS, fields by name, or an augmentation.

        Raises:
            UserError: For an unknown name or field; the message names the nearest.
        """
        if isinstance(written, Augmentation):
            return written
        if isinstance(written, str):
            check_known("augmentation", [written], AUGMENTATIONS)
            return AUGMENTATIONS[written]
        if not isinstance(written, Mapping):
            raise UserError(
                f"augmentation is {written!r}: write a name ({', '.join(AUGMENTATIONS)}) or a table"
            )
        check_known("key of augmentation", written, [field.name for field in fields(cls)])
        return cls(**written)


AUGMENTATIONS: Final[dict[str, Augmentation]] = {
    "none": Augmentation(),
    "flip": Augmentation(flip=True),
    "light": Augmentation(rotation=10, zoom=0.1, shift=0.1, flip=True),
    # The two published systems gave these numbers to `ImageDataGenerator`, where shear counts in degrees,
    # and to Keras' preprocessing layers.
    "published": Augmentation(rotation=30, shear=0.3, zoom=0.3, shift=0.4, flip=True),
    "system_e": Augmentation(rotation=9, zoom=0.1, flip=True, contrast=0.1),
    # The 73% class on FER-2013; the shift stands in for its random crops.
    "ladder_73": Augmentation(rotation=10, zoom=0.2, shift=0.2, flip=True, erasing=0.5),
}


def check_known(
    what: str, written: Mapping[str, Any] | list[str], known: Mapping[str, Any] | list[str]
) -> None:
    """Refuse the first name that is not known.

    Args:
        what: What the names are, for the message.
        written: The names to check.
        known: The known names.

    Raises:
        UserError: For an unknown name; the message names the nearest.
    """
    for name in written:
        if name not in known:
            near = difflib.get_close_matches(str(name), list(known), n=1)
            hint = f", did you mean {near[0]!r}?" if near else "."
            raise UserError(f"unknown {what} {name!r}{hint} Known: {', '.join(known)}")
