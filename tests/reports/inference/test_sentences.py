"""The sentences say what the numbers say: exactly these words for exactly these numbers."""

import math
from dataclasses import replace

import pytest

from reports.inference.comparison import Comparison, Pair, Row, Rule
from reports.inference.published import published_sentences
from reports.inference.rounds import RoundDecision, waiting
from reports.inference.sentences import sentences
from reports.inference.standings import relation_of
from reports.inference.verdict import decide
from reports.statistics import Difference, Optimism

QUESTION = "How many stages are enough?"
BASIS = (
    "Judged on 3,589 different validation images; at most 2.5% of such studies claim something false "
    "(look 1)."
)


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
        seeds_failed=0,
        seeds_lost=0,
        seeds_counted=10,
        score=score,
        val_accuracy=score,
        val_accuracy_all=score,
        val_accuracy_se=0.008,
        val_accuracy_ci_low=score - 0.016,
        val_accuracy_ci_high=score + 0.016,
        val_accuracy_shrunk=score,
        delta_to_best=0.0,
        delta_ci_low=math.nan,
        delta_ci_high=math.nan,
        relation="underpowered",
        p_above=0.05,
        p_equal=0.55,
        p_below=0.40,
        seeds_won=3,
        seeds_paired=10,
        p_holm=1.0,
        tied_for_best=True,
        within_one_se=False,
        pareto=True,
        relative_overfit=0.1,
        relative_overfit_low=0.05,
        relative_overfit_high=0.15,
        leak_delta=0.0,
        monitor_to_validation=math.nan,
    )
    return replace(one, **changes)


def pair(a, b, difference, reach, won=7.0):
    """Candidate a minus b with its interval."""
    one = Difference(difference, reach / 2.3, 15.0, 1e-5, (1e-4, 1e-4), (10, 10), 3589)
    return Pair(a, b, one, difference - reach, difference + reach, 0.5, won, 10)


def compared(rows, pairs, **changes):
    """Rows whose differences from the best, and the words that follow, come from the pairs."""
    by_key = {(one.a, one.b): one for one in pairs}
    best, *others = rows
    filled = []
    for one in others:
        beside = by_key[best.candidate, one.candidate].reversed()
        relation = relation_of(beside.low, beside.high, 0.01)
        near = beside.difference.estimate >= -beside.difference.se
        filled.append(
            replace(
                one,
                delta_to_best=beside.difference.estimate,
                delta_ci_low=beside.low,
                delta_ci_high=beside.high,
                relation=relation,
                within_one_se=near,
            )
        )
    relations = {one.relation for one in filled}
    word = (
        "better" if relations == {"worse"} else "tied" if relations <= {"tied", "worse"} else "underpowered"
    )
    comparison = Comparison(
        rule=Rule(),
        look=1,
        images=3589,
        majority=0.25,
        level=0.025,
        rows=(replace(best, relation=word, within_one_se=True), *filled),
        pairs=by_key,
        smallest_detectable=0.014,
        seeds_for_margin=22,
        selection=None,
    )
    return replace(comparison, **changes)


def told(comparison, **more):
    found = sentences(comparison, decide(comparison, comparison.rule), QUESTION, **more)
    assert found[0] == f"Asked: {QUESTION}"
    return found[1:]


def stages():
    rows = [
        row("five stages", 0.671),
        row("four stages", 0.669, parameters=620_000),
        row("two stages", 0.640, parameters=400_000),
    ]
    pairs = [
        pair("five stages", "four stages", 0.002, 0.011),
        pair("five stages", "two stages", 0.031, 0.011),
        pair("four stages", "two stages", 0.029, 0.011),
    ]
    return compared(rows, pairs)


def winner(**changes):
    rows = [row("a", 0.70), row("b", 0.66), row("c", 0.65)]
    pairs = [pair("a", "b", 0.04, 0.01), pair("a", "c", 0.05, 0.01), pair("b", "c", 0.01, 0.012)]
    return compared(rows, pairs, **changes)


def test_a_study_with_a_loser_and_two_that_are_not_decided():
    assert told(stages()) == [
        "Not decided after 10 seeds: five stages leads four stages by 0.2 points (97.5% interval -0.9 to "
        "1.3) and won with 7 of 10 seeds.",
        "five stages beats two stages by 3.1 points (2.0 to 4.2).",
        "four stages is selected: it has 38% fewer parameters than the best and is 0.2 points below (-1.3 to "
        "0.9).",
        "For a choice today: five stages is better than four stages by more than 1 point with probability "
        "0.40, equal within it with 0.55, worse with 0.05.",
        "A true difference of 1.4 points would be found four times in five; about 12 more seeds would find "
        "1 point.",
        BASIS,
    ]


def test_a_winner_is_the_first_thing_said():
    assert told(winner()) == [
        "Decided after 10 seeds: a beats b by 4 points (97.5% interval 3.0 to 5.0) and c by 5 points (4.0 to "
        "6.0).",
        "a is selected; no smaller candidate is as good.",
        BASIS,
    ]


