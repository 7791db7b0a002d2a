"""Scores alone: intervals that cover, claims that keep the 5%, none where something is missing."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from reports.inference.scores import compare_scores, score_sentences
from reports.statistics import wilson

TRUTH, SPREAD = 0.6, 0.01


def _study(
    generator: np.random.Generator, candidates: int, seeds: int, images: int
) -> dict[str, list[float]]:
    """Equally good candidates: networks that partly agree about the images, seeds that differ."""
    difficulty = generator.normal(0.0, 1.0, images)
    bar = _quantile(TRUTH)

    def score() -> float:
        luck = generator.normal(0.0, SPREAD) / 0.4
        own: NDArray[np.float64] = (difficulty + generator.normal(0.0, 1.0, images)) / math.sqrt(2)
        return float((own < bar + luck).mean())

    return {f"c{n}": [score() for _ in range(seeds)] for n in range(candidates)}


def _quantile(share: float) -> float:
    from scipy.stats import norm

    return float(norm.ppf(share))


@pytest.mark.parametrize(("candidates", "seeds", "images"), [(2, 2, 400), (6, 3, 400), (4, 5, 1500)])
def test_equal_candidates_are_told_apart_in_at_most_5_percent(
    candidates: int, seeds: int, images: int
) -> None:
    generator = np.random.default_rng(candidates)
    studies = [compare_scores(_study(generator, candidates, seeds, images), images) for _ in range(300)]
    assert sum(bool(study.better) for study in studies) <= 0.05 * len(studies)
    covered = [row.low <= TRUTH <= row.high for study in studies for row in study.rows]
    assert np.mean(covered) >= 0.95


def test_a_large_difference_is_found() -> None:
    found = compare_scores(
        {"a": [0.70, 0.71, 0.69, 0.70], "b": [0.50, 0.51, 0.49, 0.5], "c": [0.7, 0.7, 0.7, 0.69]}, 2000
    )
    assert [row.candidate for row in found.rows] == ["a", "c", "b"]
    assert set(found.better) == {("a", "b"), ("c", "b")}
    told = " ".join(score_sentences(found, {"a": "wide", "b": "deep", "c": "both"}))
    assert "wide has the highest mean, 70.0%" in told
    assert "It cannot be told apart from both" in told
    assert "It is better than deep (95% sure)." in told


def test_single_runs_get_wilson_intervals_and_no_winner() -> None:
    found = compare_scores({"a": [0.9], "b": [0.5]}, 7066)
    assert found.better == ()
    assert (found.rows[0].low, found.rows[0].high) == pytest.approx(wilson(0.9, 7066))
    told = list(score_sentences(found, {}, ["test is above validation in all 14 rows"]))
    assert "No winner is drawn between single runs" in " ".join(told)
    assert told[-1] == "Known problem: test is above validation in all 14 rows."


def test_nothing_is_claimed_without_the_number_of_images() -> None:
    found = compare_scores({"a": [0.9, 0.9, 0.91], "b": [0.5, 0.5, 0.51]}, None)
    assert found.better == ()
    assert "give it with --images" in " ".join(score_sentences(found, {}))
    assert math.isnan(compare_scores({"a": [0.9]}, None).rows[0].low)


def test_looking_again_asks_for_more() -> None:
    scores = {"a": [0.70, 0.71, 0.705], "b": [0.62, 0.63, 0.625]}
    claimed = [bool(compare_scores(scores, 3000, looks).better) for looks in (1, 2, 3, 4, 5, 6)]
    assert claimed == sorted(claimed, reverse=True)
    assert claimed[0]
    assert not claimed[-1]


def test_equal_scores_of_all_seeds_claim_nothing_by_themselves() -> None:
    assert compare_scores({"a": [1.0, 1.0], "b": [1.0, 1.0]}, 10).better == ()


@pytest.mark.slow
def test_leaders_that_were_picked_and_trained_again_keep_the_5_percent() -> None:
    """Equal candidates, one run each; the best four get two more runs: their first scores were picked."""
    generator = np.random.default_rng(7)
    wrong = 0
    for _ in range(200):
        first = _study(generator, 15, 1, 400)
        best = sorted(first, key=lambda name: -first[name][0])[:4]
        again = _study(generator, 4, 2, 400)
        more = dict(zip(best, again.values(), strict=True))
        scores = {name: own + more.get(name, []) for name, own in first.items()}
        wrong += bool(compare_scores(scores, 400).better)
    assert wrong <= 0.05 * 200


def test_all_looks_at_growing_records_together_keep_the_5_percent() -> None:
    generator = np.random.default_rng(8)
    wrong = 0
    for _ in range(150):
        scores = _study(generator, 3, 6, 400)
        wrong += any(
            compare_scores({name: own[:seeds] for name, own in scores.items()}, 400, look).better
            for look, seeds in enumerate((2, 3, 4, 6), start=1)
        )
    assert wrong <= 0.05 * 150


def test_many_candidates_are_not_all_named() -> None:
    scores = {f"c{n}": [0.6] for n in range(200)}
    told = list(score_sentences(compare_scores(scores, 1000), {}))
    assert "and 194 others" in told[1]
    assert len(told[1]) < 300
