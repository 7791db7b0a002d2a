"""Which planted copies the duplicate search finds on real images, by kind, and what else it pairs.

    python -m benchmarks.duplicates FER2013.ZIP [IMAGES] [PLANTED] [SHEET.PNG]

Copies of PLANTED images are compared with IMAGES images, which hold their originals; without a source, with
drawn faces. "False" counts copies that are paired with an image that is neither their original nor, by the
same search, a duplicate of it. SHEET.PNG shows the least sure pairs among the images themselves.
"""

import io
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from search.datasets.duplicates.groups import grouped
from search.datasets.duplicates.near import near_pairs
from search.datasets.duplicates.pairs import Pairs
from search.datasets.prepare import prepare

Picture = NDArray[np.uint8]
_RANDOM = np.random.default_rng(0)


def main() -> None:
    """Print a line for each kind of copy."""
    given = sys.argv[1:]
    source = given[0] if given else "synthetic:train=4000,validation=1,test=1"
    count, planted = (int(word) for word in (*given[1:3], *("4000", "250")[len(given[1:3]) :]))
    with tempfile.TemporaryDirectory() as folder:
        part = prepare(source, Path(folder), limit=count, leaks="report", say=lambda text: None).train()
        images = np.unique(np.asarray(part.images), axis=0)[:, :, :, :1]
    images = images[np.random.default_rng(1).permutation(len(images))]
    wall, processor = time.perf_counter(), time.process_time()
    own = near_pairs(images)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    groups = grouped(len(images), zip(own.one.tolist(), own.other.tolist(), strict=True))
    print(f"{len(images):,} different images: {len(own):,} pairs among them", end="")
    print(f"; {wall:.1f} s, {processor:.1f} s of processor time")
    if given[3:]:
        cv2.imwrite(given[3], sheet(images, own))
    copies = {name: [change(image[..., 0]) for image in images[:planted]] for name, change in KINDS.items()}
    print(f"{planted} planted of each kind\n{'kind':<36}{'found':>8}{'false':>7}")
    total = 0
    for shape in {pictures[0].shape for pictures in copies.values()}:
        names = [name for name, pictures in copies.items() if pictures[0].shape == shape]
        pairs = near_pairs(np.concatenate([np.stack(copies[name]) for name in names])[..., None], images)
        kind, original = np.divmod(pairs.one, planted)
        for number, name in enumerate(names):
            right = (kind == number) & (pairs.other == original)
            wrong = (kind == number) & (groups[pairs.other] != groups[original])
            false = len(np.unique(original[wrong]))
            total += false
            print(f"{name:<36}{len(np.unique(original[right])) / planted:>8.1%}{false:>7}")
    print(f"{total} of {planted * len(KINDS):,} copies are paired with an unrelated image")


