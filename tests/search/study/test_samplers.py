"""Samplers and pruners by name draw and prune, take Optuna's options, and say what they lack."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import optuna
import pytest

from search.execution.messages import Decision, Epoch
from search.protocol import PRUNERS, SAMPLERS, Protocol
from search.study.optuna.samplers import (
    make_pruner,
    make_sampler,
    require_usable,
    suggest,
)
from search.study.optuna.storage import open_storage
from search.study.stages.evaluation import ActiveEvaluation
from search.study.stages.explore import Explore
from spaces.domains import Categorical, Integer
from spaces.errors import UserError

OWN = "tests.search.study.own_samplers"


EPOCHS = 12


def drawn(name: str, seed: int) -> list[tuple[float, int]]:
    """What a sampler draws for two names, trial after trial; the first of them is the score."""
    study = optuna.create_study(sampler=make_sampler(name, {}, seed), direction="maximize")
    found = []
    for _ in range(12):
        trial = study.ask()
        found.append((trial.suggest_float("rate", 0, 1), trial.suggest_categorical("kernels", [8, 16])))
        study.tell(trial, found[-1][0])
    return found


@pytest.mark.parametrize("name", sorted({*SAMPLERS} - {"gp"}))
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_samplers_seed_decides_what_it_draws(name: str) -> None:
    found = drawn(name, 1)
    assert found == drawn(name, 1) != drawn(name, 2)
    assert all(0 <= rate <= 1 for rate, _ in found)
    assert {kernels for _, kernels in found} == {8, 16}


@pytest.mark.skipif(find_spec("torch") is not None, reason="torch is there")
def test_a_sampler_that_lacks_a_package_says_how_to_install_it() -> None:
    with pytest.raises(UserError, match=r"needs torch: .*pip install -e"):
        make_sampler("gp", {}, 1)


def pruned_at(name: str, score: float) -> int | None:
    """The epoch at which a trial with falling scores is pruned, after nine that ended between 0.5 and 0.6."""
    options = {"lower": 0.1} if name == "threshold" else {}
    pruner = make_pruner(name, options, EPOCHS)
    study = optuna.create_study(study_name="pruned", direction="maximize", pruner=pruner)
    for number in range(9):
        trial = study.ask()
        for epoch in range(1, EPOCHS + 1):
            trial.report(0.5 + 0.01 * number + 0.001 * epoch, epoch)
            trial.should_prune()  # some pruners note what they see
        study.tell(trial, 0.5 + 0.01 * number)
    trial = study.ask()
    for epoch in range(1, EPOCHS + 1):
        trial.report(score - 0.001 * epoch, epoch)
        if trial.should_prune():
            return epoch
    return None


@pytest.mark.parametrize("name", PRUNERS)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_pruner_without_options_ends_the_hopeless_and_leaves_the_best_alone(name: str) -> None:
    assert pruned_at(name, 0.9) is None
    ended = pruned_at(name, 0.05)
    assert (ended is None) == (name == "none")
    if name in ("median", "percentile", "patient"):
        assert ended is not None
        assert EPOCHS / 4 <= ended < EPOCHS


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
        (Protocol(sampler_options={"n_startup_trials": "four"}), "cannot be used: TypeError"),
        (Protocol(pruner_options={"n_startup_trials": "two"}), "pruner 'median' cannot be used"),
        (Protocol(sampler=f"{OWN}:After"), "must be a subclass of optuna's BaseSampler"),
        (Protocol(sampler=f"{OWN}:Lowes"), "has no 'Lowes': did you mean 'Lowest'"),
        (Protocol(sampler="no_such_module:Own"), "There is no module 'no_such_module'"),
        (Protocol(sampler=f"{OWN}:Lowest", sampler_options={"below": 1}), "has no option 'below'"),
        (Protocol(sampler=f"{OWN}:Broken"), "cannot be used: RuntimeError: no luck today"),
        (Protocol(pruner=f"{OWN}:After"), "cannot be used: .*'last'"),
        (
            Protocol(pruner="threshold", pruner_options={"n_startup_trials": 4}),
            "pruner 'threshold' has no option",
        ),
    ],
)
def test_options_of_another_are_found_before_anything_is_trained(protocol: Protocol, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        require_usable(protocol)


@pytest.mark.parametrize("name", sorted({*SAMPLERS} - {"gp"}))
def test_every_sampler_is_usable_as_it_is_without_a_warning(
    name: str, recwarn: pytest.WarningsRecorder
) -> None:
    require_usable(Protocol(sampler=name))
    require_usable(Protocol(sampler="nsga2", also_minimize="macs", pruner="none"))
    assert [warning.message for warning in recwarn] == []


def test_a_sampler_and_a_pruner_of_ones_own_decide(config_for: Any, storage_url: str, tmp_path: Path) -> None:
    """Each worker's sampler has a seed of its own; the pruner prunes after the first epoch."""
    config = config_for(
        sampler=f"{OWN}:Lowest",
        sampler_options={"above": 3},
        pruner=f"{OWN}:After",
        pruner_options={"last": 1},
    )
    require_usable(config.protocol)
    stage = Explore(config, open_storage(storage_url), tmp_path, "own/explore")
    evaluation, other = stage.claim(0), stage.claim(1)
    assert isinstance(evaluation, ActiveEvaluation)
    assert isinstance(other, ActiveEvaluation)
    assert stage.suggest(evaluation, "kernels", Integer(8, 64)) == 11
    answers = [
        stage.epoch(evaluation, Epoch(n, {"monitor_accuracy": 0.5, "epoch_seconds": 1.0})) for n in (1, 2)
    ]
    assert answers == [Decision.CONTINUE, Decision.PRUNE]
    seeds = {one.study.sampler.seed for one in (evaluation, other)}
    assert len(seeds) == 2
