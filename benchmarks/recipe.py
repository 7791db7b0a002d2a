"""What each field of the recipe brings, in points of accuracy, and what it costs, on real images.

    python -m benchmarks.recipe FER2013.ZIP [--images 6000] [--seeds 5] [--epochs 24] [--folder runs/recipe]
    python -m benchmarks.recipe FER2013.ZIP --networks plain --only mixup cutmix
    python -m benchmarks.recipe --speed --images 2048 --epochs 6     what a field costs in time, on noise

Each field is added to a plain recipe and taken from the full one. Networks of one seed share first weights,
images and their split, so differences are paired by seed: the mean over seeds and its 95% interval (Student's
t). Accuracy is that of the kept weights on validation. Speed is in training images per processor second,
without the first epoch; monitor's share of an epoch is included.

Every training is appended to a file in the folder and never run twice: interrupt and repeat the command at
will, also with more seeds. The defaults take many hours on two cores.
"""

import argparse
import csv
import logging
import os
import platform
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np
import scipy.stats

from search.training.precision import automatic

NETWORKS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "plain": ("plain_cnn", {"kernels": [64, 64, 128, 128], "batch_norm": True}),
    "vgg": ("vgg", {"width": 24, "head": "average", "neurons": [], "dropout": 0.2}),
}
#: What every recipe begins with.
PLAIN: Final[Mapping[str, Any]] = {
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "batch_size": 64,
    "schedule": "cosine",
    "augmentation": "light",
}
#: field -> what it sets; those of FULL are taken from the full recipe, all are added to the plain one.
FIELDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "sgd": {"optimizer": "sgd", "learning_rate": 0.03, "momentum": 0.9},
    "one_cycle": {"schedule": "one_cycle"},
    "warmup": {"warmup_epochs": 3},
    "weight_average": {"weight_average": 2.0},
    "mixup": {"mixup": 0.2},
    "cutmix": {"cutmix": 1.0},
    "alternating": {"flip": "alternating"},
    "test_flip": {"test_time": "flip"},
    "test_flip_shift": {"test_time": "flip_shift"},
    "label_smoothing": {"label_smoothing": 0.1},
    "weight_decay": {"weight_decay": 5e-3},
}
FULL: Final = (
    "sgd", "one_cycle", "weight_average", "mixup", "alternating", "test_flip", "label_smoothing",
    "weight_decay",
)  # fmt: skip
#: Fields that cost time in a training, and the share that they may take.
COSTS: Final[Mapping[str, float]] = {
    "weight_average": 0.03,
    "mixup": 0.03,
    "cutmix": 0.03,
    "alternating": 0.0,
}
COLUMNS: Final = ("network", "arm", "seed", "images", "epochs", "accuracy", "loss", "images_per_second")
#: Values of a row that identify a training.
KEY: Final = COLUMNS[:5]


@dataclass(frozen=True)
class Arm:
    """A recipe in the table.

    Attributes:
        name: "plain", "full", "plain + FIELD" or "full - FIELD".
        fields: the fields that it has.
    """

    name: str
    fields: tuple[str, ...]

    @property
    def base(self) -> str:
        """The arm that it is compared with."""
        return self.name.partition(" ")[0]

    def recipe(self) -> dict[str, Any]:
        """Fields of the recipe by name."""
        found = dict(PLAIN)
        for field in self.fields:
            found |= FIELDS[field]
        return found


def arms(only: Sequence[str] = ()) -> list[Arm]:
    """The rows of the table.

    Args:
        only: Fields; all where there are none. The plain and the full recipe are always there.
    """
    chosen = [field for field in FIELDS if not only or field in only]
    full = [Arm(f"full - {f}", tuple(one for one in FULL if one != f)) for f in chosen if f in FULL]
    return [Arm("plain", ()), *(Arm(f"plain + {f}", (f,)) for f in chosen), Arm("full", FULL), *full]


