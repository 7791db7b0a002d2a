"""What an expression moves: brows, eyes, nose, mouth and folds, laid over the head of whoever wears it."""

from collections.abc import Iterator

import numpy as np

from search.datasets.synthetic.expressions import Muscles
from search.datasets.synthetic.people import (
    Identity,
    beard,
    behind,
    glasses,
    hair,
    outline,
)
from search.datasets.synthetic.randomness import Array, Chance
from search.datasets.synthetic.shapes import (
    ALONG,
    ARCH,
    OUTWARDS,
    Layer,
    band,
    column,
    curve,
    ellipse,
    turned,
    upright,
)


def brows(who: Identity, pull: Muscles) -> Iterator[Layer]:
    """Two brows, drawn from the nose outwards."""
    x = column(who.eye_gap + 0.01 - 0.05 * pull.brow_knit) + column(0.2 * who.eye_size) * ALONG
    rise = column(pull.brow_inner) * (1 - ALONG) / 2 + column(pull.brow_outer) * (1 + ALONG) / 2
    arch = column(0.05 + 0.03 * np.abs(pull.brow_outer)) * ARCH
    y = column(who.brow_line) - 0.17 * rise - column(who.brow_tilt) * OUTWARDS - arch
    thick = column(who.brow_thick) * (1.15 - 0.55 * OUTWARDS)
    for side in (-1, 1):
        yield Layer(band(side * x, y - thick, y + thick), np.minimum(who.hair, who.skin * 0.6))


def frown(who: Identity, pull: Muscles) -> Iterator[Layer]:
    """The two furrows between knitted brows, and the lines that raised brows push up the forehead."""
    depth = np.clip(pull.brow_knit, 0, 1) * np.clip(0.3 - pull.brow_inner, 0, 1)
    y = column(who.brow_line + 0.06) + 0.1 * ALONG
    x = 0.06 + column(0.012 * depth) * ARCH
    for side in (-1, 1):
        yield Layer(
            upright(y, side * np.full_like(x, 0.045), side * x), who.skin * (0.8 - 0.15 * depth), depth > 0.25
        )
    raised = np.clip(np.maximum(pull.brow_inner, pull.brow_outer), 0, 1.2) * (0.4 + 0.6 * who.age)
    for above in (0.17, 0.3):
        y = column(who.brow_line - above) - 0.03 * ARCH
        x = column(0.36 * who.width) * ALONG
        yield Layer(band(x, y, y + 0.028 * ARCH), who.skin * 0.82, raised > 0.35)


def lids(who: Identity, pull: Muscles, at: Array) -> tuple[Array, Array]:
    """Heights (n, k) of the upper and the lower lid at `at`, from -1 at the nose to 1 at the temple."""
    high = who.eye_size * 0.105 * np.clip(1 + 0.62 * pull.eye_open, 0.12, 2.0)
    low = who.eye_size * 0.07 * np.clip(1 - 0.75 * pull.lower_lid + 0.25 * pull.eye_open, 0.05, 2.0)
    arch = np.clip(1 - at**2, 0, 1)
    lean = column(who.eye_height) - 0.06 * column(pull.eye_slant) * at
    return lean - column(high) * arch**0.7, lean + column(low) * arch


def eyes(who: Identity, pull: Muscles) -> Iterator[Layer]:
    """Two eyes: white, iris and pupil as far as the lids leave them free, a highlight, the lids."""
    half = 0.185 * who.eye_size
    x = column(who.eye_gap) + column(half) * ALONG
    top, bottom = lids(who, pull, ALONG)
    white = 0.6 * 245 + 0.4 * who.skin
    for side in (-1, 1):
        yield Layer(band(side * x, top, bottom), white)
        for tone, radius in ((who.iris, 0.098), (who.iris * 0.3, 0.049)):
            ball = ellipse(who.eye_gap, who.eye_height - 0.015, who.eye_size * radius, who.eye_size * radius)
            free = lids(who, pull, (ball[..., 0] - column(who.eye_gap)) / column(half))
            yield Layer(curve(side * ball[..., 0], np.clip(ball[..., 1], *free)), tone)
        yield Layer(ellipse(side * who.eye_gap + 0.035, who.eye_height - 0.05, 0.025, 0.025, 6), white + 5)
        yield Layer(band(side * x * 1.02, top - 0.02 - 0.012 * ARCH, top + 0.008), who.ink * 0.5)
        yield Layer(band(side * x, bottom, bottom + 0.018), who.ink * 1.4)


