"""Writes a simulated study into a real MLflow store, exactly as docs/mlflow.md says a study is written."""

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from search.tracking import names
from search.training.measures.worst_images import worst_rows, write_gallery
from tests.support.studies import simulated
from tests.support.studies.simulated import START, Candidate, Images, Simulation
from tests.support.studies.stores import new_store

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

DATA, SPLITS, TEST, VERDICT = "9b1f6c2d" * 4, "77aa01fe" * 4, "c0ffee12" * 4, "5d41402abc4b"
STATUS = {names.COMPLETE: "FINISHED", names.DUPLICATE: "FINISHED", names.PRUNED: "KILLED"}
#: How some trials of explore end; all others complete.
ENDINGS = {
    3: (names.PRUNED, "stopped at epoch 4: below the median of its rivals"),
    5: (names.INFEASIBLE, "1,240,000 parameters, 1.24 times the budget of 1,000,000"),
    7: (names.DUPLICATE, "the same candidate as trial 2"),
    9: (names.PRUNED, "stopped at epoch 4: below the median of its rivals"),
    11: (names.DIVERGED, "the loss became NaN in epoch 2"),
    13: (names.FAILED, "out of memory: 2,010 MiB of 1,500 allowed"),
}
UNTRAINED = (names.INFEASIBLE, names.DUPLICATE, names.FAILED, names.RUNNING)


def write(folder: Path, *simulations: Simulation) -> str:
    """Write these studies (one finished study, if none is given) under the folder; the tracking address."""
    from mlflow.tracking import MlflowClient

    tracking_uri = new_store(folder)
    client = MlflowClient(tracking_uri)
    for simulation in simulations or (Simulation(),):
        StudyWriter(client, folder.absolute() / "artifacts", simulation).write()
    return tracking_uri


