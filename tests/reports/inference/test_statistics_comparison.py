"""A comparison is the same whatever the order of its input, and refuses what cannot be compared."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from reports.inference.comparison import Rule, compare
from reports.inference.verdict import decide
from tests.support.studies.drawn_evaluations import drawn, evaluation

STUDY = drawn({"a": 0.6, "b": 0.6, "c": 0.1})


def shuffled(one, order):
    return replace(
        one,
        ids=one.ids[order],
        labels=one.labels[order],
        probabilities=one.probabilities[order],
        groups=one.groups[order],
        has_twin=one.has_twin[order],
    )


def test_rows_are_ordered_by_score_and_measured_against_the_best():
    comparison = compare(STUDY, Rule())
    assert [row.score for row in comparison.rows] == sorted(
        (row.score for row in comparison.rows), reverse=True
    )
    best, *others = comparison.rows
    assert (best.delta_to_best, best.within_one_se, best.tied_for_best) == (0.0, True, True)
    assert best.seeds_failed == 0
    assert np.isnan(best.delta_ci_low)
    for row in others:
        assert row.delta_to_best == pytest.approx(row.val_accuracy - best.val_accuracy)
        assert row.delta_ci_low < row.delta_to_best < row.delta_ci_high
    assert others[-1].candidate == "c"
    assert not others[-1].tied_for_best
    assert not others[-1].within_one_se


def test_order_of_evaluations_and_of_images_changes_nothing():
    order = np.random.default_rng(0).permutation(1000)
    mixed = [STUDY[0], *(shuffled(one, order) for one in reversed(STUDY[1:]))]
    assert decide(compare(mixed, Rule()), Rule()).hash() == decide(compare(STUDY, Rule()), Rule()).hash()


@pytest.mark.parametrize("objective", ["val_accuracy", "macro_f1", "loss"])
def test_every_objective_ranks_higher_as_better(objective):
    comparison = compare(STUDY, Rule(objective=objective))
    assert comparison.rows[-1].candidate == "c"
    assert comparison.rows[-1].delta_ci_high < 0.0
    assert comparison.pair("c", "a").difference.estimate < 0.0


def test_each_candidate_is_judged_by_all_of_its_own_seeds():
    study = drawn({"a": 0.6, "b": 0.5}, {"a": 6, "b": 4})
    pair = compare(study, Rule()).pair("a", "b")
    right = {
        c: [(e.probabilities.argmax(1) == e.labels).mean() for e in study if e.candidate == c] for c in "ab"
    }
    assert pair.difference.seeds == (6, 4)
    assert pair.difference.estimate == pytest.approx(np.mean(right["a"]) - np.mean(right["b"]))
    assert pair.paired == 4
    assert pair.won == sum(a > b for a, b in zip(right["a"], right["b"], strict=False))


def test_candidates_need_no_common_seed():
    ours = drawn({"a": 0.9}, 4)
    theirs = [replace(one, seed=one.seed + 10) for one in drawn({"b": 0.2}, 4)]
    comparison = compare([*ours, *theirs], Rule())
    assert comparison.pair("a", "b").paired == 0
    assert comparison.row("b").relation == "worse"


def test_a_candidate_with_two_seeds_claims_nothing_and_is_paid_for_by_nobody():
    comparison = compare(drawn({"a": 0.6, "b": 0.1, "few": -2.0}, {"a": 5, "b": 5, "few": 2}), Rule())
    few, full = comparison.pair("few", "a"), comparison.pair("a", "b")
    assert np.isnan([few.p_holm, few.low, few.high]).all()
    assert full.p_holm == pytest.approx(full.difference.p())
    assert np.isnan([comparison.row("few").p_holm, comparison.row("few").p_below]).all()
    assert np.isnan(comparison.best.p_holm)  # whether it is better than all others is not known
    assert comparison.row("b").p_holm == full.p_holm


@pytest.mark.parametrize("seeds", [1, 2])
def test_with_too_few_seeds_anybody_may_be_the_best(seeds):
    comparison = compare(drawn({"a": 2.0, "b": -2.0}, seeds), Rule())
    assert [row.tied_for_best for row in comparison.rows] == [True, True]
    assert np.isnan([row.p_holm for row in comparison.rows]).all()
    assert comparison.selection is None


def test_a_poor_candidate_that_hardly_ran_costs_the_others_nothing():
    skills, seeds = {"a": 0.6, "b": 0.55, "c": 0.1}, {"a": 6, "b": 6, "c": 6, "few": 2}
    alone = compare(drawn(skills, seeds), Rule())
    joined = compare(drawn({**skills, "few": -1.0}, seeds), Rule())
    assert joined.selection == alone.selection
    intervals = {
        row.candidate: (row.delta_ci_low, row.relation) for row in alone.rows if row.candidate != "a"
    }
    assert intervals == {
        row.candidate: (row.delta_ci_low, row.relation) for row in joined.rows if row.candidate in intervals
    }


def test_the_probabilities_sum_to_one_and_follow_the_estimate():
    for row in compare(STUDY, Rule()).rows:
        assert row.p_above + row.p_equal + row.p_below == pytest.approx(1.0)
    poor = compare(STUDY, Rule()).row("c")
    assert poor.p_below > 0.999


def test_an_earlier_choice_of_explore_that_is_better_on_validation_is_overtuning():
    explored = {"a": 0.70, "c": 0.72}  # c came later and looked better on monitor
    found = compare(STUDY, Rule(), explored=explored).overtuning
    assert (found.a, found.b) == ("a", "c")
    assert found.difference.estimate > 0.05
    assert compare(STUDY, Rule(), explored={"c": 0.70, "a": 0.72}).overtuning is None
    lower_loss = {"a": 0.9, "c": 0.8}
    assert compare(STUDY, Rule(objective="loss"), explored=lower_loss).overtuning.b == "c"


def test_one_distinct_image_is_compared_with_nothing():
    study = [replace(one, groups=np.zeros_like(one.groups)) for one in STUDY]
    comparison = compare(study, Rule())
    assert {row.relation for row in comparison.rows} == {"underpowered"}
    assert decide(comparison, Rule()).winner is None


def test_one_lucky_seed_does_not_lead_where_others_have_three():
    study = drawn({"lucky": 1.5, "a": 0.6, "b": 0.5}, {"lucky": 1, "a": 4, "b": 4})
    assert [row.candidate for row in compare(study, Rule()).rows] == ["a", "b", "lucky"]


def test_the_monitor_score_that_made_a_leader_is_weighed_against_validation():
    explored = {"a": 0.9, "b": 0.8}
    rows = {row.candidate: row for row in compare(STUDY, Rule(), explored=explored).rows}
    assert rows["a"].monitor_to_validation == pytest.approx(0.9 - rows["a"].val_accuracy)
    assert np.isnan(rows["c"].monitor_to_validation)


def test_leak_delta_is_what_images_with_twins_add():
    labels = np.array([0, 1, 2, 3] * 5)
    guess = np.where(np.arange(20) < 15, labels, (labels + 1) % 4)
    twins = np.arange(20) < 10
    study = [replace(evaluation("a", seed, labels, guess), has_twin=twins) for seed in range(3)]
    assert compare(study, Rule()).best.leak_delta == pytest.approx(0.75 - 0.5)


def test_later_looks_widen_intervals_and_lower_alpha():
    first, second = compare(STUDY, Rule(), 1), compare(STUDY, Rule(), 2)
    assert (first.alpha, second.alpha) == (0.025, 0.0125)
    assert (first.confidence, second.confidence) == (0.975, 0.9875)
    assert second.rows[1].delta_ci_low < first.rows[1].delta_ci_low


def test_a_row_becomes_a_line_of_a_table():
    columns = asdict(compare(STUDY, Rule()).best)
    assert {"n_seeds", "val_accuracy_ci_low", "p_holm", "pareto", "leak_delta"} <= set(columns)
    json.dumps(columns)


def test_nothing_to_compare_is_said():
    with pytest.raises(ValueError, match="there is no confirmed evaluation"):
        compare([], Rule())


def test_other_images_are_refused():
    other = [replace(one, ids=np.char.add(one.ids, "x")) for one in drawn({"d": 0.5}, 1)]
    with pytest.raises(
        ValueError, match=r"Candidate d, seed 0 was judged on other images .*\(1000 and 1000 ids\)"
    ):
        compare([*STUDY, *other], Rule())


def test_a_seed_twice_is_refused():
    with pytest.raises(ValueError, match="Candidate a has a seed twice"):
        compare([*STUDY, STUDY[0]], Rule())


def test_an_unknown_objective_is_refused():
    with pytest.raises(ValueError, match="Received: 'accuracy'"):
        Rule(objective="accuracy")


@pytest.mark.parametrize("objective", ["val_accuracy", "macro_f1", "loss"])
@pytest.mark.parametrize(("seeds", "images"), [(1, 2), (2, 13), (3, 40)])
def test_a_handful_of_images_all_right_or_all_wrong_breaks_nothing(objective, seeds, images):
    study = drawn({"right": 9.0, "wrong": -9.0, "also right": 9.0}, seeds, images)
    comparison = compare(study, Rule(objective=objective))
    verdict = decide(comparison, comparison.rule)
    assert verdict.best.endswith("right")
    json.dumps(verdict.to_dict(), allow_nan=False)
