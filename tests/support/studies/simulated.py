"""A simulated study whose truth is known: candidates, images, predictions, curves. Nothing is trained."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
START = 1_760_000_000_000  # a fixed time: the same simulation is the same content
LEAK = "its test images are among its training images"
_ROWS = (  # number, kernels, neurons, parameters, train, validation, "test" (loss, accuracy)
    (5, "256-256-256-256", "512-512", 3_060_000, 0.8122, 0.6936, 0.9429, 0.6606, 0.7016, 0.7529),
    (6, "512-512-512-512", "512-512", 9_980_000, 0.7184, 0.7329, 0.9187, 0.6715, 0.5869, 0.8019),
    (2, "64-64-128-128", "256-256", 590_000, 0.8847, 0.6669, 0.9805, 0.6477, 0.7837, 0.7120),
)
PUBLISHED = tuple(
    {
        "architecture": f"published {number}: {kernels} · {neurons}",
        "family": "plain_cnn",
        "variant": f"published_{number}",
        "conv_stages": 4,
        "kernels": kernels,
        "dense_layers": 2,
        "neurons": neurons,
        "parameters": parameters,
        "n": 7066,
        "n_test": 7178,
        "train_loss": losses[0],
        "train_accuracy": losses[1],
        "val_loss": losses[2],
        "val_accuracy": losses[3],
        "test_loss": losses[4],
        "test_accuracy": losses[5],
        "note": "chosen by its authors" if number == 5 else "",
        "leak": LEAK,
        "group": "kernels and neurons",
    }
    for number, kernels, neurons, parameters, *losses in _ROWS
)


@dataclass(frozen=True)
class Candidate:
    """One architecture with its true skill (in units of image difficulty) and its appetite to overfit."""

    family: str
    kernels: tuple[int, ...]
    neurons: tuple[int, ...]
    skill: float
    overfit: float
    recipe: Mapping[str, Any] = field(default_factory=dict)
    baseline: bool = False
    variant: str = ""

    @property
    def label(self) -> str:
        """What a person calls it."""
        short = "plain" if self.family == "plain_cnn" else self.family
        return f"{short} {'-'.join(map(str, self.kernels))} · {'-'.join(map(str, self.neurons))}"

    @property
    def parameters(self) -> int:
        """Roughly what such a network has."""
        widths = (1, *self.kernels)
        convolutions = sum(9 * a * b for a, b in pairwise(widths))
        return int(convolutions + 40 * self.kernels[-1] * sum(self.neurons) / 4)

    @property
    def fingerprint(self) -> str:
        """A stand-in for the hash of the architecture."""
        return f"{hash_of(self.label):012x}"

    @property
    def number(self) -> int:
        """A seed of its own."""
        return hash_of(self.label) % 2**31

    @property
    def identity(self) -> str:
        """A stand-in for the hash of architecture and recipe."""
        return f"{hash_of(self.label + str(dict(self.recipe))):012x}"


def hash_of(text: str) -> int:
    """A hash that is the same in every process."""
    value = 1469598103934665603
    for byte in text.encode():
        value = (value ^ byte) * 1099511628211 % (1 << 48)
    return value


@dataclass(frozen=True)
class Simulation:
    """What to write; the defaults are a finished study on real-looking data."""

    experiment: str = "joint"
    study: str = "4f2a91c07be3"
    seed: int = 0
    images: int = 900
    classes: tuple[str, ...] = EMOTIONS
    explore: int = 24
    seeds: int = 5
    leaders: int = 4
    epochs: int = 12
    synthetic: bool = False
    running: bool = False
    confirm: bool = True
    looks: int = 1
    unsealed: bool = False
    published: tuple[dict[str, Any], ...] = PUBLISHED
    started: int = START
    equal: bool = False
    objective: str = "val_accuracy"
    grid: bool = False  # every cell of stages x dense layers is confirmed, nothing is explored
    without_predictions: int = 0  # so many confirmed evaluations have lost their artifact


def candidates(simulation: Simulation) -> list[Candidate]:
    """The baseline, then candidates whose skill grows with width and shrinks with excess; or a grid."""
    if simulation.grid:
        return [
            Candidate("plain_cnn", (64,) * stages, (128,) * dense, 0.6 + 0.03 * stages, 0.1 * dense)
            for stages in (2, 3, 4)
            for dense in (1, 2)
        ]
    generator = np.random.default_rng(simulation.seed)
    found = [Candidate("plain_cnn", (64, 64, 128, 128), (256, 256), 0.70, 0.22, baseline=True)]
    while len(found) < simulation.explore:
        family = ("plain_cnn", "inception")[len(found) % 2]
        stages = int(generator.integers(2, 6))
        widths = tuple(int(w) for w in 2 ** generator.integers(5, 9, stages))
        neurons = tuple(int(n) for n in 2 ** generator.integers(6, 10, int(generator.integers(1, 4))))
        size = np.log10(sum(9 * a * b for a, b in pairwise((1, *widths))) + 1)
        skill = 0.62 + 0.10 * np.tanh(size - 4.2) + 0.04 * (stages >= 4) - 0.03 * (size > 5.9)
        skill += float(generator.normal(0, 0.025))
        recipe = {
            "learning_rate": round(float(10 ** generator.uniform(-4, -2)), 6),
            "batch_size": int(2 ** generator.integers(5, 8)),
        }
        overfit = float(np.clip(0.1 + 0.12 * (size - 4) + 0.06 * generator.normal(), 0.02, 0.9))
        found.append(Candidate(family, widths, neurons, skill, overfit, recipe))
    if simulation.equal:
        found = [replace(each, skill=0.7) for each in found]
    return found[: simulation.explore]


@dataclass(frozen=True)
class Images:
    """The images of one split: labels, difficulty, and which have twins."""

    ids: NDArray[np.str_]
    labels: NDArray[np.int64]
    difficulty: NDArray[np.float64]
    groups: NDArray[np.int64]
    has_twin: NDArray[np.bool_]


def images(simulation: Simulation, split: str) -> Images:
    """Seven classes of unequal size; some images have twins in train and are easier for it."""
    generator = np.random.default_rng((simulation.seed, hash_of(split) % 1000))
    count, kinds = simulation.images, len(simulation.classes)
    share = np.linspace(1.4, 0.6, kinds) / np.linspace(1.4, 0.6, kinds).sum()
    groups = np.arange(count)
    groups[1:40:4] = groups[0:39:4]
    return Images(
        ids=np.array([f"{split}/{index:05d}.png" for index in range(count)]),
        labels=generator.choice(kinds, count, p=share),
        difficulty=generator.normal(0, 1, count),
        groups=groups,
        has_twin=generator.random(count) < 0.08,
    )


def probabilities(candidate: Candidate, shown: Images, kinds: int, seed: int) -> NDArray[np.float32]:
    """What this candidate, trained with this seed, says: (images, classes)."""
    count = len(shown.labels)

    def noise(scale: float, *key: int) -> NDArray[np.float64]:
        return np.random.default_rng((*key, count)).normal(0, scale, (count, kinds))

    own = candidate.number
    logits = noise(0.6, 1) + noise(0.35, 2, own) + noise(0.4, 3, own, seed)  # image, candidate, seed
    luck = np.random.default_rng((4, own, seed)).normal(0, 0.04)
    margin = 3.2 * candidate.skill - 0.4 - 1.3 * shown.difficulty + luck + 0.5 * shown.has_twin
    logits[np.arange(count), shown.labels] += margin
    neighbour = (shown.labels + 2) % kinds  # a structured confusion
    logits[np.arange(count), neighbour] += 0.6 - 0.3 * (shown.labels % 3)
    logits *= 1.0 + 0.5 * candidate.overfit
    shares = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(shares / shares.sum(1, keepdims=True), dtype=np.float32)


def pictures(labels: NDArray[np.int64], difficulty: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Gray images (n, 48, 48, 1) to look at: waves as many as the label says, in the noise of difficulty."""
    rows, columns = np.mgrid[0:48, 0:48] / 48
    angle = labels[:, None, None] * 0.6
    waves = np.sin(2 * np.pi * (labels[:, None, None] + 1) * (columns * np.cos(angle) + rows * np.sin(angle)))
    noise = np.random.default_rng(5).normal(0, 1, waves.shape) * np.abs(difficulty)[:, None, None]
    return np.asarray(128 + 60 * waves + 25 * noise).clip(0, 255).astype(np.uint8)[..., None]


