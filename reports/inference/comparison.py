"""The confirmed candidates of one study against each other: every number that a claim may rest on.

`compare` takes the evaluations of the confirm stage and returns a `Comparison`: a row for each candidate, a
pair for each two of them, and what the study as a whole could have seen. It claims nothing;
`reports.inference.verdict` does.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from reports import statistics
from reports.records.evaluation import (
    Candidate,
    Evaluation,
    Objective,
    candidates_of,
)
from reports.statistics import Estimate, Optimism, Probability

__all__ = ["Comparison", "Evaluation", "Objective", "Pair", "Row", "Rule", "compare"]

Floats = NDArray[np.float64]

#: With fewer seeds the seeds' share of the noise is unknown, or as good as: no claim is made.
FEWEST_SEEDS = 3


@dataclass(frozen=True)
class Rule:
    """How the verdict is reached; part of the experiment file, so written before the search.

    tau bounds relative_overfit; margin is the difference, in units of the objective, within which two
    candidates are as good as the same; alpha is the error that all looks together may spend.
    """

    objective: Objective = "val_accuracy"
    tau: float = 0.35
    margin: float = 0.01
    alpha: float = 0.05

    def __post_init__(self) -> None:
        if self.objective not in get_args(Objective):
            raise ValueError(f"objective must be one of {get_args(Objective)}. Received: {self.objective!r}")


@dataclass(frozen=True)
class Row:
    """One candidate. Differences are advantages over the best: minus is worse, for loss too."""

    candidate: str
    architecture: str
    label: str
    family: str
    variant: str
    parameters: int
    baseline: bool
    n_seeds: int
    score: float  # the objective's mean over seeds; higher is better, so minus the loss
    val_accuracy: float
    val_accuracy_se: float
    val_accuracy_ci_low: float
    val_accuracy_ci_high: float
    val_accuracy_shrunk: float
    delta_to_best: float
    delta_ci_low: float  # NaN for the best itself
    delta_ci_high: float
    # NaN where too few seeds are shared:
    p_better: float  # P(this one beats the best with one more seed each); for the best: beats the runner-up
    p_holm: float  # of the difference from the best; for the best: the largest, of "better than all others"
    tied_for_best: bool  # may be the best, as far as its seeds can tell
    within_one_se: bool
    pareto: bool  # no other has both a higher score and a lower relative_overfit
    relative_overfit: float
    relative_overfit_low: float
    relative_overfit_high: float
    leak_delta: float  # accuracy on all images minus on those without twins; 0 if there are no twins
    monitor_to_validation: float  # score that made it a leader minus validation score; NaN if unknown


@dataclass(frozen=True)
class Pair:
    """Candidate a minus candidate b on the seeds that both have.

    p_holm is adjusted over all pairs that share enough seeds; of the others it is NaN, and so is probability.
    """

    a: str
    b: str
    difference: Estimate
    p_holm: float
    probability: Probability

    def reversed(self) -> "Pair":
        """The same pair seen from b."""
        mirror = self.probability
        probability = Probability(1.0 - mirror.estimate, 1.0 - mirror.high, 1.0 - mirror.low)
        return Pair(self.b, self.a, self.difference.reversed(), self.p_holm, probability)


@dataclass(frozen=True)
class Comparison:
    """Rows best first; pairs[a, b] for a before b in that order; what the study could have seen."""

    rule: Rule
    look: int
    images: int  # different images: a group of twins counts once
    rows: tuple[Row, ...]
    pairs: Mapping[tuple[str, str], Pair]
    smallest_detectable: float  # with power 0.8 at this look's level, Holm's strictest step; NaN if unknown
    seeds_for_margin: (
        int | None
    )  # seeds in all that would find a difference of the margin at the next look; None: none would
    selection: Optimism | None  # what the best score owes to having been picked; None if it stands alone

    @property
    def alpha(self) -> float:
        """The error that this look may spend."""
        return statistics.alpha_of_look(self.look, self.rule.alpha)

    @property
    def confidence(self) -> float:
        """The level of every interval: both of its ends spend a look's error; 0.95 at the first look."""
        return 1.0 - 2.0 * self.alpha

    @property
    def best(self) -> Row:
        """The row with the highest score."""
        return self.rows[0]

    def pair(self, a: str, b: str) -> Pair:
        """Candidate a minus candidate b."""
        return self.pairs[a, b] if (a, b) in self.pairs else self.pairs[b, a].reversed()

    def row(self, candidate: str) -> Row:
        """The row of a candidate."""
        return next(row for row in self.rows if row.candidate == candidate)


_UNKNOWN = Estimate(*(math.nan,) * 6, 0, 0, *(math.nan,) * 4)
_UNCERTAIN = Probability(math.nan, math.nan, math.nan)


