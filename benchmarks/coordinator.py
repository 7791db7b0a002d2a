"""What the coordinator costs: its memory over many trials, asking, starting children, wall time.

    python -m benchmarks.coordinator [--trials 200] [--finished 2000]
    python -m benchmarks.coordinator --trials 1000 --finished 2000 10000      (about ten minutes)

Aims: memory flat, under 500 MB after 200 evaluations, no descriptor more than at the start; asking for
a trial and drawing ten parameters under 0.2 s at 2,000 finished ones; a child ready to build within 0.1 s; at
most 3% of the wall time of evaluations of ten seconds. Children are stand-ins, but where it says Keras.
Measured: see docs/execution.md.
"""

import argparse
import statistics
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import optuna
from optuna.trial import TrialState, create_trial

from search.datasets.prepare import prepare
from search.execution.fork_client import ForkServer
from search.execution.messages import (
    Built,
    Decision,
    Epoch,
    EvaluationResult,
    Suggest,
    Task,
    receive,
    send,
)
from search.study.optuna.storage import open_storage
from search.study.stages.evaluation import ActiveEvaluation
from search.study.stages.explore import Explore
from search.tracking import names
from search.workspace import Workspace
from spaces.domains import Real
from tests.support.processes.tasks import small_task
from tests.support.studies import small_study

QUICK = True
DRAWS = 10
RATE = Real(0.0, 1.0, default=0.5)


class Gauge:
    """An observer that notes memory and open descriptors of this process as evaluations end."""

    def __init__(self) -> None:
        self.samples: list[tuple[float, int]] = []  # MB resident, descriptors
        self._lock = threading.Lock()

    def begun(self, evaluation: ActiveEvaluation) -> None:
        """Nothing to note."""

    def built(self, evaluation: ActiveEvaluation) -> None:
        """Nothing to note."""

    def epoch(self, evaluation: ActiveEvaluation, message: Epoch) -> None:
        """Nothing to note."""

    def ended(self, evaluation: ActiveEvaluation, result: EvaluationResult) -> None:
        """Look."""
        status = Path("/proc/self/status").read_text().splitlines()
        resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1000
        with self._lock:
            self.samples.append((resident, len(list(Path("/proc/self/fd").iterdir()))))


def memory(folder: Path, trials: int) -> None:
    """Explore so many trials of two epochs and ten draws, with storage, spool and MLflow, in this process."""
    gauge, began = Gauge(), time.perf_counter()
    setting = replace(
        small_study.config(trials=trials, leaders=1, seeds=1, pruner="none"),
        fix={"draws": DRAWS, "seconds": 0.0},
    )
    small_study.run(Workspace.at(folder), setting, 2, observers=[gauge], say=lambda text: None)
    print(
        f"\n{trials} trials in {time.perf_counter() - began:.0f} s, two workers\n\ntrial   MB   descriptors"
    )
    for place in sorted({20, 100, 200, *range(250, trials + 1, 250)} & set(range(len(gauge.samples) + 1))):
        resident, descriptors = gauge.samples[place - 1]
        print(f"{place:5}  {resident:4.0f}  {descriptors}")


def asking(folder: Path, finished: int) -> None:
    """Claim a trial and draw ten parameters after so many finished ones: the first time and later."""
    setting = small_study.config(trials=finished + 100, pruner="none")
    storage = open_storage(f"sqlite:///{folder / f'{finished}.db'}")
    stage = Explore(setting, storage, folder, "asking/explore")
    _fill(stage, finished)
    seconds = [_ask_once(stage, finished + n) for n in range(8)]
    print(f"{finished:6} finished: first {seconds[0]:.2f} s, then {statistics.median(seconds[1:]):.3f} s")
    storage.close()


def _fill(stage: Explore, finished: int) -> None:
    sampler = optuna.samplers.RandomSampler(seed=1)
    random = optuna.create_study(sampler=sampler)
    for n in range(finished):
        drawn = random.ask({f"x{k}": optuna.distributions.FloatDistribution(0, 1) for k in range(DRAWS)})
        attributes = {
            "slot": n,
            "seed": 0,
            "key": f"s/explore/{n}/0",
            "state": names.COMPLETE,
            "fingerprint": str(n),
        }
        stage.study.add_trial(
            create_trial(
                params=drawn.params,
                distributions=drawn.distributions,
                value=sum((x - 0.3) ** 2 for x in drawn.params.values()),
                user_attrs=attributes,
                state=TrialState.COMPLETE,
            )
        )


def _ask_once(stage: Explore, number: int) -> float:
    began = time.perf_counter()
    evaluation = stage.claim(0)
    assert isinstance(evaluation, ActiveEvaluation)
    for k in range(DRAWS):
        stage.suggest(evaluation, f"x{k}", RATE)
    seconds = time.perf_counter() - began
    built = Built("plain_cnn", "", "", {}, {}, {}, f"new {number}", f"new {number}", 1, 1)
    assert stage.built(evaluation, built) == Decision.CONTINUE
    stage.finish(evaluation, EvaluationResult(names.COMPLETE, score=0.5))
    return seconds


def starting(folder: Path) -> None:
    """From asking for a child with Keras to its first question, which it has before it builds anything."""
    data = prepare("synthetic:train=200,validation=100,test=60", folder, say=lambda text: None)
    server = ForkServer(folder / "children.log")
    server.start()
    assert server.wait_until_ready(240)
    seconds = []
    for n in range(12):
        began = time.perf_counter()
        child = server.fork()
        send(child.pipe, _probe(str(data.folder), str(folder), n))
        assert isinstance(receive(child.pipe), Suggest)
        seconds.append(time.perf_counter() - began)
        child.end()
    server.close()
    median = statistics.median(seconds)
    print(f"\na child with Keras asks its first question after {median:.3f} s (median of {len(seconds)})")


def _probe(dataset: str, folder: str, seed: int) -> Task:
    return small_task(key=str(seed), seed=seed, dataset=dataset, folder=folder, describe_only=True)


def overhead(folder: Path, evaluations: int = 6, seconds: float = 10.0) -> None:
    """The share of a stage's wall time that is not evaluation, on two workers."""
    cells = [{"cell": n, "epochs": 5, "seconds": seconds / 5} for n in range(evaluations)]
    ended: list[float] = []

    class Clock(Gauge):
        def begun(self, evaluation: ActiveEvaluation) -> None:
            ended.append(time.perf_counter())

        def ended(self, evaluation: ActiveEvaluation, result: EvaluationResult) -> None:
            ended.append(time.perf_counter())

    setting = small_study.config(cells, seeds=1)
    small_study.run(Workspace.at(folder), setting, 2, observers=[Clock()], say=lambda text: None)
    wall, ideal = ended[-1] - ended[0], seconds * evaluations / 2
    share = 100 * (1 - ideal / wall)
    print(f"{evaluations} evaluations of {seconds:g} s on 2 workers: {wall:.2f} s, {share:.1f}% overhead")


def main() -> None:
    """Print the numbers."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--trials", type=int, default=200, help="0: only ask")
    arguments.add_argument("--finished", type=int, nargs="*", default=[2000])
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="candor-coordinator-", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        if options.trials:
            starting(folder / "starting")
            overhead(folder / "overhead")
            memory(folder / "memory", options.trials)
        print("\nasking for a trial and drawing ten parameters")
        for finished in options.finished:
            asking(folder, finished)


if __name__ == "__main__":
    main()
