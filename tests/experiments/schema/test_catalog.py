"""Every experiment that comes with the product is complete, and can be found by its name."""

import math
import tomllib
from pathlib import Path

import pytest

from experiments.schema.catalog import (
    FOLDER,
    entries,
    experiment_names,
    find,
)
from experiments.schema.experiment import ExperimentConfig
from search.protocol import PRUNERS, SAMPLERS
from search.study.optuna import samplers
from spaces.errors import UserError

every_experiment = pytest.mark.parametrize("name", experiment_names())


@every_experiment
def test_it_is_valid_and_stays_the_same_when_written_out(name: str) -> None:
    spec = ExperimentConfig.load(name)
    again = ExperimentConfig.parse(tomllib.loads(spec.to_toml()), name)
    assert (again.identity(), again.cells, again.domains) == (spec.identity(), spec.cells, spec.domains)


@every_experiment
def test_it_opens_with_its_question_its_command_and_its_cost(name: str) -> None:
    text = (FOLDER / f"{name}.toml").read_text(encoding="utf-8")
    opening = text.partition("\nquestion = ")[0]
    assert opening.splitlines()[0].endswith("?")
    assert f"candor search {name}" in opening
    assert "Costs" in opening or "minutes" in opening
    assert "Expect" in opening


@every_experiment
def test_it_asks_for_enough_seeds_to_tell_and_shows_published_numbers(name: str) -> None:
    spec = ExperimentConfig.load(name)
    assert spec.protocol.in_rounds or spec.protocol.first_seeds >= 5
    assert spec.protocol.max_seeds >= 8
    assert "\n[verdict]" in (FOLDER / f"{name}.toml").read_text(encoding="utf-8")
    assert spec.published


@every_experiment
def test_published_numbers_are_consistent(name: str) -> None:
    for row in ExperimentConfig.load(name).published:
        for kernels, count in ((row.kernels, row.conv_stages), (row.neurons, row.dense_layers)):
            assert kernels is None or len(kernels.split("-")) == count
        for accuracy, loss in ((row.train_accuracy, row.train_loss), (row.val_accuracy, row.val_loss)):
            assert accuracy is None or loss is None or 0.2 < math.exp(-loss) < accuracy
        assert row.leak or row.test_accuracy is None or row.val_accuracy is None


def test_the_names_of_samplers_and_pruners_are_those_that_search_has() -> None:
    assert set(SAMPLERS) == set(samplers._SAMPLERS)
    assert set(PRUNERS) == set(samplers._PRUNERS)


def test_the_list_has_a_question_for_every_experiment() -> None:
    assert [entry.name for entry in entries()] == list(experiment_names())
    assert all(entry.question.endswith("?") and entry.space for entry in entries())


def test_an_unknown_experiment_says_which_exist_the_nearest_first() -> None:
    with pytest.raises(UserError) as caught:
        find("conv_stage")
    assert 'the nearest is "conv_stages"' in str(caught.value)
    assert all(name in str(caught.value) for name in experiment_names())


def test_a_path_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no experiment file .*nowhere\.toml"):
        find(tmp_path / "nowhere.toml")


def test_a_folder_is_no_experiment(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no experiment file"):
        find(tmp_path)


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    """As Notepad on Windows writes it."""
    path = tmp_path / "mine.toml"
    path.write_text('question = "q?"\nspace = "plain_cnn"\n', encoding="utf-8-sig")
    assert ExperimentConfig.load(str(path)).question == "q?"