def sheet(images: Picture, pairs: Pairs, most: int = 60) -> Picture:
    """Draw the least sure of some pairs side by side, five in a row, with their likeness."""
    rows = np.argsort(pairs.likeness)[:most]
    tiles = []
    for one, other, likeness in zip(pairs.one[rows], pairs.other[rows], pairs.likeness[rows], strict=True):
        both = np.hstack([cv2.resize(images[row, ..., 0], (96, 96)) for row in (one, other)])
        tile = np.pad(both, ((16, 2), (2, 6)))
        tiles.append(cv2.putText(tile, f"{likeness:.2f}", (2, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 255))
    tiles += [np.zeros((114, 200), np.uint8)] * (-len(tiles) % 5 or 5 * (not tiles))
    return np.vstack([np.hstack(tiles[start : start + 5]) for start in range(0, len(tiles), 5)])


def saved(image: Picture, quality: int) -> Picture:
    """Return the image after a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def warped(
    image: Picture,
    degrees: float = 0,
    zoom: float | tuple[float, float] = 1,
    shift: tuple[float, float] = (0, 0),
    fill: int = cv2.BORDER_REPLICATE,
) -> Picture:
    """Return the image turned, zoomed (across, down) and shifted by shares of its sides."""
    height, width = image.shape
    angle, centre = np.radians(degrees), np.array([width - 1, height - 1]) / 2
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    linear = turn * np.broadcast_to(zoom, 2)
    moved = centre - linear @ centre + np.multiply(shift, (width, height))
    return cv2.warpAffine(image, np.column_stack([linear, moved]), (width, height), borderMode=fill)


def augmented(image: Picture, shift: float, apart: bool) -> Picture:
    """Return the image turned, zoomed (`apart`: by axis), shifted and mirrored at random, as Keras does."""
    zoom = _RANDOM.uniform(0.8, 1.2, 2) if apart else np.full(2, _RANDOM.uniform(0.8, 1.2))
    moved = tuple(_RANDOM.uniform(-shift, shift, 2))
    found = warped(image, _RANDOM.uniform(-30, 30), tuple(zoom), moved)
    return mirrored(found) if _RANDOM.random() < 0.5 else found


def brightened(image: Picture, gamma: float) -> Picture:
    """Return the image under a gamma curve."""
    return (255 * (image / 255.0) ** gamma).round().astype(np.uint8)


def contrasted(image: Picture, factor: float) -> Picture:
    """Return the image with another contrast."""
    return np.clip((image - image.mean()) * factor + image.mean(), 0, 255).astype(np.uint8)


def adapted(image: Picture, limit: float) -> Picture:
    """Return the image under CLAHE with 8x8 tiles."""
    return cv2.createCLAHE(limit, (8, 8)).apply(image)


def enlarged(image: Picture) -> Picture:
    """Return the image at 224x224."""
    return cv2.resize(image, (224, 224), interpolation=cv2.INTER_CUBIC)


def noised(image: Picture) -> Picture:
    """Return the image with noise of a standard deviation of 8."""
    return np.clip(image + _RANDOM.normal(0, 8, image.shape), 0, 255).astype(np.uint8)


def mirrored(image: Picture) -> Picture:
    """Return the image turned left to right."""
    return np.ascontiguousarray(image[:, ::-1])


def shifted(image: Picture, low: float, high: float) -> Picture:
    """Return the image shifted along both axes by shares of its sides."""
    return warped(image, shift=(either(low, high), either(low, high)))


def either(low: float, high: float) -> float:
    """Return a number between two limits, or its negative."""
    return float(_RANDOM.uniform(low, high) * _RANDOM.choice([-1, 1]))


KINDS: dict[str, Callable[[Picture], Picture]] = {
    "JPEG quality 50": lambda image: saved(image, 50),
    "noise": noised,
    "gamma 0.6": lambda image: brightened(image, 0.6),
    "gamma 1.6": lambda image: brightened(image, 1.6),
    "contrast 1.5": lambda image: contrasted(image, 1.5),
    "contrast 0.6": lambda image: contrasted(image, 0.6),
    "equalised": cv2.equalizeHist,
    "CLAHE, limit 2": lambda image: adapted(image, 2),
    "CLAHE, limit 40": lambda image: adapted(image, 40),
    "resized to 224": enlarged,
    "resized to 224, CLAHE": lambda image: adapted(enlarged(image), 2),
    "mirrored, gamma 0.6": lambda image: brightened(mirrored(image), 0.6),
    "zoomed by 0.8": lambda image: warped(image, zoom=0.8),
    "zoomed by 1.2": lambda image: warped(image, zoom=1.2),
    "zoomed by 1.1, equalised": lambda image: cv2.equalizeHist(warped(image, zoom=1.1)),
    "shifted by 2 to 5%": lambda image: shifted(image, 0.02, 0.05),
    "shifted by 5 to 10%": lambda image: shifted(image, 0.05, 0.1),
    "shifted by 10 to 20%": lambda image: shifted(image, 0.1, 0.2),
    "turned by 1 to 5 degrees": lambda image: warped(image, either(1, 5)),
    "turned by 5 to 15 degrees": lambda image: warped(image, either(5, 15)),
    "turned by 15 to 30 degrees": lambda image: warped(image, either(15, 30)),
    "turned by 15 to 30, black corners": lambda image: warped(
        image, either(15, 30), fill=cv2.BORDER_CONSTANT
    ),
    "turned by 5 to 15, mirrored": lambda image: mirrored(warped(image, either(5, 15))),
    "turned by 5 to 15, noise": lambda image: noised(warped(image, either(5, 15))),
    "turned by 15 to 30, CLAHE, limit 2": lambda image: adapted(warped(image, either(15, 30)), 2),
    "turned by up to 15, zoomed, JPEG": lambda image: saved(
        warped(image, either(0, 15), float(_RANDOM.uniform(0.8, 1.2))), 50
    ),
    "turned by 5 to 15, shifted 5 to 10%": lambda image: shifted(warped(image, either(5, 15)), 0.05, 0.1),
    "Keras: 30 degrees, zoom, shift 10%": lambda image: augmented(image, 0.1, apart=True),
    "Keras: 30 degrees, zoom, shift 20%": lambda image: augmented(image, 0.2, apart=False),
}


if __name__ == "__main__":
    main()
