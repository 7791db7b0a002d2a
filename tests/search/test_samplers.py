"""Samplers and pruners by name draw and prune, take Optuna's options, and say what they lack."""

from importlib.util import find_spec

import optuna
import pytest

from search.study.config import Protocol
from search.study.samplers import (
    PRUNER_NAMES,
    SAMPLER_NAMES,
    make_pruner,
    make_sampler,
    require_usable,
    suggest,
)
from spaces.domains import Categorical
from spaces.errors import UserError


@pytest.mark.parametrize("name", SAMPLER_NAMES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_sampler_draws_numbers_and_choices(name: str) -> None:
    if name == "gp" and find_spec("torch") is None:
        with pytest.raises(UserError, match=r"needs torch: .*pip install -e"):
            make_sampler(name, {}, 1)
        return
    study = optuna.create_study(sampler=make_sampler(name, {}, 1), direction="maximize")
    for _ in range(10):
        trial = study.ask()
        assert 0 <= trial.suggest_float("rate", 0, 1) <= 1
        study.tell(trial, float(trial.suggest_categorical("kernels", [8, 16])))
    assert len(study.trials) == 10


@pytest.mark.parametrize("name", PRUNER_NAMES)
def test_a_pruner_needs_no_options(name: str) -> None:
    options = {"lower": 0.1} if name == "threshold" else {}
    assert isinstance(make_pruner(name, options, 12), optuna.pruners.BasePruner)


def test_workers_share_one_quasi_random_sequence() -> None:
    study = optuna.create_study()
    seen = set()
    for worker in range(6):
        study.sampler = make_sampler("qmc", {"scramble": True, "seed": 5}, 100 + worker)
        trial = study.ask()
        seen.add(trial.suggest_float("rate", 0, 1))
        study.tell(trial, 0.0)
    attributes = study._storage.get_study_system_attrs(study._study_id)
    sequences = [key for key in attributes if "qmc" in key]
    assert (len(seen), len(sequences)) == (6, 1)


def test_a_name_of_other_choices_is_the_users_mistake() -> None:
    study = optuna.create_study()
    suggest(study.ask(), "units", Categorical((16, 32)))
    with pytest.raises(UserError, match='"units" is not what it was in an earlier trial'):
        suggest(study.ask(), "units", Categorical((64, 128)))


def test_options_are_optunas_and_others_are_refused() -> None:
    make_sampler("tpe", {"n_startup_trials": 3}, 1)
    with pytest.raises(UserError, match="has no option 'start'"):
        make_sampler("tpe", {"start": 3}, 1)
    with pytest.raises(UserError, match="unknown pruner 'media'"):
        make_pruner("media", {}, 3)


@pytest.mark.parametrize(
    ("protocol", "sentence"),
    [
        (Protocol(sampler_options={"n_startup": 4}), "sampler 'tpe' has no option 'n_startup'"),
        (
            Protocol(pruner="threshold", pruner_options={"n_startup_trials": 4}),
            "pruner 'threshold' has no option",
        ),
    ],
)
def test_options_of_another_are_found_before_anything_is_trained(protocol: Protocol, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        require_usable(protocol)