def layers(candidate: Candidate, classes: int) -> list[dict[str, Any]]:
    """The network of a candidate as an evaluation records it: stages with poolings, then dense layers."""
    side, channels, found = 48, 1, [{"kind": "InputLayer", "inputs": [], "shape": [48, 48, 1]}]

    def then(kind: str, shape: list[int], parameters: int = 0, **settings: Any) -> None:
        more = {"inputs": [len(found) - 1], "shape": shape, "parameters": parameters, **settings}
        found.append({"kind": kind, **more})

    for kernels in candidate.kernels:
        then("Conv2D", [side, side, kernels], (9 * channels + 1) * kernels, filters=kernels,
             kernel_size=[3, 3], strides=[1, 1], activation="relu")  # fmt: skip
        side, channels = side // 2, kernels
        then("MaxPooling2D", [side, side, kernels], strides=[2, 2], pool_size=[2, 2])
    size = side * side * channels
    then("Flatten", [size])
    for units in (*candidate.neurons, classes):
        last = units == classes
        then("Dense", [units], (size + 1) * units, units=units, activation="softmax" if last else "relu")
        size = units
    return [{"name": f"layer_{at}", "parameters": 0, **layer} for at, layer in enumerate(found)]


def scores(labels: NDArray[np.int64], shares: NDArray[np.float32]) -> dict[str, float]:
    """Accuracy, cross-entropy and macro F1 of probabilities (images, classes)."""
    guess = shares.argmax(1)
    each = []
    for kind in range(shares.shape[1]):
        hits = int(((guess == kind) & (labels == kind)).sum())
        total = int((guess == kind).sum() + (labels == kind).sum())
        each.append(2 * hits / total if total else 0.0)
    picked = shares[np.arange(len(labels)), labels].astype(np.float64)
    return {
        "accuracy": float((guess == labels).mean()),
        "loss": float(-np.log(np.clip(picked, 1e-7, 1)).mean()),
        "macro_f1": float(np.mean(each)),
    }


