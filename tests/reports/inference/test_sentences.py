"""The sentences say what the numbers say: exactly these words for exactly these numbers."""

import math
from dataclasses import replace

import pytest

from reports.inference.comparison import (
    Comparison,
    Pair,
    Row,
    Rule,
)
from reports.inference.published import published_sentences
from reports.inference.sentences import sentences
from reports.inference.verdict import decide
from reports.statistics import Estimate, Optimism, Probability

QUESTION = "How many stages are enough?"
LOOK = (
    "This is look 1 at the validation results: it may claim something false in 2.5% of studies, "
    "the next look in half of that."
)
NOTHING = "No difference between any two candidates is proved to be more than noise."


def row(label, score, **changes):
    one = Row(
        candidate=label,
        architecture=label,
        label=label,
        family="plain_cnn",
        variant="",
        parameters=1_000_000,
        baseline=False,
        n_seeds=10,
        score=score,
        val_accuracy=score,
        val_accuracy_se=0.008,
        val_accuracy_ci_low=score - 0.016,
        val_accuracy_ci_high=score + 0.016,
        val_accuracy_shrunk=score,
        delta_to_best=0.0,
        delta_ci_low=math.nan,
        delta_ci_high=math.nan,
        p_better=0.5,
        p_holm=1.0,
        tied_for_best=True,
        within_one_se=True,
        pareto=True,
        relative_overfit=0.1,
        relative_overfit_low=0.05,
        relative_overfit_high=0.15,
        leak_delta=0.0,
        monitor_to_validation=math.nan,
    )
    return replace(one, **changes)


def pair(a, b, difference, reach, p_holm, chance=0.9, seeds=10):
    low, high = difference - reach, difference + reach
    parts = (seeds, 3589, 1e-5, 1e-4, 1e-5, seeds - 1.0)
    estimate = Estimate(difference, reach / 2.1, low, high, 15.0, p_holm, *parts)
    return Pair(a, b, estimate, p_holm, Probability(chance, 0.3, 0.9))


def compared(rows, pairs, **changes):
    """Rows with their differences from the best filled in from the pairs."""
    by_key = {(one.a, one.b): one for one in pairs}
    best = rows[0].candidate
    filled = [rows[0]]
    for one in rows[1:]:
        delta = by_key[best, one.candidate].reversed().difference
        near = delta.estimate >= -delta.se
        low, high = delta.low, delta.high
        filled.append(
            replace(
                one, delta_to_best=delta.estimate, delta_ci_low=low, delta_ci_high=high, within_one_se=near
            )
        )
    comparison = Comparison(
        rule=Rule(),
        look=1,
        images=3589,
        rows=tuple(filled),
        pairs=by_key,
        smallest_detectable=0.014,
        seeds_for_margin=22,
        selection=None,
    )
    return replace(comparison, **changes)


def told(comparison, **more):
    return sentences(comparison, decide(comparison, comparison.rule), QUESTION, **more)


def stages():
    rows = [
        row("five stages", 0.671),
        row("four stages", 0.669, parameters=620_000),
        row("two stages", 0.640, parameters=400_000),
    ]
    pairs = [
        pair("five stages", "four stages", 0.002, 0.011, 0.7, chance=0.61),
        pair("five stages", "two stages", 0.031, 0.011, 0.001),
        pair("four stages", "two stages", 0.029, 0.011, 0.001),
    ]
    return compared(rows, pairs)


def test_a_study_with_a_loser_and_two_that_cannot_be_told_apart():
    assert told(stages()) == [
        "Asked: How many stages are enough?",
        "3 candidates were trained with 10 seeds each and judged on 3,589 different validation images.",
        "five stages beats two stages (+3.1 points, 95% interval 2.0 to 4.2, 10 paired seeds).",
        "five stages and four stages cannot be told apart (P = 0.61); four stages has 38% fewer parameters "
        "and is selected.",
        "The smallest difference that this study would find four times in five is 1.4 points.",
        "12 more seeds would be needed to tell a difference of 1 point.",
        LOOK,
    ]


def test_a_winner_over_all_others():
    rows = [row("a", 0.70), row("b", 0.66), row("c", 0.65)]
    pairs = [
        pair("a", "b", 0.04, 0.01, 0.001),
        pair("a", "c", 0.05, 0.01, 0.001),
        pair("b", "c", 0.01, 0.012, 0.1),
    ]
    assert told(compared(rows, pairs))[2:4] == [
        "a beats all 2 others; the closest is b (+4.0 points, 95% interval 3.0 to 5.0, 10 paired seeds).",
        "a is selected: no smaller candidate comes within one standard error of it.",
    ]


def test_a_rule_that_found_nothing_says_so():
    comparison = compared([row("a", 0.67), row("b", 0.665)], [pair("a", "b", 0.005, 0.02, 0.6, chance=0.7)])
    assert told(comparison)[2:5] == [
        "a cannot be told apart from b (P = 0.70).",
        NOTHING,
        "a is selected: no smaller candidate comes within one standard error of it.",
    ]


