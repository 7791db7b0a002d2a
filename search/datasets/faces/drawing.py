"""Faces drawn with polygons: who somebody is, how the muscles pull, and where the layers fall on the paper.

Everything is computed for n faces at once. A face's own coordinates have their origin between the eyes and
the tip of the nose, x to the right, y downwards; the unit is about half the height of the head.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from search.datasets.faces.chance import Array, Chance
from search.datasets.faces.expressions import Muscles


class Layer(NamedTuple):
    """One polygon of every face: points (n, k, 2), gray (n,) from 0 to 255, and which faces have it (n,)."""

    points: Array
    gray: Array
    shown: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Identity:
    """What stays when the expression goes: fields of shape (n,), lengths in face units, tones as grays."""

    width: Array
    jaw: Array
    skin: Array
    hair: Array
    eye_gap: Array
    eye_height: Array
    eye_size: Array
    iris: Array
    brow_height: Array
    brow_thick: Array
    brow_tilt: Array
    nose_length: Array
    nose_width: Array
    mouth_height: Array
    mouth_width: Array
    lip_thick: Array
    hairline: Array
    parting: Array
    style: NDArray[np.int64]
    beard: NDArray[np.bool_]
    moustache: NDArray[np.bool_]
    glasses: NDArray[np.bool_]
    age: Array

    @property
    def ink(self) -> Array:
        """The tone of lines on this skin."""
        return self.skin * 0.42


BALD, SHORT, FRINGE, LONG, CURLY, BEANIE = range(6)


def meet(chance: Chance) -> Identity:
    """Somebody new in every row."""
    skin = chance.uniform(85, 215)
    light_hair = chance.event(0.25)
    hair = np.where(light_hair, chance.uniform(110, 200), chance.uniform(15, 70))
    hair = np.where(np.abs(hair - skin) < 30, hair * 0.5, hair)
    bearded = chance.uniform(0.0, 1.0)
    return Identity(
        width=chance.uniform(0.72, 0.92),
        jaw=chance.uniform(0.55, 0.95),
        skin=skin,
        hair=hair,
        eye_gap=chance.uniform(0.33, 0.43),
        eye_height=chance.uniform(-0.16, -0.05),
        eye_size=chance.uniform(0.85, 1.2),
        iris=chance.uniform(25, 110),
        brow_height=chance.uniform(0.25, 0.36),
        brow_thick=chance.uniform(0.03, 0.075),
        brow_tilt=chance.normal(0.0, 0.03),
        nose_length=chance.uniform(0.34, 0.48),
        nose_width=chance.uniform(0.11, 0.2),
        mouth_height=chance.uniform(0.62, 0.72),
        mouth_width=chance.uniform(0.25, 0.36),
        lip_thick=chance.uniform(0.035, 0.09),
        hairline=chance.uniform(-0.8, -0.6),
        parting=chance.uniform(-0.5, 0.5),
        style=np.searchsorted([0.1, 0.4, 0.58, 0.8, 0.93], chance.uniform(0.0, 1.0)).astype(np.int64),
        beard=bearded < 0.12,
        moustache=(bearded > 0.06) & (bearded < 0.2),
        glasses=chance.event(0.16),
        age=chance.uniform(0.0, 1.0),
    )


def column(values: ArrayLike) -> Array:
    """(n,) as (n, 1), to be combined with the points of a curve."""
    return np.asarray(values, dtype=float)[:, None]


def curve(x: Array, y: Array) -> Array:
    """Points (n, k, 2) of x and y, each (n, k) or what broadcasts to it."""
    return np.stack(np.broadcast_arrays(x, y), axis=-1)


def band(x: Array, top: Array, bottom: Array) -> Array:
    """The area between two curves over the same x, each (n, k)."""
    return np.concatenate([curve(x, top), curve(x, bottom)[:, ::-1]], axis=1)


def upright(y: Array, left: Array, right: Array) -> Array:
    """The area between two curves that run down over the same y, each (n, k)."""
    return band(y, left, right)[..., ::-1]


def ellipse(x: ArrayLike, y: ArrayLike, wide: ArrayLike, high: ArrayLike, k: int = 18) -> Array:
    """Ellipses around (x, y) with half axes `wide` and `high`, each (n,) or one number."""
    angle = np.linspace(0, 2 * np.pi, k, endpoint=False)
    x, y, wide, high = np.broadcast_arrays(x, y, wide, high)
    return curve(column(x) + column(wide) * np.cos(angle), column(y) + column(high) * np.sin(angle))


ALONG = np.linspace(-1, 1, 13)  # along a lid, a brow, a lip
ARCH = 1 - ALONG**2  # nought at both ends


def outline(who: Identity, grow: float = 0.0, k: int = 40) -> Array:
    """The contour of the head, from the right temple down over the chin and up again."""
    angle = np.linspace(0, 2 * np.pi, k, endpoint=False)
    down = np.clip(np.sin(angle), 0, 1)
    slim = 1 - (1 - column(who.jaw)) * down**2
    return curve((column(who.width) + grow) * np.cos(angle) * slim, (1.12 + grow) * np.sin(angle))


def behind(who: Identity) -> Iterator[Layer]:
    """What the head hides: long hair, neck, shoulders, ears."""
    zero = np.zeros_like(who.width)
    long = ellipse(zero, zero + 0.2, who.width + 0.2, 1.45)
    yield Layer(long, who.hair, who.style == LONG)
    yield Layer(ellipse(zero, zero + 1.2, who.width * 0.55, 0.6), who.skin * 0.8)
    yield Layer(ellipse(zero, zero + 2.1, 1.3, 0.8), (who.hair * 7 + who.skin * 3) % 200 + 20)
    for side in (-1, 1):
        yield Layer(ellipse(side * who.width, zero + 0.02, 0.13, 0.22), who.skin * 0.88)


def hair(who: Identity) -> Iterator[Layer]:
    """What grows above the forehead."""
    zero = np.zeros_like(who.width)
    x = ALONG * (column(who.width) + 0.06)
    crown = -1.2 * np.sqrt(1.0001 - ALONG**2) - 0.02
    line = column(who.hairline) * np.sqrt(1.0001 - (ALONG * 0.92) ** 2)
    parted = line - 0.18 * np.exp(-(((ALONG - column(who.parting)) / 0.3) ** 2)) + 0.1 * ALONG**2
    yield Layer(band(x, crown, parted), who.hair, np.isin(who.style, (SHORT, LONG)))
    fringe = column(who.hairline + 0.22) * (1 - 0.5 * ALONG**4) + 0.02 * np.cos(ALONG * 19)
    yield Layer(band(x, crown, fringe), who.hair, who.style == FRINGE)
    for turn in np.linspace(np.pi, 2 * np.pi, 8):
        cloud = ellipse((who.width + 0.02) * np.cos(turn), zero - 0.18 + 0.95 * np.sin(turn), 0.27, 0.27)
        yield Layer(cloud, who.hair * (0.9 + 0.1 * np.cos(5 * turn)), who.style == CURLY)
    wool = (who.hair * 5) % 170 + 40
    yield Layer(band(x * 1.06, crown * 1.08, line + 0.02), wool, who.style == BEANIE)
    yield Layer(band(x * 1.08, line - 0.22, line + 0.02), wool * 0.75, who.style == BEANIE)


def beard(who: Identity) -> Iterator[Layer]:
    """Beard and moustache, behind the lips."""
    chin = outline(who)[:, 1:20]
    inner = chin * np.array([0.62, 0.72]) + np.array([0.0, 0.02])
    full = np.concatenate([chin, inner[:, ::-1]], axis=1)
    tone = 0.65 * who.hair + 0.35 * who.skin
    yield Layer(full, tone, who.beard)
    zero = np.zeros_like(who.width)
    lip = ellipse(zero, who.mouth_height - 0.13, who.mouth_width * 0.85, 0.06)
    yield Layer(lip, tone, who.moustache)


def brows(who: Identity, pull: Muscles) -> Iterator[Layer]:
    """Two brows, and the furrow and forehead lines that they push up."""
    middle = who.eye_height - who.brow_height
    half = 0.2 * who.eye_size
    for side in (-1, 1):
        centre = who.eye_gap + 0.01 - 0.05 * pull.brow_knit
        x = side * (column(centre) + column(half) * ALONG)
        inner, outer = (0.11 * p for p in (pull.brow_inner, pull.brow_outer))
        slope = column(inner) * (1 - ALONG) / 2 + column(outer + who.brow_tilt) * (1 + ALONG) / 2
        y = column(middle) - slope - (0.05 + 0.03 * column(np.abs(pull.brow_outer))) * ARCH
        thick = column(who.brow_thick) * (1.15 - 0.55 * (ALONG + 1) / 2)
        yield Layer(band(x, y - thick, y + thick), np.minimum(who.hair, who.skin * 0.6))
        furrow = np.clip(pull.brow_knit, 0, 1) * np.clip(0.3 - pull.brow_inner, 0, 1)
        y = column(middle + 0.06) + 0.1 * ALONG
        x = side * (0.06 + column(0.012 * furrow) * ARCH)
        yield Layer(upright(y, side * 0.045 + 0 * x, x), who.skin * (0.8 - 0.15 * furrow), furrow > 0.25)
    lines = np.clip(np.maximum(pull.brow_inner, pull.brow_outer), 0, 1.2) * (0.4 + 0.6 * who.age)
    for row in (0.17, 0.3):
        x = 0.36 * column(who.width) * ALONG
        y = column(middle - row) - 0.03 * ARCH
        yield Layer(band(x, y, y + 0.028 * ARCH), who.skin * 0.82, lines > 0.35)


def eyes(who: Identity, pull: Muscles) -> Iterator[Layer]:
    """Two eyes: white, iris, pupil, highlight and lids."""
    half = 0.185 * who.eye_size
    high = 0.105 * who.eye_size * np.clip(1 + 0.62 * pull.eye_open, 0.12, 2.0)
    low = 0.07 * who.eye_size * np.clip(1 - 0.75 * pull.lower_lid + 0.25 * pull.eye_open, 0.05, 2.0)
    white = 0.6 * 245 + 0.4 * who.skin
    for side in (-1, 1):
        x = side * (column(who.eye_gap) + column(half) * ALONG)
        base = column(who.eye_height) - 0.045 * column(pull.eye_slant) * ALONG
        top, bottom = base - column(high) * ARCH**0.7, base + column(low) * ARCH
        yield Layer(band(x, top, bottom), white)
        radius = 0.098 * who.eye_size
        for tone, part in ((who.iris, 1.0), (who.iris * 0.3, 0.5)):
            ball = ellipse(side * who.eye_gap, who.eye_height - 0.015, radius * part, radius * part)
            at = (side * ball[..., 0] - column(who.eye_gap)) / column(half)
            arch = np.clip(1 - at**2, 0, 1)
            lean = column(who.eye_height) - 0.045 * column(pull.eye_slant) * at
            y = np.clip(ball[..., 1], lean - column(high) * arch**0.7, lean + column(low) * arch)
            yield Layer(curve(ball[..., 0], y), tone)
        spot = ellipse(side * who.eye_gap + 0.035, who.eye_height - 0.05, 0.025, 0.025, 6)
        yield Layer(spot, white + 5, high > 0.07)
        lash = 0.02 + 0.012 * ARCH
        yield Layer(band(x * 1.02, top - lash, top + 0.008), who.ink * 0.5)
        yield Layer(band(x, bottom, bottom + 0.018), who.ink * 1.4)


def nose(who: Identity, pull: Muscles) -> Iterator[Layer]:
    """Nostrils, wings, and the wrinkles across the bridge."""
    tip = who.eye_height + who.nose_length - 0.05 * pull.nose_wrinkle
    for side in (-1, 1):
        yield Layer(ellipse(side * who.nose_width * 0.5, tip, who.nose_width * 0.3, 0.032, 10), who.ink)
        y = column(tip) - 0.05 + 0.07 * ALONG
        x = side * (column(who.nose_width) + 0.03 * ARCH)
        yield Layer(upright(y, x - 0.012, x + 0.014), who.skin * 0.68)
        x = side * (0.05 + 0.06 * (ALONG + 1) / 2) + 0 * y
        y = column(who.eye_height + 0.06) + 0.08 * (ALONG + 1)
        yield Layer(band(x, y, y + 0.03 * ARCH), who.skin * 0.7, pull.nose_wrinkle > 0.45)


def mouth(who: Identity, pull: Muscles) -> Iterator[Layer]:
    """Opening, teeth, tongue and lips."""
    half = who.mouth_width * np.clip(1 + 0.38 * pull.mouth_wide, 0.45, 1.6)
    opened = 0.26 * np.clip(pull.mouth_open, 0, 1.2)
    x = column(half) * ALONG
    bend = column(0.13 * pull.corners) * (ALONG**2 - 0.35)
    lean = 0.07 * column(pull.sneer) * (ALONG + 1) / 2
    seam = column(who.mouth_height - 0.03 * pull.upper_lip) - bend - lean
    top = seam - column(opened * 0.3 + 0.05 * np.clip(pull.upper_lip, 0, 1.2)) * ARCH
    bottom = seam + column(opened * 0.9) * ARCH**0.8
    thick = column(who.lip_thick * np.clip(1 - 0.7 * pull.lip_press, 0.15, 1.2))
    bow = ARCH**0.6 * (1 - 0.35 * np.exp(-((ALONG / 0.16) ** 2)))
    lip = who.skin * 0.74
    yield Layer(band(x, top - thick * 0.8 * bow, top), lip)
    yield Layer(band(x, bottom, bottom + thick * ARCH**0.6), lip * 1.06)
    gap = 0.014 + 0.004 * ARCH
    yield Layer(band(x, top - gap, np.maximum(bottom, top + gap)), who.ink * 0.45)
    bite = np.minimum(bottom - top, 0.1 * column(np.clip(pull.teeth, 0, 1)) * ARCH**0.5)
    yield Layer(
        band(x * 0.9, top, top + bite), 0.7 * 245 + 0.3 * who.skin, (pull.teeth > 0.2) & (opened > 0.03)
    )


def folds(who: Identity, pull: Muscles) -> Iterator[Layer]:
    """The folds from the nose to the corners of the mouth."""
    depth = np.clip(pull.cheeks + 0.35 * who.age, 0, 1.3)
    reach = who.mouth_width * (1.2 + 0.35 * np.clip(pull.mouth_wide, 0, 1))
    y = column(who.mouth_height - 0.16) + 0.2 * ALONG
    for side in (-1, 1):
        x = side * (
            column(who.nose_width) + column(reach - who.nose_width) * (1 - ((1 - ALONG) / 2) ** 2) + 0.02
        )
        yield Layer(upright(y, x, x + 0.035 * column(depth) * ARCH), who.skin * 0.72, depth > 0.3)


def glasses(who: Identity) -> Iterator[Layer]:
    """Two rims, the bridge and the temples."""
    tone = np.where(who.age > 0.5, who.ink * 0.5, who.hair)
    zero = np.zeros_like(who.width)
    for side in (-1, 1):
        outer = ellipse(side * who.eye_gap, who.eye_height, 0.27, 0.23)
        inner = ellipse(side * who.eye_gap, who.eye_height, 0.235, 0.195)
        ring = np.concatenate([outer, outer[:, :1], inner[:, :1], inner[:, ::-1]], axis=1)
        yield Layer(ring, tone, who.glasses)
        x = side * (column(who.eye_gap) + 0.25 + column(who.width - who.eye_gap - 0.25) * (ALONG + 1) / 2)
        y = column(who.eye_height) - 0.03 + 0 * x
        yield Layer(band(x, y - 0.02, y + 0.02), tone, who.glasses)
    x = column(who.eye_gap - 0.25) * ALONG
    y = column(who.eye_height - 0.05 + zero) - 0.04 * ARCH
    yield Layer(band(x, y, y + 0.04), tone, who.glasses)


def hand(who: Identity, chance: Chance, probability: float = 0.07) -> Iterator[Layer]:
    """Four fingers laid over some part of the face."""
    shown = chance.event(probability)
    x, y = chance.uniform(-0.7, 0.7), chance.uniform(0.3, 1.0)
    tilt = chance.uniform(-0.7, 0.7)
    for finger in range(4):
        along = np.stack([x + 0.15 * finger, y + 0.04 * (finger - 1.5) ** 2], axis=1)[:, None]
        straight = ellipse(0 * x, 0 * x + 0.5, 0.085, 0.55)
        yield Layer(turned(straight, tilt) + along, who.skin * (0.95 if finger % 2 else 0.85), shown)


def turned(points: Array, angle: Array) -> Array:
    """Rotate points (n, k, 2) around the origin by angles (n,) in radians."""
    cosine, sine = column(np.cos(angle)), column(np.sin(angle))
    x, y = points[..., 0], points[..., 1]
    return curve(x * cosine - y * sine, x * sine + y * cosine)


def portrait(who: Identity, pull: Muscles, chance: Chance) -> Iterator[Layer]:
    """All layers of the faces, from the back to the front."""
    yield from behind(who)
    yield Layer(outline(who), who.skin)
    yield from beard(who)
    yield from folds(who, pull)
    yield from nose(who, pull)
    yield from mouth(who, pull)
    yield from eyes(who, pull)
    yield from brows(who, pull)
    yield from hair(who)
    yield from glasses(who)
    yield from hand(who, chance)
