"""Samplers and pruners by name draw and prune, take Optuna's options, and say what they lack."""

from importlib.util import find_spec

import optuna
import pytest

from search.samplers import PRUNER_NAMES, SAMPLER_NAMES, make_pruner, make_sampler
from spaces.errors import UserError


@pytest.mark.parametrize("name", SAMPLER_NAMES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_sampler_draws_numbers_and_choices(name: str) -> None:
    if name == "gp" and find_spec("torch") is None:
        with pytest.raises(UserError, match=r"needs torch: pip install"):
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


def test_options_are_optunas_and_others_are_refused() -> None:
    make_sampler("tpe", {"n_startup_trials": 3}, 1)
    with pytest.raises(UserError, match="has no option 'start'"):
        make_sampler("tpe", {"start": 3}, 1)
    with pytest.raises(UserError, match="unknown pruner 'media'"):
        make_pruner("media", {}, 3)