def test_seeds_that_all_agree_and_prove_nothing_are_counted():
    apart = pair("a", "b", 0.07, 0.08, 0.06, seeds=5, chance=1.0)
    comparison = compared([row("a", 0.74, n_seeds=5), row("b", 0.67, n_seeds=5)], [apart])
    assert told(comparison)[2] == "a cannot be told apart from b (P = 1.00 in only 5 seeds)."


def test_equivalence_is_said_as_such():
    small = row("b", 0.6695, parameters=500_000)
    comparison = compared([row("a", 0.67), small], [pair("a", "b", 0.0006, 0.005, 1.0)])
    assert told(comparison)[3] == (
        "a and b are as good as equal (+0.1 points, 95% interval -0.4 to 0.6, 10 paired seeds); "
        "b has 50% fewer parameters and is selected."
    )


@pytest.mark.parametrize(("seeds", "counted"), [(1, "1 seed"), (2, "2 seeds")])
def test_few_seeds_draw_no_winner(seeds, counted):
    rows = [row("a", 0.67, n_seeds=seeds), row("b", 0.60, n_seeds=seeds)]
    comparison = compared(rows, [pair("a", "b", 0.07, 0.01, 0.001, seeds=seeds)])
    assert told(comparison)[1:] == [
        f"2 candidates were trained with {counted} each and judged on 3,589 different validation images.",
        f"With {counted} the seeds' share of the noise is unknown: "
        "no winner is drawn and nothing is claimed. Confirm with at least 3 seeds.",
    ]


def test_one_candidate_alone_is_compared_with_nothing():
    comparison = compared([row("a", 0.67)], [], smallest_detectable=math.nan, seeds_for_margin=None)
    assert told(comparison)[1:] == [
        "1 candidate was trained with 10 seeds and judged on 3,589 different validation images.",
        "Only one candidate was confirmed, so nothing was compared.",
        "a is selected: there is no other.",
        LOOK,
    ]


def test_overfitting_keeps_a_candidate_from_being_selected():
    over = {"relative_overfit": 0.52, "relative_overfit_low": 0.45}
    comparison = compared(
        [row("a", 0.67, **over), row("b", 0.668, parameters=1_200_000)], [pair("a", "b", 0.002, 0.011, 0.7)]
    )
    assert told(comparison)[2:5] == [
        NOTHING,
        "a and b cannot be told apart (P = 0.90); b has 20% more parameters and is selected.",
        "Relative overfit is surely above 0.35 for a (0.52, at least 0.45).",
    ]


def test_a_smaller_one_that_overfits_is_passed_over():
    small = row("b", 0.668, parameters=500_000, relative_overfit=0.5, relative_overfit_low=0.4)
    comparison = compared([row("a", 0.67), small], [pair("a", "b", 0.002, 0.011, 0.7)])
    assert told(comparison)[4:6] == [
        "a is selected: every smaller candidate within one standard error of it surely overfits.",
        "Relative overfit is surely above 0.35 for b (0.50, at least 0.40).",
    ]


def test_a_smaller_one_with_too_few_shared_seeds_is_said_to_have_too_few():
    small = row("b", 0.665, n_seeds=2, parameters=500_000)
    unknown = pair("a", "b", 0.005, 0.02, math.nan, chance=math.nan, seeds=2)
    assert told(compared([row("a", 0.67), small], [unknown]))[3:6] == [
        "Too few to compare: fewer than 3 seeds in common with a for b.",
        NOTHING,
        "a is selected: every smaller candidate within one standard error of it shares fewer than 3 seeds "
        "with it.",
    ]


def test_none_is_selected_for_each_reason_that_there_is():
    over = row("a", 0.67, relative_overfit=0.5, relative_overfit_low=0.4)
    few = pair("a", "b", 0.005, 0.02, math.nan, chance=math.nan, seeds=2)
    sentence = (
        "None is selected: every candidate within one standard error of the best surely overfits "
        "(relative overfit above 0.35) or shares fewer than 3 seeds with it."
    )
    assert sentence in told(compared([over, row("b", 0.665, n_seeds=2)], [few]))


def test_unfinished_seeds_are_named():
    comparison = compared(
        [row("a", 0.67), row("b", 0.66, n_seeds=7)], [pair("a", "b", 0.01, 0.03, 0.7, seeds=7)]
    )
    assert told(comparison)[1:3] == [
        "2 candidates were trained with 7 to 10 seeds each and judged on 3,589 different validation images.",
        "Unfinished: b (7 of 10 seeds); each pair is compared on the seeds that both have.",
    ]


def test_none_is_selected_when_the_best_overfits_alone():
    comparison = compared([row("a", 0.67, relative_overfit=0.5, relative_overfit_low=0.4)], [])
    assert (
        "None is selected: every candidate within one standard error of the best surely overfits "
        "(relative overfit above 0.35)." in told(comparison)
    )