def nose(who: Identity, pull: Muscles) -> Iterator[Layer]:
    """Nostrils, wings, and the wrinkles across the bridge."""
    tip = who.eye_height + who.nose_length - 0.05 * pull.nose_wrinkle
    wing, down = column(who.nose_width) + 0.03 * ARCH, column(tip) - 0.05 + 0.07 * ALONG
    wrinkle = column(who.eye_height + 0.06) + 0.16 * OUTWARDS
    for side in (-1, 1):
        yield Layer(ellipse(side * who.nose_width * 0.5, tip, who.nose_width * 0.3, 0.032, 10), who.ink)
        yield Layer(upright(down, side * wing - 0.012, side * wing + 0.014), who.skin * 0.68)
        across = band(side * (0.05 + 0.06 * OUTWARDS), wrinkle, wrinkle + 0.03 * ARCH)
        yield Layer(across, who.skin * 0.7, pull.nose_wrinkle > 0.45)


def folds(who: Identity, pull: Muscles) -> Iterator[Layer]:
    """The folds from the nose to the corners of the mouth."""
    depth = np.clip(pull.cheeks + 0.35 * who.age, 0, 1.3)
    reach = who.mouth_width * (1.2 + 0.35 * np.clip(pull.mouth_wide, 0, 1)) - who.nose_width
    x = column(who.nose_width + 0.02) + column(reach) * (1 - (1 - OUTWARDS) ** 2)
    y = column(who.mouth_height - 0.16) + 0.2 * ALONG
    for side in (-1, 1):
        yield Layer(
            upright(y, side * x, side * x + 0.035 * column(depth) * ARCH), who.skin * 0.72, depth > 0.3
        )


def mouth(who: Identity, pull: Muscles) -> Iterator[Layer]:
    """Lips, and between them a line or an opening with teeth."""
    x = column(who.mouth_width * np.clip(1 + 0.38 * pull.mouth_wide, 0.45, 1.6)) * ALONG
    top, bottom = opening(who, pull)
    thick = column(who.lip_thick * np.clip(1 - 0.7 * pull.lip_press, 0.15, 1.2)) * ARCH**0.6
    bow = 0.8 * (1 - 0.35 * np.exp(-((ALONG / 0.16) ** 2)))
    yield Layer(band(x, top - thick * bow, top), who.skin * 0.74)
    yield Layer(band(x, bottom, bottom + thick), who.skin * 0.78)
    gap = 0.014 + 0.004 * ARCH
    yield Layer(band(x, top - gap, np.maximum(bottom, top + gap)), who.ink * 0.45)
    teeth = np.minimum(bottom - top, 0.1 * column(np.clip(pull.teeth, 0, 1)) * ARCH**0.5)
    bared = (pull.teeth > 0.2) & (pull.mouth_open > 0.1)
    yield Layer(band(x * 0.9, top, top + teeth), 0.7 * 245 + 0.3 * who.skin, bared)


def opening(who: Identity, pull: Muscles) -> tuple[Array, Array]:
    """Heights (n, k) of the inner edges of the upper and the lower lip along the mouth."""
    bend = column(0.24 * pull.corners) * (ALONG**2 - 0.35) + column(0.07 * pull.sneer) * OUTWARDS
    seam = column(who.mouth_height - 0.03 * pull.upper_lip) - bend
    opened = 0.34 * np.clip(pull.mouth_open, 0, 1.2)
    top = seam - column(opened * 0.3 + 0.05 * np.clip(pull.upper_lip, 0, 1.2)) * ARCH
    return top, seam + column(opened * 0.9) * ARCH**0.8


def hand(who: Identity, chance: Chance, probability: float = 0.07) -> Iterator[Layer]:
    """Four fingers laid over some part of the face."""
    shown, tilt = chance.event(probability), chance.uniform(-0.7, 0.7)
    x, y = chance.uniform(-0.7, 0.7), chance.uniform(0.3, 1.0)
    for finger, tone in enumerate((0.85, 0.95, 0.85, 0.95)):
        knuckle = np.stack([x + 0.15 * finger, y + 0.04 * (finger - 1.5) ** 2], axis=1)[:, None]
        straight = ellipse(0 * x, 0.5, 0.085, 0.55)
        yield Layer(turned(straight, tilt) + knuckle, who.skin * tone, shown)


def portrait(who: Identity, pull: Muscles, chance: Chance) -> Iterator[Layer]:
    """All layers of the faces, from the back to the front."""
    yield from behind(who)
    yield Layer(outline(who), who.skin)
    yield from beard(who)
    yield from folds(who, pull)
    yield from nose(who, pull)
    yield from mouth(who, pull)
    yield from eyes(who, pull)
    yield from frown(who, pull)
    yield from brows(who, pull)
    yield from hair(who)
    yield from glasses(who)
    yield from hand(who, chance)
