"""What can be claimed from the predictions of several candidates, several seeds and one set of images.

Pure functions of arrays; every docstring says its shapes and names the source of its method. All of them are
read in one place, docs/statistics.md, beside the simulation that shows how well they keep their word.
"""

from reports.statistics.claims import (
    alpha_of_look,
    holm,
    one_standard_error,
    pareto_front,
    shrink,
    tied_set,
)
from reports.statistics.factors import FactorEffect, factor_effects
from reports.statistics.importance import Importance, importance
from reports.statistics.overfit import relative_overfit
from reports.statistics.power import pooled, seeds_needed, smallest_detectable
from reports.statistics.proportions import mcnemar, noise_of_one_run, wilson
from reports.statistics.resampling import (
    Optimism,
    Probability,
    crossed_bootstrap,
    percentile_interval,
    probability_better,
    selection_optimism,
)
from reports.statistics.scores import (
    correct,
    expected_calibration_error,
    log_likelihood,
    macro_f1,
    macro_f1_by_image,
)
from reports.statistics.steadiness import steadied, unsteady
from reports.statistics.twoway import (
    Estimate,
    accuracy_interval,
    by_twins,
    paired_difference,
    two_way,
)

__all__ = [
    "Estimate",
    "FactorEffect",
    "Importance",
    "Optimism",
    "Probability",
    "accuracy_interval",
    "alpha_of_look",
    "by_twins",
    "correct",
    "crossed_bootstrap",
    "expected_calibration_error",
    "factor_effects",
    "holm",
    "importance",
    "log_likelihood",
    "macro_f1",
    "macro_f1_by_image",
    "mcnemar",
    "noise_of_one_run",
    "one_standard_error",
    "paired_difference",
    "pareto_front",
    "percentile_interval",
    "pooled",
    "probability_better",
    "relative_overfit",
    "seeds_needed",
    "selection_optimism",
    "shrink",
    "smallest_detectable",
    "steadied",
    "tied_set",
    "two_way",
    "unsteady",
    "wilson",
]
