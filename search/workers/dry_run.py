"""What a study would be, before it is one: its candidates, whether its names are known, how long it takes.

Children build some candidates and train three of them for a moment. Nothing is kept.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from difflib import get_close_matches
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from search.execution.fork_client import ForkServer
from search.execution.messages import Built, Task, Value
from search.study.planning.config import StudyConfig
from search.study.stages.explore import cell_fields
from search.training.recipe import TEST_TIME_VIEWS
from search.workers.probe import Probed, probe
from spaces.domains import Categorical, Domain, Integer
from spaces.errors import UserError

#: So many candidates are drawn to see what a space is like.
DRAWS = 8
#: So many draws may leave a name unused that only some candidates have; then it counts as misspelt.
_DRAWS_FOR_A_NAME = 16
#: A calibration trains twice on so many multiply-adds' worth of images: a few seconds on two cores.
_SAMPLE_MACS = 2e10
_MOST_IMAGES = 2048
#: Seconds of an evaluation beside its epochs: the first step is traced, results are written.
_OVERHEAD = 4.0
#: A pass forward is about a third of a training step.
_FORWARD = 1 / 3


@dataclass(frozen=True)
class DryRunCandidate:
    """One that was built. seconds: of its evaluation at most, on this machine with all workers busy."""

    label: str
    recipe: Mapping[str, Any]
    parameters: int
    macs: int
    seconds: float


@dataclass(frozen=True)
class DryRun:
    """What was found. infeasible: of all that were tried; seconds: of the study on all workers, at most."""

    domains: Mapping[str, Domain]
    candidates: tuple[DryRunCandidate, ...]
    infeasible: int
    evaluations: tuple[tuple[str, int], ...]  # (stage, how many); in rounds, as many as it takes on average
    confirmed: int  # candidates of the confirm stage, at most
    seconds: float


def try_candidates(server: ForkServer, config: StudyConfig, workers: int) -> DryRun:
    """Build every cell, or the baseline and some draws, and measure how fast this machine trains them.

    Raises UserError where nothing that was tried can be built, and for names that no candidate has.
    """
    check_names(server, config)
    tasks = [*_cells(config)] or [*_planned(config), *_drawn(config, DRAWS)]
    probed = [probe(server, task, _chooser(config, n)) for n, task in enumerate(tasks)]
    found = [(task, one) for task, one in zip(tasks, probed, strict=True) if one.built is not None]
    if not found:
        raise UserError(f"none of {len(tasks)} candidates can be built: {probed[0].reason}")
    speeds = _speeds(server, config, found, workers)
    candidates = tuple(_candidate(config, one, speeds) for _, one in found)
    stages = _evaluations(config)
    mean = float(np.mean([one.seconds for one in candidates]))
    explored = config.protocol.explore_seeds * _explored_share(config)
    rounds = {"explore": explored, "confirm": config.folds or 1}
    total = sum(count * mean * rounds[stage] for stage, count in stages)
    return DryRun(
        domains={name: domain for one in probed for name, domain in one.domains.items()},
        candidates=candidates,
        infeasible=len(tasks) - len(found),
        evaluations=stages,
        confirmed=_confirmed(config),
        seconds=total / workers,
    )


def check_names(server: ForkServer, config: StudyConfig) -> None:
    """Raise UserError for a name in [fix], [search], [grid] or [baseline] that no candidate has.

    Those of families are known beforehand; a Keras Tuner hypermodel has to be built to learn what it has.
    """
    if not any(":" in arm for arm in _arms(config)):
        return
    asked: set[str] = set()
    met: set[str] = set()
    known: set[str] = set()
    tasks = [*_planned(config), *_cells(config), *_drawn(config, _DRAWS_FOR_A_NAME)]
    for number, task in enumerate(tasks):
        names = {*task.fix, *task.domains} - {"family"}
        if not names - met:
            continue
        asked |= names
        one = probe(server, task, _chooser(config, number))
        if one.built is not None:
            met |= names - set(one.built.unmet)
            known |= {*one.domains, *one.built.architecture}
    if known and asked - met:
        name = min(asked - met)
        near = get_close_matches(name, sorted(known), n=1, cutoff=0.0)[0]
        raise UserError(
            f'no hyperparameter "{name}" turned up in {len(tasks)} candidates of '
            f'{", ".join(_arms(config))}; the nearest is "{near}".'
        )


def _arms(config: StudyConfig) -> Sequence[str]:
    return (config.space,) if isinstance(config.space, str) else config.space


def _planned(config: StudyConfig) -> Iterator[Task]:
    if config.baseline is not None:
        yield _described(config, **cell_fields(config, config.baseline))


def _cells(config: StudyConfig) -> Iterator[Task]:
    if config.cells:
        yield from _planned(config)
    for cell in config.cells:
        yield _described(config, **cell_fields(config, cell))


def _drawn(config: StudyConfig, count: int) -> Iterator[Task]:
    """Draws from every family in turn."""
    arms = _arms(config)
    for number in range(0 if config.cells else count):
        fix = config.fix if len(arms) == 1 else {**config.fix, "family": arms[number % len(arms)]}
        yield _described(config, fix=fix)


def _described(config: StudyConfig, **fields: Any) -> Task:
    return config.task(key="dry-run", seed=0, folder="", **{"describe_only": True, **fields})


def _chooser(config: StudyConfig, seed: int) -> Callable[[str, Domain], Value]:
    """Random values, drawn evenly; the cells of a grid leave the rest at its default."""
    generator = random.Random(seed)  # noqa: S311  nothing secret

    def choose(name: str, domain: Domain) -> Value:
        if config.cells and domain.default is not None:
            return domain.default
        match domain:
            case Categorical():
                return generator.choice(domain.choices)
            case Integer():
                return generator.randrange(domain.low, domain.high + 1, domain.step)
        if domain.step is not None:
            steps = round((domain.high - domain.low) / domain.step)
            return domain.low + domain.step * generator.randint(0, steps)
        if domain.log:
            low, high = np.log([domain.low, domain.high])
            return float(np.exp(generator.uniform(low, high)))
        return generator.uniform(domain.low, domain.high)

    return choose


def _speeds(
    server: ForkServer, config: StudyConfig, found: Sequence[tuple[Task, Probed]], workers: int
) -> tuple[list[float], list[float]]:
    """Multiply-adds and seconds an image of the smallest, the middle and the largest candidate."""
    by_macs = sorted(found, key=lambda pair: _macs(pair[1]))
    places = sorted({0, len(by_macs) // 2, len(by_macs) - 1})
    chosen = {_macs(one): one for _, one in (by_macs[place] for place in places)}
    seconds = [_seconds_an_image(server, config, one, workers) for one in chosen.values()]
    return [float(macs) for macs in chosen], seconds


def _macs(one: Probed) -> int:
    assert one.built is not None  # noqa: S101
    return one.built.macs // _views(one.built)  # trains on one view


def _views(built: Built) -> int:
    """How often its network is evaluated to predict one image."""
    return TEST_TIME_VIEWS[built.recipe["test_time"]]


def _seconds_an_image(server: ForkServer, config: StudyConfig, one: Probed, workers: int) -> float:
    """Of training, while as many children as there will be workers do the same."""
    assert one.built is not None  # noqa: S101
    batch = int(one.built.recipe["batch_size"])
    wanted = min(max(_SAMPLE_MACS / max(_macs(one), 1), batch), _MOST_IMAGES, config.data.counts["train"])

    def calibrate(number: int) -> float:
        with TemporaryDirectory() as folder:
            task = config.task(
                key=f"calibration-{number}",
                seed=number,
                folder=folder,
                candidate=one.built.candidate() if one.built else None,
                sample=max(int(wanted) // batch, 1) * batch,
                epochs=2,
                patience=2,
            )
            result = probe(server, task, _chooser(config, 0)).result
        return 1 / result.metrics["images_per_second"] if result is not None else float("nan")

    with ThreadPoolExecutor(workers) as children:
        return float(np.mean(list(children.map(calibrate, range(workers)))))


def _candidate(config: StudyConfig, one: Probed, speeds: tuple[list[float], list[float]]) -> DryRunCandidate:
    built = one.built
    assert built is not None  # noqa: S101
    an_image = float(np.interp(_macs(one), *speeds))
    predicting = _FORWARD * _views(built)
    counts, protocol = config.data.counts, config.protocol
    monitor = counts["train"] * protocol.monitor_fraction
    epoch = counts["train"] - monitor + predicting * monitor
    final = predicting * 2 * counts["validation"]
    seconds = _OVERHEAD + an_image * (protocol.epochs * epoch + final)
    return DryRunCandidate(built.label, built.recipe, built.parameters, built.macs, seconds)


def _explored_share(config: StudyConfig) -> float:
    """Of a whole training, what one of explore takes: it may be asked for fewer images."""
    protocol, train = config.protocol, config.data.counts["train"]
    trained = train * (1 - protocol.monitor_fraction)
    watched = train * protocol.monitor_fraction * _FORWARD
    return (min(protocol.explore_images or trained, trained) + watched) / (trained + watched)


def _confirmed(config: StudyConfig) -> int:
    return (len(config.cells) or config.protocol.leaders) + int(config.baseline is not None)


def _evaluations(config: StudyConfig) -> tuple[tuple[str, int], ...]:
    protocol = config.protocol
    confirm = ("confirm", _confirmed(config) * protocol.expected_seeds)
    return (confirm,) if config.cells else (("explore", protocol.trials), confirm)