def test_long_labels_are_defined_once_and_go_by_a_letter():
    names = {"a": "plain 32-32-64-64 · 256", "b": "plain 32-32-64 · 256", "c": "inception 3 · 128"}
    found = told(winner(), labels=names)
    assert found[0] == "A: plain 32-32-64-64 · 256; B: plain 32-32-64 · 256; C: inception 3 · 128."
    assert found[1].startswith("Decided after 10 seeds: A beats B by 4 points")
    assert found[2] == "A is selected; no smaller candidate is as good."


def test_of_many_losers_the_closest_is_named():
    rows = [row("a", 0.70), *(row(name, 0.60) for name in "bcde")]
    pairs = [pair("a", name, 0.08 - 0.01 * index, 0.02) for index, name in enumerate("bcde")]
    assert told(compared(rows, pairs))[0] == (
        "Decided after 10 seeds: a beats all 4 others, the closest, e, by 5 points (97.5% interval 3.0 to "
        "7.0)."
    )


def test_equivalence_is_said_as_such():
    small = row("b", 0.6695, parameters=500_000)
    found = told(compared([row("a", 0.67), small], [pair("a", "b", 0.0006, 0.005)]))
    assert found[:2] == [
        "Decided after 10 seeds: a and b are equal within 1 point; b is 0.1 points below (97.5% interval "
        "-0.6 to 0.4).",
        "b is selected: it has 50% fewer parameters than the best and is 0.1 points below (-0.6 to 0.4).",
    ]


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_claim_nothing(seeds):
    rows = [
        row(name, score, n_seeds=seeds, seeds_counted=seeds) for name, score in (("a", 0.67), ("b", 0.60))
    ]
    comparison = compared(rows, [pair("a", "b", 0.07, math.nan)])
    counted = "1 seed" if seeds == 1 else "2 seeds"
    assert told(comparison) == [
        f"Nothing is claimed with {counted}: the noise between seeds is unknown. Confirm with at least "
        "3 seeds.",
        BASIS,
    ]


def test_one_candidate_alone_is_compared_with_nothing():
    comparison = compared([row("a", 0.67)], [], smallest_detectable=math.nan, seeds_for_margin=None)
    assert told(comparison) == [
        "Only one candidate was confirmed, so nothing was compared.",
        "a is selected: there is no other.",
        BASIS,
    ]


def test_seeds_that_failed_to_learn_are_counted_beside_the_mean():
    rows = [
        row("a", 0.70),
        row("b", 0.66, n_seeds=10, seeds_failed=1, seeds_counted=9, val_accuracy_all=0.619),
    ]
    assert told(compared(rows, [pair("a", "b", 0.04, 0.01)]))[1:3] == [
        "Failed to learn: b with 1 of 10 seeds (61.9% over all seeds); scores are of the seeds that learned.",
        "Training b once fails in 2 to 40% of cases (95% interval).",
    ]


def test_a_candidate_that_always_failed_learned_nothing_and_does_not_overfit():
    never = {"seeds_failed": 10, "relative_overfit": math.nan, "relative_overfit_low": math.nan}
    found = told(compared([row("a", 0.70), row("b", 0.25, **never)], [pair("a", "b", 0.45, 0.01)]))
    assert found[1] == "b learned nothing: no seed did better than the commonest class, 25%."
    assert "overfit" not in " ".join(found)


def test_seeds_that_diverged_are_not_called_unfinished():
    found = told(
        compared([row("a", 0.70), row("b", 0.66, n_seeds=3, seeds_lost=2)], [pair("a", "b", 0.04, 0.01)])
    )
    assert found[:2] == [
        "Decided after 3 to 10 seeds: a beats b by 4 points (97.5% interval 3.0 to 5.0).",
        "Diverged or broke off, and missing in the scores: b (2 of 5 seeds).",
    ]


def test_overfitting_keeps_a_candidate_from_being_selected():
    over = {"relative_overfit": 0.52, "relative_overfit_low": 0.45}
    comparison = compared(
        [row("a", 0.67, **over), row("b", 0.668, parameters=1_200_000)], [pair("a", "b", 0.002, 0.011)]
    )
    assert told(comparison)[1:3] == [
        "b is selected: it has 20% more parameters than the best and is 0.2 points below (-1.3 to 0.9).",
        "Relative overfit is surely above 0.35 for a (0.52, at least 0.45).",
    ]


def test_a_smaller_one_that_overfits_or_fails_is_passed_over_and_why():
    over = row("b", 0.668, parameters=500_000, relative_overfit=0.5, relative_overfit_low=0.4)
    near = [pair("a", "b", 0.002, 0.011)]
    assert told(compared([row("a", 0.67), over], near))[1] == (
        "a is selected; every smaller candidate as good surely overfits."
    )
    shaky = row("b", 0.668, parameters=500_000, seeds_failed=1)
    assert "a is selected; every smaller candidate as good failed to learn more often." in told(
        compared([row("a", 0.67), shaky], near)
    )


