"""Seeds that fail to learn: what is selected, claimed and said when networks collapse."""

from dataclasses import replace

import numpy as np
import pytest

from reports.inference.comparison import Rule, compare
from reports.inference.verdict import decide
from tests.support.studies.drawn_evaluations import drawn

SIZES = {"best": 2000, "lower": 500, "one": 1500, "two": 1400}


def collapsed(study, *which):
    """The same evaluations, where these (candidate, seed) answer the commonest class alone."""
    commonest = int(np.bincount(study[0].labels).argmax())
    answer = np.full_like(study[0].probabilities, 0.01)
    answer[:, commonest] = 1.0 - 0.01 * (answer.shape[1] - 1)
    return [
        replace(one, probabilities=answer, train_clean_accuracy=float(np.mean(one.labels == commonest)))
        if (one.candidate, one.seed) in which
        else one
        for one in study
    ]


@pytest.mark.parametrize("study", range(10))
def test_two_collapsed_rivals_do_not_select_a_network_five_points_lower(study):
    skills = {"best": 0.60, "lower": 0.42, "one": 0.58, "two": 0.58}
    drawn_ones = drawn(skills, 5, 2000, parameters=SIZES, random_seed=study)
    verdict = decide(compare(collapsed(drawn_ones, ("one", 1), ("two", 3)), Rule()), Rule())
    assert verdict.judgement("lower").relation == "worse"
    assert verdict.selected != "lower"


@pytest.mark.parametrize("study", range(10))
def test_a_collapse_does_not_widen_its_own_way_into_selection(study):
    study = drawn({"best": 0.60, "lower": 0.50}, 5, 2000, parameters=SIZES, random_seed=study)
    comparison = compare(collapsed(study, ("lower", 2)), Rule())
    chosen = comparison.row(decide(comparison, Rule()).selected)
    assert chosen.candidate == "best" or chosen.delta_to_best > -0.01


def test_of_candidates_near_the_best_the_more_reliable_one_is_selected():
    best = drawn({"best": 0.60}, 5, 2000, parameters=SIZES)
    study = [*best, *(replace(one, candidate="lower", parameters=SIZES["lower"]) for one in best)]
    steady = decide(compare(study, Rule()), Rule())
    shaky = decide(compare(collapsed(study, ("lower", 2)), Rule()), Rule())
    assert (steady.selected, shaky.selected) == ("lower", "best")
    assert (shaky.judgement("lower").seeds_failed, shaky.judgement("best").seeds_failed) == (1, 0)


def test_one_collapsed_seed_of_a_rival_spoils_neither_better_nor_what_luck_is_said():
    study = drawn({"best": 0.70, "one": 0.55, "two": 0.55}, 5, 2000, parameters=SIZES)
    clean, shaken = (compare(one, Rule()) for one in (study, collapsed(study, ("one", 2))))
    assert decide(shaken, Rule()).winner == "best"
    assert shaken.selection.optimism == pytest.approx(clean.selection.optimism, abs=0.003)
    assert shaken.best.val_accuracy_shrunk == pytest.approx(clean.best.val_accuracy_shrunk, abs=0.003)


def test_a_mean_and_its_interval_are_those_of_the_seeds_that_learned():
    study = drawn({"best": 0.70, "one": 0.55}, 5, 2000)
    row = compare(collapsed(study, ("one", 2)), Rule()).row("one")
    assert row.val_accuracy_all < row.val_accuracy - 0.05
    assert row.val_accuracy_ci_low < row.val_accuracy < row.val_accuracy_ci_high < row.val_accuracy + 0.1
    assert (row.n_seeds, row.seeds_counted, row.seeds_failed) == (5, 4, 1)
    assert row.failed_seeds == (2,)


def test_a_network_that_predicts_one_class_learned_nothing_and_is_not_overfit():
    study = drawn({"best": 0.70, "one": 0.55}, 5, 2000, train_accuracy={"best": 0.75, "one": 0.75})
    never = collapsed(study, *(("one", seed) for seed in range(5)))
    verdict = decide(compare(never, Rule()), Rule())
    assert verdict.judgement("one").word == "worse"
    assert not verdict.judgement("one").overfit
    alone = [one for one in never if one.candidate == "one"]
    assert decide(compare(alone, Rule()), Rule()).judgement("one").word == "selected"


def test_predictions_of_one_class_everywhere_claim_nothing():
    study = drawn({"best": 0.7, "one": 0.5}, 4, 1000)
    nobody = collapsed(study, *((name, seed) for name in ("best", "one") for seed in range(4)))
    comparison = compare(nobody, Rule())
    assert {row.seeds_failed for row in comparison.rows} == {0}  # nobody learned, so nobody stands out
    assert {one.overfit for one in decide(comparison, Rule()).judgements} == {False}
