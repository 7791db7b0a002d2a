"""Samplers and pruners: Optuna's by name, or the user's own as "package.module:Class".

Options are passed on as the documentation of the class has them.
"""

import hashlib
import inspect
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Literal

import optuna

from search.execution.messages import Value
from search.protocol import Protocol, is_own_class
from search.study.optuna._optuna_private import set_param
from spaces.domains import (
    Categorical,
    Domain,
    Integer,
    Real,
)
from spaces.errors import UserError
from spaces.user_code import imported

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
#: Packages that Optuna asks for when a sampler first draws: by then a study has begun. The extras' names too.
_NEEDED = {"gp": "torch", "cmaes": "cmaes"}

#: Samplers that draw jointly what all trials have; what some have alone, they leave to chance.
SHARED_NAMES = ("qmc", "cmaes", "nsga2", "gp")
#: `group` makes TPE draw the parameters of one condition jointly: a space of variable depth needs it.
_TPE_DEFAULTS = {"multivariate": True, "group": True, "n_startup_trials": 4}


def make_sampler(name: str, options: Mapping[str, Any], seed: int) -> optuna.samplers.BaseSampler:
    """Make a worker's sampler; before each trial it is seeded anew (see `trial_seed`).

    Args:
        name: a name in `search.protocol.SAMPLERS`, or "package.module:Class".
        options: keyword arguments of the class. `seed` is the search's, not the worker's.
        seed: this worker's own. A class of the user's gets it if it takes a `seed`.

    Returns:
        The sampler.

    Raises:
        UserError: for an unknown name or option, a class that is no sampler, or a package that is missing.
    """
    if is_own_class(name):
        own_class = _own_class(name, optuna.samplers.BaseSampler, "sampler")
        takes_seed = "seed" in inspect.signature(own_class).parameters
        own = {**options, "seed": seed} if takes_seed else dict(options)
        return _make(own_class, own, f"sampler {name!r}")  # type: ignore[no-any-return]
    kind = _known(name, _SAMPLERS, "sampler")
    needed = _NEEDED.get(name)
    if needed and find_spec(needed) is None:
        raise UserError(
            f"sampler {name!r} needs {needed}: in Candor's folder, .venv/bin/pip install -e '.[{needed}]'"
        )
    own = {**options, "seed": seed}
    if name == "tpe":
        own = _TPE_DEFAULTS | own
    elif name == "qmc":  # one sequence for all workers: each takes the next of its points
        chance = optuna.samplers.RandomSampler(seed=seed)
        own |= {"seed": options.get("seed", 0), "independent_sampler": chance}
    sampler: optuna.samplers.BaseSampler = _make(kind, own, f"sampler {name!r}")
    return sampler


def make_pruner(name: str, options: Mapping[str, Any], epochs: int) -> optuna.pruners.BasePruner:
    """Make a pruner over epochs. By default it leaves the first quarter of the epochs alone.

    Args:
        name: a name in `search.protocol.PRUNERS`, or "package.module:Class".
        options: keyword arguments of the class.
        epochs: of a whole training.

    Returns:
        The pruner.

    Raises:
        UserError: for an unknown name or option, or a class that is no pruner.
    """
    if is_own_class(name):
        own_class = _own_class(name, optuna.pruners.BasePruner, "pruner")
        return _make(own_class, dict(options), f"pruner {name!r}")  # type: ignore[no-any-return]
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
    """Try the sampler and the pruner in memory, so that a mistake shows before a study exists.

    Args:
        protocol: names the sampler, the pruner and their options.

    Raises:
        UserError: where one has no such option, cannot draw or prune with its options, or lacks a package.
    """
    directions: list[Literal["minimize", "maximize"]] = ["minimize"] * (2 if protocol.also_minimize else 1)
    what = f"sampler {protocol.sampler!r} or pruner {protocol.pruner!r}"
    with _without_warnings():
        sampler = make_sampler(protocol.sampler, protocol.sampler_options, 0)
        pruner = make_pruner(protocol.pruner, protocol.pruner_options, protocol.epochs)
        study = optuna.create_study(directions=directions, sampler=sampler, pruner=pruner)
        try:
            for number in range(_TRIED):
                _try_once(study, float(number))
        except UserError:
            raise
        except Exception as error:
            reason = str(error).partition("\n")[0]
            raise UserError(f"{what} cannot be used: {type(error).__name__}: {reason}") from error


#: As many draws as it takes the samplers to begin to learn with their default options.
_TRIED = 12


def _try_once(study: optuna.Study, score: float) -> None:
    trial = study.ask()
    trial.suggest_float("x", 0.0, 1.0)
    trial.suggest_int("y", 1, 3)
    trial.suggest_categorical("z", ("a", "b"))
    if len(study.directions) == 1:
        for step in range(1, 4):
            trial.report(score + step, step)
            trial.should_prune()
    study.tell(trial, [score] * len(study.directions))


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep Optuna's notes to developers from the user's terminal."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def trial_seed(search_seed: int, number: int, origin: str = "") -> int:
    """The seed from which one trial is drawn, whichever worker draws it.

    A search that was killed and goes on with one worker therefore draws what an undisturbed one would have.

    Args:
        search_seed: `sampler_options.seed` of the experiment.
        number: of the trial in its stage.
        origin: the study whose candidates were drawn first; its other draws must not be repeated.

    Returns:
        A number of 32 bits.
    """
    text = "/".join(map(str, (search_seed, number, *([origin] if origin else []))))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) >> 1


def _known(name: str, table: Mapping[str, Any], what: str) -> Any:
    if name not in table:
        raise UserError(f"unknown {what} {name!r}: the {what}s are {', '.join(sorted(table))}")
    return table[name]


def _own_class(name: str, base: type, what: str) -> Any:
    """The user's class of this name. Raises UserError where it is none of that kind."""
    try:
        found = imported(name)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{what} {name!r} cannot be imported: {type(error).__name__}: {error}") from error
    if not (isinstance(found, type) and issubclass(found, base)):
        raise UserError(
            f"{what} {name!r} must be a subclass of optuna's {base.__name__}. Received: {found!r}"
        )
    return found


def _make(kind: Any, options: Mapping[str, Any], what: str) -> Any:
    parameters = inspect.signature(kind).parameters.values()
    anything = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)
    accepted = {one.name for one in parameters if one.kind is not inspect.Parameter.VAR_KEYWORD}
    for option in options:
        if option not in accepted and not anything:
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
            set_param(trial, name, value, distribution)


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
