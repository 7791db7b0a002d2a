"""Candor against Keras Tuner, plain Optuna and Ray Tune: the same images, space, machine and time.

    python -m benchmarks.peers fer2013.zip [--images 6000] [--seconds 480] [--seeds 3] [--epochs 27]
    python -m benchmarks.peers fer2013.zip --parts      Candor with one of its parts switched off at a time
    ... --only Candor RandomSearch      those alone whose names have one of these words in them

Every contender (a file in `benchmarks/contenders`) starts as a process of its own, one after another, in
turns by seed. All train on the same images and choose by the same monitor images, as their own ways have
it; "best" is the highest monitor accuracy of any epoch so far. No search sees the images of the validation
split: the model that each would hand over is measured on them afterwards. What was run is kept in `--folder`
and not run again. The default takes two and a half hours on two cores, which nothing else should use.
Keras Tuner needs tensorboard; Ray Tune takes part where it is installed.
"""

import argparse
import json
import math
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contenders.job import BATCH_SIZE, Job, lines

CANDOR = "Candor"
#: name -> module, then its arguments
CONTENDERS: Mapping[str, tuple[str, ...]] = {
    CANDOR: ("candor_search",),
    "Keras Tuner, RandomSearch": ("keras_tuner_search", "random"),
    "Keras Tuner, BayesianOptimization": ("keras_tuner_search", "bayesian"),
    "Keras Tuner, Hyperband": ("keras_tuner_search", "hyperband"),
    "Optuna with MLflow's autologger": ("optuna_search",),
    "Ray Tune, OptunaSearch with ASHA": ("ray_search",),
}
#: what is switched off -> Candor's options
PARTS: Mapping[str, tuple[str, ...]] = {
    "nothing": (),
    "bfloat16": ("--set", "protocol.precision=float32"),
    "two children (one with two threads)": ("--workers", "1", "--set", "protocol.threads=2"),
    "fused augmentation (Keras' layers)": (
        *("--set", "space=benchmarks.contenders.network:augmented"),
        *("--set", "recipe.augmentation=none"),
    ),
    "ramp of augmentation": ("--set", "recipe.augmentation_ramp=0"),
    "pruning": ("--set", "protocol.pruner=none"),
    "early stopping": ("--set", "protocol.patience=1000"),
    "TPE (random draws)": ("--set", "protocol.sampler=random"),
}
#: what no setting switches off -> its name in `contenders.without`
TAKEN_OUT: Mapping[str, str] = {
    "fork server (Keras imported by each child)": "fork_server",
    "refusal of repeats": "refusal_of_repeats",
}
_PATIENCE = 120  # seconds to end in order


@dataclass(frozen=True)
class Run:
    """One search, as its diary tells it: seconds since its start, best score by then."""

    contender: str
    seed: int
    seconds: float
    curve: tuple[tuple[float, float], ...]
    images: int
    networks: int
    judged: float

    @property
    def best(self) -> float:
        """The best score at the end."""
        return self.curve[-1][1] if self.curve else 0.0

    @property
    def area(self) -> float:
        """Mean over the time of the best score so far; 0 before the first."""
        ends = [at for at, _ in self.curve[1:]] + [self.seconds]
        pairs = zip(self.curve, ends, strict=True) if self.curve else ()
        return sum(best * (end - at) for (at, best), end in pairs) / self.seconds

    def until(self, score: float) -> float:
        """Seconds until it was as good as `score`; infinite if never."""
        return next((at for at, best in self.curve if best >= score), math.inf)


def prepared(data: str, images: int, folder: Path) -> tuple[Path, Path]:
    """The images twice: as Candor reads them, and as every peer gets them (its own train and monitor)."""
    from search.datasets.prepare import prepare
    from search.datasets.splits import carve, subset

    source, parted = folder / "images.npz", folder / "parted.npz"
    if not parted.exists():
        whole = prepare(data, folder / "cache")
        train, validation = whole.train(), whole.validation()
        rows = subset(train.labels.astype(str).tolist(), train.ids.tolist(), images, 0)
        np.savez(
            source,
            x_train=train.images[rows],
            y_train=train.labels[rows],
            x_validation=validation.images,
            y_validation=validation.labels,
        )
        part = prepare(str(source), folder / "cache").train()
        rest, monitor = carve(part.labels, part.groups, 0.2, 0, part.ids)
        np.savez(
            parted,
            x_train=part.images[rest],
            y_train=part.labels[rest],
            x_monitor=part.images[monitor],
            y_monitor=part.labels[monitor],
        )
    return source, parted


def search(contender: str, seed: int, asked: argparse.Namespace, images: tuple[Path, Path]) -> Run:
    """Let one search run for its time, unless it has run before."""
    slug = "".join(letter if letter.isalnum() else "_" for letter in contender.lower())
    folder = asked.folder / f"{slug}-{seed}"
    told = folder / "run.json"
    if not told.exists():
        shutil.rmtree(folder, ignore_errors=True)  # what was interrupted begins anew
        folder.mkdir(parents=True)
        options = PARTS.get(contender, ())
        without = TAKEN_OUT.get(contender, "")
        job = Job(str(images[1]), str(images[0]), str(folder), seed, asked.epochs, options, without)
        module, *arguments = CONTENDERS[CANDOR if asked.parts else contender]
        command = [sys.executable, "-m", f"benchmarks.contenders.{module}", *arguments, str(job.write())]
        began = time.time()
        with (folder / "log.txt").open("w") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, cwd=folder, env=_quiet()
            )
            try:
                process.wait(asked.seconds)
                raise SystemExit(f"{contender} ended by itself: {folder / 'log.txt'}")
            except subprocess.TimeoutExpired:
                _end(process)
        if not lines(job.diary):  # how it ended says nothing: each takes being stopped in its own way
            raise SystemExit(f"{contender} finished no epoch: {folder / 'log.txt'}")
        fields = {"contender": contender, "seed": seed, "seconds": asked.seconds}
        told.write_text(json.dumps({**fields, **_summary(job, began, asked.seconds)}))
    table = json.loads(told.read_text())
    return Run(**{**table, "curve": tuple(map(tuple, table["curve"]))})


