"""What can be claimed from the predictions of several candidates, several seeds and one set of images.

Pure functions of arrays; every docstring says its shapes and names the source of its method. All of them are
read in one place, docs/statistics.md, beside the simulation that shows how well they keep their word.
"""

from reports.statistics.claims import holm, pareto_front, shrink
from reports.statistics.differences import (
    Difference,
    Sample,
    critical,
    detectable,
    difference,
    family,
    sample,
    seeds_needed,
)
from reports.statistics.factors import FactorEffect, factor_effects
from reports.statistics.importance import Importance, importance
from reports.statistics.learning import failed_to_learn, majority_share
from reports.statistics.overfit import relative_overfit
from reports.statistics.proportions import mcnemar, noise_of_one_run, wilson
from reports.statistics.resampling import (
    Optimism,
    crossed_bootstrap,
    percentile_interval,
    selection_optimism,
)
from reports.statistics.scores import (
    correct,
    expected_calibration_error,
    log_likelihood,
    macro_f1,
    macro_f1_by_image,
)
from reports.statistics.spending import alpha_of_look, levels
from reports.statistics.twoway import (
    UNKNOWN,
    Estimate,
    accuracy_interval,
    by_twins,
    paired_difference,
    two_way,
)

__all__ = [
    "UNKNOWN",
    "Difference",
    "Estimate",
    "FactorEffect",
    "Importance",
    "Optimism",
    "Sample",
    "accuracy_interval",
    "alpha_of_look",
    "by_twins",
    "correct",
    "critical",
    "crossed_bootstrap",
    "detectable",
    "difference",
    "expected_calibration_error",
    "factor_effects",
    "failed_to_learn",
    "family",
    "holm",
    "importance",
    "levels",
    "log_likelihood",
    "macro_f1",
    "macro_f1_by_image",
    "majority_share",
    "mcnemar",
    "noise_of_one_run",
    "paired_difference",
    "pareto_front",
    "percentile_interval",
    "relative_overfit",
    "sample",
    "seeds_needed",
    "selection_optimism",
    "shrink",
    "two_way",
    "wilson",
]
