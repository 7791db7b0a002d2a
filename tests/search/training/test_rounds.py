"""Evaluations of several trainings: folds judge every image once, duplicates together; seeds are pooled."""

from typing import Any

import numpy as np
import pytest

from search.datasets.prepare import Prepared
from search.datasets.splits import folds
from search.execution.messages import Task
from search.training.fit import TrainingResult
from search.training.replicates import (
    ReplicateResult,
    final_metrics,
    plan_replicates,
    predictions,
)
from spaces.errors import UserError
from tests.support.processes.tasks import small_task

pytestmark = pytest.mark.slow  # imports Keras


def _task(**fields: Any) -> Task:
    return small_task(**{"key": "s/confirm/0/2", "seed": 2, "monitor_seed": 2, "validate": True, **fields})


def test_folds_are_stratified_keep_duplicates_together_and_do_not_depend_on_the_order_of_files() -> None:
    labels = np.repeat([0, 1, 2], [50, 100, 25])
    groups = np.arange(175)
    groups[:6] = 0  # six duplicates
    ids = np.array([f"train/{n:03}" for n in range(175)])
    fold = folds(labels, groups, 5, 1, ids)
    for label, count in ((0, 10), (1, 20), (2, 5)):
        assert np.ptp(np.bincount(fold[labels == label], minlength=5)) <= (1 if label else 6)
        assert abs(np.bincount(fold[labels == label]).mean() - count) < 1e-9
    assert len(set(fold[:6])) == 1
    shuffled = np.random.default_rng(0).permutation(175)
    again = folds(labels[shuffled], groups[shuffled], 5, 1, ids[shuffled])
    assert (again == fold[shuffled]).all()
    assert (folds(labels, groups, 5, 2, ids) != fold).any()


def test_a_class_of_fewer_images_than_folds_is_refused() -> None:
    labels, ids = np.repeat([0, 1], [3, 40]), np.array([f"{n:02}" for n in range(43)])
    with pytest.raises(UserError, match="too few for 5 folds"):
        folds(labels, np.arange(43), 5, 0, ids)


def test_over_the_folds_every_image_of_train_and_validation_is_judged_once(prepared: Prepared) -> None:
    planned = plan_replicates(_task(folds=4), prepared)
    ranked = np.concatenate([one.ranking.ids for one in planned])
    everything = [*prepared.train().ids, *prepared.validation().ids]
    assert sorted(ranked) == sorted(everything)
    for one in planned:
        apart = [set(part.groups.tolist()) for part in (one.training, one.monitor, one.ranking)]
        assert not apart[0] & apart[1] | apart[0] & apart[2] | apart[1] & apart[2]
    assert [one.seed for one in planned] == [2 + 100_003 * n for n in range(4)]


def test_an_evaluation_of_one_training_is_judged_on_validation(prepared: Prepared) -> None:
    (one,) = plan_replicates(_task(), prepared)
    assert (one.ranking.ids == prepared.validation().ids).all()
    assert one.seed == 2


def test_several_seeds_share_their_images_and_rank_on_monitor(prepared: Prepared) -> None:
    planned = plan_replicates(_task(rounds=3, validate=False), prepared)
    assert all(one.ranking is one.monitor for one in planned)
    assert len({one.seed for one in planned}) == len(planned) == 3


def test_fewer_images_keep_the_shares_of_classes_and_the_whole_monitor_split(prepared: Prepared) -> None:
    (whole,) = plan_replicates(_task(validate=False), prepared)
    (part,) = plan_replicates(_task(validate=False, train_images=100), prepared)
    assert len(part.training) == 100
    assert set(part.training.ids) < set(whole.training.ids)
    assert (part.monitor.ids == whole.monitor.ids).all()
    shares = [np.bincount(one.training.labels) / len(one.training) for one in (whole, part)]
    np.testing.assert_allclose(*shares, atol=0.01)


def _result(one: Any, right: int) -> ReplicateResult:
    """As if the network had the first `right` of the ranking images right, and all others."""

    def says(labels: Any, wrong_from: int) -> Any:
        told = np.where(np.arange(len(labels)) < wrong_from, labels, (labels + 1) % 7)
        return np.eye(7, dtype=np.float32)[told]

    history = ({"monitor_loss": 1.0}, {"monitor_loss": 2.0})
    trained = TrainingResult(history, 1, 2, "complete", lambda images: images, None, 0.0)
    subset = np.arange(10)
    ranking, monitor = one.ranking.labels, one.monitor.labels
    on_train = says(one.training.labels[subset], 10)
    return ReplicateResult(one, trained, subset, on_train, says(monitor, 10**6), says(ranking, right))


def test_what_several_trainings_say_is_pooled_and_agrees_with_the_file(prepared: Prepared) -> None:
    results = [
        _result(one, right)
        for one, right in zip(plan_replicates(_task(folds=2), prepared), (30, 60), strict=True)
    ]
    file, metrics = predictions(results), final_metrics(results, validated=True)
    assert (np.sort(file["ids"]) == file["ids"]).all()
    accuracy = float((file["probabilities"].argmax(axis=1) == file["labels"]).mean())
    assert metrics["val_accuracy"] == pytest.approx(accuracy) == 90 / len(file["ids"])
    assert metrics["train_clean_accuracy"] == metrics["monitor_final_accuracy"] == 1.0
    assert metrics["overfit_slope"] == 1.0
