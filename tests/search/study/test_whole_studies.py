"""Whole small studies with real children: hypermodels, folds, pruning by seed, two objectives, rehearsals."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from optuna.trial import TrialState

from search.datasets.prepare import Prepared, prepare
from search.execution.fork_client import ForkServer
from search.protocol import Protocol
from search.study.optuna.storage import open_storage
from search.study.planning.config import StudyConfig
from search.study.study import Study
from search.workers.coordinator import Coordinator
from search.workers.dry_run import check_names, try_candidates
from search.workspace import Workspace
from spaces.errors import UserError

pytestmark = pytest.mark.trains
OTHERS = "tests.spaces.keras_tuner.hypermodels_of_others"
#: A network that trains in a second.
TINY = {"convs_per_stage": 1, "kernel_size": 3, "batch_norm": False, "head": "average", "dropout": 0.0}

Make = Callable[..., StudyConfig]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Three classes of 16x16 images that differ in brightness."""
    generator = np.random.default_rng(0)
    labels = np.arange(150) % 3
    images = (generator.integers(0, 90, (150, 16, 16)) + 60 * labels[:, None, None]).astype(np.uint8)
    cache = tmp_path_factory.mktemp("cache")
    return prepare((images, labels), cache, say=lambda text: None)


@pytest.fixture
def make(small: Prepared) -> Make:
    def config(space: str, protocol: dict[str, Any], **fields: Any) -> StudyConfig:
        common: dict[str, Any] = {
            "experiment": "small",
            "question": "?",
            "precision": "float32",
            "threads": 1,
        }
        recipe = {"batch_size": 64, **fields.pop("recipe", {})}
        identity = {"space": space, "protocol": protocol}
        return StudyConfig(
            space=space,
            recipe=recipe,
            data=small,
            protocol=Protocol(**{"epochs": 2, "patience": 2, "leaders": 1, "seeds": 1, **protocol}),
            **{**common, "identity": identity, **fields},
        )

    return config


def _run(server: ForkServer, config: StudyConfig, folder: Path, workers: int = 2) -> Study:
    storage = open_storage(f"sqlite:///{folder / 'studies.db'}")
    study = Study(config, storage, Workspace.at(folder))
    assert study.run(Coordinator(server, workers, []), lambda stage: None)
    return study


def _attributes(stage: Any, name: str) -> list[Any]:
    return [trial.user_attrs[name] for trial in stage.trials()]


def test_a_hypermodel_runs_under_two_workers_with_pruning_and_is_rebuilt_the_same(
    server: ForkServer, make: Make, tmp_path: Path
) -> None:
    pruning = {"pruner_options": {"n_startup_trials": 1, "n_warmup_steps": 0}}
    study = _run(server, make(f"{OTHERS}:build", {"trials": 4, **pruning}), tmp_path)
    assert study.explore is not None
    states = _attributes(study.explore, "state")
    assert set(states) <= {"complete", "pruned", "infeasible", "duplicate"}
    explored = {t.user_attrs["fingerprint"]: t.user_attrs["candidate"] for t in study.explore.trials()
                if "candidate" in t.user_attrs}  # fmt: skip
    assert set(_attributes(study.confirm, "state")) == {"complete"}
    for trial in study.confirm.trials():
        assert trial.user_attrs["candidate"] == explored[trial.user_attrs["fingerprint"]]
        recipe, drawn = (trial.user_attrs["candidate"][part] for part in ("recipe", "architecture"))
        assert recipe["optimizer"] == drawn["optimizer"]
        assert recipe["learning_rate"] == pytest.approx(drawn["learning_rate"], rel=1e-5)
        assert recipe["momentum"] == (0.0 if drawn["optimizer"] in ("sgd", "rmsprop") else 0.9)


def test_a_baseline_is_a_trial_like_those_that_were_drawn(
    server: ForkServer, make: Make, tmp_path: Path
) -> None:
    fix = {**TINY, "conv_stages": 1, "dense_layers": 1}
    recipe = {"learning_rate": {"kind": "real", "low": 1e-4, "high": 1e-1, "log": True}}
    baseline = {**fix, "neurons_1": 64}
    config = make("plain_cnn", {"trials": 2}, fix=fix, baseline=baseline, recipe_domains=recipe)
    study = _run(server, config, tmp_path, workers=1)
    assert study.explore is not None
    first, drawn = study.explore.trials()
    assert first.params == {"neurons_1": 64, "kernels_1": 64, "recipe.learning_rate": 0.001}
    assert first.distributions == drawn.distributions


