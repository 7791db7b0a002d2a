"""PED-ANOVA finds the factor that matters, agrees with Optuna's, and tells importance from chance."""

import numpy as np
import optuna
import pytest

from reports.statistics import importance


def test_the_factor_that_decides_stands_out_and_the_other_stays_within_chance() -> None:
    random = np.random.default_rng(1)
    codes = random.integers(0, 4, (200, 2))
    scores = 0.1 * (codes[:, 0] == 2) + 0.02 * random.standard_normal(200)
    decides, idle = importance(codes, scores)
    assert decides.low > decides.chance
    assert idle.estimate < idle.chance
    assert decides.low <= decides.estimate <= decides.high


def test_a_search_without_an_effect_seldom_shows_one() -> None:
    shown = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        codes = random.integers(0, 3, (60, 1))
        one = importance(codes, random.standard_normal(60), resamples=100)[0]
        shown += one.low > one.chance
    assert shown <= 3


def test_the_shares_are_those_of_optuna() -> None:
    random = np.random.default_rng(2)
    codes = random.integers(0, 3, (3000, 3))
    scores = 0.03 * codes[:, 0] + 0.015 * codes[:, 1] + 0.02 * random.standard_normal(3000)
    study = optuna.create_study(direction="maximize")
    domain = optuna.distributions.CategoricalDistribution([0, 1, 2])
    for row, score in zip(codes.tolist(), scores.tolist(), strict=True):
        params = {f"factor_{at}": level for at, level in enumerate(row)}
        study.add_trial(
            optuna.trial.create_trial(params=params, distributions=dict.fromkeys(params, domain), value=score)
        )
    theirs = optuna.importance.PedAnovaImportanceEvaluator().evaluate(study)
    ours = np.array([one.estimate for one in importance(codes, scores, resamples=2)])
    expected = np.array([theirs[f"factor_{at}"] for at in range(3)])
    assert ours / ours.sum() == pytest.approx(expected / expected.sum(), abs=0.03)
