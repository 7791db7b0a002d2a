"""A space draws candidates by name, builds what its budget allows and rebuilds what it once drew."""

import keras_tuner
import pytest

from spaces.domains import (
    Categorical,
    Domain,
    Integer,
    Real,
    Value,
)
from spaces.errors import InfeasibleArchitecture, UserError
from spaces.keras_tuner.hyperparameters import DrawnHyperParameters, domain_of
from spaces.space import Space

SHAPE = (32, 32, 1)


class Asked(dict[str, Domain]):
    """A suggester: answers with the given values, else with the least, and remembers its questions."""

    def __init__(self, **values: Value) -> None:
        super().__init__()
        self.values_of = values

    def __call__(self, path: str, domain: Domain) -> Value:
        assert path not in self, "asked twice"
        self[path] = domain
        name = path.rpartition("/")[2]
        return self.values_of.get(name, domain.choices[0] if isinstance(domain, Categorical) else domain.low)


def test_a_family_alone_speaks_in_plain_names() -> None:
    asked = Asked()
    built = Space.parse("plain_cnn").build(DrawnHyperParameters(asked), SHAPE, 7)
    assert list(asked) == [
        "conv_stages", "kernels_1", "kernels_2", "convs_per_stage", "kernel_size", "batch_norm",
        "dense_layers", "head", "neurons_1", "dropout",
    ]  # fmt: skip
    assert asked["conv_stages"] == Integer(2, 5, default=4)
    assert asked["neurons_1"] == Categorical((64, 128, 256, 512, 1024), 256)
    assert built.facts == {"conv_stages": 2, "kernels": "32-32", "dense_layers": 1, "neurons": "64"}
    assert built.label == "plain 32-32 · 64 · bn"


def test_several_families_are_a_choice_and_names_carry_its_condition() -> None:
    asked = Asked(family="inception")
    space = Space.parse(["plain_cnn", "inception"])
    built = space.build(DrawnHyperParameters(asked), SHAPE, 7)
    assert asked["family"] == Categorical(("plain_cnn", "inception"), "plain_cnn")
    assert asked["family=inception/modules"] == Integer(1, 4, default=3)
    assert {path.partition("/")[0] for path in asked} == {"family", "family=inception"}
    assert (built.family, space.families) == ("inception", ("plain_cnn", "inception"))


def test_fixed_values_are_not_asked_for_by_name_or_by_path() -> None:
    asked = Asked(family="inception")
    fixed = {"modules": 2, "family=inception/kernels_1x1": 24, "conv_stages": 3}
    hp = DrawnHyperParameters(asked, fixed)
    built = Space.parse(["plain_cnn", "inception"]).build(hp, SHAPE, 7)
    assert (built.architecture["modules"], built.architecture["kernels_1x1"]) == (2, 24)
    assert not {"family=inception/modules", "family=inception/kernels_1x1"} & set(asked)
    assert hp.unmet == {"conv_stages"}


def test_what_was_fixed_is_known_by_its_path_with_what_it_might_have_been() -> None:
    fixed = {"modules": 2, "family": "inception", "dropout": 0.45}
    hp = DrawnHyperParameters(Asked(), fixed, {"dropout": Real(0.1, 0.2)})
    Space.parse(["plain_cnn", "inception"]).build(hp, SHAPE, 7)
    assert hp.stood == {
        "family": ("family", Categorical(("plain_cnn", "inception"), "plain_cnn"), "inception"),
        "family=inception/modules": ("modules", Integer(1, 4, default=3), 2),
        "family=inception/dropout": ("dropout", Real(0.1, 0.2), 0.45),
    }


def test_a_narrowed_search_asks_within_its_own_domains() -> None:
    asked = Asked()
    narrow = {"conv_stages": Integer(3, 4), "dropout": Real(0.1, 0.2)}
    Space.parse("plain_cnn").build(DrawnHyperParameters(asked, domains=narrow), SHAPE, 7)
    assert (asked["conv_stages"], asked["dropout"]) == (Integer(3, 4), Real(0.1, 0.2))
    assert "kernels_3" in asked


def test_a_misspelt_word_is_a_users_mistake() -> None:
    hp = DrawnHyperParameters(Asked(), {"head": "averaged"})
    with pytest.raises(UserError, match="head cannot be 'averaged': expected 'flatten', 'average'"):
        Space.parse("plain_cnn").build(hp, SHAPE, 7)


