"""Confirm in rounds: after each round who goes on, and when the stage ends.

A study with `seeds = "auto"` trains its candidates in rounds. After each round the comparison is drawn at a
level of its own, so that all rounds together claim something false no more often than one look would (see
`statistics.levels`). Candidates that are surely worse get no further seeds. The stage ends when one candidate
is better than all others, when all that remain are equal within the margin, when no number of seeds is likely
to decide what is left, or with the last round.

Everything follows from the evaluations of completed rounds. Killed, resumed and distributed studies therefore
come to the same sequence.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from reports import statistics
from reports.inference.rule import Rule
from reports.inference.standings import FEWEST_SEEDS, Standing, standings
from reports.inference.wording import Amount
from reports.records.evaluation import Evaluation, ScoreTable, candidates_of

Reason = Literal["open", "winner", "equal", "undecidable", "max_seeds", "hours"]

MAX_SEEDS = 20
#: The stage ends as undecidable if what is left has less than this chance of being decided, as a quantile.
#: So the rounds find as much as ten fixed seeds in simulated studies, with the fewest trainings.
_FUTILE = 0.5244  # 30%
#: Seeds at the end of each round; beyond the last, a quarter more each.
_ROUNDS = (3, 4, 5, 6, 8, 10, 13, 16, 20)
_GROWTH = 1.25
#: Seeds of each candidate that a study with at most 20 takes on average: see docs/statistics.md.
_TYPICAL_SEEDS = 7.2


@dataclass(frozen=True)
class RoundDecision:
    """The state of a confirm stage after its last completed round; round 0: none is complete."""

    round: int
    seeds: int  # of each candidate that is still in
    finished: bool
    reason: Reason
    active: tuple[str, ...]  # candidates that get the next round's seeds; when finished: that remained
    next_seeds: int  # seeds of each active candidate at the end of the next round; when finished: seeds
    line: str  # the state of the decision in plain English


class Expected(NamedTuple):
    """How many evaluations a confirm stage takes."""

    fewest: int
    typical: int
    most: int


@dataclass(frozen=True, eq=False)
class Replay:
    """A decision with what it rests on."""

    decision: RoundDecision
    level: float  # of the round's tests; NaN before the first round is complete
    used: frozenset[tuple[str, int]]  # (candidate, seed) of the completed rounds
    standings: tuple[Standing, ...]  # best first; empty before the first round is complete


def schedule(max_seeds: int = MAX_SEEDS) -> tuple[int, ...]:
    """Seeds of each candidate at the end of every round.

    Args:
        max_seeds: seeds of each candidate at the end of the last round, at least 3.

    Returns:
        Rising numbers from 3 to max_seeds: 3, 4, 5, 6, 8, 10, 13, 16, 20.

    Raises:
        ValueError: max_seeds is below 3.
    """
    if max_seeds < FEWEST_SEEDS:
        raise ValueError(f"max_seeds must be at least {FEWEST_SEEDS}. Received: {max_seeds}")
    found = [seeds for seeds in _ROUNDS if seeds <= max_seeds]
    while found[-1] < max_seeds:
        further = round(found[-1] * _GROWTH) if found[-1] >= _ROUNDS[-1] else max_seeds
        found.append(min(further, max_seeds))
    return tuple(found)


def expected_evaluations(candidates: int, max_seeds: int = MAX_SEEDS) -> Expected:
    """Say for a dry run how many evaluations the rounds take.

    Args:
        candidates: how many are confirmed.
        max_seeds: seeds of each candidate at most.

    Returns:
        The fewest (one round), what simulated studies took on average, and the most.
    """
    share = (_TYPICAL_SEEDS - FEWEST_SEEDS) / (MAX_SEEDS - FEWEST_SEEDS)
    typical = FEWEST_SEEDS + share * (max_seeds - FEWEST_SEEDS)
    return Expected(FEWEST_SEEDS * candidates, round(typical * candidates), max_seeds * candidates)


def replay(
    evaluations: Sequence[Evaluation],
    rule: Rule,
    max_seeds: int = MAX_SEEDS,
    *,
    candidates: Collection[str] = (),
    over: Collection[tuple[str, int]] = (),
    look: int = 1,
) -> Replay:
    """Decide after the last completed round who gets further seeds, or that the stage is over.

    A round is complete when every active candidate has each of the round's seeds, as an evaluation or in
    `over`. The evaluations of a later, incomplete round are ignored. A candidate that has ended every seed
    without predictions gets no further ones.

    Args:
        evaluations: Complete evaluations of the confirm stage, seeds counted from 1.
        rule: The study's rule.
        max_seeds: Seeds of each candidate at most, at least 3.
        candidates: Fingerprints of all that are to be confirmed; those of the evaluations are added.
        over: (candidate, seed) that ended for good without predictions: diverged or failed.
        look: Which look at the study this stage is, from 1; all of its rounds are one.

    Returns:
        The decision, with the level and the evaluations that it rests on. The same evaluations give the same
        decision, in whatever order they came.
    """
    tables = [one.table for one in candidates_of(evaluations, rule.objective)] if evaluations else []
    majority = statistics.majority_share(evaluations[0].labels) if evaluations else math.nan
    planned = {*candidates, *(one.name for one in tables), *(name for name, _ in over)}
    *_, last = replay_tables(tables, majority, rule, max_seeds, planned=planned, over=over, look=look)
    return last


def replay_tables(
    tables: Sequence[ScoreTable],
    majority: float,
    rule: Rule,
    max_seeds: int = MAX_SEEDS,
    *,
    planned: Collection[str],
    over: Collection[tuple[str, int]] = (),
    look: int = 1,
) -> Iterator[Replay]:
    """The state before the first round and after each completed one.

    Args:
        tables: of the complete evaluations, one for each candidate.
        majority: the share of the commonest class among the judged images.
        rule: the study's rule.
        max_seeds: as of `replay`.
        planned: all that are to be confirmed.
        over: as of `replay`.
        look: as of `replay`.

    Yields:
        One state a round, the last one that of the last completed round.
    """
    plan = schedule(max_seeds)
    levels = statistics.levels(plan, statistics.alpha_of_look(look, rule.alpha))
    present = {(one.name, seed) for one in tables for seed in one.seeds}
    done = present | set(over)
    asked: set[tuple[str, int]] = set()
    active = tuple(sorted(planned))
    yield Replay(_waiting(active, plan[0]), math.nan, frozenset(), ())
    for number, (seeds, level) in enumerate(zip(plan, levels, strict=True), start=1):
        asked |= {(name, seed) for name in active for seed in range(1, seeds + 1)}
        if not active or not asked <= done:
            return
        used = frozenset(asked & present)
        kept = [one.on({seed for name, seed in used if name == one.name}) for one in tables]
        kept = [one for one in kept if one.seeds]
        if not kept:
            yield Replay(_nothing(number, seeds, active), level, used, ())
            return
        placed = standings(kept, majority, level, rule.margin, rule.near_chance)
        reason = _reason(placed, rule, plan[-1], levels[-1], last=seeds == plan[-1])
        active = tuple(sorted(one.name for one in placed if one.relation != "worse"))
        following = plan[number] if reason == "open" else seeds
        line = _line(placed, rule, seeds, reason, plan[-1])
        decision = RoundDecision(number, seeds, reason != "open", reason, active, following, line)
        yield Replay(decision, level, used, placed)
        if decision.finished:
            return


def _waiting(active: tuple[str, ...], seeds: int) -> RoundDecision:
    line = f"the first round of {seeds} seeds is not complete: nothing is decided yet"
    return RoundDecision(0, 0, False, "open", active, seeds, line)


def _nothing(number: int, seeds: int, active: tuple[str, ...]) -> RoundDecision:
    """No evaluation of any candidate came to its end."""
    line = f"after {seeds} seeds: no evaluation was completed, so nothing can be compared"
    return RoundDecision(number, seeds, True, "undecidable", active, seeds, line)


def _reason(
    placed: Sequence[Standing], rule: Rule, max_seeds: int, last_level: float, *, last: bool
) -> Reason:
    """Why the stage ends after a round, or that it goes on."""
    best, others = placed[0], placed[1:]
    if best.relation == "better" or (not others and best.comparable):
        return "winner"
    if best.relation == "tied":
        return "equal"
    if last:
        return "max_seeds"
    unsure = [one for one in others if one.relation == "underpowered"]
    known = [one for one in unsure if one.low == one.low]
    if not unsure or len(known) < len(unsure):
        return "open"
    remaining = 1 + sum(one.relation != "worse" for one in others)
    pairs = remaining * (remaining - 1) // 2
    hopeful = any(_may_be_decided(one, rule.margin, max_seeds, last_level, pairs) for one in known)
    return "open" if hopeful else "undecidable"


def _may_be_decided(one: Standing, margin: float, max_seeds: int, level: float, pairs: int) -> bool:
    """Whether the last round may find a candidate worse or tied.

    The estimate may still move by what the present seeds' noise allows (stochastic curtailment: Lan, Simon
    and Halperin 1982).
    """
    assert one.difference is not None  # noqa: S101  it is not the best
    now = one.difference
    last = now.with_seeds(max_seeds)
    left = [
        variance * max(1.0 / seeds - 1.0 / max_seeds, 0.0)
        for variance, seeds in zip(now.seed_variances, now.seeds, strict=True)
    ]
    move, reach = _FUTILE * math.sqrt(sum(left)), last.reach(level, pairs)
    behind = -now.estimate
    return behind + move > reach or behind - move + reach < margin


def _line(placed: Sequence[Standing], rule: Rule, seeds: int, reason: Reason, max_seeds: int) -> str:
    """The state of the decision: who leads, by how much, and how many are still open."""
    return f"after {seeds} seeds: {'; '.join(_state(placed, rule, reason, max_seeds))}"


def _state(placed: Sequence[Standing], rule: Rule, reason: Reason, max_seeds: int) -> Iterator[str]:
    amount = Amount(rule.objective)
    best, others = placed[0], placed[1:]
    if not others:
        yield f"{best.table.label} is the only candidate"
        return
    second = others[0]
    if second.difference is not None and second.low == second.low:
        ahead = amount.between(-second.high, -second.low)
        yield f"{best.table.label} leads by {amount.size(second.difference.estimate)} ({ahead})"
    else:
        yield f"too few seeds of {best.table.label} or {second.table.label} learned for a comparison"
    left = sum(one.relation == "underpowered" for one in others)
    if reason == "winner":
        yield "it is better than " + ("the other" if len(others) == 1 else f"all {len(others)} others")
    elif reason == "equal":
        yield f"all that remain are equal within {amount.size(rule.margin)}"
    elif reason == "undecidable":
        yield f"no number of seeds up to {max_seeds} is likely to decide {left} of {len(others)}"
    else:
        yield f"{left} of {len(others)} still open"


def waiting(decision: RoundDecision) -> str:
    """Why a study in rounds has no comparison yet."""
    return f"{decision.line[0].upper()}{decision.line[1:]}."
