"""Words follow from one interval, and collapsed seeds neither make nor hide a winner."""

import numpy as np
import pytest

from reports.inference.standings import near_best, standings
from tests.support.studies.tables_of_scores import MAJORITY, table, tables


def placed(*entries, level=0.025, margin=0.01):
    return {one.name: one for one in standings(entries, MAJORITY, level, margin)}


@pytest.mark.parametrize("study", range(20))
def test_two_collapsed_rivals_do_not_blur_the_steady_ones(study):
    found = placed(
        table("best", 0.67, random_seed=study),
        table("lower", 0.62, random_seed=study),
        table("one", 0.66, failed=[2], random_seed=study),
        table("two", 0.66, failed=[4], random_seed=study),
    )
    assert found["lower"].relation == "worse"
    assert found["lower"].difference.se < 0.01


def test_a_collapsed_rival_that_lacks_a_seed_blurs_nobody():
    found = placed(table("best", 0.67), table("lower", 0.62), table("rival", 0.66, range(1, 5), failed=[2]))
    assert found["lower"].relation == "worse"
    assert found["rival"].sample.seeds == 3


def test_one_collapsed_seed_of_one_rival_does_not_forbid_better():
    found = placed(table("best", 0.70), table("b", 0.65), table("c", 0.64, failed=[3]))
    assert [one.relation for one in found.values()] == ["better", "worse", "worse"]


def test_failure_to_learn_is_counted_and_not_averaged():
    found = placed(table("a", 0.67, failed=[1]), table("b", 0.60))
    assert found["a"].failed.tolist() == [True, False, False, False, False]
    assert found["a"].sample.mean == pytest.approx(0.67, abs=0.02)


def test_who_fails_with_most_seeds_is_judged_by_all_of_them():
    found = placed(table("a", 0.67), table("b", 0.67, failed=[1, 2, 3, 4]))
    assert found["b"].sample.mean == pytest.approx(0.33, abs=0.02)
    all_failed = placed(table("a", 0.67), table("b", 0.67, failed=[1, 2, 3, 4, 5]))
    assert all_failed["b"].relation == "worse"


def test_fifteen_points_over_five_seeds_are_decided():
    found = placed(table("a", 0.744, images=600, spread=0.04), table("b", 0.594, images=600, spread=0.04))
    assert found["a"].relation == "better"


def test_few_images_do_not_make_a_candidate_near_that_was_measured_beyond_the_margin():
    """With 100 images one standard error is several points."""
    found = placed(table("best", 0.70, images=100), table("lower", 0.66, images=100))
    behind = found["best"].sample.mean - found["lower"].sample.mean
    assert 0.01 < behind < found["lower"].difference.se
    assert found["lower"].relation == "underpowered"
    assert not near_best(found["lower"], margin=0.01)
    assert near_best(found["lower"], margin=0.2), "one standard error is the other limit"


def test_a_steady_candidates_interval_does_not_depend_on_an_unsteady_one():
    alone = placed(table("a", 0.70), table("b", 0.66))
    joined = placed(table("a", 0.70), table("b", 0.66), table("wild", 0.55, spread=0.1))
    assert joined["b"].difference.se == alone["b"].difference.se


def test_two_that_give_the_same_answers_are_tied_on_many_images_alone():
    same = table("a", 0.67, images=3589)
    other = table("b", 0.67, images=3589)
    twin = type(same)("b", "b", 1000, same.seeds, same.scores, same.accuracy)
    assert placed(same, twin)["b"].relation == "tied"
    few = table("a", 0.67, images=100)
    assert placed(few, type(few)("b", "b", 1, few.seeds, few.scores, few.accuracy))["b"].relation == (
        "underpowered"
    )
    assert placed(same, other)["b"].relation in ("tied", "underpowered")


def test_no_word_contradicts_its_interval_or_its_neighbours():
    random = np.random.default_rng(0)
    for study in range(60):
        accuracies = {name: float(random.uniform(0.6, 0.68)) for name in "abcd"}
        entries = tables(accuracies, images=500, spread=float(random.uniform(0, 0.03)), random_seed=study)
        found = standings(entries, MAJORITY, 0.025, 0.03)
        best, others = found[0], found[1:]
        means = [one.sample.mean for one in found]
        assert means == sorted(means, reverse=True)
        for one in others:
            assert one.low < one.difference.estimate < one.high
            assert (one.relation == "worse") == (one.high < 0.0) == (one.p < 0.025)
            assert (one.relation == "tied") == (one.low > -0.03 and one.high < 0.03 and one.high >= 0.0)
        relations = {one.relation for one in others}
        assert (best.relation == "better") == (relations == {"worse"})
        assert (best.relation == "tied") == (relations in ({"tied"}, {"tied", "worse"}))
        assert (best.p < 0.025) == (best.relation == "better")
