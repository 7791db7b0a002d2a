"""What a training waits for before its steps are traced and compiled, and what seeds save that share them.

    python -m benchmarks.compiling [--seeds 3]           three minutes on two cores

Each training is a process of its own, as in a study. What it waits for: the seconds of its first epoch less
the median of the others. On JAX the seeds of one architecture share the compiled
steps in a folder (see `ForkServer`), so that the first seed alone compiles; "alone" are trainings without
it, in turns with the others.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

KERNELS, IMAGES, EPOCHS = (32, 32, 64, 64), 1000, 4


def waited(backend: str, seed: int, compiled: Path | None) -> float:
    """Seconds that one training waited for. compiled: the folder that it shares with others."""
    from search.execution.fork_client import shared

    environment = {**os.environ, "KERAS_BACKEND": backend, **(shared(compiled) if compiled else {})}
    command = [sys.executable, "-m", "benchmarks.compiling", "--train", str(seed)]
    told = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
    )
    seconds = json.loads(told.stdout.splitlines()[-1])
    return float(seconds[0] - statistics.median(seconds[1:]))


def train_once(seed: int) -> list[float]:
    """The seconds of each epoch."""
    import keras

    from benchmarks.training_speed import CLASSES, RECIPE, Case, build, noise
    from search.tracking import names
    from search.training.fit import Decision, train

    keras.utils.set_random_seed(seed)
    case = Case(KERNELS, batch_norm=True, dropout=0.2, images=IMAGES, aim=0.0)
    images, labels, monitor_images, monitor_labels = noise(case)
    trained = train(
        build(case),
        RECIPE,
        (images, labels),
        (monitor_images, monitor_labels),
        num_classes=CLASSES,
        epochs=EPOCHS,
        patience=EPOCHS,
        objective="val_accuracy",
        seed=seed,
        checkpoint=None,
        report=lambda epoch, metrics: Decision.CONTINUE,
    )
    return [metrics[names.EPOCH_SECONDS] for metrics in trained.history]


def main() -> None:
    """Print the conditions and the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3, help="trainings a row")
    parser.add_argument("--train", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.train is not None:
        print(json.dumps(train_once(asked.train)))
        return
    rows: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(asked.seeds):
            rows.setdefault("TensorFlow", []).append(waited("tensorflow", seed, None))
            rows.setdefault("JAX, alone", []).append(waited("jax", seed, None))
            first = "JAX, the first seed" if seed == 0 else "JAX, the others"
            rows.setdefault(first, []).append(waited("jax", seed, Path(folder)))
        size = sum(path.stat().st_size for path in Path(folder).rglob("*")) / 2**20
    print(
        f"{platform.machine()}, {os.cpu_count()} cores; {'-'.join(map(str, KERNELS))}, batch norm, dropout, "
        f"48x48; the folder holds {size:.1f} MiB.\n"
    )
    print("| | seconds | trainings |\n|---|---:|---:|")
    for name, seconds in rows.items():
        print(f"| {name} | {statistics.median(seconds):.1f} | {len(seconds)} |")


if __name__ == "__main__":
    main()
