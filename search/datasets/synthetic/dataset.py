"""The embedded set: procedurally drawn 48x48 gray faces with the seven expressions, some of them mislabelled.

It needs no download, belongs to nobody, and is hard for the reasons for which real sets are: weak and mixed
expressions, varied people, pose, light and occlusion, few images, a known share of wrong labels. Image i of a
part depends on (seed, part, i) alone. An image's id names the expression that was drawn; where its label says
something else, that is label noise.

    python -m search.datasets.synthetic.dataset docs/synthetic.png    draws the documentation's sheet
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from search.datasets.synthetic.expressions import EXPRESSIONS, wear
from search.datasets.synthetic.features import portrait
from search.datasets.synthetic.people import meet
from search.datasets.synthetic.photograph import SIZE, photograph
from search.datasets.synthetic.randomness import Chance

CLASS_NAMES = tuple(EXPRESSIONS)
PARTS = ("train", "validation", "test")
DEFAULTS = {"train": 2000, "validation": 1200, "test": 1200}
NOISE = 0.08

# How often each class comes in every run of forty images: happy most, disgust and surprise least.
SLOTS = np.repeat(np.arange(7), (6, 4, 6, 8, 6, 6, 4))

# The classes that a hasty labeller takes for each other.
CONFUSABLE = {
    "angry": ("disgust", "sad", "neutral"),
    "disgust": ("angry", "sad"),
    "fear": ("surprise", "sad", "neutral"),
    "happy": ("neutral", "surprise"),
    "neutral": ("sad", "angry", "happy"),
    "sad": ("neutral", "angry", "fear"),
    "surprise": ("fear", "happy"),
}

BATCH = 200  # images drawn at once: enough for numpy, little memory

Part = tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.str_]]


def draw(
    train: int = DEFAULTS["train"],
    validation: int = DEFAULTS["validation"],
    test: int = DEFAULTS["test"],
    seed: int = 0,
    noise: float = NOISE,
) -> dict[str, Part]:
    """Draw the parts "train", "validation" and "test" of the synthetic faces.

    A longer part begins with the images of a shorter one.

    Args:
        train: The number of training images.
        validation: The number of validation images.
        test: The number of test images.
        seed: Decides every image and label.
        noise: The share of wrong labels, in [0, 1], drawn among the classes that look like the true one. It
            changes no image.

    Returns:
        Parts by name, each with images uint8 (images, 48, 48, 1), labels int64 (images,) and ids (images,)
        such as "synthetic/train/happy/000123".
    """
    sizes = zip(PARTS, (train, validation, test), strict=True)
    return {part: _part(part, n, seed, noise) for part, n in sizes}


def _part(part: str, n: int, seed: int, noise: float) -> Part:
    truth = expressions(part, n, seed)
    images, labels = np.empty((n, SIZE, SIZE, 1), np.uint8), truth.copy()
    for start in range(0, n, BATCH):
        rows = range(start, min(start + BATCH, n))
        chance = Chance((seed, PARTS.index(part), i) for i in rows)
        labels[rows] = mislabelled(truth[rows], chance, noise)
        images[rows] = faces(truth[rows], chance)
    names = [f"synthetic/{part}/{CLASS_NAMES[k]}/{i:06d}" for i, k in enumerate(truth)]
    return images, labels, np.array(names, dtype=np.str_)


def expressions(part: str, n: int, seed: int) -> NDArray[np.int64]:
    """Return the expression of each of n images, shape (n,): every run of forty has the same mix."""
    runs = [
        np.random.default_rng((seed, len(PARTS) + PARTS.index(part), run)).permutation(SLOTS)
        for run in range(-(-n // len(SLOTS)))
    ]
    return np.concatenate([*runs, np.empty(0, np.int64)])[:n]


def mislabelled(truth: NDArray[np.int64], chance: Chance, noise: float) -> NDArray[np.int64]:
    """Labels (n,) of which a share `noise` is one of the classes that are easily taken for the true one."""
    wrong, pick = chance.event(noise), chance.uniform(0.0, 1.0)
    labels = truth.copy()
    for i in np.flatnonzero(wrong):
        others = CONFUSABLE[CLASS_NAMES[truth[i]]]
        labels[i] = CLASS_NAMES.index(others[int(pick[i] * len(others))])
    return labels


def faces(classes: NDArray[np.int64], chance: Chance) -> NDArray[np.uint8]:
    """Draw one new face for each expression in `classes` (n,): images (n, 48, 48, 1)."""
    who, pull = meet(chance), wear(classes, chance)
    return photograph(who, pull, portrait(who, pull, chance), chance)


def contact_sheet(seed: int = 5, columns: int = 9, zoom: int = 2) -> Image.Image:
    """One row of `columns` faces for each expression, in the order of CLASS_NAMES, each pixel `zoom` wide."""
    classes = np.repeat(np.arange(len(CLASS_NAMES)), columns)
    images = faces(classes, Chance((seed, 2 * len(PARTS), i) for i in range(len(classes))))
    rows = images.reshape(len(CLASS_NAMES), columns, SIZE, SIZE)
    sheet = Image.fromarray(np.concatenate(np.concatenate(rows.transpose(1, 0, 2, 3), axis=2), axis=0))
    return sheet.resize((sheet.width * zoom, sheet.height * zoom), Image.Resampling.NEAREST)


if __name__ == "__main__":
    contact_sheet().save(Path(sys.argv[1]), optimize=True)
