"""How many threads a child gets: what does the most work on this machine's cores, measured.

Children of one thread each are nearly always the fastest; so they are kept unless something else is clearly
faster: the number is a part of what a study is, and must not hang on the noise of a few seconds.
"""

import contextlib
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import replace

from search.execution.fork_client import Child, ForkServer
from search.execution.messages import (
    Built,
    Decision,
    Epoch,
    Suggest,
    Task,
    answer,
    receive,
    send,
)
from search.study.planning.config import StudyConfig
from search.study.stages.explore import cell_fields
from spaces.domains import domain_from_dict

#: So much faster than children of one thread must others be.
_CLEARLY = 1.25
_MEASURED_SECONDS = 1.0
_PATIENCE_SECONDS = 90.0  # for every child's first epoch, which traces
_SAMPLE = 256  # images an epoch
#: With fewer images than that, an evaluation is mostly building and tracing: there is nothing to measure.
WORTHWHILE = 4 * _SAMPLE


def arrangements(cores: int) -> tuple[tuple[int, int], ...]:
    """The (children, threads) to compare: all cores busy, none with two threads."""
    return tuple((cores // threads, threads) for threads in (1, 2, 4) if cores % threads == 0)


def benchmark_threads(
    server: ForkServer,
    config: StudyConfig,
    cores: int,
    *,
    seconds: float = _MEASURED_SECONDS,
    images: int = _SAMPLE,
) -> Mapping[tuple[int, int], float]:
    """Measure the training speed of every arrangement of children and threads.

    It trains the baseline, else the first cell, else what the space draws at its defaults.

    Args:
        server: Forks the children.
        config: The study.
        cores: The number of cores to share.
        seconds: How long each arrangement is measured, after its first epoch.
        images: The number of images of an epoch.

    Returns:
        Images per second by (children, threads of each); 0.0 where it could not be measured.
    """
    cell = config.baseline or next(iter(config.cells), None)
    own = {"fix": {**config.fix, "family": config.space[0]}} if not isinstance(config.space, str) else {}
    own = cell_fields(config, cell) if cell is not None else own
    with tempfile.TemporaryDirectory(prefix="candor-calibration-") as folder:
        task = config.task(key="calibration", seed=0, folder=folder, **own)
        probe = replace(task, epochs=10**6, patience=10**6, sample=images)
        return {
            (children, threads): _Race(server, replace(probe, threads=threads), children, seconds).speed()
            for children, threads in arrangements(cores)
        }


def best_threads(speeds: Mapping[tuple[int, int], float]) -> int:
    """Threads of each child in the fastest arrangement; one, if nothing is clearly faster."""
    single = next(speed for (_, threads), speed in speeds.items() if threads == 1)
    (_, threads), fastest = max(speeds.items(), key=lambda entry: entry[1])
    return threads if fastest > _CLEARLY * single else 1


class _Race:
    """So many children that train at once, from the moment that each has done an epoch."""

    def __init__(self, server: ForkServer, task: Task, children: int, seconds: float) -> None:
        self._task = task
        self._seconds = seconds
        self._warm = threading.Barrier(children)
        self._speeds: list[float] = []
        self._threads = [
            threading.Thread(target=self._follow, args=(server.fork(), n), daemon=True)
            for n in range(children)
        ]

    def speed(self) -> float:
        """Images per second of all together; 0.0 where one of them failed."""
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            thread.join()
        return sum(self._speeds) if len(self._speeds) == len(self._threads) else 0.0

    def _follow(self, child: Child, number: int) -> None:
        folder = f"{self._task.folder}/{self._task.threads}-{number}"  # of its own: for its checkpoint
        try:
            # A candidate that cannot be trained is the study's affair, later: here it has no speed.
            with contextlib.suppress(EOFError, OSError, threading.BrokenBarrierError):
                send(child.pipe, replace(self._task, folder=folder))
                self._measure(child)
        finally:
            self._warm.abort()  # who is done, or gone, is waited for by nobody
            child.end()

    def _measure(self, child: Child) -> None:
        end, epochs, images, busy = 0.0, 0, 0, 0.0
        while child.pipe.poll(_PATIENCE_SECONDS):
            match receive(child.pipe):
                case Suggest(_, domain):
                    default = domain_from_dict(domain).default
                    assert default is not None  # noqa: S101  whoever declares a hyperparameter gives one
                    answer(child.pipe, default)
                case Built():
                    answer(child.pipe, Decision.CONTINUE)
                case Epoch(epochs, metrics):
                    if epochs == 1:
                        self._warm.wait(_PATIENCE_SECONDS)
                        end = time.monotonic() + self._seconds
                    else:
                        images += self._task.sample or 0
                        busy += metrics["epoch_seconds"]
                    if epochs > 1 and time.monotonic() > end:
                        self._speeds.append(images / busy)
                        return
                    answer(child.pipe, Decision.CONTINUE)
                case _:
                    return
