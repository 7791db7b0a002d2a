"""The verdict claims what the rule allows and no more, and freezes to the same bytes every time."""

import json

import numpy as np
import pytest

from reports.inference.comparison import Rule, compare
from reports.inference.verdict import decide
from tests.support.studies.drawn_evaluations import drawn, evaluation

SIZES = {"big": 2000, "small": 1000, "tiny": 500}


def verdict_of(study, rule=None, look=1):
    rule = rule or Rule()
    return decide(compare(study, rule, look), rule)


def test_a_clear_winner_is_better_and_selected():
    verdict = verdict_of(drawn({"big": 1.0, "small": 0.3, "tiny": 0.2}, parameters=SIZES))
    assert verdict.winner == verdict.selected == verdict.best == "big"
    assert verdict.judgement("big").relation == "better"
    assert verdict.words() == {"big": "selected", "small": "worse", "tiny": "worse"}
    assert verdict.runner_up == "small"


def test_of_equals_the_smallest_is_selected_and_nobody_wins():
    study = [
        *drawn({"big": 0.5, "small": 0.5}, 10, parameters=SIZES, random_seed=3),
        *drawn({"tiny": -0.5}, 10, parameters=SIZES, train_accuracy={"tiny": 0.4}, random_seed=3),
    ]
    verdict = verdict_of(study)
    assert verdict.winner is None
    assert verdict.selected == "small"
    assert verdict.runner_up == "big"
    assert verdict.words()["tiny"] == "worse"


def test_the_same_answers_on_many_images_are_tied():
    big = drawn({"big": 0.5}, 4, 2000)
    labels = big[0].labels
    small = [evaluation("small", one.seed, labels, one.probabilities.argmax(1), parameters=10) for one in big]
    verdict = verdict_of([*big, *small])
    assert {one.relation for one in verdict.judgements} == {"tied"}
    assert verdict.words() == {"small": "selected", "big": "tied"}


def test_the_same_answers_on_few_images_prove_nothing():
    big = drawn({"big": 0.5}, 4, 60)
    small = [evaluation("small", e.seed, e.labels, e.probabilities.argmax(1), parameters=10) for e in big]
    assert {one.relation for one in verdict_of([*big, *small]).judgements} == {"underpowered"}


@pytest.mark.parametrize("seeds", [1, 2])
def test_with_fewer_than_three_seeds_nothing_is_claimed(seeds):
    verdict = verdict_of(drawn({"big": 2.0, "small": -2.0}, seeds, train_accuracy={"big": 1.0, "small": 1.0}))
    assert (verdict.winner, verdict.selected, verdict.runner_up) == (None, None, None)
    assert set(verdict.words().values()) == {"underpowered"}


def test_the_best_is_not_selected_when_it_surely_overfits():
    overfit = {"big": 1.0, "small": 0.72}
    study = drawn({"big": 0.52, "small": 0.5}, 6, parameters=SIZES, train_accuracy=overfit, random_seed=1)
    verdict = verdict_of(study, Rule(tau=0.2))
    assert verdict.words() == {"big": "overfit", "small": "selected"}
    assert verdict.judgement("big").overfit


def test_none_is_selected_when_all_that_are_near_overfit():
    verdict = verdict_of(drawn({"big": 0.5}, 6, train_accuracy={"big": 1.0}), Rule(tau=0.2))
    assert (verdict.selected, verdict.runner_up) == (None, None)
    assert verdict.words() == {"big": "overfit"}


def test_an_overfit_candidate_keeps_its_relation_beside_the_word():
    train = {"big": 0.85, "small": 1.0}
    verdict = verdict_of(drawn({"big": 1.0, "small": 0.2}, train_accuracy=train))
    one = verdict.judgement("small")
    assert (one.word, one.relation) == ("overfit", "worse")


def test_unknown_training_accuracy_is_not_overfitting():
    verdict = verdict_of(drawn({"big": 0.5}, train_accuracy={"big": np.nan}))
    assert verdict.words() == {"big": "selected"}


@pytest.mark.slow
def test_an_early_look_claims_what_a_late_one_may_not():
    study = drawn({"big": 0.62, "small": 0.5}, 5, random_seed=2)
    p = compare(study, Rule()).rows[1].p_holm
    looks = [verdict_of(study, look=look).winner is not None for look in range(1, 30)]
    assert looks == [p < 0.05 / 2**look for look in range(1, 30)]
    assert looks[0]
    assert not looks[-1]


@pytest.mark.slow
def test_equal_candidates_seldom_get_a_winner():
    claims = 0
    for study in range(30):
        verdict = verdict_of(drawn(dict.fromkeys("abcd", 0.5), 4, 200, random_seed=study))
        claims += any(one.relation in ("better", "worse") for one in verdict.judgements)
    assert claims <= 3


def test_the_frozen_verdict_is_canonical_json():
    study = drawn({"big": 0.6, "small": 0.5}, train_accuracy={"big": np.nan, "small": 0.8})
    verdict = verdict_of(study)
    plain = json.loads(verdict.to_json())
    assert plain == verdict.to_dict()
    assert list(plain) == sorted(plain)
    assert plain["judgements"][0]["delta_ci_low"] is None
    assert verdict.hash() == verdict_of(study).hash()
    assert len(verdict.hash()) == 64
    assert verdict.hash() != verdict_of(study, look=2).hash()


def test_another_rule_than_the_comparisons_is_refused():
    with pytest.raises(ValueError, match="the comparison's own rule"):
        decide(compare(drawn({"a": 0.5}), Rule()), Rule(tau=0.5))
