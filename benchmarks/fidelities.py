"""Which cheap look at a network tells best how a whole training would rank it?

    python -m benchmarks.fidelities [--networks 48]      ten minutes on two cores

The networks of the recorded drawn faces (`benchmarks.recording`) are trained again: on all images with
another seed (what two whole trainings agree on is the most that any look can tell), on images of half the
side, and on parts of the images. Each look is the best monitor accuracy until an epoch; its cost, the
training seconds until then over those of the whole; what it tells, Spearman's rank correlation with the
recorded whole trainings. Monitor has the same 250 images throughout.
"""

import argparse
import os
import platform
import statistics
import tomllib
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import spearmanr

from benchmarks.recording import experiment
from benchmarks.surrogate import EPOCHS, Values, recorded
from search.datasets.prepare import prepare
from search.datasets.prepared import Part
from search.tracking import names

RECORDED = tomllib.loads(experiment("faces"))
LOOKS = tuple(range(2, EPOCHS + 1, 2))


class Fidelity(NamedTuple):
    """Of how much a network is trained on."""

    name: str
    seed: int
    halvings: int = 0  # of the images' side
    share: float = 1.0  # of the images


FIDELITIES = (
    Fidelity("everything, another seed", 1),
    Fidelity("images of half the side", 0, halvings=1),
    Fidelity("half of the images", 0, share=0.5),
    Fidelity("a quarter of the images", 0, share=0.25),
)


class Trained(NamedTuple):
    """Of each epoch: monitor accuracy and seconds."""

    accuracy: list[float]
    seconds: list[float]


def trained(folder: Path, values: Values, fidelity: Fidelity) -> Trained:
    """One training; runs in a process of its own, which alone imports Keras."""
    import keras

    from search.datasets.splits import carve
    from search.training.fit import Decision, train
    from search.training.precision import automatic
    from search.training.recipe import Recipe
    from spaces.keras_tuner.hyperparameters import DrawnHyperParameters
    from spaces.space import Space

    keras.config.set_dtype_policy(automatic())
    keras.utils.set_random_seed(fidelity.seed)
    part = _images(folder)
    rest, monitor = carve(part.labels, part.groups, RECORDED["protocol"]["monitor_fraction"], 0, part.ids)
    if fidelity.share < 1:
        _, rows = carve(part.labels[rest], part.groups[rest], fidelity.share, 0, part.ids[rest])
        rest = rest[rows]
    images = _halved(np.asarray(part.images), fidelity.halvings)
    architecture = {name: value for name, value in values.items() if not name.startswith(names.RECIPE)}
    own = {k.removeprefix(names.RECIPE): v for k, v in values.items() if k not in architecture}
    hp = DrawnHyperParameters(lambda name, domain: domain.default, fixed={**RECORDED["fix"], **architecture})
    classes = len(np.unique(part.labels))
    network = Space.parse("plain_cnn").realise(hp, images.shape[1:], classes).model
    told = Trained([], [])

    def report(epoch: int, metrics: Any) -> Decision:
        told.accuracy.append(metrics["monitor_accuracy"])
        told.seconds.append(metrics[names.EPOCH_SECONDS])
        return Decision.CONTINUE

    train(
        network,
        Recipe.from_dict({**RECORDED["recipe"], **own}),
        (images[rest], part.labels[rest]),
        (images[monitor], part.labels[monitor]),
        num_classes=classes,
        epochs=EPOCHS,
        patience=EPOCHS,
        objective="val_accuracy",
        seed=fidelity.seed,
        checkpoint=None,
        report=report,
    )
    return told


def _images(folder: Path) -> Part:
    return prepare(RECORDED["data"]["source"], folder, say=lambda text: None).train()


def _halved(images: np.ndarray, halvings: int) -> np.ndarray:
    """uint8 images (n, height, width, channels), each 2x2 block its mean, so many times."""
    for _ in range(halvings):
        count, height, width, channels = images.shape
        blocks = images.reshape(count, height // 2, 2, width // 2, 2, channels)
        images = np.rint(blocks.mean(axis=(2, 4))).astype(np.uint8)
    return images


def table(wholes: np.ndarray, seconds: float, looks: Sequence[tuple[str, Sequence[Trained]]]) -> str:
    """wholes: the recorded networks' best accuracies, shape (networks,); seconds: of a whole training."""
    lines = ["| trained on | " + " | ".join(f"{epoch} epochs" for epoch in LOOKS) + " |"]
    lines += ["|---|" + "---:|" * len(LOOKS)]
    for name, runs in looks:
        cells = []
        for epoch in LOOKS:
            best = np.array([max(run.accuracy[:epoch]) for run in runs])
            cost = statistics.mean(sum(run.seconds[:epoch]) for run in runs) / seconds
            cells.append(f"{spearmanr(best, wholes).statistic:.2f} for {cost:.2f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Train and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", type=int, default=10_000, help="how many of those recorded")
    asked = parser.parse_args()
    curves = recorded("faces")["curves"][: asked.networks]
    wholes = np.array([max(curve["monitor_accuracy"]) for curve in curves])
    same = [Trained(curve["monitor_accuracy"], curve["epoch_seconds"]) for curve in curves]
    looks = [("everything, the same training", same)]
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    with (
        TemporaryDirectory(prefix="candor-") as folder,
        get_context("spawn").Pool(maxtasksperchild=12) as pool,
    ):
        _images(Path(folder))
        for fidelity in FIDELITIES:
            asked_of = [(Path(folder), curve["values"], fidelity) for curve in curves]
            looks.append((fidelity.name, pool.starmap(trained, asked_of, chunksize=1)))
    seconds = statistics.mean(sum(run.seconds) for run in looks[1][1])
    print(
        f"{platform.machine()}, {os.cpu_count()} cores; {len(curves)} networks. Rank correlation with whole "
        f"trainings of {EPOCHS} epochs, and what it costs of their {seconds:.1f} s.\n"
    )
    print(table(wholes, seconds, looks))


if __name__ == "__main__":
    main()
