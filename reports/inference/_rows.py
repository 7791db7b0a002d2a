"""The rows and pairs of a comparison: each candidate, and each two of them."""

import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from reports import statistics
from reports.inference.rule import Rule
from reports.inference.standings import Relation, Standing, near_best
from reports.records.evaluation import Candidate, Objective, ScoreTable
from reports.statistics import Difference


@dataclass(frozen=True)
class Row:
    """One candidate. Differences are advantages over the best: minus is worse, for loss too.

    Scores, accuracies and overfit are those of the seeds that count: the ones that learned, or all where
    most failed to learn.
    """

    candidate: str
    architecture: str
    label: str
    family: str
    variant: str
    parameters: int
    baseline: bool
    n_seeds: int
    seeds_failed: int  # of n_seeds, those that failed to learn
    seeds_lost: int  # beside n_seeds, those that diverged or failed and have no predictions
    seeds_counted: int  # those that the score is made of
    score: float  # the objective's mean; higher is better, so minus the loss
    val_accuracy: float
    val_accuracy_all: float  # over all seeds, those that failed to learn included
    val_accuracy_se: float
    val_accuracy_ci_low: float
    val_accuracy_ci_high: float
    val_accuracy_shrunk: float
    delta_to_best: float
    delta_ci_low: float  # NaN for the best itself, and where too few seeds count
    delta_ci_high: float
    relation: Relation  # to the best; follows from the interval
    # Of the difference from the best, of the best's from the runner-up; NaN where too few seeds count:
    p_above: float  # probability that it is above the margin
    p_equal: float  # within it
    p_below: float  # below minus the margin
    seeds_won: float  # shared seeds with the higher score, ties counted half
    seeds_paired: int  # shared seeds
    p_holm: float  # adjusted over all pairs in steps; for the best: the largest
    tied_for_best: bool  # may be the best: not worse
    within_one_se: bool  # near enough to the best to be selected
    pareto: bool  # no other has both a higher score and a lower relative_overfit
    relative_overfit: float
    relative_overfit_low: float
    relative_overfit_high: float
    leak_delta: float  # accuracy on all images minus on those without twins; 0 if there are no twins
    monitor_to_validation: float  # score that made it a leader minus validation score; NaN if unknown
    failed_seeds: tuple[int, ...] = ()  # those that failed to learn

    @property
    def reliability(self) -> float:
        """The share of its trainings that learned."""
        return 1.0 - (self.seeds_failed + self.seeds_lost) / max(self.n_seeds + self.seeds_lost, 1)


@dataclass(frozen=True)
class Pair:
    """Candidate a minus candidate b; NaN where too few seeds count."""

    a: str
    b: str
    difference: Difference
    low: float  # holds together with the intervals of all pairs
    high: float
    p_holm: float
    won: float  # shared seeds in which a has the higher score, ties counted half
    paired: int  # shared seeds

    def reversed(self) -> "Pair":
        """The same pair seen from b."""
        return replace(
            self,
            a=self.b,
            b=self.a,
            difference=self.difference.reversed(),
            low=-self.high,
            high=-self.low,
            won=self.paired - self.won,
        )


def pairs_of(placed: Sequence[Standing], level: float) -> dict[tuple[str, str], Pair]:
    """Compare every two candidates.

    Args:
        placed: the standings, best first.
        level: the two-sided error of all intervals together.

    Returns:
        By (a, b), a before b. Pairs with the best have the intervals of the standings.
    """
    comparable = sum(one.comparable for one in placed)
    family = comparable * (comparable - 1) // 2
    found = {}
    for a, b in itertools.combinations(placed, 2):
        won, paired = _won(a.table, b.table)
        if a is placed[0] and b.difference is not None:
            pair = Pair(a.name, b.name, b.difference.reversed(), -b.high, -b.low, b.p, won, paired)
        else:
            one = statistics.difference(a.sample, b.sample)
            known = a.comparable and b.comparable and one.images > 1
            reach = one.reach(level, family) if known else math.nan
            p = one.p(family) if known else math.nan
            pair = Pair(a.name, b.name, one, one.estimate - reach, one.estimate + reach, p, won, paired)
        found[a.name, b.name] = pair
    return found


def _won(a: ScoreTable, b: ScoreTable) -> tuple[float, int]:
    """Shared seeds in which a has the higher score, ties counted half, and how many are shared."""
    shared = sorted(set(a.seeds) & set(b.seeds))
    ours, theirs = (one.on(shared).scores.mean(axis=1) for one in (a, b))
    return float((ours > theirs).sum() + 0.5 * (ours == theirs).sum()), len(shared)


