"""How soon the first answer comes, and how fast many pictures are answered.

    python -m benchmarks.predicting [--images 2048] [--rounds 7]

First answer: in a fresh process, from the end of `import keras` to a label: imports of Candor, finding and
loading the file, decoding the picture, predicting. Batches: `predict_emotions` on pictures as arrays against
`model.predict` on the same images, already stacked, in turns; the ratio is the median of neighbours.

Aims: first answer under 0.3 s; batches at 0.9 of `model.predict`. Takes two minutes on two cores.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from search.models.classifier import as_classifier
from search.models.predict import predict_emotions
from search.training.composition import compose
from search.training.recipe import Recipe
from spaces.family import load_family

SHAPE, CLASSES = (48, 48, 1), 7
NETWORKS = {"plain 64-64-128-128": ("plain_cnn", "published_2"), "mini-Xception": ("mini_xception", "")}
FIRST = """
import keras, time; begin = time.perf_counter()
from search.models.predict import predict_emotion
label = predict_emotion({model!r}, {picture!r}).label
print(time.perf_counter() - begin)
"""


def network(family_name: str, variant: str) -> keras.Model:
    """The inference model of a family's variant, untrained."""
    family = load_family(family_name)
    architecture = family.variants[variant] if variant else next(iter(family.variants.values()))
    built = family.build(architecture, SHAPE, CLASSES)
    return compose(built, Recipe(), SHAPE, 0).inference


def first_answers(model: Path, picture: Path, times: int) -> list[float]:
    """Seconds to the first answer, each in a process of its own."""
    program = FIRST.format(model=str(model), picture=str(picture))
    run = [sys.executable, "-c", program]
    return [
        float(subprocess.run(run, capture_output=True, text=True, check=True).stdout) for _ in range(times)
    ]


def ratios(model: keras.Model, images: np.ndarray, rounds: int) -> tuple[list[float], float]:
    """Speed of `predict_emotions` in shares of `model.predict`, and images/s of the latter."""
    opened = as_classifier(model, None, "benchmark")
    pictures = list(images)
    found, speeds = [], []
    for number in range(rounds + 1):
        begin = time.perf_counter()
        model.predict(images, batch_size=256, verbose=0)
        middle = time.perf_counter()
        predict_emotions(opened, pictures)
        end = time.perf_counter()
        if number:  # the first round traces
            found.append((middle - begin) / (end - middle))
            speeds.append(len(images) / (middle - begin))
    return found, statistics.median(speeds)


def main() -> None:
    """Measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Keras {keras.__version__}, {asked.images} images")
    images = np.random.default_rng(0).integers(0, 256, (asked.images, *SHAPE)).astype(np.uint8)
    print("| network | first answer, s (min, median) | model.predict, images/s | batches, of model.predict |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "face.jpg"
        Image.fromarray(np.random.default_rng(1).integers(0, 256, (300, 200, 3)).astype(np.uint8)).save(
            picture
        )
        for name, (family, variant) in NETWORKS.items():
            model = network(family, variant)
            path = Path(folder) / f"{family}.keras"
            model.save(path)
            seconds = first_answers(path, picture, 5)
            shares, speed = ratios(model, images, asked.rounds)
            print(
                f"| {name} | {min(seconds):.2f}, {statistics.median(seconds):.2f} | {speed:.0f} | "
                f"{statistics.median(shares):.2f} ({min(shares):.2f} to {max(shares):.2f}) |"
            )


if __name__ == "__main__":
    main()
