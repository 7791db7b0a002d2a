"""An experiment file means what docs/experiments.md says, and a mistake in it costs one sentence."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from experiments.schema.experiment import ExperimentConfig, parse_setting
from spaces.domains import Categorical, Integer, Real
from spaces.errors import UserError

MINIMAL = {"name": "mine", "question": "Which?", "space": "plain_cnn"}


def parse(**sections: Any) -> ExperimentConfig:
    return ExperimentConfig.parse(MINIMAL | sections, "mine.toml")


def refusal(**sections: Any) -> str:
    with pytest.raises(UserError) as caught:
        parse(**sections)
    return str(caught.value)


def test_a_question_and_a_space_are_enough() -> None:
    spec = parse()
    assert (spec.space, spec.grid, spec.cells, spec.baseline_cell) == (("plain_cnn",), (), (), None)
    assert (spec.protocol.seeds, spec.protocol.epochs, spec.data.source) == ("auto", 100, "synthetic")


def test_nothing_can_be_set_afterwards() -> None:
    with pytest.raises(ValueError, match="frozen"):
        parse().protocol.epochs = 3  # type: ignore[misc]


def test_search_narrows_with_lists_and_ranges() -> None:
    spec = parse(
        search={
            "conv_stages": [2, 3],
            "dense_layers": {"low": 1, "high": 3},
            "dropout": {"low": 0.0, "high": 0.5, "step": 0.1, "default": 0.2},
            "recipe": {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}},
        }
    )
    assert dict(spec.domains) == {
        "conv_stages": Categorical((2, 3), 2),
        "dense_layers": Integer(1, 3, default=1),
        "dropout": Real(0.0, 0.5, 0.1, default=0.2),
        "recipe.learning_rate": Real(1e-4, 1e-2, log=True, default=1e-4),
    }


def test_a_list_is_spelt_out_with_the_count_that_goes_with_it() -> None:
    assert parse(fix={"kernels": [32, 64, 64], "neurons": [128]}).fixed == {
        "kernels_1": 32,
        "kernels_2": 64,
        "kernels_3": 64,
        "conv_stages": 3,
        "neurons_1": 128,
        "dense_layers": 1,
    }


@pytest.mark.parametrize("section", ["search", "grid"])
def test_a_count_that_varies_is_not_fixed_by_a_list(section: str) -> None:
    spec = parse(fix={"kernels": [64, 64, 64]}, **{section: {"conv_stages": [2, 3]}})
    assert "conv_stages" not in spec.fixed


def test_one_table_is_a_cross_product_with_what_is_fixed_in_every_cell() -> None:
    spec = parse(
        fix={"dropout": 0.2}, grid={"conv_stages": [2, 3], "recipe": {"augmentation": ["none", "flip"]}}
    )
    assert list(spec.cells) == [
        {"dropout": 0.2, "conv_stages": stages, "recipe.augmentation": augmentation}
        for stages in (2, 3)
        for augmentation in ("none", "flip")
    ]


def test_several_tables_are_united_and_a_cell_in_two_of_them_comes_once() -> None:
    spec = parse(grid=[{"kernels": [[32, 64], [64, 64, 64]]}, {"kernels": [[32, 64], [128, 128]]}])
    assert list(spec.cells) == [
        {"kernels_1": 32, "kernels_2": 64, "conv_stages": 2},
        {"kernels_1": 64, "kernels_2": 64, "kernels_3": 64, "conv_stages": 3},
        {"kernels_1": 128, "kernels_2": 128, "conv_stages": 2},
    ]


def test_a_grid_over_families_and_one_over_variants() -> None:
    families = parse(space=["plain_cnn", "inception"], grid={"family": ["plain_cnn", "inception"]})
    assert list(families.cells) == [{"family": "plain_cnn"}, {"family": "inception"}]
    variants = parse(grid={"variant": ["plain_cnn.published_1", "plain_cnn.published_2"]})
    assert [cell["variant"] for cell in variants.cells] == ["plain_cnn.published_1", "plain_cnn.published_2"]


def test_the_cell_that_is_the_baseline_is_not_run_twice() -> None:
    spec = parse(fix={"kernels": [64, 64, 64]}, grid={"conv_stages": [2, 3]}, baseline={"conv_stages": 3})
    assert [cell["conv_stages"] for cell in spec.cells] == [2]
    assert spec.baseline_cell == {"kernels_1": 64, "kernels_2": 64, "kernels_3": 64, "conv_stages": 3}


def test_a_baseline_takes_what_is_fixed_and_says_what_differs() -> None:
    own = parse(fix={"dropout": 0.2}, baseline={"kernels": [32, 32], "recipe": {"momentum": 0.8}})
    assert own.baseline_cell == {
        "dropout": 0.2,
        "kernels_1": 32,
        "kernels_2": 32,
        "conv_stages": 2,
        "recipe.momentum": 0.8,
    }
    variant = parse(fix={"dropout": 0.2}, baseline={"variant": "plain_cnn.published_2"})
    assert variant.baseline_cell == {"variant": "plain_cnn.published_2"}


def test_image_size_is_a_side_or_a_pair() -> None:
    assert parse(data={"image_size": 64}).data.image_size == (64, 64)
    assert parse(data={"image_size": [32, 48]}).data.image_size == (32, 48)


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        ({"protocl": {}}, 'mine.toml: unknown key "protocl"; the nearest valid one is "protocol".'),
        (
            {"protocol": {"pruner": "asha"}},
            'mine.toml: protocol.pruner must name a pruner that exists: "asha" was removed; take "median" '
            '(the default), "successive_halving", "hyperband", "percentile", "patient", "threshold", '
            '"wilcoxon" or "none". Received: "asha".',
        ),
        (
            {"verdict": {"taus": 0.3}},
            'mine.toml: unknown key "verdict.taus"; the nearest valid one is "tau".',
        ),
        (
            {"protocol": {"epoch": 3}},
            'mine.toml: unknown key "protocol.epoch"; the nearest valid one is "epochs".',
        ),
        (
            {"search": {"dropout": {"low": 0, "hgh": 1}}},
            'mine.toml: the key "search.dropout.high" is required and missing.',
        ),
        (
            {"published": [{"architecture": "x", "kernel": "3"}]},
            'mine.toml: unknown key "published entry 1.kernel"; the nearest valid one is "kernels".',
        ),
        (
            {"protocol": {"epochs": "many"}},
            'mine.toml: protocol.epochs must be a valid integer. Received: "many".',
        ),
        (
            {"protocol": {"seeds": 0}},
            "mine.toml: protocol.seeds must be 'auto' or must be greater than or equal to 1. Received: 0.",
        ),
        (
            {"protocol": {"max_seeds": 2}},
            "mine.toml: protocol.max_seeds must be greater than or equal to 3. Received: 2.",
        ),
        (
            {"protocol": {"objective": "accuracy"}},
            "mine.toml: protocol.objective must be 'val_accuracy', 'macro_f1' or 'loss'. Received: ",
        ),
        (
            {"protocol": {"threads": 0}},
            "mine.toml: protocol.threads must be 'auto' or must be greater than or equal to 1. Received: 0.",
        ),
        (
            {"grid": {"conv_stages": []}},
            "mine.toml: grid.conv_stages must be a list with at least one value. ",
        ),
        (
            {"grid": {"dropout": [float("nan"), 0.1]}},
            "mine.toml: grid.dropout must hold finite numbers alone. ",
        ),
        ({"fix": {"dropout": float("inf")}}, "mine.toml: fix.dropout must hold finite numbers alone. "),
        (
            {"search": {"dropout": {"low": 0.0, "high": 0.5, "step": 1e-300}}},
            "mine.toml: search.dropout: step must divide the range into 1,000,000 parts at most. ",
        ),
        ({"grid": {"conv_stages": [2, 2]}}, "mine.toml: grid.conv_stages must not name one value twice. "),
        (
            {"search": {"conv_stages": 3}},
            "mine.toml: search.conv_stages must be a list of choices or a table of low and high. ",
        ),
        (
            {"search": {"conv_stages": {"low": 5, "high": 2}}},
            "mine.toml: search.conv_stages: low must be below high. ",
        ),
        (
            {"fix": {"recipe": {"momentum": 0.9}}},
            "mine.toml: fix must hold hyperparameters alone; fixed fields of the recipe go into [recipe]. ",
        ),
        (
            {"search": {"conv_stages": [2]}, "grid": {"dense_layers": [1]}},
            "mine.toml: a file has [search] or [grid], not both; ",
        ),
        (
            {"fix": {"conv_stages": 2}, "search": {"conv_stages": [2, 3]}},
            'mine.toml: "conv_stages" is in [fix] and in [search]; keep one.',
        ),
        (
            {"recipe": {"momentum": 0.9}, "grid": {"recipe": {"momentum": [0.8, 0.9]}}},
            'mine.toml: "recipe.momentum" is in [recipe] and in [grid]; keep one.',
        ),
        (
            {"fix": {"conv_stage": 2}},
            'mine.toml: unknown hyperparameter "conv_stage"; the nearest valid one is "conv_stages".',
        ),
        (
            {"grid": {"kernel": [[32, 32]]}},
            'mine.toml: unknown hyperparameter "kernel_1"; the nearest valid one is "kernels".',
        ),
        (
            {"fix": {"kernels_0": 32}},
            'mine.toml: unknown hyperparameter "kernels_0"; there are kernels_1 to kernels_5.',
        ),
        (
            {"search": {"neurons_9": [32, 64]}},
            'mine.toml: unknown hyperparameter "neurons_9"; there are neurons_1 to neurons_4.',
        ),
        (
            {"space": "lenet", "baseline": {"kernels": [6, 16, 32]}},
            'mine.toml: unknown hyperparameter "kernels_3"; there are kernels_1 to kernels_2.',
        ),
        (
            {"search": {"kernels": [32, 64]}},
            'mine.toml: "kernels" is a list: write its items, kernels_1, kernels_2, ...',
        ),
        (
            {"space": "plain_cnn.published_5", "fix": {"dropout": 0.5}},
            'mine.toml: "dropout" has nothing to set: plain_cnn.published_5 is a whole architecture; ',
        ),
        (
            {"space": "plain_cnn.published_5", "search": {"dropout": [0.1, 0.2]}},
            'mine.toml: "dropout" has nothing to set: plain_cnn.published_5 is a whole architecture; ',
        ),
        (
            {"space": ["plain_cnn", "inception"], "fix": {"family=incepton/modules": 2}},
            'mine.toml: unknown family in "family=incepton/modules"; the nearest valid name is '
            '"family=inception/modules".',
        ),
        (
            {"space": ["plain_cnn", "inception"], "fix": {"family=inception/kernel_size": 3}},
            'mine.toml: unknown hyperparameter "family=inception/kernel_size"; the nearest valid one is ',
        ),
        (
            {"space": "inception", "fix": {"family=inception/modules": 2}},
            'mine.toml: "family=inception/modules" says which family, and inception is the only one: write '
            '"modules".',
        ),
        ({"space": "plain_cn"}, "mine.toml: There is no family 'plain_cn': did you mean 'plain_cnn'? "),
        ({"space": "plain_cnn.published_9"}, "mine.toml: plain_cnn has no variant 'published_9': "),
        ({"recipe": {"learning_rte": 1e-3}}, "mine.toml: unknown key of recipe 'learning_rte', did you mean"),
        (
            {"grid": {"recipe": {"augmentation": ["publishd", "none"]}}},
            "mine.toml: unknown augmentation 'publishd', did you mean 'published'?",
        ),
        (
            {"search": {"recipe": {"momentum": {"low": 0.5, "high": 1.5}}}},
            "mine.toml: recipe.momentum is 1.5: write a number from 0 to 0.9999",
        ),
        (
            {"baseline": {"variant": "plain_cnn.published_1", "dropout": 0.1}},
            'mine.toml: a variant is a whole architecture: "dropout" cannot be set beside it.',
        ),
        (
            {"grid": {"variant": ["published_1"]}},
            'mine.toml: a variant is written "family.name". Received: "published_1".',
        ),
        (
            {"space": ["plain_cnn", "inception"], "baseline": {"dropout": 0.1}},
            "mine.toml: every cell and [baseline] need a variant or one family of plain_cnn, inception. ",
        ),
        (
            {"grid": {"conv_stages": [3]}, "baseline": {"conv_stages": 3}},
            "mine.toml: the only cell of [grid] is the baseline; ",
        ),
        ({"name": "my study"}, "mine.toml: name must match pattern"),
    ],
)
def test_a_mistake_costs_one_sentence(sections: dict[str, Any], sentence: str) -> None:
    assert refusal(**sections).startswith(sentence)


@pytest.mark.parametrize(
    "sections",
    [
        {"fix": {"kernels": [32] * 7}},
        {"fix": {"conv_stages": 7, "kernels_7": 32}},
        {"search": {"conv_stages": {"low": 2, "high": 7}, "kernels_7": [32, 64]}},
        {"grid": {"kernels": [[32] * 7, [64] * 7]}},
    ],
)
def test_a_list_may_be_as_long_as_the_file_says_of_its_count(sections: dict[str, Any]) -> None:
    assert parse(**sections)


def test_a_family_is_searched_beside_a_variant() -> None:
    fix = {"family=inception/modules": 2, "dropout": 0.1}
    assert parse(space=["plain_cnn.published_5", "inception"], fix=fix).fixed == fix


def test_a_question_is_required() -> None:
    with pytest.raises(UserError, match='the key "question" is required and missing'):
        ExperimentConfig.parse({"name": "mine", "space": "plain_cnn"}, "mine.toml")


def test_resolved_is_json_and_toml_and_the_same_experiment_again() -> None:
    spec = parse(
        fix={"kernels": [32, 64]},
        search={"recipe": {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}},
        baseline={"variant": "plain_cnn.published_1", "recipe.momentum": 0.5},
        published=[{"architecture": 'plain "64"', "n": 7066, "val_accuracy": 0.6606}],
        protocol={"sampler_options": {"n_startup_trials": 4}},
    )
    assert json.loads(json.dumps(spec.resolved())) == spec.resolved()
    again = ExperimentConfig.parse(tomllib.loads(spec.to_toml()), "again")
    assert again.identity() == spec.identity()
    assert (again.published, again.to_toml()) == (spec.published, spec.to_toml())


@pytest.mark.parametrize(
    "words", ['"two" \\ quotes', "a\ttab\nand a line", "größer ≥ 3 🙂", "# [no] = comment", "\x00\x7f"]
)
def test_words_and_numbers_of_any_kind_are_read_again_as_they_were(words: str) -> None:
    options = {words: [words, 1e-300, 2**62, True, {"deep": {words: [[1], [2.0]]}}]}
    spec = parse(question=words, protocol={"sampler_options": options})
    again = ExperimentConfig.parse(tomllib.loads(spec.to_toml()), "again")
    assert (again.question, again.protocol.sampler_options) == (words, options)
    assert again.identity() == spec.identity()


def test_resolved_spells_the_recipe_out_except_for_what_varies() -> None:
    recipe = parse(recipe={"momentum": 0.5}, search={"recipe.l2": [0.0, 1e-4]}).resolved()["recipe"]
    assert recipe["momentum"] == 0.5
    assert recipe["batch_size"] == 128
    assert "l2" not in recipe


@pytest.mark.parametrize(
    "settings",
    [
        {"protocol.trials": 500},
        {"protocol.seeds": 30},
        {"protocol.seeds": "auto", "protocol.max_seeds": 12},
        {"protocol.leaders": 2},
        {"protocol.hours": 1.5},
        {"protocol.retries": 0},
        {"protocol.max_seconds": 9.0},
        {"data.source": "elsewhere/fer2013.zip"},
        {"question": "In other words?"},
        {"published": [{"architecture": "someone's"}]},
    ],
)
def test_totals_paths_and_words_leave_the_study_the_same(settings: dict[str, Any]) -> None:
    assert parse().override(settings).identity() == parse().identity()


@pytest.mark.parametrize(
    "settings",
    [
        {"protocol.epochs": 3},
        {"verdict.tau": 0.5},
        {"protocol.sampler": "random"},
        {"recipe.momentum": 0.5},
        {"fix.dropout": 0.1},
        {"search.conv_stages": [2, 3]},
        {"data.limit": 100},
        {"name": "other"},
    ],
)
def test_everything_else_makes_another_study(settings: dict[str, Any]) -> None:
    assert parse().override(settings).identity() != parse().identity()


def test_spelling_a_default_out_leaves_the_study_the_same() -> None:
    assert parse(recipe={"momentum": 0.9}).identity() == parse().identity()


def test_settings_reach_every_section_and_leave_the_rest_alone() -> None:
    spec = parse(grid={"conv_stages": [2, 3]}, recipe={"momentum": 0.5}).override(
        {
            "protocol.epochs": 3,
            "protocol.sampler_options.seed": 1,
            "data.limit": 10,
            "recipe.augmentation": {"rotation": 5},
            "grid.conv_stages": [4],
            "baseline.conv_stages": 2,
        }
    )
    assert (spec.protocol.epochs, spec.protocol.sampler_options, spec.data.limit) == (3, {"seed": 1}, 10)
    assert dict(spec.recipe) == {"momentum": 0.5, "augmentation": {"rotation": 5}}
    assert (list(spec.cells), spec.baseline_cell) == ([{"conv_stages": 4}], {"conv_stages": 2})


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("protocol.epoch", 3, '--set: unknown key "protocol.epoch"; the nearest valid one is "epochs".'),
        ("protcol.epochs", 3, '--set: unknown key "protcol"; the nearest valid one is "protocol".'),
        ("protocol.epochs", 0, "--set: protocol.epochs must be greater than or equal to 1. Received: 0."),
        ("fix.convs", 3, '--set: unknown hyperparameter "convs"; the nearest valid one is "conv_stages".'),
        ("protocol.epochs.x", 3, "--set: epochs is not a table: x cannot be set in it."),
        ("question.x", 3, "--set: question is not a table: x cannot be set in it."),
    ],
)
def test_a_wrong_setting_costs_one_sentence(key: str, value: object, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        parse().override({key: value})
    assert str(caught.value) == sentence


def test_a_grid_of_several_tables_is_edited_in_a_file() -> None:
    spec = parse(grid=[{"conv_stages": [2]}, {"dense_layers": [1]}])
    with pytest.raises(UserError, match="--set: this experiment has 2"):
        spec.override({"grid.conv_stages": [3]})


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("protocol.epochs=3", ("protocol.epochs", 3)),
        ("verdict.tau = 0.5", ("verdict.tau", 0.5)),
        ("search.conv_stages=[2, 3]", ("search.conv_stages", [2, 3])),
        ("recipe.augmentation={rotation = 5}", ("recipe.augmentation", {"rotation": 5})),
        ("recipe.class_weights=true", ("recipe.class_weights", True)),
        ("recipe.optimizer=sgd", ("recipe.optimizer", "sgd")),
        ('data.source="a=b.zip"', ("data.source", "a=b.zip")),
        ("data.source=some/where.zip", ("data.source", "some/where.zip")),
    ],
)
def test_a_setting_is_a_key_and_a_toml_value(text: str, setting: tuple[str, object]) -> None:
    assert parse_setting(text) == setting


@pytest.mark.parametrize("text", ["protocol.epochs", "=3", "search.x=[1,", "protocol.epochs="])
def test_a_setting_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="--set"):
        parse_setting(text)


def test_a_file_of_ones_own_is_named_after_the_file(tmp_path: Path) -> None:
    path = tmp_path / "own_study.toml"
    path.write_text('question = "Mine?"\nspace = "plain_cnn"\n')
    assert ExperimentConfig.load(path).name == "own_study"


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("question = \n")
    with pytest.raises(UserError, match=r"broken\.toml is not valid TOML: Invalid value \(at line 1"):
        ExperimentConfig.load(path)
