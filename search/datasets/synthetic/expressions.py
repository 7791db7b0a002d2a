"""What each of the seven expressions does to a face, as pulls of a few named muscles.

The muscles are a small selection of the action units of Ekman and Friesen's Facial Action Coding System
(1978), grouped by what a 48-pixel face can show. A pull of 1 is the strongest that people show; 0 is rest.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from search.datasets.synthetic.randomness import Chance

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Muscles:
    """Pulls of every muscle, each of shape (n,): one per face."""

    brow_inner: Array  # up, negative: down
    brow_outer: Array  # up, negative: down
    brow_knit: Array  # the brows come together
    eye_open: Array  # the upper lid rises, negative: falls
    lower_lid: Array  # the lower lid rises
    eye_slant: Array  # the outer corner of the upper lid rises, negative: droops
    nose_wrinkle: Array
    cheeks: Array  # the cheeks rise and the folds beside the nose deepen
    corners: Array  # the corners of the mouth rise, negative: fall
    mouth_wide: Array  # stretched, negative: rounded
    mouth_open: Array
    teeth: Array  # bared in an open mouth
    upper_lip: Array  # pulled up
    lip_press: Array  # thin, tight lips
    sneer: Array  # one side of the mouth rises more than the other


MUSCLES = tuple(field.name for field in fields(Muscles))


def _pulls(**muscles: float) -> Array:
    """Pulls in the order of MUSCLES, those not named at rest; a muscle nobody has is a ValueError."""
    row = np.zeros(len(MUSCLES))
    for muscle, pull in muscles.items():
        row[MUSCLES.index(muscle)] = pull
    return row


# Every expression can be worn in two ways. Where one looks like another's, it is meant to.
# fmt: off
EXPRESSIONS = {
    "angry": (
        _pulls(brow_inner=-1.0, brow_outer=0.3, brow_knit=1.0, eye_slant=0.8, eye_open=-0.1,
               lower_lid=0.3, corners=-0.35, mouth_wide=-0.15, lip_press=1.0),
        _pulls(brow_inner=-1.0, brow_outer=0.25, brow_knit=0.9, eye_slant=0.7, eye_open=0.1,
               nose_wrinkle=0.4, cheeks=0.3, corners=-0.3, mouth_wide=0.15, mouth_open=0.5,
               teeth=1.0, upper_lip=0.3),
    ),
    "disgust": (
        _pulls(brow_inner=-0.5, brow_outer=-0.35, brow_knit=0.4, eye_open=-0.5, lower_lid=0.6,
               nose_wrinkle=1.0, cheeks=0.6, corners=-0.5, upper_lip=1.0, sneer=0.3),
        _pulls(brow_inner=-0.6, brow_outer=-0.3, brow_knit=0.5, eye_open=-0.6, lower_lid=0.6,
               nose_wrinkle=1.0, cheeks=0.6, corners=-0.45, upper_lip=0.8, mouth_open=0.3, sneer=0.9),
    ),
    "fear": (
        _pulls(brow_inner=1.0, brow_outer=0.25, brow_knit=0.8, eye_open=0.7, eye_slant=-0.2,
               corners=-0.45, mouth_wide=0.4, mouth_open=0.35, teeth=0.8),
        _pulls(brow_inner=0.9, brow_outer=0.4, brow_knit=0.6, eye_open=0.8, corners=-0.3,
               mouth_wide=0.0, mouth_open=0.5),
    ),
    "happy": (
        _pulls(corners=1.0, mouth_wide=0.5, cheeks=0.9, lower_lid=0.7, eye_open=-0.2),
        _pulls(corners=1.0, mouth_wide=0.6, cheeks=1.0, lower_lid=0.8, eye_open=-0.25, mouth_open=0.5,
               teeth=1.0, brow_inner=0.15, brow_outer=0.2),
    ),
    "neutral": (_pulls(), _pulls(corners=-0.1, eye_open=-0.1)),
    "sad": (
        _pulls(brow_inner=0.8, brow_outer=-0.5, brow_knit=0.4, eye_open=-0.35, eye_slant=-0.9,
               corners=-0.9, mouth_wide=-0.15),
        _pulls(brow_inner=0.8, brow_outer=-0.4, brow_knit=0.5, eye_open=-0.6, eye_slant=-0.8,
               lower_lid=0.4, corners=-1.0, mouth_wide=0.1, mouth_open=0.3, cheeks=0.3),
    ),
    "surprise": (
        _pulls(brow_inner=0.8, brow_outer=1.0, eye_open=0.9, mouth_open=1.0, mouth_wide=-0.6),
        _pulls(brow_inner=0.9, brow_outer=0.9, eye_open=0.7, mouth_open=0.4, mouth_wide=-0.4),
    ),
}
# fmt: on


TABLE = np.array(list(EXPRESSIONS.values()))  # (classes, variants, muscles)


def wear(classes: NDArray[np.int64], chance: Chance, weakest: float = 0.35, blend: float = 0.25) -> Muscles:
    """Let n faces wear the expressions `classes` (n,), more or less strongly, each mixed with another."""
    strength = 1.15 - (1.15 - weakest) * chance.uniform(0.0, 1.0) ** 2
    other = (classes + 1 + chance.integer(len(TABLE) - 1)) % len(TABLE)
    share = chance.uniform(0.0, blend)
    main = TABLE[classes, chance.integer(TABLE.shape[1])]
    trace = TABLE[other, chance.integer(TABLE.shape[1])]
    pulls = (strength * (1 - share))[:, None] * main + (strength * share)[:, None] * trace
    pulls += np.stack([chance.normal(0.0, 0.1) for _ in MUSCLES], axis=1)
    return Muscles(**dict(zip(MUSCLES, pulls.T, strict=True)))
