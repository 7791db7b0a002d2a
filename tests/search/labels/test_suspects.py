"""Suspects: planted wrong labels are found, right ones are left alone, and the share is estimated."""

import numpy as np
import pytest
from numpy.typing import NDArray

from search.labels.suspects import class_pairs, find_suspects, suspect_rows, wrong_share

pytestmark = pytest.mark.slow  # cleanlab takes seconds

CLASSES = 4


def judged(
    count: int, wrong: float, skill: float = 4.0, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """True labels, given ones of which a share is wrong, and what a good network says."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, CLASSES, count)
    given = truth.copy()
    flipped = generator.random(count) < wrong
    given[flipped] = (truth[flipped] + generator.integers(1, CLASSES, flipped.sum())) % CLASSES
    scores = generator.normal(0, 1, (count, CLASSES)) + skill * np.eye(CLASSES)[truth]
    shares = np.exp(scores)
    return truth, given, shares / shares.sum(1, keepdims=True)


def test_planted_errors_are_found_and_right_labels_left_alone() -> None:
    truth, given, shares = judged(2000, wrong=0.05)
    rows = suspect_rows(given, shares)
    hits = (given != truth)[rows]
    assert hits.mean() > 0.8
    assert hits.sum() > 0.6 * (given != truth).sum()
    assert (~hits).sum() < 0.02 * (given == truth).sum()


def test_the_most_doubtful_come_first_with_the_class_that_is_seen() -> None:
    _, given, shares = judged(2000, wrong=0.05)
    found = find_suspects(given, shares)
    quality = found.quality[found.rows]
    assert (np.diff(quality) >= 0).all()
    np.testing.assert_allclose(found.quality, shares[np.arange(2000), given])
    np.testing.assert_array_equal(found.suggested, shares[found.rows].argmax(1))
    assert (found.suggested != given[found.rows]).all()


def test_the_interval_of_the_share_holds_the_truth_and_narrows_with_more_images() -> None:
    widths = []
    for count in (400, 4000):
        truth, given, shares = judged(count, wrong=0.1)
        found = find_suspects(given, shares)
        assert found.low <= (given != truth).mean() <= found.high
        assert found.low <= found.share <= found.high
        widths.append(found.high - found.low)
    assert widths[1] < 0.5 * widths[0]


def test_copies_are_drawn_together_so_that_the_interval_is_not_too_narrow() -> None:
    _, given, shares = judged(300, wrong=0.1)
    labels, tables, groups = np.repeat(given, 5), np.repeat(shares, 5, axis=0), np.repeat(np.arange(300), 5)
    apart, together = find_suspects(labels, tables), find_suspects(labels, tables, groups)
    assert together.high - together.low > 1.7 * (apart.high - apart.low)


def test_a_perfect_network_finds_nothing() -> None:
    labels = np.arange(200) % CLASSES
    shares = np.eye(CLASSES)[labels] * 0.96 + 0.01
    found = find_suspects(labels, shares.astype(np.float32))
    assert (len(found), found.share, found.low, found.high) == (0, 0.0, 0.0, 0.0)


def test_one_class_alone_has_no_suspects() -> None:
    labels = np.zeros(30, np.int64)
    shares = np.tile([[0.2, 0.8]], (30, 1))
    assert len(suspect_rows(labels, shares)) == 0
    assert wrong_share(labels, shares) == 0.0


def test_pairs_of_classes_are_counted_the_most_frequent_first() -> None:
    given, suggested = np.array([0, 2, 2, 1, 2]), np.array([1, 0, 0, 2, 1])
    assert class_pairs(given, suggested, 3) == [(2, 0, 2), (0, 1, 1), (1, 2, 1), (2, 1, 1)]