def compare(
    evaluations: Sequence[Evaluation],
    rule: Rule,
    look: int = 1,
    explored: Mapping[str, float] | None = None,
) -> Comparison:
    """Compare the confirm-stage evaluations of one study.

    explored: candidate to the monitor score that made it a leader, in the rule's objective. Candidates with
    fewer than three seeds are never the best where others have three. Raises ValueError for no evaluations, a
    candidate with one seed twice, or evaluations of different images.
    """
    alpha = 2.0 * statistics.alpha_of_look(look, rule.alpha)  # an interval's two ends: a look's error each
    candidates = _in_order(list(candidates_of(evaluations, rule.objective, alpha)))
    pairs = _pairs(candidates, "scores", alpha)
    by_accuracy = pairs if rule.objective == "val_accuracy" else _pairs(candidates, "accuracies", alpha)
    smallest, wanted = _reach(pairs, _unsteady(candidates, "scores"), rule, look)
    crossed = _crossed(candidates)
    excluded = _excluded(crossed, alpha / 2.0)
    return Comparison(
        rule=rule,
        look=look,
        images=candidates[0].scores.shape[1],
        rows=tuple(_rows(candidates, pairs, by_accuracy, excluded, rule.objective, alpha, explored or {})),
        pairs=pairs,
        smallest_detectable=smallest,
        seeds_for_margin=wanted,
        selection=statistics.selection_optimism(np.stack([*crossed.values()])) if len(crossed) > 1 else None,
    )