def rows_of(
    placed: Sequence[Standing],
    candidates: Mapping[str, Candidate],
    pairs: Mapping[tuple[str, str], Pair],
    rule: Rule,
    alpha: float,
    level: float,
    explored: Mapping[str, float],
    lost: Collection[tuple[str, int]],
) -> Iterator[Row]:
    """The rows of a comparison, in the order of the candidates' places.

    Args:
        placed: The candidates, the best first.
        candidates: Their evaluations, by name.
        pairs: Paired differences, by the two names.
        rule: The rule of the verdict.
        alpha: What the intervals of accuracy leave out, in (0, 1).
        level: The error of this look's tests, in (0, 1).
        explored: The monitor score that explore gave each candidate.
        lost: Evaluations that ended for good without predictions (diverged or failed), as (candidate,
            seed).
    """
    own = [candidates[one.name] for one in placed]
    accuracies = [
        statistics.accuracy_interval(one.accuracies[standing.counted], alpha=alpha)
        for one, standing in zip(own, placed, strict=True)
    ]
    overfits = [
        one.overfit(~standing.failed, level / len(own)) or statistics.UNKNOWN
        for one, standing in zip(own, placed, strict=True)
    ]
    samples = [statistics.sample(one.accuracies[s.counted]) for one, s in zip(own, placed, strict=True)]
    noise = np.array([_own_variance(index, samples) for index in range(len(samples))])
    shrunk = statistics.shrink(np.array([one.estimate for one in accuracies]), noise)
    costs = [[-s.sample.mean, overfit.estimate] for s, overfit in zip(placed, overfits, strict=True)]
    front = statistics.pareto_front(np.array(costs))
    for index, (one, standing) in enumerate(zip(own, placed, strict=True)):
        first, accuracy, overfit = one.evaluations[0], accuracies[index], overfits[index]
        difference, won, paired = _beside(standing, placed, pairs)
        above, equal, below = difference.shares(rule.margin) if difference else (math.nan,) * 3
        yield Row(
            candidate=one.name,
            architecture=first.architecture,
            label=first.label,
            family=first.family,
            variant=first.variant,
            parameters=first.parameters,
            baseline=first.baseline,
            n_seeds=len(one.table.seeds),
            seeds_failed=int(standing.failed.sum()),
            seeds_lost=sum(name == one.name for name, _ in lost),
            seeds_counted=standing.sample.seeds,
            score=standing.sample.mean,
            val_accuracy=accuracy.estimate,
            val_accuracy_all=float(one.accuracies.mean()),
            val_accuracy_se=accuracy.se,
            val_accuracy_ci_low=accuracy.low,
            val_accuracy_ci_high=accuracy.high,
            val_accuracy_shrunk=float(shrunk[index]),
            delta_to_best=standing.difference.estimate if standing.difference else 0.0,
            delta_ci_low=standing.low,
            delta_ci_high=standing.high,
            relation=standing.relation,
            p_above=above,
            p_equal=equal,
            p_below=below,
            seeds_won=won,
            seeds_paired=paired,
            p_holm=standing.p,
            tied_for_best=standing.relation != "worse",
            within_one_se=near_best(standing, rule.margin),
            pareto=bool(front[index]),
            relative_overfit=overfit.estimate,
            relative_overfit_low=overfit.low,
            relative_overfit_high=overfit.high,
            leak_delta=_leak(one, standing),
            monitor_to_validation=_luck(standing, rule.objective, explored),
            failed_seeds=tuple(itertools.compress(one.table.seeds, standing.failed)),
        )


def _beside(
    one: Standing, placed: Sequence[Standing], pairs: Mapping[tuple[str, str], Pair]
) -> tuple[Difference | None, float, int]:
    """A candidate's difference from the best, the best's from the runner-up; seeds won and shared."""
    best = placed[0].name
    if one.name != best:
        pair = pairs[best, one.name].reversed()
    elif len(placed) > 1:
        pair = pairs[best, placed[1].name]
    else:
        return None, math.nan, 0
    return (pair.difference if pair.low == pair.low else None), pair.won, pair.paired


def _own_variance(index: int, samples: Sequence[statistics.Sample]) -> float:
    """The part of a candidate's variance that the others do not share: half that of its differences."""
    own = samples[index]
    apart = [statistics.difference(own, other).se ** 2 for other in samples if other is not own]
    known = [one for one in apart if one == one]
    return float(np.mean(known)) / 2.0 if known else 0.0


def _leak(one: Candidate, standing: Standing) -> float:
    """Accuracy on all images minus accuracy on those that have no twin in the training side."""
    kept = ~one.evaluations[0].has_twin
    if not kept.any():
        return math.nan
    right = np.stack([statistics.correct(e.labels, e.probabilities) for e in one.evaluations])
    right = right[standing.counted]
    return float(right.mean() - right[:, kept].mean())


def _luck(standing: Standing, objective: Objective, explored: Mapping[str, float]) -> float:
    """How much of the score that made it a leader is gone on the validation set."""
    if standing.name not in explored:
        return math.nan
    monitor = -explored[standing.name] if objective == "loss" else explored[standing.name]
    return monitor - standing.sample.mean
