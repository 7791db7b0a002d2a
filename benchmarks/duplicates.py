"""Which planted copies the duplicate search finds on real images, by kind, and what else it pairs.

    python -m benchmarks.duplicates FER2013.ZIP [IMAGES] [PLANTED]   (drawn faces, if no source is named)

Copies of PLANTED images are compared with IMAGES others and their originals. "Others" counts pairs of a copy
with an image that is not its original: real duplicates in the set, and false alarms. Rotations by more than
five degrees are planted too, to show what is not found.
"""

import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from search.datasets.duplicates.near import near_pairs
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
    originals = images[np.random.default_rng(1).permutation(len(images))[:planted]]
    print(f"{len(images):,} different images, {len(originals):,} planted; pairs among them: ", end="")
    print(f"{len(near_pairs(images)):,}\n{'kind':<28}{'found':>8}{'others':>8}")
    for name, change in KINDS.items():
        copies = np.stack([change(image[..., 0]) for image in originals])
        rest = np.concatenate([originals, images])
        pairs = near_pairs(copies[..., None], rest)
        right = (rest[pairs.other] == originals[pairs.one]).all((1, 2, 3))
        share = len(set(pairs.one[right].tolist())) / len(originals)
        print(f"{name:<28}{share:>8.1%}{int((~right).sum()):>8}", flush=True)


def saved(image: Picture, quality: int) -> Picture:
    """Return the image after a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def warped(
    image: Picture, degrees: float = 0, zoom: float = 1, shift: tuple[float, float] = (0, 0)
) -> Picture:
    """Return the image turned, zoomed and shifted by shares of its sides."""
    height, width = image.shape
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, zoom)
    matrix[:, 2] += (shift[0] * width, shift[1] * height)
    return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)


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
    "zoomed by 1.1": lambda image: warped(image, zoom=1.1),
    "zoomed by 1.1, equalised": lambda image: cv2.equalizeHist(warped(image, zoom=1.1)),
    "shifted by 2 to 5%": lambda image: warped(image, shift=(either(0.02, 0.05), either(0.02, 0.05))),
    "shifted by 5 to 10%": lambda image: warped(image, shift=(either(0.05, 0.1), either(0.05, 0.1))),
    "turned by 1 to 5 degrees": lambda image: warped(image, either(1, 5)),
    "turned by 5 to 15 degrees": lambda image: warped(image, either(5, 15)),
    "turned by 15 to 30 degrees": lambda image: warped(image, either(15, 30)),
}


if __name__ == "__main__":
    main()
