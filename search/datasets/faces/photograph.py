"""From layers to small gray pictures: pose, light, occlusion, focus, sensor."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from search.datasets.faces.chance import Array, Chance
from search.datasets.faces.drawing import Identity, Layer, column, curve, ellipse, turned
from search.datasets.faces.expressions import Muscles

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
        return (
            turned(curve(x, y) * self.scale[:, None, None], self.roll)
            + np.stack([self.x, self.y], 1)[:, None]
        )


def strike(chance: Chance) -> Pose:
    """Mostly upright and from the front."""
    return Pose(
        yaw=chance.normal(0.0, 0.17),
        pitch=chance.normal(0.0, 0.09),
        roll=chance.normal(0.0, 0.12),
        scale=chance.uniform(16.5, 22.0),
        x=SIZE / 2 + chance.normal(0.0, 1.4),
        y=SIZE / 2 + chance.normal(0.5, 1.4),
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


def bars(chance: Chance, probability: float = 0.08) -> Iterable[Layer]:
    """Something in front of the camera: a bar across the picture, in pixels."""
    shown = chance.event(probability)
    middle, wide, tilt = chance.uniform(-20, 20), chance.uniform(2, 5), chance.uniform(0, np.pi)
    bar = np.array([[-40.0, -1.0], [40.0, -1.0], [40.0, 1.0], [-40.0, 1.0]])
    flat = bar * np.stack([np.ones_like(wide), wide], 1)[:, None] + np.stack([0 * wide, middle], 1)[:, None]
    yield Layer(turned(flat, tilt) + SIZE / 2, chance.uniform(10, 245), shown)


def relief(who: Identity, pull: Muscles, chance: Chance) -> Iterable[Layer]:
    """Soft light and shadow on the head: 128 leaves the tone as it is."""
    side_light = chance.normal(0.0, 1.0)
    zero = np.zeros_like(side_light)
    plain = zero + 128
    yield Layer(ellipse(zero, zero, who.width, 1.12), plain - 14)
    yield Layer(ellipse(0.12 * side_light, zero - 0.1, who.width * 0.8, 0.95), plain + 2)
    for side in (-1, 1):
        socket = ellipse(side * who.eye_gap, who.eye_height - 0.08, 0.24, 0.17)
        yield Layer(socket, plain - 18)
        cheek = ellipse(side * 0.42, who.mouth_height - 0.32 - 0.06 * pull.cheeks, 0.19, 0.15)
        yield Layer(cheek, plain + 10 + 8 * np.clip(pull.cheeks, 0, 1) + 6 * side * side_light)
    nose = ellipse(0.08 * np.sign(side_light), who.eye_height + 0.22, 0.1, 0.24)
    yield Layer(nose, plain - 20)
    yield Layer(ellipse(zero, who.eye_height + 0.2, 0.06, 0.22), plain + 22)
    yield Layer(ellipse(zero, who.mouth_height + 0.19, 0.16, 0.05), plain - 14)


def expose(pictures: Array, chance: Chance) -> Array:
    """Put light of some direction, contrast and gamma on grays of shape (n, 48, 48) from 0 to 1."""
    turn, steep = chance.uniform(0, 2 * np.pi), chance.uniform(0.0, 0.5)
    axis = np.linspace(-1, 1, SIZE)
    ramp = np.cos(turn)[:, None, None] * axis + np.sin(turn)[:, None, None] * axis[:, None]
    lit = pictures * (1 + steep[:, None, None] * ramp)
    contrast, middle = chance.uniform(0.5, 1.1), chance.uniform(0.35, 0.6)
    lit = (np.clip(lit, 0, 1.5) - 0.5) * contrast[:, None, None] + middle[:, None, None]
    return np.clip(lit, 0.0, 1.0) ** np.exp(chance.normal(0.0, 0.2))[:, None, None]


def photograph(who: Identity, pull: Muscles, layers: Iterable[Layer], chance: Chance) -> NDArray[np.uint8]:
    """Pictures (n, 48, 48, 1) of faces whose `layers` are in face units."""
    pose = strike(chance)

    def placed(some: Iterable[Layer]) -> Iterable[Layer]:
        return (layer._replace(points=pose.place(layer.points)) for layer in some)

    paper = chance.uniform(20, 235)
    scene = [*backdrop(chance), *placed(layers), *bars(chance)]
    fine = [sheet.reduce(FINE) for sheet in paint(scene, paper, FINE)]
    soft = paint(placed(relief(who, pull, chance)), np.full_like(paper, 128), 1)
    shade = np.stack([np.asarray(sheet.filter(ImageFilter.GaussianBlur(1.3))) for sheet in soft])
    lit = expose(np.stack([np.asarray(sheet) for sheet in fine]) * (shade / (128.0 * 255.0)), chance)
    return develop(lit, chance)


def develop(lit: Array, chance: Chance) -> NDArray[np.uint8]:
    """Focus, sensor noise and rounding: grays (n, 48, 48) from 0 to 1 become bytes (n, 48, 48, 1)."""
    blur, sensor = chance.uniform(0.0, 0.9), chance.uniform(2.0, 11.0)
    exact = np.round(lit * 255).astype(np.uint8)
    focused = [
        Image.fromarray(picture).filter(ImageFilter.GaussianBlur(radius))
        for picture, radius in zip(exact, blur.tolist(), strict=True)
    ]
    grain = np.stack([generator.standard_normal((SIZE, SIZE)) for generator in chance.generators])
    noisy = np.stack([np.asarray(picture) for picture in focused]) + sensor[:, None, None] * grain
    return np.clip(np.round(noisy), 0, 255).astype(np.uint8)[..., None]
