"""A domain contains what it says, and is the same after a journey through JSON."""

import json

import pytest

from spaces.domains import (
    Categorical,
    Domain,
    Integer,
    Real,
    domain_from_dict,
)
from spaces.errors import UserError

DOMAINS = [
    Categorical((32, 64), 64),
    Categorical(("adam", "sgd")),
    Categorical((True, False), False),
    Categorical((0.0, 0.5)),
    Integer(1, 9, 2, default=3),
    Integer(8, 512, log=True),
    Real(0.0, 0.5, 0.1, default=0.2),
    Real(1e-4, 1e-1, log=True),
]


@pytest.mark.parametrize("domain", DOMAINS, ids=str)
def test_a_domain_is_the_same_after_json(domain: Domain) -> None:
    assert domain_from_dict(json.loads(json.dumps(domain.to_dict()))) == domain


@pytest.mark.parametrize(
    ("domain", "inside", "outside"),
    [
        (Categorical((32, 64)), [32, 64, 64.0], [48, "64", None]),
        (Categorical((True, False)), [True, False], [1, 0, "true"]),
        (Categorical((0, 1)), [0, 1], [True, False]),
        (Integer(1, 9, 2), [1, 3, 9], [0, 2, 11, 3.0, True]),
        (Real(0.0, 0.5, 0.1), [0, 0.1, 0.30000000000000004, 0.5], [0.25, 0.6, True, "0.1"]),
        (Real(1e-4, 1.0, log=True), [1e-4, 0.02, 1], [0.0, 2.0]),
    ],
)
def test_a_domain_contains_its_values_and_no_others(domain: Domain, inside: list, outside: list) -> None:
    assert [domain.contains(value) for value in inside] == [True] * len(inside)
    assert [domain.contains(value) for value in outside] == [False] * len(outside)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Categorical(()),
        lambda: Integer(5, 2),
        lambda: Integer(0, 4, log=True),
        lambda: Real(0.0, 1.0, step=0.0),
    ],
)
def test_a_range_that_cannot_be_is_a_users_mistake(wrong) -> None:
    with pytest.raises(UserError, match="Received"):
        wrong()
