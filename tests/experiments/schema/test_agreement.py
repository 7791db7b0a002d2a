"""Keys that cannot be had at once are refused with a sentence that says what to change."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from experiments.schema.experiment import ExperimentConfig
from experiments.workflows.console.progress import Progress
from experiments.workflows.study.context import RunContext
from experiments.workflows.study.dry_run import dry_run
from experiments.workflows.study.search import search
from search.workspace import Workspace
from spaces.errors import UserError


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"protocol.pruner": "wilcoxon"}, "ask for protocol.explore_seeds = 5"),
        ({"protocol.explore_seeds": 5}, '"median" compares epochs'),
        ({"protocol.also_minimize": "parameters"}, 'needs pruner = "none"'),
        (
            {"protocol.also_minimize": "macs", "protocol.pruner": "none", "protocol.sampler": "cmaes"},
            "knows one objective",
        ),
        ({"protocol.sampler": "grid"}, '"recipe.learning_rate" is no list'),
        ({"data.folds": 5}, r"needs a \[grid\]"),
        ({"protocol.warm_start": "joint", "protocol.sampler": "grid"}, "a grid draws nothing"),
        ({"protocol.explore_images": 900, "protocol.hours": 1.0}, "leave one of them out"),
    ],
)
def test_a_search_refuses(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        ExperimentConfig.load("joint").override(settings)


def test_a_model_that_is_trained_once_more_has_no_folds() -> None:
    with pytest.raises(UserError, match=r"leaves out the validation part, which data\.folds trains on too"):
        ExperimentConfig.load("conv_stages").override({"data.folds": 5, "protocol.final": "retrain"})


def test_a_grid_refuses_a_budget_of_hours() -> None:
    """With a fixed number of seeds, since nothing could be left out; rounds can end before their last."""
    grid = ExperimentConfig.load("conv_stages")
    with pytest.raises(UserError, match=r"protocol\.hours cannot end a \[grid\] with seeds = 5"):
        grid.override({"protocol.hours": 2.0, "protocol.seeds": 5})
    assert grid.override({"protocol.hours": 2.0}).protocol.hours == 2.0


def test_a_grid_has_nothing_to_explore_on_fewer_images() -> None:
    with pytest.raises(UserError, match=r"every cell of a \[grid\] is trained on all images"):
        ExperimentConfig.load("conv_stages").override({"protocol.explore_images": 900})


def test_what_agrees_is_taken() -> None:
    several = ExperimentConfig.load("joint").override(
        {"protocol.pruner": "wilcoxon", "protocol.explore_seeds": 5}
    )
    assert several.protocol.explore_seeds == 5
    two = ExperimentConfig.load("joint").override(
        {"protocol.also_minimize": "parameters", "protocol.pruner": "none"}
    )
    assert two.protocol.also_minimize == "parameters"
    assert ExperimentConfig.load("conv_stages").override({"data.folds": 5}).data.folds == 5


@pytest.mark.parametrize("joins", [False, True])
@pytest.mark.parametrize("key", ["sampler_options", "pruner_options"])
def test_a_misspelt_option_is_found_before_anything_exists(key: str, joins: bool, tmp_path: Path) -> None:
    """Neither a storage nor an MLflow store nor a log is left behind, by a search or by a worker."""
    workspace = Workspace.at(tmp_path / "runs")
    before = sorted(workspace.folder.rglob("*"))
    experiment = ExperimentConfig.load("joint").override({f"protocol.{key}": {"n_startup": 4}})
    context = RunContext(workspace, joins=joins)
    with pytest.raises(UserError, match="has no option 'n_startup'"):
        search(experiment, context, Progress(Console(file=io.StringIO()), quiet=True))
    with pytest.raises(UserError, match="has no option 'n_startup'"):
        dry_run(experiment, context, print)
    assert sorted(workspace.folder.rglob("*")) == before
