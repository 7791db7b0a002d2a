"""The verdict on validation without its suspect images: beside the verdict, never in its place.

The study's own predictions are out-of-sample on validation, so no further training is needed. Confident
learning runs for each seed, on the mean probabilities of its candidates. An image is suspect if most seeds
say so. Which images are left out thus depends on the candidates: the numbers are no second verdict.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reports.analysis import Analysis, compared
from reports.inference.comparison import Comparison
from reports.inference.verdict import Verdict, decide
from search.labels.suspects import suspect_rows


@dataclass(frozen=True)
class WithoutSuspects:
    """The comparison on the images that are left.

    `suspect`: bool (images,), in the order of ids.
    """

    suspect: NDArray[np.bool_]
    comparison: Comparison
    verdict: Verdict
    order_changes: bool
    selection_changes: bool


def without_suspects(analysis: Analysis) -> WithoutSuspects | None:
    """Repeat the comparison and the verdict without suspect images.

    Args:
        analysis: A study with a verdict.

    Returns:
        None without a verdict, without suspects, and where a class or a comparison would be lost.
    """
    if analysis.comparison is None or analysis.verdict is None:
        return None
    suspect = suspect_images(analysis)
    if not suspect.any() or not _every_class(analysis, ~suspect):
        return None
    confirmed = [
        replace(
            one,
            ids=one.ids[~suspect],
            labels=one.labels[~suspect],
            probabilities=one.probabilities[~suspect],
            groups=one.groups[~suspect],
            has_twin=one.has_twin[~suspect],
        )
        for one in analysis.confirmed
    ]
    comparison = compared(analysis.study, analysis.rule, confirmed)[0]
    if comparison is None:
        return None
    verdict = decide(comparison, analysis.rule)
    before, after = ([row.candidate for row in rows] for rows in (analysis.rows, comparison.rows))
    return WithoutSuspects(
        suspect, comparison, verdict, before != after, verdict.selected != analysis.verdict.selected
    )


def suspect_images(analysis: Analysis) -> NDArray[np.bool_]:
    """Say which validation images most seeds hold for wrongly labelled, (images,).

    Args:
        analysis: A study with confirmed evaluations.
    """
    seeds = sorted({one.seed for one in analysis.confirmed})
    labels = analysis.confirmed[0].labels
    votes = np.zeros(len(labels))
    for seed in seeds:
        own = [one.probabilities for one in analysis.confirmed if one.seed == seed]
        votes[suspect_rows(labels, np.mean(own, axis=0, dtype=np.float64))] += 1
    return np.asarray(votes > len(seeds) / 2)


def _every_class(analysis: Analysis, kept: NDArray[np.bool_]) -> bool:
    labels = analysis.confirmed[0].labels
    return set(np.unique(labels[kept])) == set(np.unique(labels))