def test_the_baseline_is_always_weighed():
    rows = [row("new", 0.69), row("old", 0.66, baseline=True)]
    beaten = compared(rows, [pair("new", "old", 0.03, 0.01, 0.001)])
    assert "new beats the baseline old (+3.0 points, 95% interval 2.0 to 4.0, 10 paired seeds)." in told(
        beaten
    )
    open_question = compared(rows, [pair("new", "old", 0.01, 0.03, 0.5)])
    assert (
        "new cannot be told apart from the baseline old "
        "(+1.0 points, 95% interval -2.0 to 4.0, 10 paired seeds)." in told(open_question)
    )
    equal = compared(rows, [pair("new", "old", 0.001, 0.004, 0.5)])
    assert "new is as good as the baseline old (+0.1 points" in " ".join(told(equal))


def test_luck_is_named():
    first = row("a", 0.70, monitor_to_validation=0.018, leak_delta=0.016)
    comparison = compared(
        [first, row("b", 0.66)], [pair("a", "b", 0.04, 0.01, 0.001)], selection=Optimism(0.70, 0.6952)
    )
    assert told(comparison)[-4:-1] == [
        "About 0.5 points of a's score is the luck of being the highest of 2.",
        "On monitor, where the leaders were picked, a had scored 1.8 points better: "
        "a score that chose flatters.",
        "Without the validation images that have a twin in training, a loses 1.6 points of accuracy.",
    ]


def test_more_images_are_asked_for_where_seeds_cannot_help():
    comparison = replace(stages(), seeds_for_margin=None)
    assert "No number of seeds would tell a difference of 1 point: it takes more validation images." in told(
        comparison
    )


def test_over_folds_all_images_of_train_and_validation_judge():
    assert told(stages(), folds=5)[1] == (
        "3 candidates were trained with 10 seeds each over 5 folds and judged on 3,589 different images of "
        "train and validation, each by a network that has not seen it."
    )
    comparison = replace(stages(), seeds_for_margin=None)
    assert "No number of seeds would tell a difference of 1 point: it takes more images." in told(
        comparison, folds=5
    )
    leaking = compared([row("a", 0.70, leak_delta=0.016)], [])
    assert "twin" in " ".join(told(leaking))
    assert "twin" not in " ".join(told(leaking, folds=5))  # twins are in one fold


def test_loss_speaks_of_lower_and_higher():
    rows = [row("a", -0.90), row("b", -0.98)]
    comparison = compared(rows, [pair("a", "b", 0.08, 0.02, 0.001)], rule=Rule(objective="loss"))
    assert told(comparison)[2] == (
        "a beats b (loss lower by 0.080, 95% interval 0.060 to 0.100, 10 paired seeds)."
    )


def test_a_later_look_shows_its_wider_interval():
    comparison = replace(stages(), look=2)
    assert "97.5% interval" in told(comparison)[2]
    assert "look 2 at the validation results: it may claim something false in 1.25%" in told(comparison)[-1]


def test_candidates_go_by_the_names_they_are_given():
    names = {"five stages": "5", "four stages": "4", "two stages": "2"}
    assert told(stages(), labels=names)[2].startswith("5 beats 2 (")


def test_without_a_comparison_the_published_rows_still_speak():
    assert sentences(None, None, QUESTION, [{"architecture": "LeNet", "test_accuracy": 0.47}]) == [
        "Asked: How many stages are enough?",
        "No candidate has been confirmed yet, so nothing can be said about them.",
        "Published: LeNet (47.0%).",
    ]


def published(name, accuracy, n=7066, **more):
    return {"architecture": name, "val_accuracy": accuracy, "n": n, "group": "stages", **more}


def test_published_order_within_the_noise_proves_nothing():
    leak = "tested on training images"
    assert published_sentences([published("4", 0.6281, leak=leak), published("5", 0.6199, leak=leak)]) == [
        "Published, stages: 4 (62.8%, 95% interval 61.7 to 63.9 from 7,066 validation images) leads, against "
        "5 (62.0%, 95% interval 60.8 to 63.1 from 7,066 validation images): +0.8 points, not more than "
        "1.0 points, the noise of two runs that disagree on 20% of these images: their order proves nothing.",
        "Published, stages: known leak in 2 of 2 rows: tested on training images.",
    ]


def test_the_chosen_one_is_weighed_against_the_highest_other():
    rows = [published("6", 0.6715), published("5", 0.6606, note="one run, the one chosen")]
    found = published_sentences(rows)[0]
    assert found.startswith("Published, stages: 5 (66.1%")
    assert "was chosen, against 6 (67.2%" in found
    assert found.endswith(
        "-1.1 points, more than 1.0 points, the noise of two runs that disagree on 20% of these "
        "images; with one run each, what other seeds would give is unknown."
    )


def test_published_without_a_number_of_images_has_unknown_noise():
    rows = [published("a", 0.67, n=None), published("b", 0.47)]
    assert published_sentences(rows) == [
        "Published, stages: a (67.0%) leads, against b (47.0%, 95% interval 45.8 to 48.2 from 7,066 "
        "validation images): +20.0 points; without the number of images behind a the noise is unknown."
    ]


def test_published_on_different_sets_is_weighed_as_such():
    found = published_sentences([published("a", 0.67), published("b", 0.66, n=1000)])[0]
    assert "+1.0 points, not more than 3.1 points, the noise of two runs on different images" in found
