"""Leaders are what one run on monitor cannot tell from the best; families and the baseline have seats."""

from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, create_trial

from search.study.planning.leaders import leaders

optuna.logging.set_verbosity(optuna.logging.ERROR)


def _trials(*rows: tuple[float, str, bool]) -> list[FrozenTrial]:
    """Real trials of a real study, from (score, family, baseline)."""
    study = optuna.create_study(direction="maximize")
    for slot, (score, family, baseline) in enumerate(rows):
        attributes: dict[str, Any] = {
            "slot": slot,
            "state": "complete",
            "candidate": {"family": family},
            "baseline": baseline,
        }
        study.add_trial(create_trial(value=score, user_attrs=attributes))
    return study.get_trials()


def _slots(trials: list[FrozenTrial], limit: int, images: int = 400, minimize: bool = False) -> list[int]:
    return [one.slot for one in leaders(trials, limit=limit, images=images, minimize=minimize)]


def test_whoever_is_within_one_standard_error_of_the_best_is_a_leader() -> None:
    """With 400 images and a best of 0.6 one standard error is 0.0245."""
    trials = _trials((0.6, "a", False), (0.58, "a", False), (0.57, "a", False))
    assert _slots(trials, limit=5) == [0, 1]


def test_the_limit_is_kept_but_each_family_has_its_best() -> None:
    """The best of a weak family goes on, at the cost of the last within the band."""
    rows = [(0.60, "a", False), (0.599, "a", False), (0.598, "a", False), (0.3, "b", False)]
    assert _slots(_trials(*rows), limit=3) == [0, 1, 3]


def test_the_baseline_is_always_confirmed_beside_the_leaders() -> None:
    """It takes no leader's seat."""
    rows = [(0.2, "a", True), (0.60, "a", False), (0.599, "a", False)]
    assert _slots(_trials(*rows), limit=2) == [1, 2, 0]


@pytest.mark.parametrize(("limit", "expected"), [(1, [2]), (2, [2, 0])])
def test_losses_are_ranked_from_below(limit: int, expected: list[int]) -> None:
    """For a loss the smallest leads, and the limit alone decides."""
    rows = [(1.1, "a", False), (1.3, "a", False), (0.9, "a", False)]
    assert _slots(_trials(*rows), limit=limit, minimize=True) == expected


def test_without_a_finished_trial_there_is_no_leader() -> None:
    """An empty explore stage plans nothing."""
    assert leaders([], limit=3, images=100, minimize=False) == ()
