"""What monitor decides follows from the history alone: best epoch, end, learning rate."""

import pytest

from search.training.early_stopping import OBJECTIVES
from search.training.recipe import Recipe
from search.training.schedule import FixedSchedule, Schedule


def history(*accuracies: float, losses: tuple[float, ...] = ()) -> list[dict[str, float]]:
    return [
        {"monitor_accuracy": accuracy, "monitor_macro_f1": accuracy, "monitor_loss": loss}
        for accuracy, loss in zip(accuracies, losses or [1.0] * len(accuracies), strict=True)
    ]


def schedule(objective: str = "val_accuracy", **recipe: object) -> Schedule:
    return Schedule(Recipe(**recipe), epochs=10, patience=3, objective=objective)  # type: ignore[arg-type]


@pytest.mark.parametrize("objective", ["val_accuracy", "macro_f1"])
def test_of_equal_epochs_the_one_with_the_lower_loss_then_the_first_is_kept(objective: str) -> None:
    assert schedule(objective).best_epoch(history(0.1, 0.5, 0.5, 0.5, losses=(4.0, 2.0, 1.0, 1.0))) == 3


def test_each_objective_has_its_own_best_epoch() -> None:
    epochs = [
        {"monitor_accuracy": 0.9, "monitor_macro_f1": 0.1, "monitor_loss": 3.0},
        {"monitor_accuracy": 0.2, "monitor_macro_f1": 0.8, "monitor_loss": 2.0},
        {"monitor_accuracy": 0.1, "monitor_macro_f1": 0.2, "monitor_loss": 1.0},
    ]
    assert {objective: schedule(objective).best_epoch(epochs) for objective in OBJECTIVES} == {
        "val_accuracy": 1,
        "macro_f1": 2,
        "loss": 3,
    }


def test_it_is_over_when_patience_or_epochs_run_out() -> None:
    assert not schedule().over([])
    assert not schedule().over(history(0.5, 0.4, 0.4))
    assert schedule().over(history(0.5, 0.4, 0.4, 0.4))
    assert not schedule().over(history(0.5, 0.4, 0.4, 0.6))
    assert schedule().over(history(*[n / 10 for n in range(10)]))


def test_a_plateau_drops_the_rate_again_and_again_down_to_the_floor() -> None:
    falling = schedule(plateau_patience=2, plateau_factor=0.1, min_learning_rate=5e-5)
    rates = [falling.learning_rate(history(*[0.5] * n)) for n in range(8)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-3, 1e-4, 1e-4, 5e-5, 5e-5, 5e-5])


def test_an_improvement_starts_the_wait_anew() -> None:
    falling = schedule(plateau_patience=2)
    assert falling.learning_rate(history(0.5, 0.4, 0.6, 0.6)) == 1e-3
    assert falling.learning_rate(history(0.5, 0.4, 0.6, 0.6, 0.6)) == 5e-4


def test_cosine_goes_from_the_first_rate_to_the_floor() -> None:
    cosine = schedule(schedule="cosine", learning_rate=1.0, min_learning_rate=0.2)
    assert cosine.learning_rate([]) == 1.0
    assert cosine.learning_rate(history(*[0.5] * 5)) == pytest.approx(0.6)
    assert cosine.learning_rate(history(*[0.5] * 10)) == pytest.approx(0.2)


def test_a_rate_below_the_floor_stays_where_it_is() -> None:
    for kind in ("constant", "cosine", "plateau"):
        tiny = schedule(schedule=kind, learning_rate=1e-6, min_learning_rate=1e-5)
        assert tiny.learning_rate(history(*[0.5] * 9)) == pytest.approx(1e-6)


def test_a_fixed_training_takes_its_rates_and_keeps_the_last_epoch() -> None:
    """However good an earlier epoch looks on monitor: of images that are trained on, that says nothing."""
    fixed = FixedSchedule(Recipe(), 3, 1, "val_accuracy", rates=(0.1, 0.1, 0.01))
    falling = history(0.9, 0.5, 0.4)
    assert [fixed.learning_rate(falling[:n]) for n in range(3)] == [0.1, 0.1, 0.01]
    assert [fixed.over(falling[:n]) for n in range(1, 4)] == [False, False, True]
    assert fixed.best_epoch(falling) == 3


def test_a_lower_loss_is_of_use_where_the_objective_stands_still() -> None:
    """As in the first epochs on unbalanced classes, when every image is taken for the commonest."""
    slow = schedule(plateau_patience=2)
    learning = history(0.3, 0.3, 0.3, 0.3, losses=(4.0, 3.0, 2.0, 1.0))
    assert not slow.over(learning)
    assert slow.learning_rate(learning) == 1e-3
    idle = history(0.3, 0.3, 0.3, 0.3, losses=(1.0, 2.0, 2.0, 2.0))
    assert slow.over(idle)
    assert slow.learning_rate(idle) == 5e-4


def test_augmentation_grows_from_nothing_to_its_whole_strength() -> None:
    growing = schedule(augmentation_ramp=4)
    assert [growing.strength(history(*[0.5] * epochs)) for epochs in range(6)] == [0, 0.25, 0.5, 0.75, 1, 1]
    assert [schedule().strength(history(*[0.5] * epochs)) for epochs in range(2)] == [1, 1]


def test_one_cycle_rises_and_falls_in_lines() -> None:
    """An epoch has the height of the line in its middle; half of ten epochs go up."""
    cycle = schedule(schedule="one_cycle", warmup_share=0.5, learning_rate=1.0, min_learning_rate=0.0)
    rates = [cycle.learning_rate(history(*[0.5] * n)) for n in range(11)]
    assert rates == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9, 0.9, 0.7, 0.5, 0.3, 0.1, 0.0])


def test_one_cycle_without_warm_up_only_falls_down_to_the_floor() -> None:
    cycle = schedule(schedule="one_cycle", warmup_share=0.0, learning_rate=1.0, min_learning_rate=0.2)
    rates = [cycle.learning_rate(history(*[0.5] * n)) for n in range(10)]
    assert rates == pytest.approx([0.2 + 0.8 * (0.95 - n / 10) for n in range(10)])


@pytest.mark.parametrize("kind", ["plateau", "cosine", "constant"])
def test_warm_up_comes_before_every_other_schedule(kind: str) -> None:
    """The four epochs after it are those that a schedule of six epochs less begins with."""
    warmed = Schedule(Recipe(schedule=kind, warmup_epochs=4, plateau_patience=2), 10, 9, "val_accuracy")
    plain = Schedule(Recipe(schedule=kind, plateau_patience=2), 6, 9, "val_accuracy")
    rates = [warmed.learning_rate(history(*[0.5] * n)) for n in range(10)]
    assert rates[:4] == pytest.approx([1e-5 + 99e-5 * height for height in (0.125, 0.375, 0.625, 0.875)])
    assert rates[4:] == [plain.learning_rate(history(*[0.5] * n)) for n in range(6)]
