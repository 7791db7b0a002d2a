"""Samplers and pruners by name. Optuna's own; options are passed on as its documentation has them."""

import hashlib
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import optuna

from search.execution.messages import Value
from search.study.config import Protocol
from spaces.domains import (
    Categorical,
    Domain,
    Integer,
    Real,
)
from spaces.errors import UserError

_SAMPLERS = {
    "tpe": optuna.samplers.TPESampler,
    "random": optuna.samplers.RandomSampler,
    "qmc": optuna.samplers.QMCSampler,
    "cmaes": optuna.samplers.CmaEsSampler,
    "nsga2": optuna.samplers.NSGAIISampler,
    "gp": optuna.samplers.GPSampler,
    "grid": optuna.samplers.RandomSampler,  # asked for nothing: explore plans the cells itself
}
_PRUNERS = {
    "median": optuna.pruners.MedianPruner,
    "hyperband": optuna.pruners.HyperbandPruner,
    "successive_halving": optuna.pruners.SuccessiveHalvingPruner,
    "percentile": optuna.pruners.PercentilePruner,
    "threshold": optuna.pruners.ThresholdPruner,
    "patient": optuna.pruners.PatientPruner,
    "wilcoxon": optuna.pruners.WilcoxonPruner,  # over the seeds of explore, not over epochs
    "none": optuna.pruners.NopPruner,
}
SAMPLER_NAMES = tuple(_SAMPLERS)
#: Packages that Optuna asks for when a sampler first draws: by then a study has begun. The extras' names too.
_NEEDED = {"gp": "torch", "cmaes": "cmaes"}
PRUNER_NAMES = tuple(_PRUNERS)

#: Samplers that draw jointly what all trials have; what some have alone, they leave to chance.
SHARED_NAMES = ("qmc", "cmaes", "nsga2", "gp")
#: `group` makes TPE draw the parameters of one condition jointly: a space of variable depth needs it.
_TPE_DEFAULTS = {"multivariate": True, "group": True, "n_startup_trials": 4}


def make_sampler(name: str, options: Mapping[str, Any], seed: int) -> optuna.samplers.BaseSampler:
    """A sampler; seed: this worker's own, made from the `seed` in `options` (see `worker_seed`).

    Raises UserError for unknown names and options.
    """
    kind = _known(name, _SAMPLERS, "sampler")
    needed = _NEEDED.get(name)
    if needed and find_spec(needed) is None:
        raise UserError(
            f"sampler {name!r} needs {needed}: in Candor's folder, .venv/bin/pip install -e '.[{needed}]'"
        )
    own: dict[str, Any] = {**options, "seed": seed}
    if name == "tpe":
        own = _TPE_DEFAULTS | own
    elif name == "qmc":  # one sequence for all workers: each takes the next of its points
        chance = optuna.samplers.RandomSampler(seed=seed)
        own |= {"seed": options.get("seed", 0), "independent_sampler": chance}
    sampler: optuna.samplers.BaseSampler = _make(kind, own, f"sampler {name!r}")
    return sampler


def make_pruner(name: str, options: Mapping[str, Any], epochs: int) -> optuna.pruners.BasePruner:
    """A pruner over epochs. By default it leaves the first quarter of the epochs alone."""
    median = {"n_startup_trials": 2, "n_warmup_steps": max(1, epochs // 4)}
    defaults: dict[str, dict[str, Any]] = {
        "median": median,
        "percentile": {**median, "percentile": 25.0},
        "hyperband": {"min_resource": max(1, epochs // 9), "max_resource": epochs},
        "patient": {"wrapped_pruner": optuna.pruners.MedianPruner(**median), "patience": 2},
        "wilcoxon": {"p_threshold": 0.1, "n_startup_steps": 2},
    }
    kind = _known(name, _PRUNERS, "pruner")
    pruner: optuna.pruners.BasePruner = _make(kind, {**defaults.get(name, {}), **options}, f"pruner {name!r}")
    return pruner


def require_usable(protocol: Protocol) -> None:
    """Raises UserError where the sampler or the pruner has no such option, or lacks a package."""
    make_sampler(protocol.sampler, protocol.sampler_options, 0)
    make_pruner(protocol.pruner, protocol.pruner_options, protocol.epochs)


def worker_seed(search_seed: int, trials_so_far: int, slot: int, origin: str = "") -> int:
    """A seed of a worker's own: a resumed study must not repeat its start-up draws.

    origin: the study whose leads were drawn first; its other draws must not be repeated either.
    """
    text = "/".join(map(str, (search_seed, trials_so_far, slot, *([origin] if origin else []))))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])


def _known(name: str, table: Mapping[str, Any], what: str) -> Any:
    if name not in table:
        raise UserError(f"unknown {what} {name!r}: the {what}s are {', '.join(sorted(table))}")
    return table[name]


def _make(kind: Any, options: Mapping[str, Any], what: str) -> Any:
    accepted = inspect.signature(kind).parameters
    for option in options:
        if option not in accepted:
            raise UserError(f"{what} has no option {option!r}: it takes {', '.join(sorted(accepted))}")
    try:
        return kind(**options)
    except (ImportError, ValueError, TypeError) as error:
        raise UserError(f"{what} cannot be used: {error}") from error


def suggest(trial: optuna.Trial, name: str, domain: Domain) -> Value:
    """Draw from the trial what the domain describes.

    Raises UserError where an earlier trial had other choices, or another kind of range, under this name.
    """
    with _as_before(name):
        match domain:
            case Categorical():
                return _chosen(trial.suggest_categorical(name, list(domain.choices)))
            case Integer():
                return trial.suggest_int(name, domain.low, domain.high, step=domain.step, log=domain.log)
            case Real():
                return trial.suggest_float(name, domain.low, domain.high, step=domain.step, log=domain.log)
    raise TypeError(f"expected a domain. Received: {domain!r}")


@contextmanager
def _as_before(name: str) -> Iterator[None]:
    """Optuna has one distribution for each name; a user's mistake otherwise."""
    try:
        yield
    except ValueError as error:
        raise UserError(
            f'"{name}" is not what it was in an earlier trial ({error}): where its values depend on another '
            "hyperparameter, give it a name of its own there, or use hp.conditional_scope"
        ) from error


def learn(trial: optuna.Trial, name: str, domain: Domain, value: Value) -> None:
    """Put a value of the domain into the trial as if it had been drawn, for the draws that come after it."""
    if name not in trial.params:
        distribution = _distribution(domain)
        with _as_before(name):
            trial.storage.set_trial_param(
                trial._trial_id, name, distribution.to_internal_repr(value), distribution
            )


def _distribution(domain: Domain) -> optuna.distributions.BaseDistribution:
    """What Optuna makes of the domain when it draws."""
    match domain:
        case Categorical():
            return optuna.distributions.CategoricalDistribution(domain.choices)
        case Integer():
            return optuna.distributions.IntDistribution(domain.low, domain.high, domain.log, domain.step)
        case Real():
            return optuna.distributions.FloatDistribution(domain.low, domain.high, domain.log, domain.step)
    raise TypeError(f"expected a domain. Received: {domain!r}")


def _chosen(value: Value | None) -> Value:
    assert value is not None  # noqa: S101  no domain has None among its choices
    return value