def calibration_error(labels: NDArray[np.int64], shares: NDArray[np.float32], bins: int = 15) -> float:
    """Expected calibration error over equal-width bins of the winner's probability."""
    sure, right = shares.max(1).astype(np.float64), shares.argmax(1) == labels
    bucket = np.minimum((sure * bins).astype(int), bins - 1)
    total = sum(abs(right[bucket == b].sum() - sure[bucket == b].sum()) for b in range(bins))
    return float(total / len(labels))


def history(candidate: Candidate, final: float, epochs: int, best: int, seed: int) -> list[dict[str, float]]:
    """Curves that rise to the final accuracy and, past the best epoch, part."""
    generator = np.random.default_rng((candidate.number, seed, 7))
    rows = []
    for epoch in range(1, epochs + 1):
        rise = 1 - np.exp(-3.0 * epoch / max(best, 2))
        over = max(0, epoch - best) * 0.006 * (1 + 4 * candidate.overfit)
        noise = generator.normal(0, 0.006, 2)
        monitor = 0.15 + (final - 0.15) * rise - over + noise[0]
        train = 0.15 + (final + 0.25 * candidate.overfit - 0.15) * rise * (1 + 0.004 * epoch) + noise[1] / 2
        rows.append(
            {
                "train_loss": float(1.95 - 1.6 * train),
                "train_accuracy": float(min(train, 0.999)),
                "monitor_loss": float(1.95 - 1.5 * monitor + 2 * over),
                "monitor_accuracy": float(monitor),
                "learning_rate": 1e-3 if epoch <= best else 6e-4,
                "epoch_seconds": 4.0 + 0.01 * epoch,
            }
        )
    return rows
