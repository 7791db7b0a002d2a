"""Writes a simulated study into a real MLflow store, exactly as docs/mlflow.md says a study is written.

Nothing is trained: candidates have a known skill, images a known difficulty, seeds a known noise, and
every logged number is computed from the simulated predictions.
"""

import csv
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.tracking import names

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

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
    return found


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

    own = hash_of(candidate.label) % 2**31
    logits = noise(0.6, 1) + noise(0.35, 2, own) + noise(0.4, 3, own, seed)  # image, candidate, seed
    luck = np.random.default_rng((4, own, seed)).normal(0, 0.04)
    margin = 3.2 * candidate.skill - 0.4 - 1.3 * shown.difficulty + luck + 0.5 * shown.has_twin
    logits[np.arange(count), shown.labels] += margin
    neighbour = (shown.labels + 2) % kinds  # a structured confusion
    logits[np.arange(count), neighbour] += 0.6 - 0.3 * (shown.labels % 3)
    logits *= 1.0 + 0.5 * candidate.overfit
    shares = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(shares / shares.sum(1, keepdims=True), dtype=np.float32)


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
    generator = np.random.default_rng((hash_of(candidate.label) % 2**31, seed, 7))
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


class Writer:
    """Writes a simulation through MLflow's own client."""

    def __init__(self, tracking_uri: str, artifacts: Path) -> None:
        from mlflow.tracking import MlflowClient

        self.client = MlflowClient(tracking_uri)
        self.artifacts = artifacts

    def write(self, simulation: Simulation) -> str:
        """The id of the study's parent run."""
        experiment = self._experiment(simulation.experiment)
        parent = self._parent(simulation, experiment)
        cast = candidates(simulation)
        for slot, candidate in enumerate([] if simulation.grid else cast):
            self._explored(simulation, experiment, parent, slot, candidate)
        if simulation.confirm:
            self._confirm(simulation, experiment, parent, cast)
        if not simulation.running:
            self.client.set_terminated(parent, "FINISHED", end_time=simulation.started + 3_600_000)
        return parent

    def _experiment(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        return str(self.client.create_experiment(name, artifact_location=(self.artifacts / name).as_uri()))

    def _parent(self, simulation: Simulation, experiment: str) -> str:
        tags = {
            names.KIND: names.STUDY_KIND,
            names.STUDY: simulation.study,
            names.EXPERIMENT: simulation.experiment,
            names.LOOKS: str(simulation.looks),
            names.DATA_DIGEST: "9b1f6c2d",
            names.SPLIT_DIGEST: "77aa01fe",
            names.TEST_DIGEST: "c0ffee12",
            names.GIT_COMMIT: "0123456789abcdef0123456789abcdef01234567",
            names.GIT_DIRTY: "false",
            names.VERSIONS: json.dumps({"keras": "3.15.1", "optuna": "5.0.0"}),
        }
        run = self.client.create_run(experiment, simulation.started, tags, f"study {simulation.study}")
        self._json(run.info.run_id, study_json(simulation), names.STUDY_JSON)
        self._json(run.info.run_id, study_json(simulation)["data"]["audit"], names.AUDIT_JSON)
        return str(run.info.run_id)

    def _json(self, run: str, content: Any, path: str) -> None:
        folder, _, name = path.rpartition("/")
        self._file(run, json.dumps(content, indent=2).encode(), name, folder or None)

    def _file(self, run: str, content: bytes, name: str, folder: str | None = None) -> None:
        temporary = self.artifacts / name
        temporary.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        self.client.log_artifact(run, str(temporary), folder)
        temporary.unlink()

    def _explored(
        self, simulation: Simulation, experiment: str, parent: str, slot: int, candidate: Candidate
    ) -> None:
        state, reason = state_of(slot)
        if simulation.running and slot == simulation.explore - 1:
            state, reason = names.RUNNING, ""
        run = self._run(simulation, experiment, parent, candidate, names.EXPLORE, slot, 0, state, reason)
        if state in (names.INFEASIBLE, names.DUPLICATE, names.FAILED):
            metrics = {names.PARAMETERS: candidate.parameters, names.MACS: candidate.parameters * 40.0}
            return self._finish(run, metrics, [], state, simulation)
        shown = images(simulation, "monitor")
        shares = probabilities(candidate, shown, len(simulation.classes), 0)
        final = scores(shown.labels, shares)
        metrics, curve = self._metrics(simulation, candidate, final, 0, names.MONITOR_FINAL)
        if state != names.COMPLETE:
            metrics = {key: metrics[key] for key in (names.PARAMETERS, names.MACS, names.SECONDS)}
            curve = curve[: max(2, simulation.epochs // 3)]
        else:
            metrics[names.ECE] = calibration_error(shown.labels, shares)
        return self._finish(run, metrics, curve, state, simulation)

    def _confirm(self, simulation: Simulation, experiment: str, parent: str, cast: list[Candidate]) -> None:
        explored = not simulation.grid
        ran = [each for slot, each in enumerate(cast) if not explored or state_of(slot)[0] == names.COMPLETE]
        ranked = sorted((each for each in ran if not each.baseline), key=lambda each: -each.skill)
        leaders = ranked[: simulation.leaders] if explored else ranked
        chosen = [*leaders, *(each for each in ran if each.baseline)]
        shown, lost = images(simulation, "validation"), simulation.without_predictions
        for rank, candidate in enumerate(chosen):
            for seed in range(1, simulation.seeds + 1):
                if simulation.running and rank == len(chosen) - 1 and seed == simulation.seeds:
                    self._run(
                        simulation,
                        experiment,
                        parent,
                        candidate,
                        names.CONFIRM,
                        rank,
                        seed,
                        names.RUNNING,
                        "",
                    )
                    continue
                self._confirmed(simulation, experiment, parent, rank, seed, candidate, shown, lost > 0)
                lost -= 1
        if simulation.unsealed:
            for rank, candidate in enumerate(chosen[:2]):
                for seed in range(1, simulation.seeds + 1):
                    self._unseal(simulation, experiment, parent, rank, seed, candidate)

    def _confirmed(
        self,
        simulation: Simulation,
        experiment: str,
        parent: str,
        rank: int,
        seed: int,
        candidate: Candidate,
        shown: Images,
        lost: bool,
    ) -> None:
        run = self._run(
            simulation, experiment, parent, candidate, names.CONFIRM, rank, seed, names.COMPLETE, ""
        )
        shares = probabilities(candidate, shown, len(simulation.classes), seed)
        final = scores(shown.labels, shares)
        metrics, curve = self._metrics(simulation, candidate, final, seed, names.VAL)
        metrics[names.ECE] = calibration_error(shown.labels, shares)
        for name, value in final.items():
            metrics[names.MONITOR_FINAL + name] = value + (0.012 if name != "loss" else -0.03)
        if not lost:
            self._predictions(run, shown, shares)
        self._finish(run, metrics, curve, names.COMPLETE, simulation)

    def _unseal(
        self, simulation: Simulation, experiment: str, parent: str, rank: int, seed: int, candidate: Candidate
    ) -> None:
        run = self._run(simulation, experiment, parent, candidate, "unseal", rank, seed, names.COMPLETE, "")
        self.client.set_tag(run, names.KIND, names.UNSEALING_KIND)
        self.client.set_tag(run, names.VERDICT_HASH, "5d41402abc4b")
        self.client.set_tag(run, names.TEST_DIGEST, "c0ffee12")
        shown = images(simulation, "test")
        shares = probabilities(candidate, shown, len(simulation.classes), seed)
        self._predictions(run, shown, shares)
        final = scores(shown.labels, shares)
        self._finish(
            run, {names.TEST + name: value for name, value in final.items()}, [], names.COMPLETE, simulation
        )

    def _predictions(self, run: str, shown: Images, shares: NDArray[np.float32]) -> None:
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            ids=shown.ids,
            labels=shown.labels,
            probabilities=shares,
            groups=shown.groups,
            has_twin=shown.has_twin,
        )
        self._file(run, buffer.getvalue(), names.PREDICTIONS_NPZ)

    def _metrics(
        self, simulation: Simulation, candidate: Candidate, final: dict[str, float], seed: int, prefix: str
    ) -> tuple[dict[str, float], list[dict[str, float]]]:
        generator = np.random.default_rng((hash_of(candidate.label) % 2**31, seed, 3))
        best = int(
            np.clip(
                simulation.epochs * (0.9 - 0.5 * candidate.overfit) + generator.normal(), 2, simulation.epochs
            )
        )
        epochs = min(simulation.epochs, best + 3)
        train = min(0.995, final["accuracy"] + (1 - final["accuracy"]) * candidate.overfit)
        metrics = {prefix + name: value for name, value in final.items()}
        metrics |= {
            names.TRAIN_CLEAN + "accuracy": train,
            names.TRAIN_CLEAN + "loss": final["loss"] * (1 - candidate.overfit),
            names.GAP_ACCURACY: train - final["accuracy"],
            names.GAP_LOSS: final["loss"] * candidate.overfit,
            names.RELATIVE_OVERFIT: candidate.overfit + float(generator.normal(0, 0.02)),
            names.OVERFIT_SLOPE: 0.01 * candidate.overfit,
            names.BEST_EPOCH: best,
            names.EPOCHS: epochs,
            names.PARAMETERS: candidate.parameters,
            names.MACS: candidate.parameters * 40.0,
            names.SECONDS: 30 + candidate.parameters / 40_000 + float(generator.uniform(0, 3)),
            names.IMAGES_PER_SECOND: 900.0,
            names.PEAK_RSS_MIB: 610.0,
        }
        return metrics, history(candidate, final["accuracy"] + 0.01, epochs, best, seed)

    def _run(
        self,
        simulation: Simulation,
        experiment: str,
        parent: str,
        candidate: Candidate,
        stage: str,
        trial: int,
        seed: int,
        state: str,
        reason: str,
    ) -> str:
        tags = {
            "mlflow.parentRunId": parent,
            names.KIND: names.EVALUATION_KIND,
            names.STUDY: simulation.study,
            names.EXPERIMENT: simulation.experiment,
            names.KEY: f"{simulation.study}/{stage}/{trial}/{seed}",
            names.TRIAL: str(trial),
            names.SEED: str(seed),
            names.STAGE: stage,
            names.STATE: state,
            names.REASON: reason,
            names.CANDIDATE: candidate.identity,
            names.ARCHITECTURE: candidate.fingerprint,
            names.FAMILY: candidate.family,
            names.VARIANT: candidate.variant,
            names.LABEL: candidate.label,
            names.BASELINE: "true" if candidate.baseline else "false",
        }
        started = simulation.started + 1000 * (trial + 1) + 100_000 * seed
        run = self.client.create_run(experiment, started, tags, f"{stage} {trial} seed {seed}")
        settings = {
            "arch.conv_stages": len(candidate.kernels),
            "arch.kernels": "-".join(map(str, candidate.kernels)),
            "arch.dense_layers": len(candidate.neurons),
            "arch.neurons": "-".join(map(str, candidate.neurons)),
            "recipe.optimizer": "adam",
            "recipe.learning_rate": 0.001,
            "recipe.batch_size": 128,
            "trial": trial,
            "seed": seed,
            "precision": "float32",
            "threads": 1,
        }
        settings |= {names.RECIPE + key: value for key, value in candidate.recipe.items()}
        self._log(run.info.run_id, params=settings)
        return str(run.info.run_id)

    def _log(
        self,
        run: str,
        metrics: Mapping[str, float] | None = None,
        params: Mapping[str, Any] | None = None,
        curve: list[dict[str, float]] | None = None,
    ) -> None:
        from mlflow.entities import Metric, Param

        points = [Metric(key, float(value), START, 0) for key, value in (metrics or {}).items()]
        for epoch, row in enumerate(curve or [], 1):
            points += [Metric(key, value, START + epoch, epoch) for key, value in row.items()]
        held = [Param(key, str(value)) for key, value in (params or {}).items()]
        self.client.log_batch(run, metrics=points, params=held)

    def _finish(
        self,
        run: str,
        metrics: Mapping[str, float],
        curve: list[dict[str, float]],
        state: str,
        simulation: Simulation,
    ) -> None:
        self._log(run, metrics, curve=curve)
        if curve:
            text = io.StringIO()
            writer = csv.DictWriter(text, ["epoch", *names.EPOCH_METRICS])
            writer.writeheader()
            writer.writerows([{"epoch": epoch, **row} for epoch, row in enumerate(curve, 1)])
            self._file(run, text.getvalue().encode(), names.HISTORY_CSV)
        if state != names.RUNNING:
            status = {names.COMPLETE: "FINISHED", names.DUPLICATE: "FINISHED", names.PRUNED: "KILLED"}
            self.client.set_terminated(
                run, status.get(state, "FAILED"), end_time=simulation.started + 900_000
            )


def state_of(slot: int) -> tuple[str, str]:
    """Most slots complete; every kind of ending occurs."""
    endings = {
        3: (names.PRUNED, "stopped at epoch 4: below the median of its rivals"),
        5: (names.INFEASIBLE, "1,240,000 parameters, 1.24 times the budget of 1,000,000"),
        7: (names.DUPLICATE, "the same candidate as trial 2"),
        9: (names.PRUNED, "stopped at epoch 4: below the median of its rivals"),
        11: (names.DIVERGED, "the loss became NaN in epoch 2"),
        13: (names.FAILED, "out of memory: 2,010 MiB of 1,500 allowed"),
    }
    return endings.get(slot, (names.COMPLETE, ""))


def study_json(simulation: Simulation) -> dict[str, Any]:
    """The study's own account of what it is."""
    count = simulation.images
    name = "synthetic faces" if simulation.synthetic else "fer2013"
    return {
        "experiment": simulation.experiment,
        "question": "Which architecture is best for faces of 48 by 48 pixels within one million parameters?",
        "study": simulation.study,
        "space": ["plain_cnn", "inception"],
        "protocol": {
            "objective": "val_accuracy",
            "trials": simulation.explore,
            "seeds": simulation.seeds,
            "leaders": simulation.leaders,
            "epochs": simulation.epochs,
            "patience": 3,
            "hours": None,
            "max_parameters": 1_000_000,
            "max_macs": None,
            "leaks": "purge-train",
            "sampler": "tpe",
            "pruner": "median",
            "tau": 0.35,
            "margin": 0.01,
        },
        "recipe": {"optimizer": "adam", "learning_rate": 0.001, "batch_size": 128, "augmentation": "light"},
        "grid": [{"conv_stages": [2, 3, 4], "dense_layers": [1, 2]}] if simulation.grid else [],
        "baseline": {"family": "plain_cnn", "kernels": [64, 64, 128, 128], "neurons": [256, 256]},
        "published": list(simulation.published),
        "data": {
            "name": name,
            "synthetic": simulation.synthetic,
            "source": "synthetic" if simulation.synthetic else f"{name}.zip",
            "class_names": list(simulation.classes),
            "image_shape": [48, 48, 1],
            "counts": {"train": 8 * count, "validation": count, "test": count},
            "digest": "9b1f6c2d" * 8,
            "split_digest": "77aa01fe" * 8,
            "test_digest": "c0ffee12" * 8,
            "notes": ["3 images of mixed colour modes were converted to gray"],
            "audit": audit(simulation),
        },
        "precision": "float32",
        "threads": 1,
        "backend": "tensorflow",
        "command": f"candor search {simulation.experiment} --trials {simulation.explore}",
        "versions": {"python": "3.11.9", "keras": "3.15.1", "tensorflow": "2.21.0", "optuna": "5.0.0"},
    }


def write(folder: Path, *simulations: Simulation) -> str:
    """Write these studies under the folder; the tracking address."""
    folder.mkdir(parents=True, exist_ok=True)
    tracking_uri = f"sqlite:///{(folder / 'mlflow.db').absolute()}"
    writer = Writer(tracking_uri, (folder / "artifacts").absolute())
    for simulation in simulations or (Simulation(),):
        writer.write(simulation)
    return tracking_uri


def audit(simulation: Simulation) -> dict[str, Any]:
    """Counts of twins and leaks, as the audit of the data writes them."""
    count = simulation.images
    leak = {"images": count // 12, "exact": count // 13, "share": round(count // 12 / count, 6)}
    none = {"images": 0, "exact": 0, "share": 0.0}
    twins = {
        "groups": count // 6,
        "images": count // 3,
        "crossing_groups": count // 7,
        "conflicting_groups": count // 60,
        "conflicting_images": count // 28,
    }
    return {
        "policy": "purge-train",
        "purged": count // 7,
        "images": {"train": 8 * count, "validation": count, "test": count},
        "exact": twins,
        "twins": twins,
        "leaks": {"validation_in_train": leak, "test_in_train": leak, "test_in_validation": none},
        "classes": {
            role: {name: size // (index + 5) for index, name in enumerate(simulation.classes)}
            for role, size in (("train", 8 * count), ("validation", count), ("test", count))
        },
    }
