"""From layers to small gray pictures: pose, light, occlusion, focus, sensor."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from search.datasets.synthetic.expressions import Muscles
from search.datasets.synthetic.people import Identity
from search.datasets.synthetic.randomness import Array, Chance
from search.datasets.synthetic.shapes import (
    Layer,
    column,
    curve,
    ellipse,
    turned,
)

SIZE = 48  # pixels a side, as in FER-2013
FINE = 4  # polygons are filled on paper this many times finer, then averaged: smooth edges


@dataclass(frozen=True)
class Pose:
    """Where the heads are and how they are turned, each field (n,): radians, and pixels of the picture."""

    yaw: Array
    pitch: Array
    roll: Array
    scale: Array
    x: Array
    y: Array

    def place(self, points: Array) -> Array:
        """Points (n, k, 2) of the face, on a head as round as a ball, as pixels of the picture."""
        x, y = points[..., 0], points[..., 1]
        near = 0.8 * np.sqrt(np.clip(1 - x**2 - (y / 1.3) ** 2, 0, 1))
        x = x * column(np.cos(self.yaw)) + near * column(np.sin(self.yaw))
        y = y * column(np.cos(self.pitch)) + near * column(np.sin(self.pitch))
        upright = curve(x, y) * self.scale[:, None, None]
        return turned(upright, self.roll) + np.stack([self.x, self.y], axis=1)[:, None]


def strike(chance: Chance) -> Pose:
    """Mostly upright and from the front."""
    return Pose(
        yaw=chance.normal(0.0, 0.11),
        pitch=chance.normal(0.0, 0.06),
        roll=chance.normal(0.0, 0.06),
        scale=chance.uniform(19.3, 22.3),
        x=SIZE / 2 + chance.normal(0.0, 0.7),
        y=SIZE / 2 + chance.normal(0.5, 0.7),
    )


def paint(layers: Iterable[Layer], paper: Array, fine: int) -> list[Image.Image]:
    """Fill the layers, in pixels of the picture, on n sheets that are first of the tone `paper` (n,)."""
    sheets = [Image.new("L", (SIZE * fine, SIZE * fine), int(tone)) for tone in paper]
    pens = [ImageDraw.Draw(sheet) for sheet in sheets]
    for points, gray, shown in layers:
        corners = (points * fine).reshape(len(points), -1)
        tones = np.clip(gray, 0, 255).astype(int).tolist()
        for i in range(len(pens)) if shown is None else np.flatnonzero(shown).tolist():
            pens[i].polygon(corners[i].tolist(), fill=tones[i])
    return sheets


def backdrop(chance: Chance) -> Iterable[Layer]:
    """Two things behind the head that mean nothing, in pixels."""
    for _ in range(2):
        x, y = chance.uniform(0, SIZE), chance.uniform(0, SIZE)
        shape = ellipse(x, y, chance.uniform(6, 30), chance.uniform(6, 30), 7)
        yield Layer(shape, chance.uniform(20, 235), chance.event(0.5))


def bars(chance: Chance, probability: float = 0.05) -> Iterable[Layer]:
    """Something in front of the camera: a bar across the picture, in pixels."""
    shown = chance.event(probability)
    middle, wide, tilt = chance.uniform(-20, 20), chance.uniform(2, 5), chance.uniform(0, np.pi)
    bar = np.array([[-40.0, -1.0], [40.0, -1.0], [40.0, 1.0], [-40.0, 1.0]])
    flat = bar * np.stack([np.ones_like(wide), wide], 1)[:, None] + np.stack([0 * wide, middle], 1)[:, None]
    yield Layer(turned(flat, tilt) + SIZE / 2, chance.uniform(10, 245), shown)


def relief(who: Identity, pull: Muscles, chance: Chance) -> Iterable[Layer]:
    """Soft light and shadow on the head: 128 leaves the tone as it is."""
    lamp, plain = chance.normal(0.0, 1.0), np.full_like(who.width, 128.0)  # the lamp stands left or right
    yield Layer(ellipse(0, 0, who.width, 1.12), plain - 14)
    yield Layer(ellipse(0.12 * lamp, -0.1, who.width * 0.8, 0.95), plain + 2)
    for side in (-1, 1):
        yield Layer(ellipse(side * who.eye_gap, who.eye_height - 0.08, 0.24, 0.17), plain - 18)
        cheek = ellipse(side * 0.42, who.mouth_height - 0.32 - 0.06 * pull.cheeks, 0.19, 0.15)
        yield Layer(cheek, plain + 10 + 8 * np.clip(pull.cheeks, 0, 1) + 6 * side * lamp)
    yield Layer(ellipse(0.08 * np.sign(lamp), who.eye_height + 0.22, 0.1, 0.24), plain - 20)
    yield Layer(ellipse(0, who.eye_height + 0.2, 0.06, 0.22), plain + 22)
    yield Layer(ellipse(0, who.mouth_height + 0.19, 0.16, 0.05), plain - 14)


def photograph(who: Identity, pull: Muscles, layers: Iterable[Layer], chance: Chance) -> NDArray[np.uint8]:
    """Pictures (n, 48, 48, 1) of faces whose `layers` are in face units."""
    pose = strike(chance)

    def placed(some: Iterable[Layer]) -> Iterable[Layer]:
        return (layer._replace(points=pose.place(layer.points)) for layer in some)

    in_front = list(bars(chance))
    scene = [*backdrop(chance), *placed(layers), *in_front]
    tones = stack(sheet.reduce(FINE) for sheet in paint(scene, chance.uniform(20, 235), FINE))
    plain = np.full_like(who.width, 128)
    unlit = (layer._replace(gray=plain) for layer in in_front)
    soft = paint([*placed(relief(who, pull, chance)), *unlit], plain, 1)
    light = stack(sheet.filter(ImageFilter.GaussianBlur(1.3)) for sheet in soft) / 128
    return develop(expose(tones / 255 * light, chance), chance)


def stack(pictures: Iterable[Image.Image]) -> Array:
    """Pictures as one array (n, 48, 48)."""
    return np.stack([np.asarray(picture, dtype=np.float64) for picture in pictures])


def expose(tones: Array, chance: Chance) -> Array:
    """Put light of some direction, contrast and gamma on grays of shape (n, 48, 48) from 0 to 1."""
    axis = np.linspace(-1, 1, SIZE)
    turn, steep = each(chance.uniform(0, 2 * np.pi)), each(chance.uniform(0.0, 0.35))
    ramp = np.cos(turn) * axis + np.sin(turn) * axis[:, None]
    lit = np.clip(tones * (1 + steep * ramp), 0, 1.5)
    contrast, middle = each(chance.uniform(0.75, 1.15)), each(chance.uniform(0.43, 0.57))
    gamma = np.exp(each(chance.normal(0.0, 0.15)))
    return np.clip((lit - 0.5) * contrast + middle, 0.0, 1.0) ** gamma


def develop(lit: Array, chance: Chance) -> NDArray[np.uint8]:
    """Focus, sensor noise and rounding: grays (n, 48, 48) from 0 to 1 become bytes (n, 48, 48, 1)."""
    lenses = [ImageFilter.GaussianBlur(radius) for radius in chance.uniform(0.0, 0.9).tolist()]
    sharp = [Image.fromarray(picture) for picture in np.round(lit * 255).astype(np.uint8)]
    focused = stack(picture.filter(lens) for picture, lens in zip(sharp, lenses, strict=True))
    grain = np.stack([generator.standard_normal((SIZE, SIZE)) for generator in chance.generators])
    noisy = focused + each(chance.uniform(2.0, 9.0)) * grain
    return np.clip(np.round(noisy), 0, 255).astype(np.uint8)[..., None]


def each(values: Array) -> Array:
    """(n,) as (n, 1, 1), to be combined with pictures."""
    return values[:, None, None]
