"""On how many images batch norm's statistics are to be measured, and what it brings to measure them.

    python -m benchmarks.exact_statistics [DATA] [--images 8000] [--seeds 4] [--epochs 8]

Networks of 32-32-64-64 kernels with batch norm and dropout are trained on so many images of DATA. After each
epoch they are judged on 2,000 others, with the statistics that Keras has followed over the steps, and with
those measured on fewer or more training images, three draws of each. Ten minutes on two cores.
"""

import argparse
import os
import platform
import statistics
from collections import defaultdict
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from search.datasets.prepare import prepare

COUNTS, DRAWS, JUDGED, MONITOR = (64, 128, 256, 512, 1024), 3, 2000, 300
FOLLOWED = 0  # in place of a count: the statistics that Keras has followed

#: (epoch, count) -> the accuracy with each draw
Accuracies = dict[tuple[int, int], list[float]]


def trained(folder: Path, seed: int, epochs: int) -> Accuracies:
    """One training; runs in a process of its own, which alone imports Keras."""
    import keras

    from benchmarks.training_speed import Case, build
    from search.execution.messages import Decision
    from search.training import fit
    from search.training.augmentation import AUGMENTATIONS
    from search.training.layers.exact_batch_norm import ExactBatchNorm
    from search.training.recipe import Recipe

    with np.load(folder / "images.npz", allow_pickle=False) as held:
        images, labels = held["images"], held["labels"]
    judged, monitor = slice(0, JUDGED), slice(JUDGED, JUDGED + MONITOR)
    train = slice(JUDGED + MONITOR, None)
    found: Accuracies = defaultdict(list)

    class Compared(ExactBatchNorm):
        epoch = 0

        def __init__(self, inference: Any, images: Any, seed: int) -> None:
            super().__init__(inference, images, seed)
            self._judging = keras.Model(inference.inputs, inference.outputs)

        def measure(self) -> None:
            self.epoch += 1
            found[self.epoch, FOLLOWED].append(self._accuracy())
            used = self._batches
            for count in COUNTS:
                for draw in range(DRAWS):
                    self._batches = self._drawn(count, DRAWS * self.epoch + draw)
                    super().measure()
                    found[self.epoch, count].append(self._accuracy())
            self._batches = used
            super().measure()

        def _accuracy(self) -> float:
            outputs = self._judging.predict(images[judged], batch_size=250, verbose=0)
            return float(np.mean(np.argmax(outputs, axis=1) == labels[judged]))

    fit.ExactBatchNorm = Compared  # type: ignore[attr-defined]
    keras.utils.set_random_seed(seed)
    fit.train(
        build(Case((32, 32, 64, 64), batch_norm=True, dropout=0.2, images=len(labels[train]), aim=0.0)),
        Recipe(augmentation=AUGMENTATIONS["light"], batch_size=64),
        (images[train], labels[train]),
        (images[monitor], labels[monitor]),
        num_classes=7,
        epochs=epochs,
        patience=epochs,
        objective="val_accuracy",
        seed=seed,
        checkpoint=None,
        report=lambda epoch, metrics: Decision.CONTINUE,
    )
    return dict(found)


def keep_images(source: str, images: int, folder: Path) -> None:
    """So many training images of a source and those that judge, in an order of their own, as an npz."""
    part = prepare(source, folder / "cache", say=lambda text: None).train()
    rows = np.random.default_rng(0).permutation(len(part))[: images + JUDGED + MONITOR]
    np.savez(folder / "images.npz", images=part.images[rows], labels=part.labels[rows])


def main() -> None:
    """Print the conditions and the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="?", default="synthetic:train=12000,validation=700,test=700")
    parser.add_argument("--images", type=int, default=8000)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=8)
    asked = parser.parse_args()
    with TemporaryDirectory() as folder, get_context("spawn").Pool(2, maxtasksperchild=1) as pool:
        keep_images(asked.data, asked.images, Path(folder))
        trainings = [(Path(folder), seed, asked.epochs) for seed in range(asked.seeds)]
        found = pool.starmap(trained, trainings, chunksize=1)
    print(f"{platform.machine()}, {os.cpu_count()} cores; {asked.data}, {asked.images} training images.")
    print("Accuracy in points, mean over the seeds; ± the standard deviation of one draw.\n")
    print(f"| after epoch | followed | {' | '.join(f'{count} images' for count in COUNTS)} |")
    print("|---:|" + "---:|" * (1 + len(COUNTS)))
    for epoch in range(1, asked.epochs + 1):
        cells = [_cell([one[epoch, count] for one in found]) for count in (FOLLOWED, *COUNTS)]
        print(f"| {epoch} | {' | '.join(cells)} |")


def _cell(draws_by_seed: list[list[float]]) -> str:
    mean = 100 * statistics.mean(statistics.mean(draws) for draws in draws_by_seed)
    if len(draws_by_seed[0]) == 1:
        return f"{mean:.1f}"
    spread = 100 * statistics.mean(statistics.variance(draws) for draws in draws_by_seed) ** 0.5
    return f"{mean:.1f} ± {spread:.1f}"


if __name__ == "__main__":
    main()
