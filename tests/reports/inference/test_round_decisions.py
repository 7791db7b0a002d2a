"""Rounds follow from the evaluations alone: who goes on, when the stage ends, and what it costs."""

import random
from dataclasses import replace
from typing import Any

import pytest

from reports.inference.comparison import Rule, compare_rounds
from reports.inference.rounds import RoundDecision, expected_evaluations, replay, replay_tables, schedule
from tests.support.studies.drawn_evaluations import drawn
from tests.support.studies.tables_of_scores import MAJORITY, table

RULE = Rule()


def decide_round(*given: Any, **more: Any) -> RoundDecision:
    return replay(*given, **more).decision


def evaluations(skills, seeds, **more):
    """Seeds from 1."""
    found = drawn(skills, seeds, **more)
    return [replace(one, seed=one.seed + 1) for one in found]


def decided(*entries, max_seeds=20, over=()):
    names = {one.name for one in entries}
    *_, last = replay_tables(entries, MAJORITY, RULE, max_seeds, planned=names, over=over)
    return last.decision


def test_the_schedule_begins_with_three_and_ends_with_the_most():
    assert schedule(20) == (3, 4, 5, 6, 8, 10, 13, 16, 20)
    assert schedule(7) == (3, 4, 5, 6, 7)
    assert schedule(3) == (3,)
    assert schedule(30) == (*schedule(20), 25, 30)
    with pytest.raises(ValueError, match="Received: 2"):
        schedule(2)


def test_before_the_first_round_is_complete_nothing_is_decided():
    found = decide_round(evaluations({"a": 1.0, "b": 0.0}, 2), RULE)
    assert (found.round, found.finished, found.reason, found.next_seeds) == (0, False, "open", 3)
    assert found.active == ("a", "b")
    nothing = decide_round([], RULE, candidates=["a", "b"])
    assert (nothing.round, nothing.active) == (0, ("a", "b"))


def test_a_clear_winner_ends_the_stage_in_the_first_round():
    found = decide_round(evaluations({"a": 1.0, "b": 0.0}, 3), RULE)
    assert (found.round, found.seeds, found.finished, found.reason) == (1, 3, True, "winner")
    assert found.line.startswith("after 3 seeds: network a leads by ")
    assert found.line.endswith("it is better than the other")


def test_who_is_surely_worse_gets_no_further_seeds():
    found = decide_round(evaluations({"a": 0.52, "b": 0.5, "c": -0.5}, 3), RULE)
    assert (found.reason, found.active, found.next_seeds) == ("open", ("a", "b"), 4)
    assert found.line.endswith("1 of 2 still open")


def test_the_next_round_waits_for_the_active_ones_alone():
    found = decided(
        table("a", 0.67, range(1, 5)), table("b", 0.665, range(1, 5)), table("c", 0.5, range(1, 4))
    )
    assert (found.round, found.seeds) == (2, 4)


def test_evaluations_of_an_incomplete_round_are_ignored_in_whatever_order():
    complete = evaluations({"a": 0.58, "b": 0.5}, 4)
    ahead = [one for one in evaluations({"a": 0.58, "b": 0.5}, 5) if (one.candidate, one.seed) == ("a", 5)]
    mixed = [*complete, *ahead]
    random.Random(0).shuffle(mixed)
    assert decide_round(mixed, RULE) == decide_round(complete, RULE)
    shown, _ = compare_rounds(mixed, RULE, 20)
    assert {row.n_seeds for row in shown.rows} == {4}


def test_a_killed_study_comes_to_the_same_sequence():
    everything = evaluations({"a": 0.52, "b": 0.5, "c": 0.4}, 10)
    asked, sequence = set(), []
    found = decide_round([], RULE, 10, candidates="abc")
    while not found.finished:
        asked |= {(name, seed) for name in found.active for seed in range(1, found.next_seeds + 1)}
        done = [one for one in everything if (one.candidate, one.seed) in asked]
        assert decide_round(done[:-1], RULE, 10, candidates="abc") == found
        found = decide_round(done, RULE, 10, candidates="abc")
        sequence.append(found)
    assert decide_round(everything, RULE, 10) == sequence[-1]
    assert [one.round for one in sequence] == list(range(1, len(sequence) + 1))


def test_seeds_that_are_over_do_not_block_a_round():
    left = [one for one in evaluations({"a": 0.58, "b": 0.5}, 5) if (one.candidate, one.seed) != ("b", 2)]
    assert decide_round(left, RULE).round == 0
    assert decide_round(left, RULE, over={("b", 2)}).round == 3


def test_a_candidate_that_never_finished_a_seed_is_left_out():
    lost = {("c", seed) for seed in (1, 2, 3)}
    found = decide_round(evaluations({"a": 0.51, "b": 0.5}, 3), RULE, candidates="abc", over=lost)
    assert found.active == ("a", "b")
    alone = decide_round([], RULE, candidates="c", over=lost)
    assert (alone.finished, alone.reason) == (True, "undecidable")


def test_equals_on_many_images_end_as_equal():
    seeds = range(1, 21)
    found = decided(*(table(name, 0.67, seeds, images=6000, spread=0.0, random_seed=4) for name in "ab"))
    assert (found.finished, found.reason) == (True, "equal")
    assert "equal within 1 point" in found.line


def test_too_few_images_end_as_undecidable():
    seeds = range(1, 21)
    entries = [table(name, 0.67, seeds, images=150, difficulty=index) for index, name in enumerate("ab")]
    found = decided(*entries)
    assert (found.reason, found.seeds) == ("undecidable", 3)
    assert "no number of seeds up to 20" in found.line


def test_the_last_round_ends_the_stage():
    seeds = range(1, 5)
    found = decided(table("a", 0.67, seeds, failed=[1]), table("b", 0.67, seeds), max_seeds=4)
    assert (found.finished, found.reason, found.seeds) == (True, "max_seeds", 4)


def test_two_seeds_that_learned_are_too_few_to_compare():
    seeds = range(1, 4)
    found = decided(table("a", 0.67, seeds, failed=[1]), table("b", 0.5, seeds))
    assert (found.finished, found.next_seeds) == (False, 4)
    assert "too few seeds of b or a learned" in found.line


def test_one_candidate_alone_needs_one_round():
    found = decided(table("a", 0.67, range(1, 4)))
    assert (found.finished, found.seeds) == (True, 3)


def test_the_budget_of_a_dry_run():
    found = expected_evaluations(4, 20)
    assert (found.fewest, found.most) == (12, 80)
    assert found.fewest < found.typical < found.most
    assert expected_evaluations(4, 3) == (12, 12, 12)


def test_a_report_after_a_round_uses_the_level_of_that_round():
    study = evaluations({"a": 0.52, "b": 0.5}, 3)
    comparison, decision = compare_rounds(study, RULE, 20)
    assert comparison.decision == decision
    assert comparison.level < comparison.alpha == 0.025
    nothing, waiting = compare_rounds(study[:-1], RULE, 20)
    assert nothing is None
    assert waiting.round == 0
