"""A family calls its hyperparameters after its fields, so that a misspelt one is refused at once."""

import random
import re

import pytest

from experiments.schema.hyperparameters import hyperparameters
from spaces.domains import Categorical, Domain, Value
from spaces.family import family_names, load_family

pytestmark = pytest.mark.slow  # imports Keras


@pytest.mark.parametrize("name", family_names())
def test_every_drawn_name_is_known_from_the_fields(name: str) -> None:
    from spaces.keras_tuner.hyperparameters import DrawnHyperParameters

    chance, family = random.Random(0), load_family(name)

    def suggest(path: str, domain: Domain) -> Value:
        if isinstance(domain, Categorical):
            return chance.choice(domain.choices)
        return chance.choice([domain.low, domain.high])

    drawn: set[str] = set()
    for _ in range(20):
        hp = DrawnHyperParameters(suggest)
        family.sample(hp)
        drawn |= {re.sub(r"_\d+$", "_1", hyperparameter) for hyperparameter in hp.values}
    assert drawn <= hyperparameters(family)


@pytest.mark.parametrize("name", family_names())
def test_the_longest_lists_are_those_that_the_largest_values_draw(name: str) -> None:
    from spaces.keras_tuner.hyperparameters import DrawnHyperParameters

    def largest(_: str, domain: Domain) -> Value:
        return max(domain.choices) if isinstance(domain, Categorical) else domain.high

    family = load_family(name)
    drawn = family.to_dict(family.sample(DrawnHyperParameters(largest)))
    lists = {field: len(value) for field, value in drawn.items() if isinstance(value, list)}
    assert family.max_list_lengths() == lists
