"""The confirmed candidates of one study against each other: every number that a claim may rest on.

`compare` takes the evaluations of the confirm stage and returns a `Comparison`: a row for each candidate, a
pair for each two of them, and what the study could have found. `reports.inference.verdict` turns it into
words.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from reports import statistics
from reports.inference._rows import Pair, Row, pairs_of, rows_of
from reports.inference.rounds import RoundDecision, replay
from reports.inference.rule import Rule
from reports.inference.standings import FEWEST_SEEDS, Standing, standings
from reports.records.evaluation import Evaluation, Objective, ScoreTable, candidates_of
from reports.statistics import Optimism

__all__ = [
    "FEWEST_SEEDS",
    "Comparison",
    "Evaluation",
    "Objective",
    "Pair",
    "Row",
    "Rule",
    "compare",
    "compare_rounds",
]


@dataclass(frozen=True)
class Comparison:
    """Rows best first; pairs[a, b] for a before b in that order; what the study could have found."""

    rule: Rule
    look: int
    images: int  # different images: a group of twins counts once
    majority: float  # share of the commonest class
    level: float  # the two-sided error of this look's tests; of a round: the round's
    rows: tuple[Row, ...]
    pairs: Mapping[tuple[str, str], Pair]
    smallest_detectable: float  # by a typical open pair, with power 0.8 at this level; NaN if unknown
    seeds_for_margin: int | None  # seeds in all that would find the margin; None: none would, or unknown
    selection: Optimism | None  # what the best score owes to having been picked; None if it stands alone
    overtuning: Pair | None = None  # an earlier choice of explore minus its last, where that is positive
    decision: RoundDecision | None = None  # of a study in rounds

    @property
    def alpha(self) -> float:
        """The error that this look may spend."""
        return statistics.alpha_of_look(self.look, self.rule.alpha)

    @property
    def confidence(self) -> float:
        """The level of the intervals; those of differences hold together, over all rounds."""
        return 1.0 - self.alpha

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


def compare(
    evaluations: Sequence[Evaluation],
    rule: Rule,
    look: int = 1,
    explored: Mapping[str, float] | None = None,
    *,
    level: float | None = None,
    lost: Collection[tuple[str, int]] = (),
) -> Comparison:
    """Compare the confirm-stage evaluations of one study.

    Args:
        evaluations: complete ones, on the same images.
        rule: the study's rule.
        look: which look at the validation results this is, from 1.
        explored: candidate to the monitor score that made it a leader, in the order in which explore tried
            them, in the rule's objective.
        level: the error of this look's tests; by default the look's own.
        lost: (candidate, seed) that ended without predictions: diverged or failed.

    Raises:
        ValueError: no evaluations, a candidate with one seed twice, or evaluations of different images.
    """
    alpha = statistics.alpha_of_look(look, rule.alpha)
    level = alpha if level is None else level
    candidates = {one.name: one for one in candidates_of(evaluations, rule.objective)}
    majority = statistics.majority_share(evaluations[0].labels)
    tables = [one.table for one in candidates.values()]
    placed = standings(tables, majority, level, rule.margin, rule.near_chance)
    pairs = pairs_of(placed, level)
    smallest, wanted = _reach(placed, rule, level)
    rows = tuple(rows_of(placed, candidates, pairs, rule, alpha, level, explored or {}, lost))
    return Comparison(
        rule=rule,
        look=look,
        images=tables[0].scores.shape[1],
        majority=majority,
        level=level,
        rows=rows,
        pairs=pairs,
        smallest_detectable=smallest,
        seeds_for_margin=wanted,
        selection=_selection(placed),
        overtuning=_overtuning(rows, pairs, explored or {}, rule),
    )


def compare_rounds(
    evaluations: Sequence[Evaluation],
    rule: Rule,
    max_seeds: int,
    look: int = 1,
    explored: Mapping[str, float] | None = None,
    *,
    candidates: Collection[str] = (),
    lost: Collection[tuple[str, int]] = (),
    unread: Collection[tuple[str, int]] = (),
) -> tuple[Comparison | None, RoundDecision]:
    """Compare the evaluations of a study in rounds after its last completed round.

    Args:
        evaluations: complete ones; those of an incomplete round are left out.
        rule: the study's rule.
        max_seeds: seeds of each candidate at most.
        look: which look at the validation results all these rounds are.
        explored: as of `compare`.
        candidates: all that are to be confirmed.
        lost: (candidate, seed) that diverged or failed for good.
        unread: (candidate, seed) that are complete, but whose predictions cannot be read.

    Returns:
        The comparison, None before the first round is complete, and the state of the rounds.
    """
    over = {*lost, *unread}
    found = replay(evaluations, rule, max_seeds, candidates=candidates, over=over, look=look)
    used = [one for one in evaluations if (one.candidate, one.seed) in found.used]
    if not used:
        return None, found.decision
    comparison = compare(used, rule, look, explored, level=found.level, lost=lost)
    return replace(comparison, decision=found.decision), found.decision


def _reach(placed: Sequence[Standing], rule: Rule, level: float) -> tuple[float, int | None]:
    """What a typical open pair would find, and the seeds in all that would find the margin.

    Typical is the pair with the middle standard error, among those that are open or else among all.
    """
    known = [one for one in placed if one.pairs]
    unclear = [one for one in known if one.relation == "underpowered"] or known
    if not unclear:
        return math.nan, None
    ordered = sorted(unclear, key=lambda one: one.difference.se if one.difference else math.inf)
    typical = ordered[len(ordered) // 2]
    assert typical.difference is not None  # noqa: S101  it is not the best
    smallest = statistics.detectable(typical.difference, level, typical.pairs)
    return smallest, statistics.seeds_needed(typical.difference, rule.margin, level, typical.pairs)


def _selection(placed: Sequence[Standing]) -> Optimism | None:
    """What the best score owes to having been picked, on the seeds that count for all.

    Candidates are taken in best first: a poor one that hardly ran must not cost the others their seeds.
    """
    members: list[tuple[ScoreTable, set[int]]] = []
    common: set[int] | None = None
    for one in placed:
        own = {seed for seed, kept in zip(one.table.seeds, one.counted, strict=True) if kept}
        left = own if common is None else common & own
        if len(left) >= FEWEST_SEEDS:
            common = left
            members.append((one.table, own))
    if len(members) < 2 or common is None:
        return None
    values = np.stack([table.on(common).scores for table, _ in members])
    return statistics.selection_optimism(values) if values.shape[2] > 1 else None


def _overtuning(
    rows: Sequence[Row],
    pairs: Mapping[tuple[str, str], Pair],
    explored: Mapping[str, float],
    rule: Rule,
) -> Pair | None:
    """The best earlier choice of explore against its last one, where the last is lower on validation.

    Overtuning (Schneider, Bischl and Feurer 2025): the monitor score rose while the true score fell. The
    baseline counts as an earlier choice. Only confirmed candidates have a validation score.
    """
    sign = -1.0 if rule.objective == "loss" else 1.0
    incumbents: list[str] = []
    highest = -math.inf
    for candidate, score in explored.items():
        if sign * score > highest:
            highest = sign * score
            incumbents.append(candidate)
    scores = {row.candidate: row.score for row in rows if row.seeds_counted >= FEWEST_SEEDS}
    if not incumbents or incumbents[-1] not in scores:
        return None
    last = incumbents[-1]
    earlier = {*incumbents[:-1], *(row.candidate for row in rows if row.baseline)} - {last}
    known = sorted((name for name in earlier if name in scores), key=lambda name: -scores[name])
    if not known or scores[known[0]] <= scores[last]:
        return None
    first = known[0]
    return pairs[first, last] if (first, last) in pairs else pairs[last, first].reversed()