def test_what_a_fit_of_ones_own_decides_is_done(server: ForkServer, make: Make, tmp_path: Path) -> None:
    config = make(
        f"{OTHERS}:OwnFit",
        {"trials": 1, "pruner": "none", "epochs": 5},
        fix={"shuffle": False, "epochs": 2},
        recipe={"l2": 1e-4},
    )
    study = _run(server, config, tmp_path)
    for trial in study.confirm.trials():
        candidate = trial.user_attrs["candidate"]
        assert candidate["recipe"]["batch_size"] == candidate["architecture"]["batch_size"]
        assert candidate["recipe"]["momentum"] == 0.8
        assert trial.user_attrs["metrics"]["epochs"] == 2


def test_a_misspelt_name_of_a_hypermodel_is_refused_with_the_nearest(server: ForkServer, make: Make) -> None:
    protocol = {"trials": 2}
    with pytest.raises(UserError, match=r'no hyperparameter "unit" turned up .* the nearest is "units"'):
        check_names(server, make(f"{OTHERS}:build", protocol, fix={"unit": 8}))
    check_names(server, make(f"{OTHERS}:build", protocol, fix={"block_1/kernels": 8}))  # some have it


def test_folds_judge_every_image_once_a_seed(server: ForkServer, make: Make, tmp_path: Path) -> None:
    cells = ({**TINY, "conv_stages": 1, "kernels_1": 4}, {**TINY, "conv_stages": 1, "kernels_1": 8})
    study = _run(server, make("plain_cnn", {"seeds": 1}, cells=cells, folds=2), tmp_path)
    assert _attributes(study.confirm, "state") == ["complete", "complete"]
    images = study.config.data.counts["train"] + study.config.data.counts["validation"]
    for metrics in _attributes(study.confirm, "metrics"):
        assert metrics["epochs"] == 2
        right = metrics["val_accuracy"] * images
        assert right == pytest.approx(round(right), abs=1e-6)


def test_wilcoxon_drops_candidates_over_seeds_and_never_over_epochs(
    server: ForkServer, make: Make, tmp_path: Path
) -> None:
    protocol = {"trials": 2, "pruner": "wilcoxon", "explore_seeds": 5, "epochs": 1, "sampler": "random"}
    fix = {**TINY, "conv_stages": 1, "dense_layers": 1, "neurons_1": 8}
    rates = {"learning_rate": {"kind": "categorical", "choices": [1e-8, 0.05], "default": 0.05}}
    study = _run(server, make("plain_cnn", protocol, fix=fix, recipe_domains=rates), tmp_path)
    assert study.explore is not None
    for trial in study.explore.trials():
        steps = len(trial.intermediate_values)
        if trial.user_attrs["state"] == "complete":
            assert (steps, trial.value) == (5, pytest.approx(np.mean([*trial.intermediate_values.values()])))
        elif trial.state == TrialState.PRUNED:
            assert 2 <= steps <= 5


def test_two_objectives_confirm_the_front(server: ForkServer, make: Make, tmp_path: Path) -> None:
    protocol = {
        "trials": 3,
        "pruner": "none",
        "leaders": 3,
        "also_minimize": "parameters",
        "epochs": 1,
        "sampler": "nsga2",
    }
    fix = {**TINY, "conv_stages": 1, "dense_layers": 1, "neurons_1": 8}
    widths = {"kernels_1": {"kind": "categorical", "choices": [4, 8, 16, 32], "default": 4}}
    study = _run(server, make("plain_cnn", protocol, fix=fix, domains=widths), tmp_path)
    assert study.explore is not None
    values = [t.values for t in study.explore.trials(TrialState.COMPLETE)]
    sizes = [leader.candidate["parameters"] for leader in study.leaders()]
    assert sizes[0] == min(size for _, size in values)
    assert sizes == sorted(sizes)
    assert set(_attributes(study.confirm, "state")) == {"complete"}