def trained(data: str, network: str, recipe: Mapping[str, Any], seed: int, epochs: int) -> dict[str, float]:
    """One training in a process of its own.

    Args:
        data: The folder of the prepared images.
        network: A key of NETWORKS.
        recipe: Fields of the recipe.
        seed: Of weights, order, augmentation and monitor.
        epochs: All of them are trained.

    Returns:
        Accuracy and loss on validation, and images per processor second.
    """
    import keras

    from search.datasets.prepare import Prepared
    from search.datasets.splits import carve
    from search.training.fit import Decision, train
    from search.training.measures import metrics
    from search.training.recipe import Recipe
    from search.training.replicates import select_rows
    from spaces.family import load_family

    keras.config.set_dtype_policy(automatic())
    keras.utils.set_random_seed(seed)
    prepared = Prepared.open(Path(data))
    whole, validation, classes = prepared.train(), prepared.validation(), len(prepared.class_names)
    rest, carved = carve(whole.labels, whole.groups, 0.1, seed, whole.ids)
    training, monitor = select_rows(whole, rest), select_rows(whole, carved)
    name, values = NETWORKS[network]
    family = load_family(name)
    ends: list[float] = []

    def report(epoch: int, metrics: Mapping[str, float]) -> Decision:
        ends.append(time.process_time())
        return Decision.CONTINUE

    result = train(
        family.build(family.from_dict(values), prepared.image_shape, classes),
        Recipe.from_dict(recipe),
        (training.images, training.labels),
        (monitor.images, monitor.labels),
        num_classes=classes,
        epochs=epochs,
        patience=epochs,
        objective="val_accuracy",
        seed=seed,
        checkpoint=None,
        report=report,
    )
    scores = metrics.scores(validation.labels, result.predict(validation.images))
    seconds = statistics.median(np.diff(ends)) if len(ends) > 1 else float("nan")
    return {
        "accuracy": scores["accuracy"],
        "loss": scores["loss"],
        "images_per_second": len(training) / seconds,
    }