class StudyWriter:
    """Writes one simulation through MLflow's own client."""

    def __init__(self, client: Any, artifacts: Path, simulation: Simulation) -> None:
        self.client = client
        self.artifacts = artifacts
        self.simulation = simulation
        self.experiment = self._experiment(simulation.experiment)
        self.parent = self._parent()

    def write(self) -> None:
        """The study's evaluations, and their end."""
        cast = simulated.candidates(self.simulation)
        grid = self.simulation.grid
        for slot, candidate in enumerate(() if grid else cast):
            self._explore(slot, candidate)
        if self.simulation.confirm:
            ran = [each for slot, each in enumerate(cast) if grid or slot not in ENDINGS]
            ranked = sorted((each for each in ran if not each.baseline), key=lambda each: -each.skill)
            leaders = ranked if grid else ranked[: self.simulation.leaders]
            self._confirm([*leaders, *(each for each in ran if each.baseline)])
        if not self.simulation.running:
            self.client.set_terminated(self.parent, "FINISHED", end_time=self.simulation.started + 3_600_000)

    def _experiment(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        location = (self.artifacts / name).as_uri()
        return str(self.client.create_experiment(name, artifact_location=location))

    def _parent(self) -> str:
        simulation, about = self.simulation, study_json(self.simulation)
        tags = {
            names.KIND: names.STUDY_KIND,
            names.STUDY: simulation.study,
            names.EXPERIMENT: simulation.experiment,
            names.LOOKS: str(simulation.looks),
            names.DATA_DIGEST: DATA,
            names.SPLIT_DIGEST: SPLITS,
            names.TEST_DIGEST: TEST,
            names.GIT_COMMIT: "0123456789abcdef" * 2,
            names.GIT_DIRTY: "false",
            names.VERSIONS: json.dumps(about["versions"]),
        }
        name = f"study {simulation.study}"
        run = self.client.create_run(self.experiment, simulation.started, tags, name).info.run_id
        self._file(run, names.STUDY_JSON, json.dumps(about, indent=1).encode())
        self._file(run, names.AUDIT_HTML, b"<!doctype html><title>Data audit</title>")
        if self.simulation.unsealed:
            self._file(run, names.EXPLANATIONS_PNG, _sheet())
        self._file(run, f"{names.AUDIT}/audit.json", json.dumps(about["data"]["audit"], indent=1).encode())
        return str(run)

    def _explore(self, slot: int, candidate: Candidate) -> None:
        state, reason = ENDINGS.get(slot, (names.COMPLETE, ""))
        if self.simulation.running and slot == self.simulation.explore - 1:
            state = names.RUNNING
        run = self._run(candidate, names.EXPLORE, slot, 0, state, reason)
        size = {names.PARAMETERS: candidate.parameters, names.MACS: 40.0 * candidate.parameters}
        if state in UNTRAINED:
            return self._end(run, size, [], state)
        shown = self._images("monitor")
        shares = simulated.probabilities(candidate, shown, len(self.simulation.classes), 0)
        metrics, curve = self._measured(candidate, shown, shares, 0, names.MONITOR_FINAL)
        if state != names.COMPLETE:
            metrics = {**size, names.SECONDS: metrics[names.SECONDS]}
            curve = curve[: max(2, self.simulation.epochs // 3)]
        return self._end(run, metrics, curve, state)

    def _confirm(self, chosen: Sequence[Candidate]) -> None:
        lost = self.simulation.without_predictions
        last = (len(chosen) - 1, self.simulation.seeds)
        for rank, candidate in enumerate(chosen):
            for seed in range(1, self.simulation.seeds + 1):
                if self.simulation.running and (rank, seed) == last:
                    self._run(candidate, names.CONFIRM, rank, seed, names.RUNNING, "")
                    continue
                self._confirmed(rank, seed, candidate, lost > 0)
                lost -= 1
                if self.simulation.unsealed and rank < 2:
                    self._unseal(rank, seed, candidate)

    def _confirmed(self, rank: int, seed: int, candidate: Candidate, lost: bool) -> None:
        run = self._run(candidate, names.CONFIRM, rank, seed, names.COMPLETE, "")
        shown = self._images("validation")
        shares = simulated.probabilities(candidate, shown, len(self.simulation.classes), seed)
        metrics, curve = self._measured(candidate, shown, shares, seed, names.VAL)
        metrics |= {
            names.MONITOR_FINAL + name: metrics[names.VAL + name] + (0.012 if name != "loss" else -0.03)
            for name in ("accuracy", "loss", "macro_f1")
        }
        if not lost:
            self._predictions(run, shown, shares)
            self._show(run, candidate, shown, shares)
        self._end(run, metrics, curve, names.COMPLETE)

    def _unseal(self, rank: int, seed: int, candidate: Candidate) -> None:
        run = self._run(candidate, names.CONFIRM, rank, seed, names.COMPLETE, "")
        key = f"{self.simulation.study}/{names.CONFIRM}/{rank}/{seed}/test/{VERDICT}"
        kind = {names.KIND: names.UNSEALING_KIND, names.KEY: key}
        for name, value in {**kind, names.VERDICT_HASH: VERDICT, names.TEST_DIGEST: TEST}.items():
            self.client.set_tag(run, name, value)
        shown = self._images("test")
        shares = simulated.probabilities(candidate, shown, len(self.simulation.classes), seed)
        self._predictions(run, shown, shares)
        found = simulated.scores(shown.labels, shares)
        self._end(run, {names.TEST + name: value for name, value in found.items()}, [], names.COMPLETE)

    def _images(self, split: str) -> Images:
        return simulated.images(self.simulation, split)

    def _measured(
        self, candidate: Candidate, shown: Images, shares: NDArray[np.float32], seed: int, prefix: str
    ) -> tuple[dict[str, float], list[dict[str, float]]]:
        """Final metrics and curves of one evaluation."""
        generator = np.random.default_rng((candidate.number, seed, 3))
        found = simulated.scores(shown.labels, shares)
        longest = self.simulation.epochs
        best = longest * (0.9 - 0.5 * candidate.overfit) + float(generator.normal())
        best_epoch = int(np.clip(best, 2, longest))
        epochs = min(longest, best_epoch + 3)
        train = min(0.995, found["accuracy"] + (1 - found["accuracy"]) * candidate.overfit)
        metrics = {prefix + name: value for name, value in found.items()}
        metrics |= {
            names.TRAIN_CLEAN + "accuracy": train,
            names.TRAIN_CLEAN + "loss": found["loss"] * (1 - candidate.overfit),
            names.GAP_ACCURACY: train - found["accuracy"],
            names.GAP_LOSS: found["loss"] * candidate.overfit,
            names.RELATIVE_OVERFIT: candidate.overfit + float(generator.normal(0, 0.02)),
            names.OVERFIT_SLOPE: 0.01 * candidate.overfit,
            names.ECE: simulated.calibration_error(shown.labels, shares),
            names.BEST_EPOCH: best_epoch,
            names.EPOCHS: epochs,
            names.PARAMETERS: candidate.parameters,
            names.MACS: 40.0 * candidate.parameters,
            names.SECONDS: 30 + candidate.parameters / 40_000 + float(generator.uniform(0, 3)),
            names.IMAGES_PER_SECOND: 900.0,
            names.PEAK_RSS_MIB: 610.0,
        }
        return metrics, simulated.history(candidate, found["accuracy"] + 0.01, epochs, best_epoch, seed)

    def _run(self, candidate: Candidate, stage: str, trial: int, seed: int, state: str, reason: str) -> str:
        simulation = self.simulation
        tags = {
            "mlflow.parentRunId": self.parent,
            names.KIND: names.EVALUATION_KIND,
            names.STUDY: simulation.study,
            names.EXPERIMENT: simulation.experiment,
            names.KEY: f"{simulation.study}/{stage}/{trial}/{seed}",
            names.TRIAL: str(trial),
            names.SEED: str(seed),
            names.STAGE: stage,
            names.STATE: state,
            names.CANDIDATE: candidate.identity,
            names.ARCHITECTURE: candidate.fingerprint,
            names.FAMILY: candidate.family,
            names.VARIANT: candidate.variant,
            names.LABEL: candidate.label,
            **({names.REASON: reason} if reason else {}),
            **({names.BASELINE: "true"} if candidate.baseline else {}),
        }
        started = simulation.started + 1000 * (trial + 1) + 100_000 * seed
        name = f"{candidate.label}, {stage} {trial}, seed {seed}"
        run = self.client.create_run(self.experiment, started, tags, name).info.run_id
        self._log(run, params=settings(candidate, trial, seed))
        return str(run)

    def _end(
        self, run: str, metrics: Mapping[str, float], curve: Sequence[Mapping[str, float]], state: str
    ) -> None:
        self._log(run, metrics, curve=curve)
        if curve:
            text = io.StringIO()
            writer = csv.DictWriter(text, ["epoch", *names.EPOCH_METRICS])
            writer.writeheader()
            writer.writerows({"epoch": epoch, **row} for epoch, row in enumerate(curve, 1))
            self._file(run, names.HISTORY_CSV, text.getvalue().encode())
        if state != names.RUNNING:
            end = self.simulation.started + 900_000
            self.client.set_terminated(run, STATUS.get(state, "FAILED"), end_time=end)

    def _log(
        self,
        run: str,
        metrics: Mapping[str, float] | None = None,
        params: Mapping[str, Any] | None = None,
        curve: Sequence[Mapping[str, float]] = (),
    ) -> None:
        from mlflow.entities import Metric, Param

        points = [Metric(key, float(value), START, 0) for key, value in (metrics or {}).items()]
        for epoch, row in enumerate(curve, 1):
            points += [Metric(key, value, START + epoch, epoch) for key, value in row.items()]
        self.client.log_batch(run, points, [Param(key, str(value)) for key, value in (params or {}).items()])

    def _predictions(self, run: str, shown: Images, shares: NDArray[np.float32]) -> None:
        buffer = io.BytesIO()
        arrays = {**vars(shown), "probabilities": shares}
        del arrays["difficulty"]
        np.savez_compressed(buffer, **arrays)
        self._file(run, names.PREDICTIONS_NPZ, buffer.getvalue())

    def _show(self, run: str, candidate: Candidate, shown: Images, shares: NDArray[np.float32]) -> None:
        """What people look at: the network's layers, and the images that it gets most wrong."""
        layers = simulated.layers(candidate, len(self.simulation.classes))
        self._file(run, names.LAYERS_JSON, json.dumps(layers).encode())
        chosen = worst_rows(shown.labels, shares)
        path = self.artifacts / names.GALLERY_PNG
        pixels = simulated.pictures(shown.labels[chosen], shown.difficulty[chosen])
        write_gallery(path, pixels, shown.ids[chosen])
        self.client.log_artifact(run, str(path))
        path.unlink()

    def _file(self, run: str, path: str, content: bytes) -> None:
        folder, _, name = path.rpartition("/")
        temporary = self.artifacts / name
        temporary.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        self.client.log_artifact(run, str(temporary), folder or None)
        temporary.unlink()


def settings(candidate: Candidate, trial: int, seed: int) -> dict[str, Any]:
    """The parameters of an evaluation's run."""
    arch = {
        "conv_stages": len(candidate.kernels),
        "kernels": "-".join(map(str, candidate.kernels)),
        "dense_layers": len(candidate.neurons),
        "neurons": "-".join(map(str, candidate.neurons)),
    }
    recipe = {"optimizer": "adam", "learning_rate": 0.001, "batch_size": 128, **candidate.recipe}
    return {
        **{names.ARCH + key: value for key, value in arch.items()},
        **{names.RECIPE + key: value for key, value in recipe.items()},
        names.PARAM_TRIAL: trial,
        names.PARAM_SEED: seed,
        names.PARAM_PRECISION: "float32",
        names.PARAM_THREADS: 1,
    }


def study_json(simulation: Simulation) -> dict[str, Any]:
    """The study's own account of what it is."""
    name = "synthetic faces" if simulation.synthetic else "fer2013"
    count = simulation.images
    return {
        "experiment": simulation.experiment,
        "question": "Which architecture is best for faces of 48 by 48 pixels within one million parameters?",
        "study": simulation.study,
        "space": ["plain_cnn", "inception"],
        "protocol": {
            "objective": simulation.objective,
            "trials": simulation.explore,
            "seeds": simulation.seeds,
            "leaders": simulation.leaders,
            "epochs": simulation.epochs,
            "patience": 3,
            "max_parameters": 1_000_000,
            "leaks": "purge-train",
            "sampler": "tpe",
            "sampler_options": {},
            "pruner": "median",
            "tau": 0.35,
            "margin": 0.01,
        },
        "recipe": {"optimizer": "adam", "learning_rate": 0.001, "batch_size": 128, "augmentation": "light"},
        "grid": [{"conv_stages": [2, 3, 4], "dense_layers": [1, 2]}] if simulation.grid else [],
        "baseline": {"conv_stages": 4},
        "published": list(simulation.published),
        "data": {
            "name": name,
            "source": "synthetic" if simulation.synthetic else f"{name}.zip",
            "synthetic": simulation.synthetic,
            "class_names": list(simulation.classes),
            "image_shape": [48, 48, 1],
            "counts": {"train": 8 * count, "validation": count, "test": count},
            "digest": DATA,
            "split_digest": SPLITS,
            "test_digest": TEST,
            "notes": ["3 images of mixed colour modes were converted to gray."],
            "audit": audit(simulation),
        },
        "precision": "float32",
        "threads": 1,
        "backend": "tensorflow",
        "command": f"candor search {simulation.experiment} --trials {simulation.explore}",
        "versions": {"python": "3.11.9", "keras": "3.15.1", "tensorflow": "2.21.0", "optuna": "5.0.0"},
    }


def audit(simulation: Simulation) -> dict[str, Any]:
    """Counts of twins and leaks, as the audit of the data writes them."""
    count = simulation.images
    leak = {"images": count // 12, "exact": count // 13, "share": round(count // 12 / count, 6)}
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
        "leaks": {
            "validation_in_train": leak,
            "test_in_train": leak,
            "test_in_validation": {"images": 0, "exact": 0, "share": 0.0},
        },
    }


def _sheet() -> bytes:
    """A picture as `candor explain` keeps one."""
    buffer = io.BytesIO()
    Image.fromarray(np.arange(120 * 90 * 3, dtype=np.uint64).reshape(90, 120, 3).astype(np.uint8)).save(
        buffer, "PNG"
    )
    return buffer.getvalue()
