"""How hard the synthetic set is: what a small, a middling and a large network learn from its 2,000 images.

    python benchmarks/synthetic_difficulty.py [--only lenet small decent] [--epochs 25] [--seeds 1]

No augmentation and no early stopping, so that overfitting shows. Columns: accuracy in percent on the
validation part after 6, 10 and all epochs, on the training part after all epochs, the gap between the
two, and seconds of processor time for each seed.
"""

import argparse
import os
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

import keras
import numpy as np

from search.datasets.synthetic.dataset import (
    CLASS_NAMES,
    NOISE,
    Part,
    draw,
)
from spaces.families import plain_cnn

LOOKS = (6, 10)  # epochs after which validation is shown
BATCH_SIZE = 64


def lenet() -> keras.Model:
    """LeCun's LeNet-5 with rectified units and max pooling."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((48, 48, 1)),
            *(layers.Conv2D(6, 5, padding="same", activation="relu"), layers.MaxPooling2D()),
            *(layers.Conv2D(16, 5, activation="relu"), layers.MaxPooling2D()),
            layers.Flatten(),
            *(layers.Dense(120, activation="relu"), layers.Dense(84, activation="relu")),
            layers.Dense(len(CLASS_NAMES), activation="softmax"),
        ]
    )


def small() -> keras.Model:
    """Three narrow stages, as they are."""
    return plain(kernels=(32, 32, 64), neurons=(64,), dropout=0.0, batch_norm=False)


def decent() -> keras.Model:
    """The four stages that published projects like best, batch-normalised."""
    return plain(kernels=(64, 64, 128, 128), neurons=(128,), dropout=0.1, batch_norm=True)


def plain(**architecture: object) -> keras.Model:
    """Build a member of the family plain_cnn for the synthetic set."""
    return plain_cnn.build(plain_cnn.Architecture(**architecture), (48, 48, 1), len(CLASS_NAMES))


def learn(model: keras.Model, parts: dict[str, Part], epochs: int) -> list[float]:
    """Accuracy on validation after each of LOOKS and after all epochs, then on train; inference mode."""
    (images, labels), (others, truth) = (
        (pixels.astype("float32") / 255, labels)
        for pixels, labels, _ in (parts["train"], parts["validation"])
    )
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(
        images, labels, batch_size=BATCH_SIZE, epochs=epochs, validation_data=(others, truth), verbose=0
    ).history["val_accuracy"]
    trained = model.evaluate(images, labels, verbose=0)[1]
    return [*(history[min(look, epochs) - 1] for look in LOOKS), history[-1], trained]


def row(build: Callable[[], keras.Model], parts: dict[str, Part], epochs: int, seeds: int) -> str:
    """One network's line: means over the seeds."""
    started, found = time.process_time(), []
    for seed in range(seeds):
        keras.utils.set_random_seed(seed)
        model = build()
        found.append(learn(model, parts, epochs))
    at_six, at_ten, last, trained = 100 * np.mean(found, axis=0)
    seconds = (time.process_time() - started) / seeds
    figures = f"{at_six:6.1f} {at_ten:6.1f} {last:6.1f} {trained:6.1f} {trained - last:5.1f} {seconds:5.0f}"
    return f"{build.__name__:8} {model.count_params():10,} {figures}"


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--epochs", type=int, default=25)
    options.add_argument("--seeds", type=int, default=1)
    options.add_argument("--only", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    asked = options.parse_args()
    started = time.process_time()
    parts = draw()
    seconds, labels = time.process_time() - started, parts["validation"][1]
    print(
        f"{sum(len(part[1]) for part in parts.values()):,} images drawn in {seconds:.1f} s of processor time."
    )
    print(
        f"Accuracy of always guessing the most frequent label: {np.bincount(labels).max() / len(labels):.1%};"
    )
    print(
        f"of naming every expression as it was drawn: {1 - NOISE:.0%}, for the labels of the rest are wrong."
    )
    print(f"Seeds: {asked.seeds}, epochs: {asked.epochs}, batches of {BATCH_SIZE}, one thread.\n")
    print(f"{'network':8} {'parameters':>10}  val@6 val@10    val  train   gap     s")
    for name in asked.only:
        print(row(NETWORKS[name], parts, asked.epochs, asked.seeds), flush=True)


NETWORKS = {build.__name__: build for build in (lenet, small, decent)}

if __name__ == "__main__":
    main()
