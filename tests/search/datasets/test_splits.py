"""Splits keep duplicates together, lose and invent no image, and depend on ids and seed, not on any order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.datasets.duplicates.groups import grouped
from search.datasets.splits import carve, subset
from spaces.errors import UserError

sets = st.integers(2, 5).flatmap(
    lambda classes: st.lists(
        st.tuples(st.integers(0, classes - 1), st.integers(0, 40)), min_size=2, max_size=120
    )
)


def arrays(images: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels = np.array([label for label, _ in images], dtype=np.int64)
    groups = np.array([group for _, group in images], dtype=np.int64)
    return labels, groups, np.array([f"train/{row}" for row in range(len(images))])


@given(images=sets, fraction=st.floats(0.05, 0.5), seed=st.integers(0, 99))
@settings(max_examples=150, deadline=None)
def test_carving_keeps_groups_whole_and_loses_nothing(
    images: list[tuple[int, int]], fraction: float, seed: int
) -> None:
    labels, groups, ids = arrays(images)
    rest, carved = carve(labels, groups, fraction, seed, ids)
    assert sorted([*rest, *carved]) == list(range(len(images)))
    assert not set(groups[rest]) & set(groups[carved])


@given(images=sets, seed=st.integers(0, 99), shuffle=st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_carving_does_not_depend_on_the_order(
    images: list[tuple[int, int]],
    seed: int,
    shuffle: "st.RandomLike",  # type: ignore[name-defined]
) -> None:
    labels, groups, ids = arrays(images)
    order = list(range(len(images)))
    shuffle.shuffle(order)
    _, carved = carve(labels, groups, 0.2, seed, ids)
    _, again = carve(labels[order], groups[order] + 7, 0.2, seed, ids[order])
    assert set(ids[carved]) == set(ids[order][again])


def test_carving_is_stratified_and_drawn_by_the_seed() -> None:
    labels = np.repeat(np.arange(3), (500, 100, 20))
    ids = np.array([f"{row}" for row in range(620)])
    _, carved = carve(labels, np.arange(620), 0.1, 0, ids)
    _, other = carve(labels, np.arange(620), 0.1, 1, ids)
    assert np.bincount(labels[carved]).tolist() == [50, 10, 2]
    assert set(carved) != set(other)


def test_every_class_with_two_groups_is_on_both_sides() -> None:
    labels, ids = np.array([0, 0, 1, 1, 2]), np.array(list("abcde"))
    rest, carved = carve(labels, np.arange(5), 0.1, 0, ids)
    assert (sorted(labels[rest]), sorted(labels[carved])) == ([0, 1, 2], [0, 1])


@given(sizes=st.lists(st.integers(1, 60), min_size=1, max_size=8), seed=st.integers(0, 9), data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_subset_has_the_size_asked_for_and_keeps_the_shares(
    sizes: list[int], seed: int, data: st.DataObject
) -> None:
    strata = [f"s{k}" for k, size in enumerate(sizes) for _ in range(size)]
    ids = [f"{row}" for row in range(len(strata))]
    limit = data.draw(st.integers(len(sizes), len(strata)))
    rows = subset(strata, ids, limit, seed)
    assert len(rows) == len(set(rows)) == limit
    for k, size in enumerate(sizes):
        got = sum(strata[row] == f"s{k}" for row in rows)
        assert got >= 1
        assert abs(got - limit * size / len(strata)) <= len(sizes)


def test_a_limit_below_the_number_of_classes_is_refused() -> None:
    with pytest.raises(UserError, match="too small"):
        subset(["a", "b", "c"] * 3, [str(n) for n in range(9)], 2, 0)


@given(pairs=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40))
@settings(deadline=None)
def test_groups_are_what_pairs_connect(pairs: list[tuple[int, int]]) -> None:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    one, other = np.array(pairs, dtype=int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(pairs)), (one, other)), shape=(31, 31))
    expected = connected_components(graph, directed=False)[1]
    found = grouped(31, pairs)
    assert (
        len(set(zip(found.tolist(), expected.tolist(), strict=True))) == len(set(expected)) == found.max() + 1
    )