def test_none_is_selected_when_all_near_the_best_overfit():
    comparison = compared([row("a", 0.67, relative_overfit=0.5, relative_overfit_low=0.4)], [])
    assert (
        "None is selected: every candidate near the best surely overfits (relative overfit above 0.35)."
        in told(comparison)
    )


@pytest.mark.parametrize(
    ("difference", "reach", "said"),
    [
        (0.03, 0.01, "new beats it by 3 points (2.0 to 4.0)."),
        (0.01, 0.03, "new is 1 point above it (-2.0 to 4.0), which is not decided."),
        (0.001, 0.004, "new is equal to it within 1 point."),
    ],
)
def test_the_baseline_is_always_weighed(difference, reach, said):
    rows = [row("new", 0.69), row("old", 0.66, baseline=True)]
    found = told(compared(rows, [pair("new", "old", difference, reach)]))
    assert f"The baseline is old: {said}" in found


def test_luck_is_named():
    comparison = winner(selection=Optimism(0.70, 0.6952))
    first = replace(comparison.rows[0], monitor_to_validation=0.018, leak_delta=0.016)
    found = told(replace(comparison, rows=(first, *comparison.rows[1:])))
    assert found[-2] == (
        "Monitor had shown a 1.8 points too high, about 0.5 points of a's score is the luck of being the "
        "highest of 3 and without the validation images that have a twin in training a loses 1.6 points of "
        "accuracy."
    )


def test_overtuning_is_named():
    assert told(winner(overtuning=pair("b", "c", 0.01, 0.012)))[-2] == (
        "Explore ranked c first; on validation it is 1 point (-0.2 to 2.2) below b, which was tried "
        "before it."
    )


def test_what_it_takes_to_decide():
    few = replace(stages(), rows=tuple(replace(one, seeds_counted=5) for one in stages().rows))
    more = 'more seeds would find less: seeds = "auto" adds them while they help.'
    assert told(few)[-2].endswith(more)
    assert told(replace(stages(), seeds_for_margin=None))[-2].endswith(
        "No number of seeds would find 1 point: that takes more validation images."
    )
    assert told(replace(stages(), seeds_for_margin=None), folds=5)[-2].endswith("that takes more images.")


@pytest.mark.parametrize(
    ("finished", "reason", "said"),
    [
        (
            True,
            "undecidable",
            "further seeds are unlikely to decide the rest: it takes more validation images.",
        ),
        (True, "max_seeds", "the rounds ended with their last seed."),
        (False, "open", "2 candidates get further seeds."),
    ],
)
def test_a_study_in_rounds_says_how_it_stands(finished, reason, said):
    decision = RoundDecision(3, 5, finished, reason, ("five stages", "four stages"), 6, "")
    found = told(replace(stages(), decision=decision))
    assert found[-2] == f"A true difference of 1.4 points would be found four times in five; {said}"
    assert "in all rounds together" in found[-1]


def test_over_folds_all_images_of_train_and_validation_judge():
    assert told(stages(), folds=5)[-1].startswith(
        "Judged on 3,589 different images of train and validation over 5 folds, each by a network that has "
        "not seen it; "
    )
    leaking = compared([row("a", 0.70, leak_delta=0.016)], [])
    assert "twin" in " ".join(told(leaking))
    assert "twin" not in " ".join(told(leaking, folds=5))  # twins are in one fold


def test_loss_is_told_in_its_own_unit():
    comparison = compared(
        [row("a", -0.90), row("b", -0.98)], [pair("a", "b", 0.08, 0.02)], rule=Rule(objective="loss")
    )
    assert told(comparison)[0] == (
        "Decided after 10 seeds: a beats b by 0.080 of loss (97.5% interval 0.060 to 0.100)."
    )


def test_a_later_look_shows_its_wider_level():
    found = told(replace(stages(), look=2))
    assert "98.75% interval" in found[0]
    assert found[-1].endswith("at most 1.25% of such studies claim something false (look 2).")


def test_a_study_says_at_most_ten_sentences():
    comparison = winner(selection=Optimism(0.70, 0.6952), overtuning=pair("b", "c", 0.01, 0.012))
    rows = [replace(one, seeds_failed=1, relative_overfit_low=0.5, baseline=True) for one in comparison.rows]
    assert len(told(replace(comparison, rows=tuple(rows)), labels={"a": "a name that is long"})) <= 12
    assert len(told(stages())) <= 8


def test_without_a_comparison_the_reason_is_said():
    assert sentences(None, None, QUESTION, [{"architecture": "LeNet", "test_accuracy": 0.47}]) == [
        "Asked: How many stages are enough?",
        "No candidate has been confirmed yet, so nothing can be said about them.",
        "Published: LeNet (47.0%).",
    ]
    begun = RoundDecision(0, 0, False, "open", ("a",), 3, "the first round is not complete")
    assert sentences(None, None, "", state=waiting(begun)) == ["The first round is not complete."]


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