def _quiet() -> dict[str, str]:
    here = str(Path(__file__).parents[1])
    path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": path}


def _end(process: subprocess.Popen[Any]) -> None:
    """In order, and if that takes too long, at once; with all that it started."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _summary(job: Job, began: float, seconds: float) -> dict[str, Any]:
    told = [line for line in lines(job.diary) if line["at"] <= began + seconds]
    curve: list[tuple[float, float]] = []
    for line in told:
        if not curve or line["score"] > curve[-1][1]:
            curve.append((line["at"] - began, line["score"]))
    return {
        "curve": curve,
        "images": sum(line["images"] for line in told),
        "networks": len({line["trial"] for line in told}),
        "judged": _judged(job) if job.best.exists() else math.nan,
    }


def _judged(job: Job) -> float:
    """Accuracy of the best model on the images that no search saw, measured in a process of its own."""
    judge = (
        "import keras, numpy, sys; model = keras.saving.load_model(sys.argv[1], compile=False)\n"
        "held = numpy.load(sys.argv[2], allow_pickle=False)\n"
        "answers = model.predict(held['x_validation'], batch_size=256, verbose=0).argmax(1)\n"
        "print((answers == held['y_validation']).mean())"
    )
    command = [sys.executable, "-c", judge, str(job.best), job.source]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=_quiet())
    return float(done.stdout.split()[-1])


def table(runs: Sequence[Run]) -> Iterator[str]:
    """Means and standard deviations over seeds, then the comparison with the best peer of each seed."""
    yield "| search | images/s | networks | best on monitor | model on validation | area under the curve |"
    yield "|---|---:|---:|---:|---:|---:|"
    for contender in dict.fromkeys(run.contender for run in runs):
        own = [run for run in runs if run.contender == contender]
        cells = (
            f"{statistics.mean(run.images / run.seconds for run in own):.0f}",
            f"{statistics.mean(run.networks for run in own):.1f}",
            _spread([run.best for run in own]),
            _spread([run.judged for run in own]),
            _spread([run.area for run in own]),
        )
        yield f"| {contender} | {' | '.join(cells)} |"


def _spread(values: Sequence[float]) -> str:
    """Of a model that was not ready in time there is nothing to measure: then of how many of the searches."""
    there = [value for value in values if value == value]
    if not there:
        return "none"
    if len(there) < len(values):
        return f"{_spread(there)} ({len(there)} of {len(values)})"
    deviation = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{deviation}"


def against_peers(runs: Sequence[Run]) -> Iterator[str]:
    """How soon Candor has what the best peer ends with, seed by seed."""
    yield "\n| seed | best peer | its best | it took | Candor took | share | of the whole time |"
    yield "|---|---|---:|---:|---:|---:|---:|"
    shares, whole = [], []
    for ours in (run for run in runs if run.contender == CANDOR):
        peer = max((r for r in runs if r.seed == ours.seed and r is not ours), key=lambda run: run.best)
        took, needed = peer.until(peer.best), ours.until(peer.best)
        shares.append(needed / took)
        whole.append(needed / ours.seconds)
        cells = (peer.contender, f"{peer.best:.3f}", f"{took:.0f} s", f"{needed:.0f} s")
        yield f"| {ours.seed} | {' | '.join(cells)} | {shares[-1]:.2f} | {whole[-1]:.2f} |"
    if all(map(math.isfinite, shares)):
        mean = statistics.geometric_mean
        yield f"| geometric mean | | | | | {mean(shares):.2f} | {mean(whole):.2f} |"


def main() -> None:
    """Run what has not been run; print the conditions and the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="?", default="fer2013.zip")
    parser.add_argument("--images", type=int, default=6000, help="training images, before the monitor split")
    parser.add_argument("--seconds", type=float, default=480, help="for each search")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=27, help="of one network, at most")
    parser.add_argument("--folder", type=Path, default=Path("runs/peers"))
    parser.add_argument("--parts", action="store_true", help="Candor alone, a part switched off at a time")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="searches with one of these in their names")
    asked = parser.parse_args()
    asked.folder = asked.folder.absolute() / ("parts" if asked.parts else "peers")
    asked.folder.mkdir(parents=True, exist_ok=True)
    images = prepared(asked.data, asked.images, asked.folder)
    names = [*PARTS, *TAKEN_OUT] if asked.parts else list(CONTENDERS)
    if not asked.parts and find_spec("ray") is None:
        names = [name for name in names if not name.startswith("Ray")]
    if asked.only:
        names = [name for name in names if any(word in name for word in asked.only)]
    runs = []
    for seed in range(asked.seeds):
        for name in names[seed % len(names) :] + names[: seed % len(names)]:  # no one is always first
            print(f"seed {seed}: {name} ...", file=sys.stderr, flush=True)
            runs.append(search(name, seed, asked, images))
    runs.sort(key=lambda run: names.index(run.contender))
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}. "
        f"{asked.images:,} images before purging, batches of {BATCH_SIZE}, at most {asked.epochs} epochs "
        f"a network, {asked.seconds:.0f} s a search, {asked.seeds} seeds; "
        "± is the standard deviation over them.\n"
    )
    print("\n".join(table(runs)))
    if CANDOR in names and len(names) > 1:
        print("\n".join(against_peers(runs)))


if __name__ == "__main__":
    main()
