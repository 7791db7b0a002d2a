"""Who somebody is: what of a head stays when the expression goes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.datasets.synthetic.randomness import Array, Chance
from search.datasets.synthetic.shapes import (
    ALONG,
    ARCH,
    Layer,
    band,
    column,
    curve,
    ellipse,
)

BALD, SHORT, FRINGE, LONG, CURLY, BEANIE = range(6)
STYLES = np.cumsum((0.1, 0.3, 0.18, 0.22, 0.13))  # how often each comes; the rest wear a beanie


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
    clothes: Array
    wool: Array

    @property
    def ink(self) -> Array:
        """The tone of lines on this skin."""
        return self.skin * 0.42

    @property
    def brow_line(self) -> Array:
        """Where the brows rest."""
        return self.eye_height - self.brow_height


def meet(chance: Chance) -> Identity:
    """Somebody new in every row."""
    skin = chance.uniform(100, 212)
    light_hair = chance.event(0.25)
    hair = np.where(light_hair, chance.uniform(110, 200), chance.uniform(15, 70))
    hair = np.where(np.abs(hair - skin) < 30, hair * 0.5, hair)
    bearded = chance.uniform(0.0, 1.0)
    return Identity(
        width=chance.uniform(0.74, 0.9),
        jaw=chance.uniform(0.66, 0.98),
        skin=skin,
        hair=hair,
        eye_gap=chance.uniform(0.37, 0.44),
        eye_height=chance.uniform(-0.14, -0.06),
        eye_size=chance.uniform(1.1, 1.4),
        iris=chance.uniform(25, 110),
        brow_height=chance.uniform(0.29, 0.36),
        brow_thick=chance.uniform(0.04, 0.08),
        brow_tilt=chance.normal(0.0, 0.03),
        nose_length=chance.uniform(0.34, 0.48),
        nose_width=chance.uniform(0.11, 0.2),
        mouth_height=chance.uniform(0.63, 0.7),
        mouth_width=chance.uniform(0.31, 0.4),
        lip_thick=chance.uniform(0.035, 0.09),
        hairline=chance.uniform(-0.8, -0.6),
        parting=chance.uniform(-0.5, 0.5),
        style=np.searchsorted(STYLES, chance.uniform(0.0, 1.0)).astype(np.int64),
        beard=bearded < 0.12,
        moustache=(bearded > 0.06) & (bearded < 0.2),
        glasses=chance.event(0.16),
        age=chance.uniform(0.0, 1.0),
        clothes=chance.uniform(20, 220),
        wool=chance.uniform(40, 210),
    )


def outline(who: Identity, k: int = 40) -> Array:
    """The contour of the head, from the right temple down over the chin and up again."""
    angle = np.linspace(0, 2 * np.pi, k, endpoint=False)
    down = np.clip(np.sin(angle), 0, 1)
    slim = 1 - (1 - column(who.jaw)) * down**2
    return curve(column(who.width) * np.cos(angle) * slim, 1.12 * np.sin(angle))


def behind(who: Identity) -> Iterator[Layer]:
    """What the head hides: long hair, neck, shoulders, ears."""
    yield Layer(ellipse(0, 0.2, who.width + 0.2, 1.45), who.hair, who.style == LONG)
    yield Layer(ellipse(0, 1.2, who.width * 0.55, 0.6), who.skin * 0.72)
    yield Layer(ellipse(0, 2.1, who.width * 1.6, 0.8), who.clothes)
    for side in (-1, 1):
        yield Layer(ellipse(side * who.width, 0.02, 0.13, 0.22), who.skin * 0.88)


def crown(who: Identity) -> tuple[Array, Array, Array]:
    """Where hair grows: x across the head, y of the upper edge and of the hairline, (n, k) or (k,)."""
    x = ALONG * (column(who.width) + 0.06)
    top = -1.2 * np.sqrt(1.0001 - ALONG**2) - 0.02
    return x, top, column(who.hairline) * np.sqrt(1.0001 - (ALONG * 0.92) ** 2)


def hair(who: Identity) -> Iterator[Layer]:
    """What is seen above the forehead: parted hair, a fringe, curls or a beanie."""
    x, top, line = crown(who)
    parting = 0.18 * np.exp(-(((ALONG - column(who.parting)) / 0.3) ** 2))
    yield Layer(band(x, top, line - parting + 0.1 * ALONG**2), who.hair, np.isin(who.style, (SHORT, LONG)))
    fringe = column(who.hairline + 0.22) * (1 - 0.5 * ALONG**4) + 0.02 * np.cos(ALONG * 19)
    yield Layer(band(x, top, fringe), who.hair, who.style == FRINGE)
    for turn in np.linspace(np.pi, 2 * np.pi, 8):
        curl = ellipse((who.width + 0.02) * np.cos(turn), 0.95 * np.sin(turn) - 0.18, 0.27, 0.27)
        yield Layer(curl, who.hair * (0.9 + 0.1 * np.cos(5 * turn)), who.style == CURLY)
    yield Layer(band(x * 1.06, top * 1.08, line + 0.02), who.wool, who.style == BEANIE)
    yield Layer(band(x * 1.08, line - 0.22, line + 0.02), who.wool * 0.75, who.style == BEANIE)


def beard(who: Identity) -> Iterator[Layer]:
    """Beard and moustache, behind the lips."""
    chin = outline(who)[:, 2:19]
    edge = np.linspace(-1, 1, chin.shape[1])
    cheek = curve(chin[..., 0] * 0.97, column(who.mouth_height - 0.3) + 0.24 * (1 - edge**4))
    tone = 0.7 * who.hair + 0.3 * who.skin
    yield Layer(np.concatenate([chin, cheek[:, ::-1]], axis=1), tone, who.beard)
    yield Layer(ellipse(0, who.mouth_height - 0.12, who.mouth_width * 0.9, 0.065), tone, who.moustache)


def glasses(who: Identity) -> Iterator[Layer]:
    """Two rims, the temples and the bridge."""
    tone = np.where(who.age > 0.5, who.ink * 0.5, who.hair)
    for side in (-1, 1):
        outer, inner = (ellipse(side * who.eye_gap, who.eye_height, r, r - 0.04) for r in (0.27, 0.235))
        rim = np.concatenate([outer, outer[:, :1], inner[:, :1], inner[:, ::-1]], axis=1)
        yield Layer(rim, tone, who.glasses)
        reach = column(who.width - who.eye_gap - 0.25) * (ALONG + 1) / 2
        y = column(who.eye_height - 0.03)
        yield Layer(band(side * (column(who.eye_gap + 0.25) + reach), y - 0.02, y + 0.02), tone, who.glasses)
    y = column(who.eye_height - 0.05) - 0.04 * ARCH
    yield Layer(band(column(who.eye_gap - 0.25) * ALONG, y, y + 0.04), tone, who.glasses)
