"""Single runs, lucky winners and matched effects."""

import numpy as np
import pytest
from scipy.stats import norm
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from reports.statistics import (
    factor_effects,
    mcnemar,
    noise_of_one_run,
    selection_optimism,
    wilson,
)


def drawn(seeds, accuracy=(0.65, 0.65), images=800, random_seed=0):
    random = np.random.default_rng(random_seed)
    latent = random.standard_normal(images) + random.standard_normal((len(accuracy), seeds, images))
    return (latent < np.sqrt(2.0) * norm.ppf(accuracy)[:, None, None]).astype(float)


def test_wilson_of_the_published_winner():
    assert wilson(0.6715, 7066) == pytest.approx((0.66046, 0.68235), abs=1e-4)


def test_twenty_percent_disagreement_hides_one_and_a_half_points():
    assert noise_of_one_run(3589) == pytest.approx(0.0146, abs=1e-4)


@pytest.mark.parametrize(("better", "worse"), [(14, 5), (60, 30)])
def test_mcnemar_is_exact_when_few_images_tell(better, worse):
    a = np.array([1.0] * (better + 50) + [0.0] * worse)
    b = np.array([0.0] * better + [1.0] * (50 + worse))
    expected = statsmodels_mcnemar([[50, better], [worse, 0]], exact=better + worse < 25).pvalue
    assert mcnemar(a, b) == pytest.approx(expected)


def test_two_networks_with_the_same_answers_are_not_told_apart():
    assert mcnemar(np.ones(10), np.ones(10)) == 1.0


def test_the_best_of_many_equals_owes_its_lead_to_luck():
    lucky = [selection_optimism(drawn(5, (0.65,) * 8, random_seed=study)) for study in range(20)]
    assert np.mean([one.apparent for one in lucky]) > 0.66
    assert np.mean([one.corrected for one in lucky]) == pytest.approx(0.65, abs=0.006)


def test_a_clear_winner_owes_nothing_to_luck():
    found = selection_optimism(drawn(5, (0.8, 0.5)))
    assert found.optimism == pytest.approx(0.0, abs=0.004)


@pytest.mark.parametrize("seeds", [1, 2])
def test_optimism_with_few_seeds_resamples_images_alone(seeds):
    assert selection_optimism(drawn(seeds, (0.65,) * 5)).optimism > 0.0


def test_a_factor_is_compared_at_matched_settings():
    settings = [{"stages": s, "kernels": k} for k in (32, 64) for s in (2, 3)] + [
        {"stages": 4, "kernels": 128}
    ]
    values = drawn(6, (0.5, 0.6, 0.6, 0.7, 0.9), images=3000)
    stages = factor_effects(settings, values, "stages")
    assert [(one.level, one.reference, one.settings) for one in stages] == [(3, 2, 2)]
    assert stages[0].difference.estimate == pytest.approx(0.1, abs=0.03)
    assert stages[0].difference.low > 0.05
    kernels = factor_effects(settings, values, "kernels")
    assert [(one.level, one.settings) for one in kernels] == [(64, 2)]


def test_a_factor_that_never_varies_has_no_effect_to_show():
    assert factor_effects([{"head": "flatten"}], drawn(3, (0.5,)), "head") == ()
