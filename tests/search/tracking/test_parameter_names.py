"""Whatever a hyperparameter is called, MLflow takes it as a parameter, and no two become one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.tracking.params import as_params


def taken(params: dict[str, str]) -> bool:
    """Whether MLflow itself accepts all of them; it raises what it has against one."""
    from mlflow.utils.validation import _validate_param

    return all(_validate_param(name, value) for name, value in params.items())


@pytest.mark.parametrize(
    ("name", "param"),
    [
        ("learning rate: a/b", "arch.learning rate: a/b"),
        ("lr (log)", "arch.lr _log_"),
        ("units[0]", "arch.units_0_"),
        ("conv+pool", "arch.conv_pool"),
        ("drop_%", "arch.drop__"),
        ("block//units", "arch.block/_/units"),
        ("block/../units", "arch.block/_/units"),
        ("block/", "arch.block/_"),
    ],
)
def test_what_mlflow_refuses_in_a_name_is_underlined(name: str, param: str) -> None:
    params = as_params("arch.", {name: 1})
    assert params == {param: "1"}
    assert taken(params)


def test_names_that_would_become_one_are_numbered_and_the_good_one_keeps_its_own() -> None:
    params = as_params("arch.", {"a+b": 1, "a_b": 2, "a%b": 3})
    assert params == {"arch.a_b": "2", "arch.a_b_2": "1", "arch.a_b_3": "3"}


def test_names_that_are_too_long_are_cut_and_told_apart() -> None:
    params = as_params("", {"k" * 300 + end: end for end in "ab"})
    assert sorted(params.values()) == ["a", "b"]
    assert taken(params)


@given(st.lists(st.text("ab_./ :+%\n", max_size=8), unique=True, max_size=8), st.sampled_from(["", "arch."]))
def test_any_names_are_taken_and_none_is_lost(names: list[str], prefix: str) -> None:
    params = as_params(prefix, {name: number for number, name in enumerate(names)})
    assert sorted(params.values()) == sorted(map(str, range(len(names))))
    assert taken(params)