def test_what_a_family_does_not_search_can_be_fixed_or_searched_all_the_same() -> None:
    asked = Asked()
    fixed = {"stem": "7x7", "side": 40, "conv_stages": 2}
    hp = DrawnHyperParameters(asked, fixed, {"dropout": Real(0.0, 0.1)})
    built = Space.parse("resnet").build(hp, SHAPE, 7)
    assert (built.architecture["stem"], built.architecture["side"]) == ("7x7", 40)
    asked.clear()
    hp = DrawnHyperParameters(asked, domains={"stem": Categorical(("7x7", "3x3"))})
    assert Space.parse("resnet").build(hp, SHAPE, 7).architecture["stem"] == "7x7"
    with pytest.raises(UserError, match=r"resnet.stem must be one of '3x3', '7x7'"):
        Space.parse("resnet").build(DrawnHyperParameters(Asked(), {"stem": "9x9"}), SHAPE, 7)


def test_a_variant_is_not_drawn() -> None:
    asked = Asked()
    built = Space.parse("plain_cnn.published_1").build(DrawnHyperParameters(asked), (48, 48, 1), 7)
    assert (dict(asked), built.family, built.variant) == ({}, "plain_cnn", "published_1")


def test_what_was_drawn_is_rebuilt_alike() -> None:
    space = Space.parse("inception")
    drawn = space.build(DrawnHyperParameters(Asked(kernels_pool=16)), SHAPE, 7)
    again = space.rebuild("inception", drawn.architecture, SHAPE, 7)
    assert (again.architecture, again.family) == (drawn.architecture, drawn.family)
    assert (again.parameters, again.macs, again.label) == (drawn.parameters, drawn.macs, drawn.label)


def test_a_budget_is_kept_before_any_weight_is_allocated() -> None:
    """The network would have 8.6 billion weights: 34 GB."""
    hp = DrawnHyperParameters(
        Asked(), {"kernels_2": 512, "neurons_1": 1024, "head": "flatten", "batch_norm": False}
    )
    with pytest.raises(InfeasibleArchitecture, match="the budget is 1,000,000") as caught:
        Space.parse("plain_cnn").build(hp, (512, 512, 3), 7, max_parameters=1_000_000, max_macs=10**15)
    assert caught.value.parameters == 28 * 32 + 289 * 512 + (128**2 * 512 + 1) * 1024 + 1025 * 7
    assert caught.value.violation == pytest.approx(caught.value.parameters / 1e6 - 1)


@pytest.mark.parametrize("spec", [[], ["inception", "inception"]])
def test_a_space_names_each_family_once(spec: list[str]) -> None:
    with pytest.raises(UserError, match="each once"):
        Space.parse(spec)


def test_an_unknown_variant_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'published_5'"):
        Space.parse("plain_cnn.publishd_5")


@pytest.mark.parametrize(
    ("declare", "domain"),
    [
        (lambda hp: hp.Choice("x", [1, 2], default=2), Categorical((1, 2), 2)),
        (lambda hp: hp.Choice("x", ["a", "b"]), Categorical(("a", "b"), "a")),
        (lambda hp: hp.Choice("x", [True, False]), Categorical((True, False), True)),
        (lambda hp: hp.Boolean("x"), Categorical((True, False), False)),
        (lambda hp: hp.Fixed("x", 3), Categorical((3,), 3)),
        (lambda hp: hp.Int("x", 1, 9), Integer(1, 9, default=1)),
        (lambda hp: hp.Int("x", 1, 9, step=3, default=4), Integer(1, 7, 3, default=4)),
        (lambda hp: hp.Int("x", 1, 9, sampling="log"), Integer(1, 9, log=True, default=1)),
        (lambda hp: hp.Int("x", 2, 33, step=2, sampling="log"), Categorical((2, 4, 8, 16, 32), 2)),
        (lambda hp: hp.Int("x", 1, 8, step=2, sampling="reverse_log"), Categorical((1, 5, 7, 8), 1)),
        (lambda hp: hp.Int("x", 1, 9, sampling="reverse_log"), Integer(1, 9, default=1)),
        (lambda hp: hp.Float("x", 0, 1), Real(0.0, 1.0, default=0.0)),
        (lambda hp: hp.Float("x", 0, 1, step=0.3), Real(0.0, 0.8999999999999999, 0.3, default=0.0)),
        (lambda hp: hp.Float("x", 1e-3, 1, sampling="log"), Real(1e-3, 1.0, log=True, default=1e-3)),
        (lambda hp: hp.Float("x", 1, 100, step=10, sampling="log"), Categorical((1.0, 10.0, 100.0), 1.0)),
        (lambda hp: hp.Float("x", 1, 9, sampling="reverse_log", default=3), Real(1.0, 9.0, default=3.0)),
    ],
)  # fmt: skip
def test_every_kind_of_hyperparameter_has_its_domain(declare, domain: Domain) -> None:
    hp = keras_tuner.HyperParameters()
    declare(hp)
    assert domain_of(hp.space[0]) == domain
