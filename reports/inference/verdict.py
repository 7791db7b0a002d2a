"""What a study may claim, by the rule that was written before it.

The relation of each candidate to the best follows from the interval of its difference alone
(`reports.inference.standings`). The word of a candidate, one a cell: `selected`, then `overfit`
(relative_overfit surely above tau: its lower limit is), then the relation.

`selected` is no claim to be best. Among the candidates near enough to the best (`near_best`) that do not
surely overfit, it is one of those that failed to learn least often; of these the smallest. With fewer than
three seeds no claim is made at all.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from reports.inference.comparison import Comparison, Row
from reports.inference.rule import Rule
from reports.inference.standings import FEWEST_SEEDS, Relation

Word = Literal["selected", "better", "tied", "worse", "overfit", "underpowered"]

#: Digits of every number in the frozen verdict: another machine's last bits must not change its hash.
DIGITS = 6


@dataclass(frozen=True)
class Judgement:
    """One candidate: the word its cell shows, and its relation to the best whatever the cell shows."""

    candidate: str
    label: str
    word: Word
    relation: Relation
    overfit: bool
    n_seeds: int
    seeds_failed: int  # to learn
    seeds_lost: int  # diverged or failed, without predictions
    parameters: int
    score: float
    delta_to_best: float
    delta_ci_low: float
    delta_ci_high: float
    p_above: float
    p_equal: float
    p_below: float
    p_holm: float
    relative_overfit: float
    relative_overfit_low: float


@dataclass(frozen=True)
class Verdict:
    """What one look at one study concludes; hashed before the test set is opened."""

    rule: Rule
    look: int
    alpha: float
    images: int
    best: str
    winner: str | None  # the best, if it is better than all others
    selected: str | None
    runner_up: str | None  # the highest score beside the selected one; None if nothing is selected
    judgements: tuple[Judgement, ...]  # best first
    level: float  # the two-sided error of this look's tests; of a round: the round's
    rounds: str  # why a study in rounds is over: winner, equal, undecidable, max_seeds; or open, or ""

    def judgement(self, candidate: str) -> Judgement:
        """The judgement of one candidate."""
        return next(one for one in self.judgements if one.candidate == candidate)

    def words(self) -> dict[str, Word]:
        """Candidate to the word its cell shows."""
        return {one.candidate: one.word for one in self.judgements}

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, numbers rounded, unknown ones null."""
        plain: dict[str, Any] = _rounded(asdict(self))
        return plain

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False)

    def hash(self) -> str:
        """SHA-256 of the canonical JSON, in hexadecimal."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def decide(comparison: Comparison, rule: Rule) -> Verdict:
    """Apply the rule that the comparison was made under.

    Raises:
        ValueError: the comparison was made under another rule.
    """
    if rule != comparison.rule:
        raise ValueError(f"Expected the comparison's own rule, {comparison.rule}. Received: {rule}")
    overfits = {row.candidate: _surely_overfit(row, rule) for row in comparison.rows}
    selected = _selected(comparison, overfits)
    runner_up = next((row.candidate for row in comparison.rows if row.candidate != selected), None)
    best = comparison.best
    return Verdict(
        rule=rule,
        look=comparison.look,
        alpha=comparison.alpha,
        images=comparison.images,
        best=best.candidate,
        winner=best.candidate if best.relation == "better" else None,
        selected=selected,
        runner_up=runner_up if selected else None,
        judgements=tuple(
            _judgement(row, overfits[row.candidate], row.candidate == selected) for row in comparison.rows
        ),
        level=comparison.level,
        rounds=comparison.decision.reason if comparison.decision else "",
    )


def _surely_overfit(row: Row, rule: Rule) -> bool:
    # An unknown limit is NaN, and NaN is not above tau.
    return row.seeds_counted >= FEWEST_SEEDS and row.relative_overfit_low > rule.tau


def _selected(comparison: Comparison, overfits: Mapping[str, bool]) -> str | None:
    """The preferred one of those near the best that do not surely overfit."""
    near = [row for row in comparison.rows if row.within_one_se and not overfits[row.candidate]]
    return preferred([(row.reliability, row.parameters, row.candidate) for row in near])


def preferred(near: Iterable[tuple[float, int, str]]) -> str | None:
    """Of candidates near the best the most reliable, then the smallest, then the first.

    Args:
        near: (share of trainings that learned, parameters, candidate), best first.
    """
    found = min(near, key=lambda one: (-one[0], one[1]), default=None)
    return found[2] if found else None


def _judgement(row: Row, overfit: bool, selected: bool) -> Judgement:
    word: Word = "selected" if selected else "overfit" if overfit else row.relation
    return Judgement(
        candidate=row.candidate,
        label=row.label,
        word=word,
        relation=row.relation,
        overfit=overfit,
        n_seeds=row.n_seeds,
        seeds_failed=row.seeds_failed,
        seeds_lost=row.seeds_lost,
        parameters=row.parameters,
        score=row.score,
        delta_to_best=row.delta_to_best,
        delta_ci_low=row.delta_ci_low,
        delta_ci_high=row.delta_ci_high,
        p_above=row.p_above,
        p_equal=row.p_equal,
        p_below=row.p_below,
        p_holm=row.p_holm,
        relative_overfit=row.relative_overfit,
        relative_overfit_low=row.relative_overfit_low,
    )


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DIGITS) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(one) for one in value]
    return value