def read(path: Path) -> list[dict[str, str]]:
    """The trainings in a file; a line that was cut off by a kill is left out."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if all(row.get(column) for column in COLUMNS)]


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Add a training to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cut = path.exists() and not path.read_bytes().endswith(b"\n")
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if cut:
            file.write("\n")
        if file.tell() == 0:
            writer.writeheader()
        writer.writerow(row)


def table(rows: Sequence[Mapping[str, str]], network: str, compared: Sequence[Arm]) -> Iterator[str]:
    """One network's table, of the arms that have at least one seed in common with their base.

    Args:
        rows: Trainings of one number of images and epochs.
        network: A key of NETWORKS.
        compared: The rows of the table.
    """
    accuracy: dict[str, dict[str, float]] = {}
    speed: dict[str, dict[str, float]] = {}
    for row in rows:
        if row["network"] == network:
            accuracy.setdefault(row["arm"], {})[row["seed"]] = float(row["accuracy"])
            speed.setdefault(row["arm"], {})[row["seed"]] = float(row["images_per_second"])
    yield f"| {network} | seeds | accuracy, % | difference, points | images/s |"
    yield "|---|---:|---:|---:|---:|"
    for arm in compared:
        own, base = accuracy.get(arm.name, {}), accuracy.get(arm.base, {})
        shared = sorted(own.keys() & base.keys())
        if not shared:
            continue
        differences = [100 * (own[seed] - base[seed]) for seed in shared]
        ratio = statistics.median(speed[arm.name][seed] / speed[arm.base][seed] for seed in shared)
        told = ("", f"{statistics.median(speed[arm.name].values()):.0f}")
        if arm.name != arm.base:
            told = (interval(differences), f"{ratio:.2f}")
        mean = 100 * statistics.mean(own[seed] for seed in shared)
        yield f"| {arm.name} | {len(shared)} | {mean:.1f} | {' | '.join(told)} |"


def interval(differences: Sequence[float]) -> str:
    """A mean with its 95% interval by Student's t; without one where there is one seed.

    Args:
        differences: One for each seed.
    """
    mean, count = statistics.mean(differences), len(differences)
    if count < 2:
        return f"{mean:+.1f}"
    half = scipy.stats.t.ppf(0.975, count - 1) * statistics.stdev(differences) / count**0.5
    return f"{mean:+.1f} ({mean - half:+.1f} to {mean + half:+.1f})"


def accuracies(asked: argparse.Namespace) -> None:
    """Train what is missing, seed by seed, and print the tables."""
    from search.datasets.prepare import prepare

    folder, compared = Path(asked.folder), arms(asked.only)
    data = prepare(asked.data, folder / "cache", limit=asked.images, say=lambda text: None)
    path, size = folder / f"{data.digest[:12]}.csv", (str(asked.images), str(asked.epochs))
    known = {tuple(row[column] for column in KEY) for row in read(path)}
    context = get_context("forkserver")
    context.set_forkserver_preload(["keras"])
    plan = [(s, n, arm) for s in range(asked.seeds) for n in asked.networks for arm in compared]
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as processes:
        for number, (seed, network, arm) in enumerate(plan, start=1):
            key = (network, arm.name, str(seed), *size)
            if key in known:
                continue
            print(f"{number} of {len(plan)}: {network}, {arm.name}, seed {seed}", file=sys.stderr, flush=True)
            given = (str(data.folder), network, arm.recipe(), seed, asked.epochs)
            found = processes.submit(trained, *given).result()
            append(path, {**dict(zip(KEY, key, strict=True)), **found})
    rows = [row for row in read(path) if (row["images"], row["epochs"]) == size]
    counts = data.counts
    print(
        f"{counts['train']:,} images to train on and {counts['validation']:,} to validate, {asked.epochs} "
        f"epochs, {automatic()}\n"
    )
    for network in asked.networks:
        print("\n".join(table(rows, network, compared)), end="\n\n")


def speeds(images: int, epochs: int) -> None:
    """Time an epoch with each field and without, in turns in one process, and print the table.

    Args:
        images: Of an epoch.
        epochs: Of each contender; the first is not counted.
    """
    from benchmarks.training_speed import Case, Runner, noise, ours
    from search.training.recipe import Recipe

    case = Case((64, 64, 128, 128), batch_norm=True, dropout=0.0, images=images, aim=0.0)
    data, plain = noise(case), {"augmentation": "light"}
    recipes = {"off": Recipe.from_dict(plain)}
    recipes |= {name: Recipe.from_dict({**plain, **FIELDS[name]}) for name in COSTS}
    runners = {name: Runner(ours(case, data, epochs, automatic(), one)) for name, one in recipes.items()}
    rounds = [{name: one.turn() for name, one in runners.items()} for _ in range(epochs)][1:]
    print(f"{images:,} images, {len(rounds)} epochs counted, {automatic()}\n")
    print("| field | share of the images per processor second | aim |")
    print("|---|---:|---:|")
    for name, share in COSTS.items():
        ratio = statistics.median(spent["off"].processor / spent[name].processor for spent in rounds)
        print(f"| {name} | {ratio:.3f} | {1 - share:.2f} |")


def main() -> None:
    """Print the conditions and the tables."""
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="?", default="synthetic", help="what `candor search --data` takes")
    parser.add_argument("--images", type=int, default=6000, help="over all splits; with --speed, of an epoch")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=24, help="of each training, or of the speed table")
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--only", nargs="+", choices=list(FIELDS), default=[], help="fields; all by default")
    parser.add_argument("--folder", default="runs/recipe", help="of the results and the images")
    parser.add_argument("--speed", action="store_true", help="the table of speeds alone")
    asked = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    speeds(asked.images, asked.epochs) if asked.speed else accuracies(asked)


if __name__ == "__main__":
    main()