def _in_order(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Best first, those with too few seeds last; equal scores by size, then name."""

    def rank(one: Candidate) -> tuple[bool, float, int, str]:
        return len(one.seeds) < FEWEST_SEEDS, -one.score, one.evaluations[0].parameters, one.name

    return sorted(candidates, key=rank)


def _pairs(
    candidates: Sequence[Candidate], table: Literal["scores", "accuracies"], alpha: float
) -> dict[tuple[str, str], Pair]:
    """Every two candidates that share a seed; those that share enough for a claim are one family of tests."""
    found: dict[tuple[str, str], Pair] = {}
    for a, b in itertools.combinations(candidates, 2):
        common = sorted(set(a.seeds) & set(b.seeds))
        if common:
            ours, theirs = (one.on(common, getattr(one, table)) for one in (a, b))
            difference = statistics.paired_difference(ours, theirs, alpha=alpha)
            probability = (
                statistics.probability_better(ours.mean(axis=1), theirs.mean(axis=1), alpha=alpha)
                if len(common) >= FEWEST_SEEDS
                else _UNCERTAIN
            )
            found[a.name, b.name] = Pair(a.name, b.name, difference, math.nan, probability)
    steady = statistics.steadied(
        {names: pair.difference for names, pair in found.items()}, _unsteady(candidates, table), alpha=alpha
    )
    p_holm = _adjusted(steady)
    return {
        names: replace(found[names], difference=difference, p_holm=p_holm.get(names, math.nan))
        for names, difference in steady.items()
    }


def _adjusted(differences: Mapping[tuple[str, str], Estimate]) -> dict[tuple[str, str], float]:
    """Holm's p of the pairs with enough seeds: one family, since the best was picked from the same data."""
    tested = {names: one.p for names, one in differences.items() if one.seeds >= FEWEST_SEEDS}
    adjusted = statistics.holm(np.array([*tested.values()]))
    return dict(zip(tested, adjusted.tolist(), strict=True))


def _unsteady(candidates: Sequence[Candidate], table: Literal["scores", "accuracies"]) -> frozenset[str]:
    return statistics.unsteady({one.name: getattr(one, table).mean(axis=1) for one in candidates})


def _crossed(candidates: Sequence[Candidate]) -> dict[str, Floats]:
    """Scores (seeds, images) of those who share enough seeds, on the seeds that all of these have.

    They are taken in best first: a poor candidate that hardly ran must not cost the others their seeds.
    """
    members: list[Candidate] = []
    common = {seed for one in candidates for seed in one.seeds}
    for one in candidates:
        if len(common.intersection(one.seeds)) >= FEWEST_SEEDS:
            common.intersection_update(one.seeds)
            members.append(one)
    return {one.name: one.on(sorted(common), one.scores) for one in members}


def _excluded(crossed: Mapping[str, Floats], alpha: float) -> set[str]:
    """Who is surely not the best. Whoever shares too few seeds cannot be told from it."""
    if not crossed:
        return set()
    tied = statistics.tied_set(np.stack([*crossed.values()]), alpha=alpha)
    return {name for name, may_be in zip(crossed, tied, strict=True) if not may_be}


def _reach(
    pairs: Mapping[tuple[str, str], Pair], unsteady: frozenset[str], rule: Rule, look: int
) -> tuple[float, int | None]:
    """The smallest difference this look could have seen; the seeds that would see the margin at the next.

    Between steady candidates, if there are two: what an unsteady one needs is another recipe, not more seeds.
    """
    seen = {names: p.difference for names, p in pairs.items() if p.difference.seeds >= FEWEST_SEEDS}
    differences = [one for names, one in seen.items() if not unsteady & set(names)] or list(seen.values())
    if not differences:
        return math.nan, None
    typical = statistics.pooled(differences, rule.alpha)
    # Holm's strictest step: what any single pair may count on.
    now, then = (statistics.alpha_of_look(k, rule.alpha) / len(seen) for k in (look, look + 1))
    smallest = statistics.smallest_detectable(typical, alpha=now)
    return smallest, statistics.seeds_needed(typical, rule.margin, alpha=then)


def _rows(
    candidates: Sequence[Candidate],
    pairs: Mapping[tuple[str, str], Pair],
    by_accuracy: Mapping[tuple[str, str], Pair],
    excluded: Set[str],
    objective: Objective,
    alpha: float,
    explored: Mapping[str, float],
) -> Iterator[Row]:
    accuracies = [statistics.accuracy_interval(one.accuracies, alpha=alpha) for one in candidates]
    overfits = [one.overfit or _UNKNOWN for one in candidates]
    noise = np.array([_own_variance(one.name, by_accuracy) for one in candidates])
    shrunk = statistics.shrink(np.array([one.estimate for one in accuracies]), noise)
    costs = [[-one.score, overfit.estimate] for one, overfit in zip(candidates, overfits, strict=True)]
    front = statistics.pareto_front(np.array(costs))
    for index, one in enumerate(candidates):
        first, accuracy, overfit = one.evaluations[0], accuracies[index], overfits[index]
        yield Row(
            candidate=one.name,
            architecture=first.architecture,
            label=first.label,
            family=first.family,
            variant=first.variant,
            parameters=first.parameters,
            baseline=first.baseline,
            n_seeds=len(one.seeds),
            score=one.score,
            val_accuracy=accuracy.estimate,
            val_accuracy_se=accuracy.se,
            val_accuracy_ci_low=accuracy.low,
            val_accuracy_ci_high=accuracy.high,
            val_accuracy_shrunk=float(shrunk[index]),
            tied_for_best=one.name not in excluded,
            pareto=bool(front[index]),
            relative_overfit=overfit.estimate,
            relative_overfit_low=overfit.low,
            relative_overfit_high=overfit.high,
            leak_delta=_leak(one),
            monitor_to_validation=_luck(one, objective, explored),
            **asdict(_place(one.name, candidates, pairs)),
        )


@dataclass(frozen=True)
class _Place:
    """A candidate beside the best."""

    delta_to_best: float
    delta_ci_low: float
    delta_ci_high: float
    p_better: float
    p_holm: float
    within_one_se: bool


def _place(name: str, candidates: Sequence[Candidate], pairs: Mapping[tuple[str, str], Pair]) -> _Place:
    best = candidates[0].name
    if name == best:
        own = [pairs[best, other.name] for other in candidates[1:] if (best, other.name) in pairs]
        lead = own[0].probability.estimate if own else math.nan
        largest = float(np.max([pair.p_holm for pair in own])) if own else math.nan  # NaN if any is
        return _Place(0.0, math.nan, math.nan, lead, largest, True)
    if (best, name) not in pairs:
        return _Place(math.nan, math.nan, math.nan, math.nan, math.nan, False)
    pair = pairs[best, name].reversed()
    delta = pair.difference
    near = statistics.one_standard_error(np.array([delta.estimate]), np.array([delta.se]))
    return _Place(
        delta.estimate, delta.low, delta.high, pair.probability.estimate, pair.p_holm, bool(near[0])
    )


def _own_variance(name: str, pairs: Mapping[tuple[str, str], Pair]) -> float:
    """The part of a candidate's variance that the others do not share: half that of its differences."""
    own = [pair.difference.se**2 for key, pair in pairs.items() if name in key]
    return float(np.mean(own)) / 2.0 if own else 0.0


def _leak(one: Candidate) -> float:
    """Accuracy on all images minus accuracy on those that have no twin in the training side."""
    kept = ~one.evaluations[0].has_twin
    if not kept.any():
        return math.nan
    right = np.stack([statistics.correct(e.labels, e.probabilities) for e in one.evaluations])
    return float(right.mean() - right[:, kept].mean())


def _luck(one: Candidate, objective: Objective, explored: Mapping[str, float]) -> float:
    """How much of the score that made it a leader is gone on the validation set."""
    if one.name not in explored:
        return math.nan
    monitor = -explored[one.name] if objective == "loss" else explored[one.name]
    return monitor - one.score
