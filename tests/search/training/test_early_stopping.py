"""A training ends after `patience` epochs in a row without a better epoch or a lower loss on monitor."""

from search.training.early_stopping import best_epoch, epochs_without_progress, should_stop


def history(*epochs: tuple[float, float]) -> list[dict[str, float]]:
    return [
        {"monitor_accuracy": accuracy, "monitor_macro_f1": accuracy, "monitor_loss": loss}
        for accuracy, loss in epochs
    ]


COURSE = history((0.2, 2.0), (0.2, 1.9), (0.1, 1.8), (0.3, 2.5), (0.2, 2.0), (0.3, 2.4), (0.2, 1.7))


def test_a_lower_loss_is_progress_without_a_better_score() -> None:
    assert epochs_without_progress(COURSE, "val_accuracy") == [0, 0, 0, 0, 1, 0, 0]
    assert epochs_without_progress(COURSE, "loss") == [0, 0, 0, 1, 2, 3, 0]


def test_the_rule_waits_exactly_so_long() -> None:
    assert [should_stop(COURSE[:n], "loss", patience=3) for n in range(8)] == [*[False] * 6, True, False]


def test_the_best_epoch_is_the_first_of_equals() -> None:
    assert (best_epoch(COURSE, "val_accuracy"), best_epoch(COURSE, "loss")) == (6, 7)
    assert best_epoch(history((0.5, 1.0), (0.5, 1.0)), "val_accuracy") == 1