def test_a_hypermodel_that_builds_by_chance_is_found_out_when_it_is_built_again(
    server: ForkServer, make: Make, tmp_path: Path
) -> None:
    """Its seeds would be those of several networks."""
    config = make("tests.spaces.keras_tuner.unruly_hypermodels:by_chance", {"trials": 1, "epochs": 1})
    with pytest.raises(UserError, match="builds another network than when it was explored"):
        _run(server, config, tmp_path, workers=1)


def test_a_search_that_starts_warm_trains_the_leader_of_the_earlier_one_first(
    server: ForkServer, make: Make, tmp_path: Path
) -> None:
    widths = {"kernels_1": {"kind": "integer", "low": 4, "high": 64, "default": 4}}
    rates = {"learning_rate": {"kind": "real", "low": 0.001, "high": 0.1, "default": 0.01}}
    fix = {**TINY, "conv_stages": 1, "dense_layers": 1, "neurons_1": 8}
    searched = {"fix": fix, "domains": widths, "recipe_domains": rates}
    protocol = {"trials": 3, "epochs": 1, "pruner": "none"}
    earlier = _run(server, make("plain_cnn", protocol, **searched), tmp_path)
    warm = make("plain_cnn", {**protocol, "trials": 2, "warm_start": "small"}, experiment="warm", **searched)
    study = _run(server, warm, tmp_path, workers=1)
    assert earlier.explore is not None
    assert study.explore is not None
    led = max(earlier.explore.trials(), key=lambda trial: trial.value or 0.0)
    first, drawn = study.explore.trials()
    assert first.params == led.params
    assert first.user_attrs["candidate"] == led.user_attrs["candidate"]
    assert drawn.params not in [trial.params for trial in earlier.explore.trials()]


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="only JAX keeps what it compiled")
def test_all_seeds_of_one_architecture_share_the_steps_that_were_compiled(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two steps, as there are two sizes of batches, for three trainings: one explored, two confirmed."""
    monkeypatch.setenv("JAX_PERSISTENT_COMPILATION_CACHE_MIN_COMPILE_TIME_SECS", "0")
    fix = {**TINY, "conv_stages": 1, "dense_layers": 1, "neurons_1": 8, "kernels_1": 4, "dropout": 0.2}
    config = make("plain_cnn", {"trials": 1, "seeds": 2}, fix=fix, recipe={"augmentation": "published"})
    server = ForkServer(tmp_path / "children.log", compiled=tmp_path / "compiled")
    try:
        study = _run(server, config, tmp_path, workers=1)
    finally:
        server.close()
    assert len(study.confirm.trials()) == 2
    assert len(list((tmp_path / "compiled").glob("jit_train_step-*-cache"))) == 2


def test_a_grid_sampler_tries_every_combination_once(server: ForkServer, make: Make, tmp_path: Path) -> None:
    protocol = {"trials": 50, "sampler": "grid", "pruner": "none", "epochs": 1}
    domains = {"kernels_1": {"kind": "categorical", "choices": [4, 8], "default": 4}}
    rates = {"learning_rate": {"kind": "categorical", "choices": [0.01], "default": 0.01}}
    fix = {**TINY, "conv_stages": 1, "dense_layers": 1}
    study = _run(
        server, make("plain_cnn", protocol, fix=fix, domains=domains, recipe_domains=rates), tmp_path
    )
    assert study.explore is not None
    drawn = [t.user_attrs["candidate"] for t in study.explore.trials()]
    assert sorted(one["architecture"]["kernels"][0] for one in drawn) == [4, 8]
    assert {one["recipe"]["learning_rate"] for one in drawn} == {0.01}
    assert study.explore.ended_because == "all 2 cells of the grid are done"


def test_a_rehearsal_builds_and_times_and_leaves_nothing(server: ForkServer, make: Make) -> None:
    fix = {**TINY, "conv_stages": 1, "dense_layers": 1}
    found = try_candidates(server, make("plain_cnn", {"trials": 10, "seeds": 2}, fix=fix), workers=2)
    assert set(found.domains) == {"kernels_1", "neurons_1"}
    assert found.evaluations == (("explore", 10), ("confirm", 2))
    assert all(one.seconds > 0 for one in found.candidates)
    assert found.seconds > 0
